/* SPDX-License-Identifier: MIT */
/*
 * config_pack.h - a configuration as bytes, for the process that shall serve it
 */
#ifndef SOCKSERVERD_CONFIG_CONFIG_PACK_H
#define SOCKSERVERD_CONFIG_CONFIG_PACK_H

#include "config/config.h"

/* Packs what loading a configuration has come to: its result (0 or a negative errno), the
 * configuration, and every mistake. The caller frees *ret_bytes. Returns 0 or -ENOMEM. */
int config_pack(int result, const struct config *config, const struct errors *errors,
                char **ret_bytes, size_t *ret_size);

/*
 * Unpacks them. Returns 0, -EBADMSG if they are no such bytes, or -ENOMEM; only
 * after 0 is anything given back. config_done() releases *ret_config,
 * errors_done() *ret_errors.
 */
int config_unpack(const char *bytes, size_t size, int *ret_result, struct config *ret_config,
                  struct errors *ret_errors);

#endif

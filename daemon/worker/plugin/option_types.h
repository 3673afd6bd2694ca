/* SPDX-License-Identifier: MIT */
/*
 * option_types.h - the types of a plugin's options
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_OPTION_TYPES_H
#define SOCKSERVERD_WORKER_PLUGIN_OPTION_TYPES_H

#include "worker/plugin/options.h"

bool option_type_known(enum ss_type type);

/* Both read a value as the row's type: what was given, or the fallback, of which a list has an item
 * in each line. 0, -EINVAL, -ERANGE or -ENOMEM; *ret is untouched on failure. */
int option_read(const struct ss_option *option, const struct given *given,
                struct option_value *ret);
int option_read_fallback(const struct ss_option *option, struct option_value *ret);
void option_value_release(struct option_value *value);

/* Writes what a value must be, as the end of a message: "a size ..., from 1 to 1G". */
#define OPTION_EXPECTED_SIZE 400
void option_describe_expected(const struct ss_option *option, char *buffer, size_t size);
/* What else helps with this text: "; did you mean ...?". The caller frees it; NULL: nothing. */
char *option_hint(const struct ss_option *option, const char *text);

#endif

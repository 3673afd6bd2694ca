/* SPDX-License-Identifier: MIT */
/*
 * tree.h - libconfig's tree, as values that somebody gave
 */
#ifndef SOCKSERVERD_CONFIG_TREE_H
#define SOCKSERVERD_CONFIG_TREE_H

#include <libconfig.h>

#include "common/value.h"
#include "config/source.h"

/* Finds the value of a setting, how it was written and where. source is the file that libconfig
 * has read. Returns 0 or -ENOMEM; given_done() releases *ret in both cases. */
int tree_given(const struct source *source, const config_setting_t *setting, struct given *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tree.h - libconfig's tree, as values that somebody gave
 */
#ifndef SOCKSERVERD_CONFIG_TREE_H
#define SOCKSERVERD_CONFIG_TREE_H

#include <libconfig.h>

#include "common/value.h"
#include "config/source.h"

/*
 * The value of a setting, how it was written and where: source is the file's
 * that libconfig has read. 0 or -ENOMEM; *ret ends with given_done() in both
 * cases.
 */
int tree_given(const struct source *source, const config_setting_t *setting, struct given *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * identity.h - the numbers behind the names of users and groups
 */
#ifndef SOCKSERVERD_CONFIG_IDENTITY_H
#define SOCKSERVERD_CONFIG_IDENTITY_H

#include <sys/types.h>

/*
 * Both read a name or a number, and a number needs no entry in the database.
 * They return 0, -ENOENT, or another negative errno. *ret_gid is the user's
 * own group; for a number without an entry it stays unchanged.
 */
int identity_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);
int identity_find_group(const char *name, gid_t *ret);

#endif

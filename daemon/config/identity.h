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

/*
 * Tells what the database says of a user: login name, home folder and shell,
 * which the caller frees. A number without an entry is its own login name, and
 * has "/" and /bin/sh. Returns 0 or a negative errno.
 */
struct account {
    char *login, *home, *shell;
};
int identity_find_account(uid_t uid, struct account *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * identity.c - the numbers behind the names of users and groups
 *
 * Runs in:  the process that reads the configuration: the database may let it
 *           wait.
 * Owns:     nothing.
 * Failures: returned.
 */
#include "config/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/value.h"

#define LARGEST_RECORD (1u << 20) /* of the user database */

/* A user or group given as a number needs no entry in the database. */
static bool
read_id(const char *text, uint32_t *ret)
{
    int64_t id;

    if (value_integer(text, VALUE_PLAIN, &id) < 0 || id < 0 || id >= UINT32_MAX)
        return false;
    *ret = (uint32_t)id;
    return true;
}

int
identity_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
    struct passwd record, *found = NULL;
    bool number = read_id(name, ret_uid);
    uid_t uid = *ret_uid;

    for (size_t size = 1024; size <= LARGEST_RECORD; size *= 4) {
        _cleanup_free_ char *buffer = malloc(size);
        int r;

        if (buffer == NULL)
            return -ENOMEM;
        r = number ? getpwuid_r(uid, &record, buffer, size, &found)
                   : getpwnam_r(name, &record, buffer, size, &found);
        if (r == ERANGE)
            continue;
        if (found == NULL)
            return number ? 0 : r == 0 ? -ENOENT : -r;
        *ret_uid = record.pw_uid;
        *ret_gid = record.pw_gid;
        return 0;
    }
    return -E2BIG;
}

static int
copy_account(const char *login, const char *home, const char *shell, struct account *ret)
{
    struct account copy = {strdup(login), strdup(*home == '\0' ? "/" : home),
                           strdup(*shell == '\0' ? "/bin/sh" : shell)};

    if (copy.login == NULL || copy.home == NULL || copy.shell == NULL) {
        free(copy.login);
        free(copy.home);
        free(copy.shell);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

int
identity_find_account(uid_t uid, struct account *ret)
{
    struct passwd record, *found = NULL;
    char number[16];

    for (size_t size = 1024; size <= LARGEST_RECORD; size *= 4) {
        _cleanup_free_ char *buffer = malloc(size);

        if (buffer == NULL)
            return -ENOMEM;
        if (getpwuid_r(uid, &record, buffer, size, &found) == ERANGE)
            continue;
        if (found != NULL)
            return copy_account(record.pw_name, record.pw_dir, record.pw_shell, ret);
        (void)snprintf(number, sizeof(number), "%u", uid);
        return copy_account(number, "", "", ret);
    }
    return -E2BIG;
}

int
identity_find_group(const char *name, gid_t *ret)
{
    struct group record, *found = NULL;

    if (read_id(name, ret))
        return 0;
    for (size_t size = 1024; size <= LARGEST_RECORD; size *= 4) {
        _cleanup_free_ char *buffer = malloc(size);
        int r;

        if (buffer == NULL)
            return -ENOMEM;
        r = getgrnam_r(name, &record, buffer, size, &found);
        if (r == ERANGE)
            continue;
        if (found == NULL)
            return r == 0 ? -ENOENT : -r;
        *ret = record.gr_gid;
        return 0;
    }
    return -E2BIG;
}

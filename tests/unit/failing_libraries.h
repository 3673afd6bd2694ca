/* SPDX-License-Identifier: MIT */
/*
 * failing_libraries.h - libraries that must not be failed, and a user database that says what a
 * test wants
 */
#ifndef TESTS_UNIT_FAILING_LIBRARIES_H
#define TESTS_UNIT_FAILING_LIBRARIES_H

#include "failing_fixture.h"

#include <grp.h>
#include <libconfig.h>
#include <pwd.h>

/* Afterwards calls fail as before. */
static inline bool
shelter(void)
{
    bool armed = failing.armed;

    failing.armed = false;
    return armed;
}

PUBLIC int
config_read(config_t *config, FILE *stream)
{
    static int (*real)(config_t *, FILE *);
    bool armed = shelter();

    *(void **)&real = failing_next("config_read");
    int result = real(config, stream);
    failing.armed = armed;
    return result;
}

PUBLIC void
config_init(config_t *config)
{
    static void (*real)(config_t *);
    bool armed = shelter();

    *(void **)&real = failing_next("config_init");
    real(config);
    failing.armed = armed;
}

/* What the user database says, if the test says so. */
static int database_error;
static size_t database_wants; /* a smaller buffer is too small */

static inline bool
database_refuses(size_t size, int *ret)
{
    *ret = size < database_wants ? ERANGE : database_error;
    return *ret != 0;
}

#define DATABASE(name, key_type, record_type)                                                      \
    PUBLIC int name(key_type key, record_type *record, char *buffer, size_t size,                  \
                    record_type **ret)                                                             \
    {                                                                                              \
        static int (*real)(key_type, record_type *, char *, size_t, record_type **);               \
        int r;                                                                                     \
        *ret = NULL;                                                                               \
        if (database_refuses(size, &r))                                                            \
            return r;                                                                              \
        if (real == NULL)                                                                          \
            *(void **)&real = failing_next(#name);                                                 \
        bool armed = shelter();                                                                    \
        r = real(key, record, buffer, size, ret);                                                  \
        failing.armed = armed;                                                                     \
        return r;                                                                                  \
    }

DATABASE(getpwnam_r, const char *, struct passwd)
DATABASE(getpwuid_r, uid_t, struct passwd)
DATABASE(getgrnam_r, const char *, struct group)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * config_fixture.h - configuration files, and the mistakes in them
 */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/texts.h"
#include "config/config.h"
#include "config/source.h"

/* libconfig 1.5 loses a string that a syntax error follows: for builds with the leak sanitizer. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static inline void
enter(const char *folder)
{
    _cleanup_free_ char *path = NULL;

    assert_true(asprintf(&path, "%s/tests/conf/%s", SOURCE_DIR, folder) > 0);
    assert_int_equal(chdir(path), 0);
}

static inline int
is_conf(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot != NULL && strcmp(dot, ".conf") == 0;
}

/* Calls one for every *.conf here; there must be at least so many. */
static inline void
for_each_file(int least, void (*one)(const char *file))
{
    _cleanup_free_ struct dirent **entries = NULL;
    int count = scandir(".", &entries, is_conf, alphasort);

    assert_true(count >= least);
    for (int i = 0; i < count; i++) {
        one(entries[i]->d_name);
        free(entries[i]);
    }
}

/* All mistakes in file as text, to free. */
static inline char *
mistakes_in(const char *file)
{
    struct errors errors = {0};
    struct config config;
    int r = config_load(&config, file, NULL, &errors);
    char *text = errors_join(&errors);

    assert_int_equal(r, errors_any(&errors) ? -EINVAL : 0);
    errors_done(&errors);
    config_done(&config);
    return text;
}

static inline struct config
load(const char *file)
{
    struct errors errors = {0};
    struct config config;

    (void)config_load(&config, file, NULL, &errors);
    for (size_t i = 0; i < errors.count; i++)
        print_error("%s\n", errors.texts[i]);
    assert_false(errors_any(&errors));
    return config;
}

#endif

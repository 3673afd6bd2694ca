/* SPDX-License-Identifier: MIT */
/*
 * settings_fixture.h - one listener's settings, and the mistakes found in them
 */
#ifndef TESTS_UNIT_SETTINGS_FIXTURE_H
#define TESTS_UNIT_SETTINGS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/settings.h"

/* What every test has: a listener, and the mistakes found in it. */
struct fixture {
    struct settings settings;
    struct errors errors;
};

static inline int
begin(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    if (fixture == NULL || settings_init(&fixture->settings, "upper") < 0)
        return -1;
    return settings_fill(&fixture->settings);
}

static inline int
end(void **state)
{
    struct fixture *fixture = *state;

    settings_done(&fixture->settings);
    errors_done(&fixture->errors);
    free(fixture);
    return 0;
}

static inline void
set(struct fixture *fixture, const char *key, const char *text)
{
    settings_set(&fixture->settings, key, &(struct given){.text = text}, &fixture->errors);
}

/* Through bytes, as a worker gets them. */
static inline int
copy_of(const struct settings *settings, struct settings *ret)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int r = settings_pack(settings, &bytes, &size);

    return r < 0 ? r : settings_unpack(bytes, size, ret);
}

static inline void
assert_only_mistake(const struct fixture *fixture, const char *text)
{
    assert_int_equal(fixture->errors.count, 1);
    assert_string_equal(fixture->errors.texts[0], text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif

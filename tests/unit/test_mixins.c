/* SPDX-License-Identifier: MIT */
/*
 * test_mixins.c - what is known of each mixin in one table
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/mixins.h"
#include "common/settings.h"
#include "worker/mixin/mixins.h"

static void
every_mixin_has_a_name_and_serves(void **state)
{
    (void)state;
    for (size_t i = 0; i < mixin_count; i++) {
        assert_non_null(mixin_names[i]);
        assert_non_null(mixin_find((enum mixin_kind)i));
        assert_true(mixin_traits[i].max_connections > 0);
        assert_true((mixin_traits[i].flag == 0) == (mixin_traits[i].flag_name == NULL));
    }
    assert_null(mixin_names[mixin_count]);
    assert_null(mixin_find((enum mixin_kind)mixin_count));
}

static void
workers_and_slots_follow_the_settings(void **state)
{
    static const struct {
        enum mixin_kind mixin;
        uint32_t cpus, max_connections, spare;
        uint32_t workers, slots;
    } rows[] = {
        {MIXIN_NONE, 0, 1, 1, 1, 1},
        {MIXIN_NONE, 3, 1, 1, 3, 1},
        {MIXIN_THREADING, 1, 512, 2, 1, 515},
        {MIXIN_FORKING, 1, 40, 1, 1, 42},
        {MIXIN_COROUTINE, 4, 10000, 0, 1, 10001},
        {MIXIN_THREADING, 1, UINT32_MAX, 7, 1, UINT32_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct settings settings = {
            .mixin = rows[i].mixin,
            .cpus = rows[i].cpus,
            .max_connections = rows[i].max_connections,
            .spare = rows[i].spare,
        };
        assert_int_equal(mixin_workers(&settings), rows[i].workers);
        assert_int_equal(mixin_slots(&settings), rows[i].slots);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mixin_has_a_name_and_serves),
        cmocka_unit_test(workers_and_slots_follow_the_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

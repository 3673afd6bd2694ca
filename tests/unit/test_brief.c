/* SPDX-License-Identifier: MIT */
/*
 * test_brief.c - what a worker is told, and how often a value is read on its way there
 *
 * The readers of values that the daemon calls are wrapped by the linker
 * (tests/CMakeLists.txt): they count the texts they are given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/brief.h"
#include "common/cleanup.h"
#include "common/memfd.h"
#include "config/config.h"

/* ---- counting ------------------------------------------------------------- */

int __real_value_duration(const char *text, enum value_form form, double *ret);
int __wrap_value_duration(const char *text, enum value_form form, double *ret);
int __real_address_parse(const char *text, struct address *ret, char **ret_problem);
int __wrap_address_parse(const char *text, struct address *ret, char **ret_problem);

static const char *watched;
static unsigned readings; /* of the watched text */

static void
count(const char *text)
{
    if (watched != NULL && strcmp(watched, text) == 0)
        readings++;
}

int
__wrap_value_duration(const char *text, enum value_form form, double *ret)
{
    count(text);
    return __real_value_duration(text, form, ret);
}

int
__wrap_address_parse(const char *text, struct address *ret, char **ret_problem)
{
    count(text);
    return __real_address_parse(text, ret, ret_problem);
}

/* ---- the way of a value ---------------------------------------------------- */

static void
load(struct config *config)
{
    static const char text[] = "defaults = { read_timeout = \"17s\"; };\n"
                               "listeners = { one = { address = \"tcp://127.0.0.1:9\";\n"
                               "plugin = \"echo\"; write_timeout = \"19s\"; }; };\n";
    _cleanup_close_ int fd = memfd_sealed("brief.conf", text, strlen(text));
    struct errors errors = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (config_load(config, path, NULL, &errors) < 0)
        fail_msg("%s", errors.count > 0 ? errors.texts[0] : "out of memory");
}

/* In a listener, in `defaults`, the table's own default, and an address. */
static void
a_value_is_read_once_in_each_process(void **state)
{
    static const char *const texts[] = {"19s", "17s", "500ms", "tcp://127.0.0.1:9"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const struct brief brief = {.address = (char *)"tcp://127.0.0.1:99", .level = LOG_INFO};
        struct brief worker_brief;
        struct settings worker_settings;
        struct config config;

        print_message("%s\n", texts[i]);
        watched = texts[i];
        readings = 0;
        load(&config);
        assert_int_equal(readings, 1);
        const struct settings *held = settings_ref(config.listeners[0]); /* as a listener does */
        _cleanup_close_ int fd = brief_to_fd(&brief, held);
        assert_true(fd >= 0);
        assert_true(settings_equal(held, config.listeners[0]));
        assert_int_equal(readings, 1);

        assert_int_equal(brief_from_fd(fd, &worker_brief, &worker_settings), 0);
        assert_int_equal(readings, 2);
        assert_true(worker_settings.read_timeout == 17);
        assert_true(worker_settings.write_timeout == 19);
        assert_true(settings_equal(&worker_settings, held));
        brief_done(&worker_brief);
        settings_done(&worker_settings);
        settings_unref(held);
        config_done(&config);
    }
    watched = NULL;
}

/* ---- the brief --------------------------------------------------------------- */

static void
make_settings(struct settings *settings)
{
    assert_int_equal(settings_init(settings, "upper"), 0);
    assert_int_equal(settings_fill(settings), 0);
}

static void
everything_in_a_brief_comes_back(void **state)
{
    static const struct brief rows[] = {
        {.sink = LOG_TO_STDERR, .level = LOG_EMERG, .address = (char *)""},
        {.check = true, .level = LOG_DEBUG, .address = (char *)"tcp://[::1]:80"},
        {.once = true, .level = LOG_INFO, .address = (char *)"unix:@a=b c"},
        {.access = true, .sink = LOG_TO_JOURNAL, .level = LOG_ERR, .address = (char *)"x"},
    };
    struct settings settings;

    (void)state;
    make_settings(&settings);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_close_ int fd = brief_to_fd(&rows[i], &settings);
        struct settings settings_back;
        struct brief back;

        assert_true(fd >= 0);
        assert_int_equal(brief_from_fd(fd, &back, &settings_back), 0);
        assert_int_equal(back.check, rows[i].check);
        assert_int_equal(back.once, rows[i].once);
        assert_int_equal(back.access, rows[i].access);
        assert_int_equal(back.sink, rows[i].sink);
        assert_int_equal(back.level, rows[i].level);
        assert_string_equal(back.address, rows[i].address);
        assert_string_equal(settings_back.name, "upper");
        brief_done(&back);
        settings_done(&settings_back);
    }
    settings_done(&settings);
}

static int
read_bytes(const char *bytes, size_t size)
{
    _cleanup_close_ int fd = memfd_sealed("brief", bytes, size);
    struct settings settings;
    struct brief brief;
    int r = brief_from_fd(fd, &brief, &settings);

    if (r == 0) {
        brief_done(&brief);
        settings_done(&settings);
    }
    return r;
}

/* Every shorter brief, every byte replaced: refused or understood, never a crash. */
static void
hostile_bytes_are_refused(void **state)
{
    const struct brief brief = {.address = (char *)"tcp://127.0.0.1:9", .level = LOG_INFO};
    struct settings settings;
    char bytes[8192];

    (void)state;
    make_settings(&settings);
    _cleanup_close_ int fd = brief_to_fd(&brief, &settings);
    ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
    assert_true(size > 0 && size < (ssize_t)sizeof(bytes));
    assert_int_equal(read_bytes(bytes, (size_t)size), 0);
    for (size_t cut = 0; cut < (size_t)size; cut++)
        assert_int_equal(read_bytes(bytes, cut), -EBADMSG);
    for (size_t i = 0; i < (size_t)size; i++)
        for (unsigned value = 0; value < 256; value += 51) {
            char saved = bytes[i];

            bytes[i] = (char)value;
            int r = read_bytes(bytes, (size_t)size);
            bytes[i] = saved;
            assert_true(r == 0 || r == -EBADMSG);
        }
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_read_once_in_each_process),
        cmocka_unit_test(everything_in_a_brief_comes_back),
        cmocka_unit_test(hostile_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

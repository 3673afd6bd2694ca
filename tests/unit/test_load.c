/* SPDX-License-Identifier: MIT */
/*
 * test_load.c - a configuration that a process of its own reads, whatever becomes of that process
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/leave.h"
#include "config/config_pack.h"
#include "fds_fixture.h"
#include "supervisor/change/load.h"

#define GOOD SOURCE_DIR "/tests/conf/good/"
#define BAD  SOURCE_DIR "/tests/conf/bad/"

struct result {
    sd_event *event;
    unsigned calls;
    int result;
    struct config config;
    struct errors errors;
};

/* ---- what the process does ------------------------------------------------------------------ */

static int
load_file(struct config *ret, struct errors *errors, const void *userdata)
{
    return config_load(ret, userdata, NULL, errors);
}

/* Does to its own process what the word says. 3 is where it would write the configuration. */
static int
make_trouble(struct config *ret, struct errors *errors, const void *userdata)
{
    static const char zeros[1 << 20];
    const char *word = userdata;

    (void)ret, (void)errors;
    if (strcmp(word, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    } else if (strcmp(word, "exit") == 0) {
        leave(3);
    } else if (strcmp(word, "nonsense") == 0) {
        (void)!write(3, "sockserverd-configuration\0001\0result", 34);
        leave(0);
    } else if (strcmp(word, "flood") == 0) {
        while (write(3, zeros, sizeof(zeros)) > 0)
            continue;
    } else if (strcmp(word, "no memory") == 0) {
        return -ENOMEM;
    }
    for (;;)
        (void)pause();
}

/* ---- the two ways to read ------------------------------------------------------------------- */

static void
on_done(int result, struct config *config, struct errors *errors, void *userdata)
{
    struct result *ret = userdata;

    ret->calls++;
    ret->result = result;
    ret->config = *config;
    ret->errors = *errors;
    *config = (struct config){0};
    *errors = (struct errors){0};
    (void)sd_event_exit(ret->event, 0);
}

static void
expect_nothing_left(size_t fds_before)
{
    while (child_sweep() > 0)
        (void)usleep(1000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_fds(), fds_before);
}

static struct result
load_in_loop(config_loader loader, const char *userdata, uint64_t patience_usec)
{
    struct result result = {0};
    struct load *load;
    size_t fds = count_fds();

    assert_true(sd_event_new(&result.event) >= 0);
    const struct load_setup setup = {
        .loader = loader,
        .loader_userdata = userdata,
        .patience_usec = patience_usec,
        .event = result.event,
        .done = on_done,
        .userdata = &result,
    };
    assert_int_equal(load_new(&setup, &load), 0);
    assert_true(sd_event_loop(result.event) >= 0);
    assert_int_equal(result.calls, 1);
    load_free(load);
    (void)sd_event_unref(result.event);
    expect_nothing_left(fds);
    return result;
}

static struct result
load_at_once(config_loader loader, const char *userdata, uint64_t patience_usec)
{
    const struct load_setup setup = {
        .loader = loader, .loader_userdata = userdata, .patience_usec = patience_usec};
    struct result result = {0};
    size_t fds = count_fds();

    result.result = load_now(&setup, false, &result.config, &result.errors);
    expect_nothing_left(fds);
    return result;
}

static struct result (*const ways[])(config_loader, const char *, uint64_t) = {load_in_loop,
                                                                               load_at_once};

static void
result_done(struct result *result)
{
    config_done(&result->config);
    errors_done(&result->errors);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static void
expect_text(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        assert_ptr_equal(one, other);
    else
        assert_string_equal(one, other);
}

static void
expect_same_places(const struct settings *one, const struct settings *other)
{
    expect_text(one->file, other->file);
    assert_int_equal(one->line, other->line);
    assert_memory_equal(&one->given, &other->given, sizeof(one->given));
    assert_memory_equal(&one->refused, &other->refused, sizeof(one->refused));
    for (size_t i = 0; i < settings_count; i++) {
        const struct given *a = &one->places[i], *b = &other->places[i];

        expect_text(a->file, b->file);
        assert_int_equal(a->line, b->line);
        assert_int_equal(a->item_count, b->item_count);
        for (size_t j = 0; j < a->item_count; j++) {
            expect_text(a->items[j].text, b->items[j].text);
            expect_text(a->items[j].file, b->items[j].file);
            assert_int_equal(a->items[j].line, b->items[j].line);
        }
    }
    for (size_t i = 0; i < one->option_count; i++)
        assert_int_equal(one->options[i].given.line, other->options[i].given.line);
}

static void
expect_same(const struct config *one, const struct config *other)
{
    expect_text(one->file, other->file);
    expect_text(one->plugin_path, other->plugin_path);
    assert_true(one->pre_stop_delay == other->pre_stop_delay);
    expect_text(one->log.target, other->log.target);
    assert_int_equal(one->log.level, other->log.level);
    assert_int_equal(one->log.format, other->log.format);
    assert_int_equal(one->log.access, other->log.access);
    expect_text(one->control.path, other->control.path);
    assert_int_equal(one->control.mode, other->control.mode);
    expect_text(one->control.group, other->control.group);
    assert_int_equal(one->control.gid, other->control.gid);
    assert_int_equal(one->listener_count, other->listener_count);
    for (size_t i = 0; i < one->listener_count; i++) {
        assert_true(settings_equal(one->listeners[i], other->listeners[i]));
        expect_same_places(one->listeners[i], other->listeners[i]);
    }
}

static void
expect_same_as_here(const char *file)
{
    struct config config;
    struct errors errors = {0};
    int r = config_load(&config, file, NULL, &errors);

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct result result = ways[i](load_file, file, LOAD_USEC);

        assert_int_equal(result.result, r);
        assert_int_equal(result.errors.count, errors.count);
        assert_int_equal(result.errors.more, errors.more);
        for (size_t j = 0; j < errors.count; j++)
            assert_string_equal(result.errors.texts[j], errors.texts[j]);
        expect_same(&result.config, &config);
        result_done(&result);
    }
    config_done(&config);
    errors_done(&errors);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
what_arrives_is_what_was_read(void **state)
{
    static const char *const files[] = {GOOD "everything.conf", GOOD "defaults.conf",
                                        GOOD "drop_ins.conf",   GOOD "include.conf",
                                        GOOD "lists.conf",      BAD "addresses.conf",
                                        BAD "users.conf",       BAD "everything_at_once.conf"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        expect_same_as_here(files[i]);
}

static void
a_process_that_fails_is_told_as_such(void **state)
{
    static const struct {
        const char *trouble;
        int result;
        const char *text; /* NULL: none */
        uint64_t patience_usec;
    } rows[] = {
        {"crash", -ECANCELED,
         "the process that reads the configuration was killed by signal 11 (SIGSEGV) without a "
         "result: ",
         LOAD_USEC},
        {"exit", -ECANCELED,
         "the process that reads the configuration exited with status 3 without a result: ",
         LOAD_USEC},
        {"nonsense", -ECANCELED,
         "the process that reads the configuration exited with status 0 without a result: ",
         LOAD_USEC},
        {"hang", -ETIMEDOUT,
         "the process that reads the configuration has not ended within 0.05 s: ", 50000},
        {"flood", -EFBIG, "the configuration is too large: more than 64 MiB ", LOAD_USEC},
        {"no memory", -ENOMEM, NULL, LOAD_USEC},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(ways); i++) {
        size_t row = i / ARRAY_SIZE(ways);
        struct result result =
            ways[i % ARRAY_SIZE(ways)](make_trouble, rows[row].trouble, rows[row].patience_usec);

        assert_int_equal(result.result, rows[row].result);
        assert_int_equal(result.config.listener_count, 0);
        assert_int_equal(result.errors.count, rows[row].text != NULL);
        if (rows[row].text != NULL &&
            strncmp(result.errors.texts[0], rows[row].text, strlen(rows[row].text)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", result.errors.texts[0], rows[row].text);
        result_done(&result);
    }
}

static void
one_that_is_given_up_leaves_nothing(void **state)
{
    struct result result = {0};
    struct load *load;
    size_t fds = count_fds();

    (void)state;
    assert_true(sd_event_new(&result.event) >= 0);
    const struct load_setup setup = {
        .loader = make_trouble,
        .loader_userdata = "hang",
        .patience_usec = LOAD_USEC,
        .event = result.event,
        .done = on_done,
        .userdata = &result,
    };
    assert_int_equal(load_new(&setup, &load), 0);
    load_free(load);
    (void)sd_event_unref(result.event);
    assert_int_equal(result.calls, 0);
    expect_nothing_left(fds);
}

/* The supervisor reads these bytes; whatever they are, it goes on. */
static void
bytes_that_are_none_are_refused(void **state)
{
    struct config config, copy;
    struct errors errors = {0}, told;
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int result;

    (void)state;
    assert_int_equal(config_load(&config, GOOD "everything.conf", NULL, &errors), 0);
    assert_int_equal(config_pack(0, &config, &errors, &bytes, &size), 0);
    config_done(&config);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(config_unpack(bytes, cut, &result, &copy, &told), -EBADMSG);
    for (size_t i = 0; i < size; i++) {
        _cleanup_free_ char *spoilt = malloc(size);

        assert_non_null(spoilt);
        memcpy(spoilt, bytes, size);
        spoilt[i] = (char)(i % 3 == 0 ? '\0' : spoilt[i] + 1);
        if (config_unpack(spoilt, size, &result, &copy, &told) == 0) {
            config_done(&copy);
            errors_done(&told);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrives_is_what_was_read),
        cmocka_unit_test(a_process_that_fails_is_told_as_such),
        cmocka_unit_test(one_that_is_given_up_leaves_nothing),
        cmocka_unit_test(bytes_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_listener_tls.c - a certificate that ends while it is served, and ticket keys that turn
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/listener/listener_tls.h"

#define WAIT_USEC UINT64_C(60000000)

static char *said;
static size_t said_size;

/* The log goes to standard error, which is a pipe here. */
static int pipe_ends[2], real_stderr;

static int
begin(void **state)
{
    (void)state;
    said = NULL;
    said_size = 0;
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(real_stderr >= 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    (void)close(real_stderr);
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
    free(said);
    return 0;
}

static const char *
log_so_far(void)
{
    char piece[4096];
    ssize_t got;

    while ((got = read(pipe_ends[0], piece, sizeof(piece))) > 0) {
        said = realloc(said, said_size + (size_t)got + 1);
        assert_non_null(said);
        memcpy(said + said_size, piece, (size_t)got);
        said_size += (size_t)got;
        said[said_size] = '\0';
    }
    return said == NULL ? "" : said;
}

/* Lets the loop run until the log has the text. */
static void
run_until(sd_event *event, const char *text)
{
    while (strstr(log_so_far(), text) == NULL)
        assert_true(sd_event_run(event, WAIT_USEC) > 0);
}

static void
a_certificate_that_ends_while_it_is_served_is_told_at_once(void **state)
{
    struct upgrade_tls inherited = {.known = true, .path = (char *)"/c.pem"};
    struct listener_tls tls = {.name = "shop"};
    sd_event *event;

    (void)state;
    assert_true(sd_event_new(&event) >= 0);
    inherited.ends = (uint64_t)time(NULL) + 1;
    listener_tls_import(&tls, event, &inherited);
    assert_string_equal(log_so_far(), ""); /* whoever imports reloads, and that says it */
    run_until(event, "the certificate in /c.pem has expired: clients refuse it");
    assert_non_null(strstr(log_so_far(), "shop"));
    assert_null(strstr(log_so_far(), "expires in"));

    /* The next word comes in a day. */
    uint64_t now = 0, next = 0;
    assert_true(sd_event_now(event, CLOCK_MONOTONIC, &now) >= 0);
    assert_true(sd_event_source_get_time(tls.reminder, &next) >= 0);
    assert_in_range(next - now, UINT64_C(86390000000), UINT64_C(86400000000));
    listener_tls_done(&tls);
    assert_null(tls.path);
    (void)sd_event_unref(event);
}

static uint64_t
next_word_usec(uint64_t left_sec)
{
    struct upgrade_tls inherited = {.known = true, .path = (char *)"/c.pem"};
    struct listener_tls tls = {.name = "shop"};
    uint64_t now = 0, next = 0;
    sd_event *event;

    assert_true(sd_event_new(&event) >= 0);
    inherited.ends = (uint64_t)time(NULL) + left_sec;
    listener_tls_import(&tls, event, &inherited);
    assert_true(sd_event_now(event, CLOCK_MONOTONIC, &now) >= 0);
    assert_true(sd_event_source_get_time(tls.reminder, &next) >= 0);
    listener_tls_done(&tls);
    (void)sd_event_unref(event);
    return next - now;
}

static void
the_calendar_is_looked_at_once_a_day_and_at_the_end(void **state)
{
    (void)state;
    assert_in_range(next_word_usec(90 * 86400), UINT64_C(86390000000), UINT64_C(86400000000));
    assert_in_range(next_word_usec(5 * 86400), UINT64_C(86390000000), UINT64_C(86400000000));
    assert_in_range(next_word_usec(3600), UINT64_C(3590000000), UINT64_C(3601000000));
}

/* ---- keys ------------------------------------------------------------------------------- */

static const struct settings *
make_settings(bool tickets)
{
    struct settings settings;
    struct errors errors = {0};

    assert_int_equal(settings_init(&settings, "shop"), 0);
    settings_set(&settings, "tls.tickets", &(struct given){.text = tickets ? "true" : "false"},
                 &errors);
    assert_false(errors_any(&errors));
    return settings_share(&settings);
}

static void
keys_are_made_once_and_only_if_wanted(void **state)
{
    const struct settings *with = make_settings(true), *without = make_settings(false);
    struct listener_tls tls = {.name = "shop"};
    const struct ticket_keys *first = NULL, *keys = NULL;
    sd_event *event;

    (void)state;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(listener_tls_prepare(&tls, event, without, &keys), 0);
    assert_null(keys);
    assert_null(tls.tickets);
    assert_int_equal(listener_tls_prepare(&tls, event, with, &first), 0);
    assert_non_null(first);
    assert_int_equal(listener_tls_prepare(&tls, event, with, &keys), 0);
    assert_ptr_equal(keys, first);
    listener_tls_done(&tls);
    assert_null(tls.tickets);
    settings_unref(with);
    settings_unref(without);
    (void)sd_event_unref(event);
}

/* What the one process saves, the next one goes on with; and the timer turns what is due. */
static void
keys_outlast_an_upgrade_and_turn(void **state)
{
    struct listener_tls tls = {.name = "shop"}, next = {.name = "shop"};
    struct upgrade_tls handed = {0}, later = {0};
    const struct ticket_keys *keys;
    struct timespec now;
    sd_event *event;

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    if ((uint64_t)now.tv_sec < TICKET_KEY_TURN_SEC) {
        print_message("the machine runs for less than six hours: not tried\n");
        skip();
    }
    const struct settings *settings = make_settings(true);
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(listener_tls_prepare(&tls, event, settings, &keys), 0);
    assert_int_equal(listener_tls_export(&tls, &handed), 0);
    assert_int_equal(handed.tickets.count, 1);
    assert_false(handed.known);
    listener_tls_done(&tls);

    /* In a second the key is six hours old. */
    handed.tickets.keys[0].made_sec = (uint64_t)now.tv_sec + 1 - TICKET_KEY_TURN_SEC;
    listener_tls_import(&next, event, &handed);
    do {
        assert_true(sd_event_run(event, WAIT_USEC) >= 0);
        assert_int_equal(listener_tls_export(&next, &later), 0);
    } while (later.tickets.count < 2);
    assert_memory_equal(&later.tickets.keys[1].key, &handed.tickets.keys[0].key,
                        sizeof(struct ticket_key));
    assert_memory_not_equal(&later.tickets.keys[0].key, &handed.tickets.keys[0].key,
                            sizeof(struct ticket_key));
    listener_tls_done(&next);
    settings_unref(settings);
    (void)sd_event_unref(event);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_certificate_that_ends_while_it_is_served_is_told_at_once),
        ROW(the_calendar_is_looked_at_once_a_day_and_at_the_end),
        ROW(keys_are_made_once_and_only_if_wanted),
        ROW(keys_outlast_an_upgrade_and_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_failing_sockets.c - listening sockets while one call of the kernel fails
 */
#include "failing_fixture.h"
#include "passed_fixture.h"
#include "socket_fixture.h"

#include <limits.h>
#include <systemd/sd-event.h>

#include "common/array.h"
#include "common/child.h"
#include "common/patience.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/lookup.h"
#include "supervisor/socket/queue.h"
#include "supervisor/socket/socket_change.h"
#include "supervisor/socket/socket_private.h"
#include "supervisor/socket/store.h"
#include "supervisor/socket/unix_bound.h"

/* ---- each call fails once -------------------------------------------------------------------- */

/* An address that cannot be judged for want of memory counts as a name to look up. */
static int
without_memory(int r)
{
    return r == -EAGAIN && failing.fired && failing.call == FAILING_malloc ? -ENOMEM : r;
}

static int
open_and_close(void *userdata)
{
    const struct settings *settings = userdata;
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    _cleanup_free_ char *problem = NULL;
    int r = socket_open(settings, NULL, &listening, &problem);

    if (r < 0)
        assert_int_equal(listening.fd, -1);
    failing.undoing = r == 0;
    socket_close(&listening);
    failing_disarm();
    sweep(settings);
    return without_memory(r);
}

/* As a dead server leaves it. */
static int
open_over_a_stale_one(void *userdata)
{
    const struct settings *settings = userdata;
    bool armed = failing.armed;

    failing.armed = false;
    leave_stale(settings->address.path);
    failing.armed = armed;
    return open_and_close(userdata);
}

/* The mark that says whose the socket is (fcntl) is missed only after a restart, the room for
 * answers and the map of ports are kindnesses (the option's calls), and nobody holds a lock file
 * that could not be removed. */
static const char *const stream_kindnesses[] = {"fcntl", "getsockopt", "unlink", NULL};
static const char *const datagram_kindnesses[] = {"fcntl",      "getsockopt", "getsockname",
                                                  "setsockopt", "unlink",     NULL};

static void
a_socket_is_opened_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *scheme, *rest;
        bool ipv6, stream;
    } rows[] = {
        {"tcp://", "127.0.0.1:0", false, true}, {"tcp://", "[::1]:0", true, true},
        {"udp://", "0.0.0.0:0", false, false},  {"udp://", "*:0", true, false},
        {"unix://", NULL, false, true},         {"unixgram://", NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char address[200];
        if (rows[i].ipv6 && !have_ipv6())
            continue;
        (void)snprintf(address, sizeof(address), "%s%s", rows[i].scheme,
                       rows[i].rest == NULL ? path_in_folder("", "x") : rows[i].rest);
        print_message("%s\n", address);
        struct settings settings = make_settings(address);
        const struct failing_plan plan = {
            .work = open_and_close,
            .userdata = &settings,
            .tolerated = rows[i].stream ? stream_kindnesses : datagram_kindnesses,
        };
        assert_in_range(each_call_fails(&plan), 5, 200);
        settings_done(&settings);
    }
}

/* Without the kernel's diagnosis (send, recv, lstat) the socket counts as dead, as connect() said.
 */
static void
a_stale_path_is_replaced_or_left(void **state)
{
    static const char *const tolerated[] = {"fcntl",      "send",   "recv",  "socket",
                                            "getsockopt", "unlink", "lstat", NULL};
    struct settings settings = make_settings(path_in_folder("unix://", "stale"));
    const struct failing_plan plan = {open_over_a_stale_one, &settings, tolerated, false};

    (void)state;
    settings.socket_uid = geteuid();
    settings.socket_gid = getegid();
    assert_in_range(each_call_fails(&plan), 10, 200);
    settings_done(&settings);
}

/* As a daemon leaves it that was killed just then. */
static int
open_beside_an_old_lock(void *userdata)
{
    const struct settings *settings = userdata;
    bool armed = failing.armed;
    char lock[160];

    failing.armed = false;
    (void)snprintf(lock, sizeof(lock), "%s.lock", settings->address.path);
    (void)close(open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    failing.armed = armed;
    return open_and_close(userdata);
}

static void
an_old_lock_is_taken_or_left(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "old"));
    const struct failing_plan plan = {open_beside_an_old_lock, &settings, stream_kindnesses, false};

    (void)state;
    assert_in_range(each_call_fails(&plan), 10, 200);
    settings_done(&settings);
}

static int
revive(void *userdata)
{
    const struct settings *settings = userdata;
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    bool armed = failing.armed;

    failing.armed = false;
    open_well(settings, &listening);
    assert_int_equal(shutdown(listening.fd, SHUT_RDWR), 0);
    failing.armed = armed;
    int r = socket_revive(&listening, settings);
    failing.undoing = true;
    assert_true(listening.fd >= 0); /* it is the same one, whatever became of it */
    if (r < 0) {                    /* and the next attempt succeeds */
        failing.armed = false;
        assert_in_range(socket_revive(&listening, settings), SOCKET_REVIVED, SOCKET_REPLACED);
    }
    socket_close(&listening);
    failing_disarm();
    sweep(settings);
    return r < 0 ? without_memory(r) : 0;
}

/* Where listening again fails, a new socket is put in its place. */
static void
a_socket_that_was_shut_down_is_revived_or_still_there(void **state)
{
    static const char *const tolerated[] = {"fcntl",  "getsockopt",  "unlink",
                                            "listen", "getsockname", NULL};
    struct settings rows[] = {
        make_settings("tcp://127.0.0.1:0"),
        make_settings(path_in_folder("unix://", "revived")),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct failing_plan plan = {revive, &rows[i], tolerated, false};

        print_message("%s\n", rows[i].address.text);
        assert_in_range(each_call_fails(&plan), 2, 200);
        settings_done(&rows[i]);
    }
}

static int
look_at_queue(void *userdata)
{
    struct accept_queue queue;

    return queue_look(((struct looked_at *)userdata)->listening.fd, &queue);
}

static int
share(void *userdata)
{
    struct listening_socket heir = LISTENING_SOCKET_NONE;
    int r = socket_share(&((struct looked_at *)userdata)->listening, &heir);

    failing.undoing = true;
    socket_close(&heir);
    return r;
}

static int
take_back_and_give(void *userdata)
{
    struct looked_at *at = userdata;
    struct listening_socket heir = LISTENING_SOCKET_NONE;
    int r = socket_take_back(&at->listening, &heir);

    if (r < 0)
        return r;
    socket_hand_over(&heir, &at->listening);
    at->listening.shared = false;
    failing.undoing = true;
    socket_close(&heir);
    return 0;
}

static int
hold_path(void *userdata)
{
    int fd = unix_path_hold(&((struct looked_at *)userdata)->listening.path);

    if (fd >= 0)
        (void)close(fd);
    return fd < 0 ? fd : 0;
}

static int
look_for_owner(void *userdata)
{
    int r = unix_bound(((struct looked_at *)userdata)->listening.path.name);

    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

/* The mode differs each time, so that there is something to do. */
static int
own_path(void *userdata)
{
    static uint32_t mode = 0600;
    const struct unix_path_owner owner = {.mode = mode ^= 0060, .uid = geteuid(), .gid = (gid_t)-1};

    return unix_path_own(&((struct looked_at *)userdata)->listening.path, &owner);
}

static int
adopt_path(void *userdata)
{
    static uint32_t mode = 0600;
    struct looked_at *at = userdata;
    const struct unix_path_owner owner = {.mode = mode ^= 0060, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct unix_path adopted = UNIX_PATH_NONE;
    int r = unix_path_adopt(at->path_fd, at->listening.path.name, &owner, &adopted);

    assert_int_equal(adopted.name != NULL, r == 0);
    unix_path_forget(&adopted);
    return r;
}

static void
a_failure_changes_nothing_about_an_open_socket(void **state)
{
    static const char *const tolerated[] = {"getsockopt", NULL}; /* the map of ports */
    static const struct {
        const char *scheme, *rest;
        failing_work work;
        const char *const *tolerated;
        unsigned least;
    } rows[] = {
        {"tcp://", "127.0.0.1:0", look_at_queue, NULL, 1},
        {"udp://", "127.0.0.1:0", look_at_queue, NULL, 3},
        {"unix://", NULL, look_at_queue, NULL, 5},
        {"unixgram://", NULL, look_at_queue, NULL, 4},
        {"tcp://", "127.0.0.1:0", share, tolerated, 1},
        {"unix://", NULL, take_back_and_give, tolerated, 1},
        {"unix://", NULL, hold_path, NULL, 2},
        {"unix://", NULL, look_for_owner, NULL, 4},
        {"unix://", NULL, own_path, NULL, 3},
        {"unix://", NULL, adopt_path, NULL, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char address[200];
        (void)snprintf(address, sizeof(address), "%s%s", rows[i].scheme,
                       rows[i].rest == NULL ? path_in_folder("", "x") : rows[i].rest);
        print_message("%zu: %s\n", i, address);
        struct settings settings = make_settings(address);
        struct looked_at at = {.path_fd = -1};
        open_well(&settings, &at.listening);
        if (at.listening.path.name != NULL)
            at.path_fd = unix_path_hold(&at.listening.path);
        const struct failing_plan plan = {rows[i].work, &at, rows[i].tolerated, false};
        assert_in_range(each_call_fails(&plan), rows[i].least, 200);
        if (at.path_fd >= 0)
            (void)close(at.path_fd);
        socket_close(&at.listening);
        settings_done(&settings);
    }
}

/* ---- what goes wrong anyway ------------------------------------------------------------------ */

/* The reason is the same, whether there is memory to say it in words or not. */
static int
fail_to_open(void *userdata)
{
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    _cleanup_free_ char *problem = NULL;
    int r = socket_open(userdata, NULL, &listening, &problem);

    assert_int_equal(r, -ENOENT);
    assert_int_equal(listening.fd, -1);
    return 0;
}

static int
fail_to_resolve(void *userdata)
{
    const struct settings *settings = userdata;
    _cleanup_free_ char *problem = NULL;
    struct resolved to;
    int r = address_resolve(&settings->address, &to, &problem);

    assert_true(r < 0);
    return r == -ENOMEM ? r : 0;
}

static void
a_failure_is_told_without_memory(void **state)
{
    struct settings systemd = make_settings("systemd:web");
    struct settings service = make_settings("tcp://127.0.0.1:no-such-service");
    const struct failing_plan plans[] = {{fail_to_open, &systemd, NULL, true},
                                         {fail_to_resolve, &systemd, NULL, true},
                                         {fail_to_resolve, &service, NULL, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
        assert_in_range(each_call_fails(&plans[i]), 1, 200);
    settings_done(&systemd);
    settings_done(&service);
}

/* ---- looking names up ------------------------------------------------------------------------ */

static void
ignore_answer(const struct resolved *found, const char *problem, void *userdata)
{
    (void)found, (void)problem, (void)userdata;
}

static int
begin_lookup(void *userdata)
{
    struct lookup_setup *setup = userdata;
    struct lookup *lookup = NULL;
    int r = lookup_new(setup, &lookup);

    assert_int_equal(lookup != NULL, r == 0);
    failing.undoing = true;
    lookup_free(lookup);
    failing_disarm();
    while (child_sweep() > 0)
        (void)usleep(1000);
    return r;
}

static void
a_lookup_begins_whole_or_not_at_all(void **state)
{
    struct settings settings = make_settings("tcp://no.such.host.invalid:0");
    struct lookup_setup setup = {
        .address = &settings.address, .patience_usec = LOOKUP_USEC, .done = ignore_answer};
    const struct failing_plan plan = {begin_lookup, &setup, NULL, false};

    (void)state;
    assert_true(sd_event_new(&setup.event) >= 0);
    assert_in_range(each_call_fails(&plan), 5, 200);
    (void)sd_event_unref(setup.event);
    settings_done(&settings);
}

/* ---- a machine without IPv6 ------------------------------------------------------------------ */

static void
star_is_every_ipv4_address_where_there_is_no_ipv6(void **state)
{
    static const struct {
        enum failing_call call;
        int error;
    } rows[] = {{FAILING_socket, EAFNOSUPPORT}, {FAILING_bind, EADDRNOTAVAIL}};
    struct settings settings = make_settings("tcp://*:0");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct listening_socket listening = LISTENING_SOCKET_NONE;
        if (rows[i].call == FAILING_bind && !have_ipv6())
            continue;
        failing_arm(rows[i].call, 1, rows[i].error);
        open_well(&settings, &listening);
        failing_disarm();
        assert_memory_equal(listening.address, "tcp://0.0.0.0:", 14);
        socket_close(&listening);
    }
    settings_done(&settings);
}

static void
an_ipv6_address_needs_ipv6(void **state)
{
    struct settings settings = make_settings("tcp://[::1]:0");

    (void)state;
    failing_arm(FAILING_socket, 1, EAFNOSUPPORT);
    expect_problem(&settings, -EAFNOSUPPORT, "this machine has no IPv6; write 0.0.0.0");
    failing_disarm();
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_socket_is_opened_whole_or_not_at_all),
        in_folder(a_stale_path_is_replaced_or_left),
        in_folder(an_old_lock_is_taken_or_left),
        in_folder(a_socket_that_was_shut_down_is_revived_or_still_there),
        in_folder(a_failure_changes_nothing_about_an_open_socket),
        cmocka_unit_test(a_failure_is_told_without_memory),
        cmocka_unit_test(a_lookup_begins_whole_or_not_at_all),
        cmocka_unit_test(star_is_every_ipv4_address_where_there_is_no_ipv6),
        cmocka_unit_test(an_ipv6_address_needs_ipv6),
    };

    return cmocka_run_group_tests(tests, clear_passed, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_failing_passed.c - sockets that were passed, and paths that are given away, while one call
 * fails
 */
#include "failing_fixture.h"
#include "passed_fixture.h"
#include "socket_fixture.h"

#include "common/array.h"
#include "common/patience.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/socket_change.h"
#include "supervisor/socket/socket_private.h"
#include "supervisor/socket/store.h"

/* One is a socket unit's, the other our own, with its path. The configuration has a listener for
 * each, in this order. */
static void
place_two(const struct settings *ours)
{
    struct listening_socket own;
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[SOCKET_NAME_SIZE], path_name[SOCKET_NAME_SIZE + 16];

    assert_int_equal(bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)), 0);
    assert_int_equal(listen(fd, 5), 0);
    pass("web", fd);
    open_well(ours, &own);
    (void)snprintf(path_name, sizeof(path_name), STORE_PATH_PREFIX "%s", socket_name(ours, name));
    int path_fd = unix_path_hold(&own.path);
    pass(name, own.fd);
    pass(path_name, path_fd);
    unix_path_forget(&own.path);
    place_passed();
}

static int
open_passed(const struct settings *settings)
{
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    _cleanup_free_ char *problem = NULL;
    int r = socket_open(settings, NULL, &listening, &problem);
    bool undoing = failing.undoing;

    failing.undoing = true;
    socket_close(&listening);
    failing.undoing = undoing;
    return r;
}

static int
take_what_was_passed(void *userdata)
{
    const struct config *config = userdata;
    const struct settings *theirs = config->listeners[0], *ours = config->listeners[1];
    bool armed = failing.armed;

    failing.armed = false;
    place_two(ours);
    failing.armed = armed;
    int r = adopt_begin();
    if (r == 0) {
        adopt_discard(config);
        int first = open_passed(theirs), second = open_passed(ours);
        free(adopt_names());
        adopt_discard(NULL);
        r = first < 0 ? first : second;
    }
    failing_disarm();
    adopt_end();
    (void)clear_passed(NULL);
    sweep(ours);
    return r == -ENOENT && failing.fired ? -failing.error : r;
}

/* A socket that cannot be looked at cannot be used, and its listener is told so. Nothing of it
 * stays open. Our own one is opened anew, if that is possible. */
static void
passed_sockets_are_taken_whole_or_closed(void **state)
{
    static const char *const tolerated[] = {"fcntl", "getsockopt", "getsockname",
                                            "fstat", "unlink",     NULL};
    struct settings theirs = make_settings("systemd:web");
    struct settings ours = make_settings(path_in_folder("unix://", "passed"));
    struct config config;
    const struct failing_plan plan = {take_what_was_passed, &config, tolerated, false};

    (void)state;
    theirs.enabled = ours.enabled = true;
    ours.socket_mode = 0660;
    assert_int_equal(config_load_nothing(&config, NULL), 0);
    assert_int_equal(config_add_listener(&config, &theirs), 0);
    assert_int_equal(config_add_listener(&config, &ours), 0);
    assert_in_range(each_call_fails(&plan), 20, 400);
    config_done(&config);
}

/* The manager kept the socket, and not its path: another one may be there. */
static void
own_path_that_was_not_passed_is_made_anew(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "lost"));
    struct listening_socket own, again;
    char name[SOCKET_NAME_SIZE];
    struct stat before = {0}, after = {0};

    (void)state;
    open_well(&settings, &own);
    pass(socket_name(&settings, name), own.fd);
    unix_path_forget(&own.path);
    assert_int_equal(lstat(settings.address.path, &before), 0);
    place_passed();
    assert_int_equal(adopt_begin(), 0);
    open_well(&settings, &again);
    assert_int_equal(lstat(settings.address.path, &after), 0);
    assert_true(before.st_ino != after.st_ino || before.st_ctim.tv_nsec != after.st_ctim.tv_nsec);
    adopt_end();
    socket_close(&again);
    settings_done(&settings);
}

/* Root gives a path away, and takes it back before it sets another mode. */
static int
give_path_away(void *userdata)
{
    static const struct unix_path_owner theirs = {.mode = 0600, .uid = 65534, .gid = 65534};
    struct looked_at *at = userdata;
    struct unix_path_owner other = {.mode = 0660, .uid = 65534, .gid = 7};
    bool armed = failing.armed;

    failing.armed = false;
    assert_int_equal(unix_path_own(&at->listening.path, &theirs), 0);
    failing.armed = armed;
    return unix_path_own(&at->listening.path, &other);
}

static void
owner_that_cannot_be_changed_is_told(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "owned"));
    struct looked_at at = {.path_fd = -1};
    const struct failing_plan plan = {give_path_away, &at, NULL, false};

    (void)state;
    if (geteuid() != 0) {
        settings_done(&settings);
        print_message("needs root to give a path away\n");
        skip();
    }
    open_well(&settings, &at.listening);
    assert_in_range(each_call_fails(&plan), 5, 20);
    socket_close(&at.listening);
    settings_done(&settings);
}

/* An upgraded program has a little patience: what it cannot take over is lost. */
static void
what_an_upgrade_passes_is_asked_for_again(void **state)
{
    static const struct {
        enum failing_call call;
        unsigned nth;
        int error;
    } rows[] = {
        {FAILING_malloc, 1, ENOMEM},       {FAILING_malloc, 2, ENOMEM},
        {FAILING_malloc, 3, ENOMEM},       {FAILING_malloc, 4, ENOMEM},
        {FAILING_malloc, 5, ENOMEM},       {FAILING_getsockname, 1, ENOBUFS},
        {FAILING_getsockname, 2, ENOBUFS}, {FAILING_lstat, 1, ENOMEM},
    };
    struct settings settings = make_settings(path_in_folder("unix://", "upgraded"));

    (void)state;
    settings.socket_mode = 0660;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct listening_socket listening;
        _cleanup_free_ char *problem = NULL;
        struct stat before = {0}, after = {0};

        print_message("%s %u\n", failing_names[rows[i].call], rows[i].nth);
        place_two(&settings);
        assert_int_equal(lstat(settings.address.path, &before), 0);
        patience_begin();
        failing_arm(rows[i].call, rows[i].nth, rows[i].error);
        assert_int_equal(adopt_begin(), 0);
        assert_int_equal(socket_open(&settings, NULL, &listening, &problem), 0);
        failing_disarm();
        patience_end();
        assert_int_equal(lstat(settings.address.path, &after), 0);
        assert_true(before.st_ino == after.st_ino); /* the one that was passed */
        adopt_end();
        socket_close(&listening);
    }
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_an_upgrade_passes_is_asked_for_again),
        in_folder(own_path_that_was_not_passed_is_made_anew),
        in_folder(owner_that_cannot_be_changed_is_told),
        in_folder(passed_sockets_are_taken_whole_or_closed),
    };

    return cmocka_run_group_tests(tests, clear_passed, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_failing_paths.c - paths of Unix sockets while somebody else does something at the same time
 */
#include "failing_fixture.h"
#include "socket_fixture.h"

#include "common/array.h"

static char lock_path[160], other_path[160];
static unsigned times;

static void
make_lock(const char *path)
{
    (void)close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

/* Whoever held the lock ends: between our look and our opening it, or our locking it. */
static void
remove_lock_before_open(enum failing_call call)
{
    static bool second;

    if (call != FAILING_open || times == 0)
        return;
    second = !second;
    if (second) {
        make_lock(lock_path);
        return;
    }
    times--;
    assert_int_equal(unlink(lock_path), 0);
}

static void
remove_lock_before_flock(enum failing_call call)
{
    if (call != FAILING_flock || times == 0)
        return;
    times--;
    assert_int_equal(unlink(lock_path), 0);
}

/* Somebody else has made the file again. */
static void
replace_lock_before_flock(enum failing_call call)
{
    if (call != FAILING_flock || times == 0)
        return;
    times--;
    make_lock(other_path);
    assert_int_equal(rename(other_path, lock_path), 0);
}

static void
a_lock_that_goes_away_is_taken_anew(void **state)
{
    static void (*const events[])(enum failing_call) = {
        remove_lock_before_open, remove_lock_before_flock, replace_lock_before_flock};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        struct settings settings = make_settings(path_in_folder("unix://", "busy"));
        struct listening_socket listening = LISTENING_SOCKET_NONE;
        struct stat status;

        (void)snprintf(lock_path, sizeof(lock_path), "%s.lock", settings.address.path);
        (void)snprintf(other_path, sizeof(other_path), "%s.other", settings.address.path);
        times = 3;
        failing.before = events[i];
        open_well(&settings, &listening);
        assert_int_equal(times, 0);
        failing_disarm();
        assert_int_equal(lstat(lock_path, &status), -1);
        socket_close(&listening);

        /* Not for ever. */
        times = 1000;
        failing.before = events[i];
        expect_problem(&settings, -EADDRINUSE, "Address already in use");
        failing_disarm();
        (void)unlink(lock_path);
        assert_int_equal(lstat(settings.address.path, &status), -1);
        settings_done(&settings);
    }
}

static void
remove_before_unlink(enum failing_call call)
{
    struct stat status;

    if (call == FAILING_unlink && lstat(other_path, &status) == 0)
        assert_int_equal(unlink(other_path), 0);
}

static void
remove_before_connect(enum failing_call call)
{
    struct stat status;

    if (call == FAILING_connect && lstat(other_path, &status) == 0)
        assert_int_equal(unlink(other_path), 0);
}

static void
a_path_that_goes_away_is_none(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "gone"));
    struct listening_socket listening = LISTENING_SOCKET_NONE;

    (void)state;
    (void)snprintf(other_path, sizeof(other_path), "%s", settings.address.path);
    for (int i = 0; i < 2; i++) {
        leave_stale(other_path);
        failing.before = i == 0 ? remove_before_unlink : remove_before_connect;
        open_well(&settings, &listening);
        failing_disarm();
        socket_close(&listening);
    }
    open_well(&settings, &listening); /* and our own */
    failing.before = remove_before_unlink;
    assert_int_equal(unix_path_take_away(&listening.path), 0);
    failing_disarm();
    assert_null(listening.path.name);
    socket_close(&listening);
    settings_done(&settings);
}

/* Such as a type that the kernel learns one day: better not to take a path than to steal one. */
static void
a_socket_of_no_known_type_counts_as_alive(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "odd"));

    (void)state;
    leave_stale(settings.address.path);
    failing_arm(FAILING_connect, 1, EPROTOTYPE);
    failing.always = true;
    expect_problem(&settings, -EADDRINUSE, "a running server answers there");
    failing_disarm();
    assert_int_equal(unlink(settings.address.path), 0);
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_lock_that_goes_away_is_taken_anew),
        in_folder(a_path_that_goes_away_is_none),
        in_folder(a_socket_of_no_known_type_counts_as_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_socket_path.c - listening sockets with a path: made, taken over, left alone, removed
 */
#include "socket_fixture.h"

#include <limits.h>

#include "common/array.h"

static int
connect_path(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* A socket bound to the path by nobody in particular; listening if it is a stream. */
static int
bind_plainly(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (type != SOCK_DGRAM)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void
path_has_mode_and_owner_and_goes_away(void **state)
{
    static const uint32_t modes[] = {0600, 0660, 0666, 0777, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct settings settings = make_settings(path_in_folder("unix://", "mode"));
        struct listening_socket listening;
        struct stat status;
        settings.socket_mode = modes[i];
        settings.socket_uid = getuid();
        settings.socket_gid = getgid();
        open_well(&settings, &listening);
        assert_int_equal(lstat(settings.address.path, &status), 0);
        assert_int_equal(status.st_mode, S_IFSOCK | modes[i]);
        assert_int_equal(connect_path(settings.address.path, SOCK_STREAM),
                         getuid() == 0 || modes[i] != 0 ? 0 : -EACCES);
        socket_close(&listening);
        assert_int_equal(lstat(settings.address.path, &status), -1);
        settings_done(&settings);
    }
}

static void
clients_see_the_path_itself(void **state)
{
    struct settings settings = make_settings(path_in_folder("unixgram://", "name"));
    struct listening_socket listening;
    struct sockaddr_un name;
    socklen_t size = sizeof(name);

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(getsockname(listening.fd, (struct sockaddr *)&name, &size), 0);
    assert_string_equal(name.sun_path, settings.address.path);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_PASSCRED), 1);
    if (geteuid() == 0) /* others may have no more than net.core.wmem_max */
        assert_in_range(option(listening.fd, SOL_SOCKET, SO_SNDBUF), 2 << 20, INT_MAX);
    assert_string_equal(listening.address, settings.address.text);
    socket_close(&listening);
    settings_done(&settings);
}

static void
what_a_dead_server_left_is_replaced(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static const char *const schemes[] = {"unix://", "unixgram://"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(types) * ARRAY_SIZE(schemes); i++) {
        bool stream = i % 2 == 0;
        struct settings settings = make_settings(path_in_folder(schemes[i % 2], "stale"));
        struct listening_socket listening;
        (void)close(bind_plainly(settings.address.path, types[i / 2]));
        open_well(&settings, &listening);
        assert_int_equal(connect_path(settings.address.path, stream ? SOCK_STREAM : SOCK_DGRAM), 0);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
live_servers_of_every_type_keep_their_path(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static const char *const schemes[] = {"unix://", "unixgram://"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(types) * ARRAY_SIZE(schemes); i++) {
        struct settings settings = make_settings(path_in_folder(schemes[i % 2], "alive"));
        __attribute__((unused)) _cleanup_close_ int fd =
            bind_plainly(settings.address.path, types[i / 2]);
        expect_problem(&settings, -EADDRINUSE, "a running server answers there; stop it first");
        assert_int_equal(connect_path(settings.address.path, types[i / 2]), 0);
        assert_int_equal(unlink(settings.address.path), 0);
        settings_done(&settings);
    }
}

static void
server_with_a_full_queue_is_alive(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "full"));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int clients[16];
    size_t count = 0;
    __attribute__((unused)) _cleanup_close_ int fd =
        bind_plainly(settings.address.path, SOCK_STREAM);

    (void)state;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", settings.address.path);
    for (int r = 0; r == 0 && count < ARRAY_SIZE(clients); count++) {
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        r = connect(clients[count], (struct sockaddr *)&address, sizeof(address));
    }
    assert_true(count < ARRAY_SIZE(clients));
    expect_problem(&settings, -EADDRINUSE, "a running server answers there");
    while (count > 0)
        (void)close(clients[--count]);
    assert_int_equal(unlink(settings.address.path), 0);
    settings_done(&settings);
}

static void
what_is_no_socket_is_not_touched(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "file"));
    int fd = open(settings.address.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
    expect_problem(&settings, -EADDRINUSE, "there is something else than a socket");
    assert_int_equal(unlink(settings.address.path), 0);

    assert_int_equal(symlink("/nowhere", settings.address.path), 0);
    expect_problem(&settings, -EADDRINUSE, "there is something else than a socket");
    assert_int_equal(unlink(settings.address.path), 0);
    settings_done(&settings);
}

static void
path_taken_over_by_somebody_is_left_to_them(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "other"));
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(unlink(settings.address.path), 0);
    __attribute__((unused)) _cleanup_close_ int fd =
        bind_plainly(settings.address.path, SOCK_STREAM);
    socket_close(&listening);
    assert_int_equal(connect_path(settings.address.path, SOCK_STREAM), 0);
    assert_int_equal(unlink(settings.address.path), 0);
    settings_done(&settings);
}

static void
path_that_another_server_is_taking_is_left_to_it(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "race"));
    struct stat status;
    char lock[160];

    (void)state;
    (void)snprintf(lock, sizeof(lock), "%s.lock", settings.address.path);
    int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect_problem(&settings, -EADDRINUSE, "Address already in use");
    assert_int_equal(lstat(settings.address.path, &status), -1);
    (void)close(fd);

    /* A lock file that nobody holds is no obstacle, and is gone afterwards. */
    struct listening_socket listening;
    open_well(&settings, &listening);
    assert_int_equal(lstat(lock, &status), -1);
    socket_close(&listening);
    settings_done(&settings);
}

static void
path_that_is_too_long_is_refused(void **state)
{
    struct unix_path made = UNIX_PATH_NONE;
    const char *remedy;
    char path[109];
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    memcpy(path, "/tmp/", 5);
    path[sizeof(path) - 1] = '\0';
    const struct unix_path_plan plan = {
        .name = path,
        .type = SOCK_STREAM,
        .backlog = 1,
        .owner = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1},
    };
    assert_int_equal(unix_path_bind(fd, &plan, &made, &remedy), -ENAMETOOLONG);
    assert_null(made.name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(path_has_mode_and_owner_and_goes_away),
        in_folder(clients_see_the_path_itself),
        in_folder(what_a_dead_server_left_is_replaced),
        in_folder(live_servers_of_every_type_keep_their_path),
        in_folder(server_with_a_full_queue_is_alive),
        in_folder(what_is_no_socket_is_not_touched),
        in_folder(path_taken_over_by_somebody_is_left_to_them),
        in_folder(path_that_another_server_is_taking_is_left_to_it),
        in_folder(path_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

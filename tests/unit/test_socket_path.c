/* SPDX-License-Identifier: MIT */
/*
 * test_socket_path.c - listening sockets with a path: made, taken over, left alone, removed
 */
#include "socket_fixture.h"

#include <limits.h>

#include "common/array.h"
#include "supervisor/socket/unix_bound.h"

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

/* What may stand where the lock goes, and is none. */

static void
lock_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static void
lock_link(const char *path)
{
    assert_int_equal(symlink("/nowhere", path), 0);
}

static void
lock_pipe(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void
lock_socket(const char *path)
{
    (void)close(bind_plainly(path, SOCK_DGRAM));
}

static void
lock_text(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
}

static void
lock_open_to_others(const char *path)
{
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(chmod(path, 0640), 0);
}

static void
lock_of_somebody_else(const char *path)
{
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (geteuid() == 0)
        assert_int_equal(chown(path, 65534, 65534), 0);
    else
        assert_int_equal(chmod(path, 0), 0);
}

static void
what_is_no_lock_of_ours_is_not_touched(void **state)
{
    static void (*const kinds[])(const char *) = {
        lock_folder,          lock_link, lock_pipe, lock_socket, lock_text, lock_open_to_others,
        lock_of_somebody_else};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct settings settings = make_settings(path_in_folder("unix://", "locked"));
        struct stat before, after;
        char lock[160];

        (void)snprintf(lock, sizeof(lock), "%s.lock", settings.address.path);
        kinds[i](lock);
        assert_int_equal(lstat(lock, &before), 0);
        expect_problem(&settings, -EEXIST,
                       "PATH.lock beside it is not a lock of ours: remove it, or choose another");
        assert_int_equal(lstat(lock, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(lstat(settings.address.path, &after), -1);
        assert_int_equal(remove(lock), 0);
        settings_done(&settings);
    }
}

/* Somebody is about to make the path anew, and it must not vanish under their hands. */
static void
path_is_not_removed_while_another_server_takes_it(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "leaving"));
    struct listening_socket listening;
    struct stat status;
    char path[160], lock[200];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", settings.address.path);
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    open_well(&settings, &listening);
    int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(unix_path_take_away(&listening.path), -EADDRINUSE);
    assert_string_equal(listening.path.name, path); /* still ours */
    socket_close(&listening);
    assert_int_equal(lstat(path, &status), 0);
    (void)close(fd);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(unlink(path), 0);
    settings_done(&settings);
}

/* ---- owner and mode of a path that is there -------------------------------------------------- */

static const struct unix_path_owner unchanged = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};

static void
expect_owner(const char *path, uint32_t mode, uid_t uid, gid_t gid)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | mode);
    assert_int_equal(status.st_uid, uid);
    assert_int_equal(status.st_gid, gid);
}

/* It may be given away, and back, and its mode may change while it is somebody else's. */
static void
owner_and_mode_change_in_any_order(void **state)
{
    static const struct {
        struct unix_path_owner owner;
        uint32_t mode;
        uid_t uid;
        gid_t gid;
    } rows[] = {
        {{0600, (uid_t)-1, (gid_t)-1}, 0600, 0, 0},
        {{0600, 65534, (gid_t)-1}, 0600, 65534, 0},
        {{0660, 65534, (gid_t)-1}, 0660, 65534, 0},
        {{0640, (uid_t)-1, (gid_t)-1}, 0640, 65534, 0},
        {{0640, (uid_t)-1, 7}, 0640, 65534, 7},
        {{0640, 1, 7}, 0640, 1, 7},
        {{0666, 0, 0}, 0666, 0, 0},
        {{0666, 0, 0}, 0666, 0, 0},
    };
    struct settings settings = make_settings(path_in_folder("unix://", "owned"));
    struct listening_socket listening;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root to give a path away\n");
        skip();
    }
    open_well(&settings, &listening);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(unix_path_own(&listening.path, &rows[i].owner), 0);
        expect_owner(settings.address.path, rows[i].mode, rows[i].uid, rows[i].gid);
    }
    socket_close(&listening);
    settings_done(&settings);
}

static void
only_a_path_that_is_still_ours_is_held_and_changed(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "held"));
    const struct unix_path_owner other = {.mode = 0666, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct unix_path adopted = UNIX_PATH_NONE;
    struct listening_socket listening;
    const char *path = settings.address.path;

    (void)state;
    open_well(&settings, &listening);
    _cleanup_close_ int held = unix_path_hold(&listening.path);
    assert_true(held >= 0);

    struct unix_path elsewhere = listening.path; /* the same number on another file system */
    elsewhere.device++;
    assert_int_equal(unix_path_hold(&elsewhere), -ESTALE);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(unix_path_hold(&listening.path), -ENOENT);
    assert_int_equal(unix_path_own(&listening.path, &other), -ENOENT);
    assert_int_equal(unix_path_adopt(held, path, &other, &adopted), -ESTALE);

    __attribute__((unused)) _cleanup_close_ int theirs = bind_plainly(path, SOCK_STREAM);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(unix_path_hold(&listening.path), -ESTALE);
    assert_int_equal(unix_path_own(&listening.path, &other), 0); /* nothing to do */
    expect_owner(path, 0600, geteuid(), getegid());
    assert_int_equal(unix_path_adopt(held, path, &other, &adopted), -ESTALE);
    assert_null(adopted.name);
    socket_close(&listening);
    assert_int_equal(connect_path(path, SOCK_STREAM), 0);
    assert_int_equal(unlink(path), 0);
    settings_done(&settings);
}

/* The manager's store may hold anything. */
static void
only_a_socket_is_adopted(void **state)
{
    struct unix_path adopted = UNIX_PATH_NONE;
    char path[160];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", path_in_folder("", "file"));
    _cleanup_close_ int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    assert_int_equal(unix_path_adopt(file, path, &unchanged, &adopted), -ESTALE);
    assert_int_equal(unix_path_adopt(-1, path, &unchanged, &adopted), -EBADF);
    assert_null(adopted.name);
    assert_int_equal(unlink(path), 0);
}

static void
longer_path_than_the_kernel_takes_names_the_limit(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "x"));

    (void)state;
    free(settings.address.path); /* address_parse() does not let it through */
    assert_true(asprintf(&settings.address.path, "%s/%0100d", folder, 0) > 0);
    expect_problem(&settings, -ENAMETOOLONG, "a socket's path has at most 107 bytes");
    settings_done(&settings);
}

static void
only_a_path_that_somebody_has_bound_has_an_owner(void **state)
{
    char path[160];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", path_in_folder("", "bound"));
    assert_int_equal(unix_bound(path), -ENOENT);
    int fd = bind_plainly(path, SOCK_DGRAM);
    assert_int_equal(unix_bound(path), 1);
    (void)close(fd);
    assert_int_equal(unix_bound(path), 0);
    assert_int_equal(unlink(path), 0);
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
        in_folder(what_is_no_lock_of_ours_is_not_touched),
        in_folder(path_is_not_removed_while_another_server_takes_it),
        in_folder(owner_and_mode_change_in_any_order),
        in_folder(only_a_path_that_is_still_ours_is_held_and_changed),
        in_folder(only_a_socket_is_adopted),
        in_folder(longer_path_than_the_kernel_takes_names_the_limit),
        in_folder(only_a_path_that_somebody_has_bound_has_an_owner),
        in_folder(path_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_socket.c - opening listening sockets
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "supervisor/socket.h"

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/socket-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Fails if a test left anything in it, so nothing else needs to check that. */
static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *
path_in_folder(const char *scheme, const char *name)
{
    static char address[160];

    (void)snprintf(address, sizeof(address), "%s%s/%s", scheme, folder, name);
    return address;
}

static struct settings
make_settings(const char *address)
{
    struct settings settings;
    char *problem = NULL;

    assert_int_equal(settings_init(&settings, "test"), 0);
    address_done(&settings.address);
    assert_int_equal(address_parse(address, &settings.address, &problem), 0);
    settings.reuse_address = settings.nodelay = true;
    settings.socket_mode = 0600;
    settings.socket_uid = (uid_t)-1;
    settings.socket_gid = (gid_t)-1;
    return settings;
}

static void
open_well(const struct settings *settings, struct listening_socket *ret)
{
    _cleanup_free_ char *problem = NULL;

    if (socket_open(settings, NULL, ret, &problem) < 0)
        fail_msg("%s: %s", settings->address.text, problem);
}

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static size_t
count_fds(void)
{
    DIR *fds = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(fds);
    while (readdir(fds) != NULL)
        count++;
    (void)closedir(fds);
    return count;
}

static bool
have_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    _cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
}

/* ---- Internet addresses ----------------------------------------------------------------- */

static void
opens_every_kind_of_address(void **state)
{
    static const struct {
        const char *address, *real; /* real: how the real one begins */
        int family, type;
        bool ipv6;
    } rows[] = {
        {"tcp://127.0.0.1:0", "tcp://127.0.0.1:", AF_INET, SOCK_STREAM, false},
        {"tcp://0.0.0.0:0", "tcp://0.0.0.0:", AF_INET, SOCK_STREAM, false},
        {"udp://127.0.0.1:0", "udp://127.0.0.1:", AF_INET, SOCK_DGRAM, false},
        {"tcp://[::1]:0", "tcp://[::1]:", AF_INET6, SOCK_STREAM, true},
        {"udp://[::1]:0", "udp://[::1]:", AF_INET6, SOCK_DGRAM, true},
        {"tcp://*:0", "tcp://[::]:", AF_INET6, SOCK_STREAM, true},
        {"unix:@sockserverd-test", "unix:@sockserverd-test", AF_UNIX, SOCK_STREAM, false},
        {"unixgram:@sockserverd-test2", "unixgram:@sockserverd-test2", AF_UNIX, SOCK_DGRAM, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].ipv6 && !have_ipv6()) {
            print_message("no IPv6 here: %s not tried\n", rows[i].address);
            continue;
        }
        struct settings settings = make_settings(rows[i].address);
        struct listening_socket listening;
        open_well(&settings, &listening);
        assert_int_equal(strncmp(listening.address, rows[i].real, strlen(rows[i].real)), 0);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_DOMAIN), rows[i].family);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_TYPE), rows[i].type);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_ACCEPTCONN),
                         rows[i].type == SOCK_STREAM);
        assert_int_equal(listening.stream, rows[i].type == SOCK_STREAM);
        assert_int_equal(fcntl(listening.fd, F_GETFD), FD_CLOEXEC);
        if (rows[i].family != AF_UNIX) {
            const char *colon = strrchr(listening.address, ':');
            assert_true(atoi(colon + 1) > 0);
        }
        socket_close(&listening);
        assert_int_equal(listening.fd, -1);
        settings_done(&settings);
    }
}

static int
connect_to(int family, const void *host, in_port_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r;

    if (family == AF_INET) {
        memcpy(&in.sin_addr, host, sizeof(in.sin_addr));
        r = connect(fd, (struct sockaddr *)&in, sizeof(in));
    } else {
        memcpy(&in6.sin6_addr, host, sizeof(in6.sin6_addr));
        r = connect(fd, (struct sockaddr *)&in6, sizeof(in6));
    }
    r = r < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

static void
star_is_both_families_unless_ipv6_only(void **state)
{
    static const struct in_addr loopback4 = {.s_addr = 0x0100007f};

    (void)state;
    if (!have_ipv6()) {
        print_message("no IPv6 here\n");
        skip();
    }
    for (int ipv6_only = 0; ipv6_only <= 1; ipv6_only++) {
        struct settings settings = make_settings("tcp://*:0");
        struct listening_socket listening;
        settings.ipv6_only = ipv6_only;
        open_well(&settings, &listening);
        in_port_t port = htons((uint16_t)atoi(strrchr(listening.address, ':') + 1));
        assert_int_equal(connect_to(AF_INET6, &in6addr_loopback, port), 0);
        assert_int_equal(connect_to(AF_INET, &loopback4, port), ipv6_only ? -ECONNREFUSED : 0);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
sets_the_options_asked_for(void **state)
{
    (void)state;
    for (int wanted = 0; wanted <= 1; wanted++) {
        struct settings settings = make_settings("tcp://127.0.0.1:0");
        struct listening_socket listening;
        settings.reuse_address = settings.reuse_port = settings.nodelay = wanted;
        open_well(&settings, &listening);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEADDR) != 0, wanted);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEPORT) != 0, wanted);
        assert_int_equal(option(listening.fd, IPPROTO_TCP, TCP_NODELAY) != 0, wanted);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
datagrams_tell_where_they_came_to_and_are_not_shared(void **state)
{
    struct settings settings = make_settings("udp://0.0.0.0:0");
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 1);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEADDR), 0);
    socket_close(&listening);
    settings_done(&settings);
}

static void
datagrams_to_one_address_need_not_tell_it(void **state)
{
    struct settings settings = make_settings("udp://127.0.0.1:0");
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 0);
    socket_close(&listening);
    settings_done(&settings);
}

static void
ipv6_datagrams_tell_it_for_both_families(void **state)
{
    (void)state;
    if (!have_ipv6()) {
        print_message("no IPv6 here\n");
        skip();
    }
    struct settings settings = make_settings("udp://*:0");
    struct listening_socket listening;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 1);
    socket_close(&listening);
    settings_done(&settings);
}

static void
queue_has_the_size_asked_for(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket listening;
    struct tcp_info info;
    socklen_t size = sizeof(info);

    (void)state;
    settings.request_queue_size = 5;
    open_well(&settings, &listening);
    assert_int_equal(getsockopt(listening.fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    assert_int_equal(info.tcpi_sacked, 5); /* of a listening socket: its backlog */
    socket_close(&listening);
    settings_done(&settings);
}

/* ---- what can go wrong ---------------------------------------------------------------------- */

static void
expect_problem(const struct settings *settings, int error, const char *words)
{
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    _cleanup_free_ char *problem = NULL;

    assert_int_equal(socket_open(settings, NULL, &listening, &problem), error);
    assert_int_equal(listening.fd, -1);
    if (strstr(problem, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem, words);
    if (strncmp(problem, "cannot listen on ", 17) != 0)
        fail_msg("\"%s\"", problem);
}

static void
problems_name_the_remedy(void **state)
{
    static const struct {
        const char *address;
        int error;
        const char *words;
    } rows[] = {
        {"tcp://192.0.2.1:0", -EADDRNOTAVAIL,
         "cannot listen on tcp://192.0.2.1:0: Cannot assign requested address; this machine has no "
         "such address"},
        {"systemd:web", -ENOENT,
         "systemd:web: systemd passed no socket of that name; it passed: none"},
        {"unix:///nowhere/at/all/x", -ENOENT, "No such file or directory; the folder does not"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings settings = make_settings(rows[i].address);
        expect_problem(&settings, rows[i].error, rows[i].words);
        settings_done(&settings);
    }
}

/* The look-up is another's work, as it may take long: lookup.c. */
static void
a_name_is_bound_at_the_address_that_was_found_for_it(void **state)
{
    struct settings settings = make_settings("tcp://no.such.host.invalid:0");
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    struct resolved found = {.size = sizeof(struct sockaddr_in)};
    _cleanup_free_ char *problem = NULL;

    (void)state;
    assert_true(socket_needs_lookup(&settings));
    expect_problem(&settings, -EAGAIN, "was not looked up");
    *(struct sockaddr_in *)&found.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(socket_open(&settings, &found, &listening, &problem), 0);
    assert_memory_equal(listening.address, "tcp://127.0.0.1:", 16);
    socket_close(&listening);
    settings_done(&settings);
}

static void
c17_a_taken_port_is_refused_1024_times_without_leaking_a_descriptor(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket first;

    (void)state;
    open_well(&settings, &first);
    struct settings again = make_settings(first.address);
    size_t before = count_fds();
    for (int i = 0; i < 1024; i++)
        expect_problem(&again, -EADDRINUSE, "Address already in use; another program has it");
    assert_int_equal(count_fds(), before);
    socket_close(&first);
    settings_done(&settings);
    settings_done(&again);
}

static void
c17_a_live_path_is_refused_1024_times_without_leaking_a_descriptor(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "live"));
    struct listening_socket first;

    (void)state;
    open_well(&settings, &first);
    size_t before = count_fds();
    for (int i = 0; i < 1024; i++)
        expect_problem(&settings, -EADDRINUSE, "a running server answers there");
    assert_int_equal(count_fds(), before);
    socket_close(&first);
    settings_done(&settings);
}

static void
reuse_port_lets_two_share_a_port(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket first, second;

    (void)state;
    settings.reuse_port = true;
    open_well(&settings, &first);
    struct settings again = make_settings(first.address);
    again.reuse_port = true;
    open_well(&again, &second);
    assert_string_equal(first.address, second.address);
    socket_close(&first);
    socket_close(&second);
    settings_done(&settings);
    settings_done(&again);
}

/* ---- Unix paths --------------------------------------------------------------------------------
 */

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
    const struct unix_path_owner owner = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct unix_path made = UNIX_PATH_NONE;
    const char *remedy;
    char path[109];
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    memcpy(path, "/tmp/", 5);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(unix_path_bind(fd, SOCK_STREAM, path, &owner, 1, &made, &remedy),
                     -ENAMETOOLONG);
    assert_null(made.name);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_every_kind_of_address),
        cmocka_unit_test(star_is_both_families_unless_ipv6_only),
        cmocka_unit_test(sets_the_options_asked_for),
        cmocka_unit_test(datagrams_tell_where_they_came_to_and_are_not_shared),
        cmocka_unit_test(datagrams_to_one_address_need_not_tell_it),
        cmocka_unit_test(ipv6_datagrams_tell_it_for_both_families),
        cmocka_unit_test(queue_has_the_size_asked_for),
        cmocka_unit_test(problems_name_the_remedy),
        cmocka_unit_test(a_name_is_bound_at_the_address_that_was_found_for_it),
        cmocka_unit_test(c17_a_taken_port_is_refused_1024_times_without_leaking_a_descriptor),
        in_folder(c17_a_live_path_is_refused_1024_times_without_leaking_a_descriptor),
        cmocka_unit_test(reuse_port_lets_two_share_a_port),
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

/* SPDX-License-Identifier: MIT */
/*
 * socket_fixture.h - listening sockets that a test opens, and a folder for their paths
 */
#ifndef TESTS_UNIT_SOCKET_FIXTURE_H
#define TESTS_UNIT_SOCKET_FIXTURE_H

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
#include "supervisor/socket/socket_private.h"

static char folder[64];

static inline int
make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/socket-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Fails if a test left anything in it, so nothing else needs to check that. */
static inline int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static inline const char *
path_in_folder(const char *scheme, const char *name)
{
    static char address[160];

    (void)snprintf(address, sizeof(address), "%s%s/%s", scheme, folder, name);
    return address;
}

static inline struct settings
make_settings(const char *address)
{
    struct settings settings;
    char *problem = NULL;

    assert_int_equal(settings_init(&settings, "test"), 0);
    assert_int_equal(settings_fill(&settings), 0);
    address_done(&settings.address);
    assert_int_equal(address_parse(address, &settings.address, &problem), 0);
    settings.reuse_address = settings.nodelay = true;
    settings.socket_mode = 0600;
    settings.socket_uid = (uid_t)-1;
    settings.socket_gid = (gid_t)-1;
    return settings;
}

static inline void
open_well(const struct settings *settings, struct listening_socket *ret)
{
    _cleanup_free_ char *problem = NULL;

    if (socket_open(settings, NULL, ret, &problem) < 0)
        fail_msg("%s: %s", settings->address.text, problem);
}

static inline int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static inline bool
have_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    _cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
}

static inline void
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

static inline void
leave_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
}

/* A path whose lock could not be had stays, as does a lock that could not be removed. */
static inline void
sweep(const struct settings *settings)
{
    char lock[160];

    if (!socket_has_path(&settings->address))
        return;
    (void)snprintf(lock, sizeof(lock), "%s.lock", settings->address.path);
    (void)unlink(settings->address.path);
    (void)unlink(lock);
}

/* What a piece of work looks at is made by the test, and stays as it is. */
struct looked_at {
    struct listening_socket listening;
    int path_fd;
};

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * log_fixture.h - gives the process another standard error and reads what arrives there
 *
 * Included by the tests of the log, one executable each.
 */
#ifndef SOCKSERVERD_TESTS_UNIT_LOG_FIXTURE_H
#define SOCKSERVERD_TESTS_UNIT_LOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/array.h"
#include "common/log.h"

static int real_stderr, real_stdout;
static int reader = -1; /* the other side of fd 2 */
static char folder[] = "/tmp/test_log.XXXXXX";

static inline void
become_stderr(int fd)
{
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static inline void
use_pipe(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    reader = ends[0];
    become_stderr(ends[1]);
}

static inline void
use_socket(void)
{
    int ends[2], size = 4096;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    reader = ends[0];
    become_stderr(ends[1]);
}

static inline int
set_up(void **state)
{
    (void)state;
    (void)fflush(NULL);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    real_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    log_set_level(LOG_INFO);
    (void)log_open_file("/dev/null");
    log_info("what an earlier test lost is reported here");
    dup2(real_stderr, STDERR_FILENO);
    log_close();
    return real_stderr < 0 || real_stdout < 0 ? -1 : 0;
}

static inline int
tear_down(void **state)
{
    (void)state;
    log_close();
    log_set_listener(NULL);
    log_set_context(NULL);
    dup2(real_stderr, STDERR_FILENO);
    dup2(real_stdout, STDOUT_FILENO);
    close(real_stderr);
    close(real_stdout);
    if (reader >= 0)
        close(reader);
    reader = -1;
    return 0;
}

/* What has arrived, without waiting for more. */
static inline char *
arrived(void)
{
    static char text[65536];
    size_t size = 0;
    ssize_t more;

    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    while ((more = read(reader, text + size, sizeof(text) - 1 - size)) > 0)
        size += (size_t)more;
    text[size] = '\0';
    return text;
}

static inline void
use_open_pipe(void)
{
    use_pipe();
    assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
}

static inline char *
path_in_folder(const char *name)
{
    static char path[sizeof(folder) + 32];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* Logs until a line is dropped, then three more; returns how many were lost. */
static inline uint64_t
overfill(void)
{
    uint64_t before = log_dropped();

    for (int i = 0; i < 100000 && log_dropped() == before; i++)
        log_info("line %d with some text behind it", i);
    assert_int_equal(log_dropped(), before + 1);
    for (int i = 0; i < 3; i++)
        log_info("lost");
    assert_int_equal(log_dropped(), before + 4);
    return log_dropped() - before;
}

static inline int
make_folder(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int
remove_folder(void **state)
{
    static const char *const names[] = {"log", "log.1", "adopted", "plain", "many", "journal"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlink(path_in_folder(names[i]));
    return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

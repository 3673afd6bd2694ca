/* SPDX-License-Identifier: MIT */
/*
 * upgrade_fixture.h - a daemon whose programs are copies of its own, so that they can be replaced
 * on the disk, by a rename, as a package does it
 */
#ifndef TESTS_INTEGRATION_UPGRADE_FIXTURE_H
#define TESTS_INTEGRATION_UPGRADE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/daemon.h"
#include "support/test.h"

#define WORKER_PROGRAM BUILD_DIR "/lib/sockserverd/worker"
#define TLS_MODULE     BUILD_DIR "/lib/sockserverd/tls.so"

static inline void
copy_program(const char *from, const char *to)
{
    char buffer[65536];
    const char *beside = text_of("%s.new", to);
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t got;

    assert_return_code(source, errno);
    assert_return_code(target, errno);
    while ((got = read(source, buffer, sizeof(buffer))) > 0)
        assert_int_equal(write(target, buffer, (size_t)got), got);
    assert_int_equal(got, 0);
    (void)close(source);
    (void)close(target);
    assert_return_code(rename(beside, to), errno);
}

static inline const char *
program(void)
{
    return test_path("bin/sockserverd");
}

static inline void
install(void)
{
    (void)mkdir(test_path("bin"), 0755);
    (void)mkdir(test_path("lib"), 0755);
    (void)mkdir(test_path("lib/sockserverd"), 0755);
    copy_program(DAEMON_PROGRAM, program());
    if (access(WORKER_PROGRAM, X_OK) == 0)
        copy_program(WORKER_PROGRAM, test_path("lib/sockserverd/worker"));
    if (access(TLS_MODULE, R_OK) == 0)
        copy_program(TLS_MODULE, test_path("lib/sockserverd/tls.so"));
}

static inline void
install_script(const char *text)
{
    const char *path = test_file("bin/script", text);

    assert_return_code(chmod(path, 0755), errno);
    assert_return_code(rename(path, program()), errno);
}

static inline void
become_copy(void *userdata)
{
    (void)execv(program(), userdata);
}

static inline struct daemon *
start(const char *configuration)
{
    static const char *arguments[4];

    install();
    arguments[0] = program();
    arguments[1] = "-c";
    arguments[2] = configuration;
    return daemon_run_prepared(arguments + 1, become_copy, arguments);
}

#endif

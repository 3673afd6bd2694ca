/* SPDX-License-Identifier: MIT */
/*
 * reload_fixture.h - a daemon whose file can be written anew, and whose plugin can be replaced
 */
#ifndef TESTS_INTEGRATION_RELOAD_FIXTURE_H
#define TESTS_INTEGRATION_RELOAD_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

static const char *file;

#define SERVE(...)   serve(daemon_configuration(__VA_ARGS__))
#define REWRITE(...) rewrite(daemon_configuration(__VA_ARGS__))

static inline struct daemon *
serve(const char *configuration)
{
    file = configuration;
    return DAEMON_RUN("-c", file);
}

static inline void
rewrite(const char *configuration)
{
    assert_return_code(rename(configuration, file), errno);
}

/* Waits for the end of it. */
static inline void
reload(struct daemon *daemon)
{
    size_t done = daemon_count_log(daemon, "reloaded: ");

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded: ", done + 1);
}

static inline void
reload_in_vain(struct daemon *daemon, const char *complaint)
{
    size_t done = daemon_count_log(daemon, "reload failed: ");

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reload failed: ", done + 1);
    assert_contains(daemon_log(daemon), complaint);
}

/* The plugin is replaced as an installation does it: by rename. */
static inline const char *
install_build(char build)
{
    const char *from = text_of("%s/good_build_%c.so", FIXTURES, build);
    const char *beside = test_path("build.so.new"), *place = test_path("build.so");

    if (system(text_of("cp %s %s", from, beside)) != 0)
        fail_msg("cannot copy %s", from);
    assert_return_code(rename(beside, place), errno);
    return place;
}

static inline char
build_of(const char *address)
{
    return client_ask(address, "1\n")[0];
}

static inline const char *
two_listeners(const char *test_more)
{
    return text_of("%s%s", listener_text("same", "tcp", "threading", "good_command", ""),
                   listener_text("test", "tcp", "threading", "good_command", test_more));
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * test_programs.c - what a program finds that a plugin has started
 *
 * It must find what it would find anywhere else: no signal blocked or ignored,
 * descriptors 0 to 2 and no others, and the environment of its user.
 */
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

/* posix_spawn(3) of the C library ignores two signals of its own, 32 and 33, wherever it is called.
 */
#define LIBRARYS_OWN UINT64_C(0x180000000)

static const char *const ways[] = {"system", "spawn", "exec"};

/* The shell of such a command is what the plugin has started. */
static const char *
ask(struct daemon *daemon, const char *way, const char *command)
{
    return client_ask(daemon_address(daemon, "test"), text_of("%s %s\n", way, command));
}

static void
a_program_finds_no_signal_blocked_or_ignored(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");

    for (size_t i = 0; i < 3; i++) {
        const char *found = ask(daemon, ways[i], "grep -E '^Sig(Blk|Ign)' /proc/self/status");
        unsigned long long blocked, ignored;

        assert_int_equal(sscanf(found, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
        assert_int_equal(blocked, 0);
        assert_int_equal(ignored & ~LIBRARYS_OWN, 0);
    }
    daemon_expect_stop(daemon);
}

static void
a_program_ends_by_sigterm(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");

    for (size_t i = 0; i < 3; i++)
        assert_string_equal(ask(daemon, ways[i],
                                "{ sh -c 'kill -TERM $$; echo alive'; echo $?; } 2>&- | tail -n 1"),
                            "143\n");
    daemon_expect_stop(daemon);
}

static void
a_program_finds_three_descriptors(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "");

    /* The shell keeps what it has redirected at 10 and above. */
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(ask(daemon, ways[i], "exec ls -C /proc/self/fd"), "0  1  2  3\n");
    daemon_expect_stop(daemon);
}

static void
a_program_finds_the_environment_of_its_user(void **state)
{
    const struct server_case *server = *state;
    const struct passwd *user;
    struct daemon *daemon;

    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    daemon = daemon_serve(server->scheme, server->mixin, "good_programs", "user = \"daemon\";");
    user = getpwnam("daemon");
    assert_non_null(user);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(ask(daemon, ways[i], "echo $HOME $USER $LOGNAME $SHELL"),
                            text_of("%s daemon daemon %s\n", user->pw_dir, user->pw_shell));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(a_program_finds_no_signal_blocked_or_ignored, "tcp"),
          TEST_EACH_MIXIN(a_program_ends_by_sigterm, "tcp"),
          TEST_EACH_MIXIN(a_program_finds_three_descriptors, "tcp"),
          TEST_EACH_MIXIN(a_program_finds_the_environment_of_its_user, "unix"))

/* SPDX-License-Identifier: MIT */
/*
 * test_example_chat.c - examples/chat and examples/chat_cpp, with nc and a crowd of members
 *
 * A row is an example under a mixin: the members of the one in C meet also where each has a process
 * of its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define PYTHON "/usr/bin/python3"

struct hall {
    const char *plugin, *mixin;
};

static const struct hall halls[] = {
    {"chat", "threading"},     {"chat", "coroutine"},     {"chat", "forking"},
    {"chat_cpp", "threading"}, {"chat_cpp", "coroutine"},
};

static struct daemon *
serve_chat(const struct hall *hall, const char *options, const char *more)
{
    const char *plugin = text_of("%s/examples/%s.so", BUILD_DIR, hall->plugin);

    if (access(plugin, R_OK) < 0) {
        print_message("skipped: %s was not built, there is no C++ compiler\n", plugin);
        skip();
    }
    return daemon_serve("tcp", hall->mixin, plugin,
                        text_of("options = { %s }; max_connections = 100; %s", options, more));
}

static const char *
port_of(struct daemon *daemon)
{
    return strrchr(daemon_address(daemon, "test"), ':') + 1;
}

/* A member who has got a name, and whom those before have seen come. */
static int
join(struct daemon *daemon, const char *nick)
{
    int client = client_connect(daemon_address(daemon, "test"));
    const char *welcome = client_receive_line(client);

    assert_starts(welcome, "* welcome, guest");
    assert_contains(client_receive_line(client), " has joined lobby\n");
    client_send(client, text_of("/nick %s\n", nick));
    assert_contains(client_receive_line(client), text_of(" is now %s\n", nick));
    return client;
}

/* What another member hears of join(). */
static void
expect_joined(int client, const char *nick)
{
    assert_contains(client_receive_line(client), " has joined lobby\n");
    assert_contains(client_receive_line(client), text_of(" is now %s\n", nick));
}

static void
members_hear_each_other(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", "");
    int ann = join(daemon, "ann"), bob = join(daemon, "bob");

    expect_joined(ann, "bob");
    client_send(ann, "hello\r\n");
    client_expect(bob, "ann: hello\n");
    client_send(bob, "\n\nto you, \033[1m\xc2\x9b too\x7f: \xc3\xa4\n");
    client_expect(ann, "ann: hello\nbob: to you, ?[1m?\x9b too?: \xc3\xa4\n");
    client_send(bob, "/who\n");
    client_expect(bob, "bob: to you, ?[1m?\x9b too?: \xc3\xa4\n* in lobby: ");
    const char *names = client_receive_line(bob);
    assert_true(strcmp(names, "ann bob\n") == 0 || strcmp(names, "bob ann\n") == 0);
    client_send(ann, "/quit\n");
    client_expect(ann, "* goodbye, ann\n");
    client_expect(bob, "* ann has left\n");
    client_reset(bob);
    daemon_expect_stop(daemon);
}

static void
rooms_are_apart(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", "");
    int ann = join(daemon, "ann"), bob = join(daemon, "bob");

    expect_joined(ann, "bob");
    client_send(bob, "/join kitchen\n");
    client_expect(bob, "* bob has joined kitchen\n");
    client_expect(ann, "* bob has left for kitchen\n");
    client_send(bob, "alone\n");
    client_expect(bob, "bob: alone\n");
    client_send(ann, "me, too\n/join kitchen\n");
    client_expect(ann, "ann: me, too\n");
    client_expect(bob, "* ann has joined kitchen\n");
    client_expect(ann, "* ann has joined kitchen\n");
    client_send(ann, "here you are\n");
    client_expect(bob, "ann: here you are\n");
    client_send(bob, "/join cellar\n");
    client_expect(bob, "* bob has joined cellar\n");
    client_expect(ann, "ann: here you are\n* bob has left for cellar\n");
    client_send(ann, "where?\n");
    client_expect(ann, "ann: where?\n");
    client_send(bob, "down here\n");
    client_expect(bob, "bob: down here\n");
    daemon_expect_stop(daemon);
}

static void
what_makes_no_sense_is_told(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", "");
    int ann = join(daemon, "ann");
    char line[502];

    (void)join(daemon, "bob");
    expect_joined(ann, "bob");
    client_send(ann, "/nick bob\n/nick\n/join a b\n/what\n");
    client_expect(ann, "* bob is taken\n");
    assert_contains(client_receive_line(ann), "letters, digits");
    assert_contains(client_receive_line(ann), "letters, digits");
    assert_contains(client_receive_line(ann), "/who, /quit; all else is said");
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    client_send(ann, text_of("%s\n%s\n", line, line + 1));
    client_expect(ann, text_of("* that was too long: 500 bytes at once\nann: %s\n", line + 1));
    char *endless = keep(calloc(1, 70001));
    client_send(ann, memset(endless, 'x', 70000));
    client_expect(ann, "* that was too long: 500 bytes at once\n");
    client_expect_gone(ann);
    assert_lacks(daemon_log(daemon), "failed");
    daemon_expect_stop(daemon);
}

static void
a_full_hall_is_told(void **state)
{
    struct daemon *daemon = serve_chat(*state, "members = 2;", "");
    int ann = join(daemon, "ann");

    (void)join(daemon, "bob");
    expect_joined(ann, "bob");
    client_expect(client_connect(daemon_address(daemon, "test")),
                  "* there is no seat left; come back later\n");
    client_send(ann, "/quit\n");
    client_expect(ann, "* goodbye, ann\n");
    client_expect_end(ann);
    (void)join(daemon, "carol");
    daemon_expect_stop(daemon);
}

static void
a_stop_says_goodbye(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", "");
    int ann = join(daemon, "ann"), bob = join(daemon, "bob");

    expect_joined(ann, "bob");
    daemon_signal(daemon, SIGTERM);
    assert_contains(client_receive_all(ann), "* the server is stopping; come back soon\n");
    assert_contains(client_receive_all(bob), "* the server is stopping; come back soon\n");
    daemon_expect_exit(daemon, 0);
}

/* ---- members that do not read -----------------------------------------------------------------
 */

#define LINES 4000 /* of about 500 bytes: more than fits into sockets and the hall */
#define SMALL "send_buffer = \"8K\";"

/* Says more than fits between the server and somebody who does not read, and hears all of it. */
static void
talk_a_lot(int client, const char *nick)
{
    char text[491];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < LINES; i++) {
        client_send(client, text_of("%04d%s\n", i, text));
        client_expect(client, text_of("%s: %04d%s\n", nick, i, text));
    }
}

static void
who_does_not_read_misses_something(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", SMALL);
    int ann = join(daemon, "ann"), bob = join(daemon, "bob");
    bool missed = false;

    expect_joined(ann, "bob");
    talk_a_lot(bob, "bob");
    client_send(bob, "the end\n");
    for (const char *line; strcmp(line = client_receive_line(ann), "bob: the end\n") != 0;) {
        if (strcmp(line, "* you are slow, and have missed something\n") == 0)
            missed = true;
        else
            assert_int_equal(strlen(line), strlen("bob: 0000\n") + 490);
    }
    assert_true(missed);
    daemon_expect_stop(daemon);
}

/* It may be put out while it is talked to. */
static void
who_takes_nothing_is_put_out(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", SMALL "write_timeout = \"500ms\";");
    int ann = join(daemon, "ann"), bob = join(daemon, "bob");
    const char *heard = "";

    expect_joined(ann, "bob");
    for (int i = 0; i < LINES && strcmp(heard, "* ann has left\n") != 0; i++) {
        client_send(bob, text_of("%0490d\n", i));
        heard = client_receive_line(bob);
    }
    if (strcmp(heard, "* ann has left\n") != 0)
        client_expect(bob, "* ann has left\n");
    daemon_expect_stop(daemon);
}

/* ---- processes that die -------------------------------------------------------------------------
 */

/* Whether there is a seat for a newcomer. */
static bool
is_welcome(struct daemon *daemon)
{
    int client = client_connect(daemon_address(daemon, "test"));
    bool welcome = strncmp(client_receive_line(client), "* welcome", 9) == 0;

    client_close(client);
    return welcome;
}

static void
the_seat_of_a_dead_child_is_cleared(void **state)
{
    static const struct hall forking = {"chat", "forking"};
    struct daemon *daemon = serve_chat(&forking, "members = 1;", "service_interval = \"100ms\";");
    int ann = join(daemon, "ann");
    pid_t children[PROC_CHILDREN];

    (void)state;
    assert_false(is_welcome(daemon));
    size_t count = proc_children(daemon_worker(daemon), children);
    for (size_t i = 0; i < count; i++)
        (void)kill(children[i], SIGKILL);
    client_expect_gone(ann);
    WAIT_UNTIL(is_welcome(daemon));
    (void)daemon_stop(daemon);
}

/* Of a hall that outlives its workers. */
static void
a_crash_of_the_worker_leaves_nobody(void **state)
{
    struct daemon *daemon = serve_chat(*state, "members = 1;", "");
    int ann = join(daemon, "ann");

    assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    client_expect_gone(ann);
    (void)join(daemon, "ann");
    (void)daemon_stop(daemon);
}

/* ---- other people's clients -------------------------------------------------------------------
 */

static void
netcat_talks(void **state)
{
    const char *nc = need_program("nc");
    struct daemon *daemon = serve_chat(*state, "", "");
    int ann = join(daemon, "ann");
    struct outcome outcome = command_run(nc, "/nick nina\nhello\n/quit\n",
                                         (const char *const[]){"127.0.0.1", port_of(daemon), NULL});

    assert_starts(outcome.output, "* welcome, guest");
    assert_contains(outcome.output, " is now nina\nnina: hello\n* goodbye, nina\n");
    expect_joined(ann, "nina");
    client_expect(ann, "nina: hello\n* nina has left\n");
    daemon_expect_stop(daemon);
}

static void
a_crowd_hears_everything(void **state)
{
    struct daemon *daemon = serve_chat(*state, "", "");
    struct outcome outcome =
        command_run(need_program(PYTHON), "",
                    (const char *const[]){SOURCE_DIR "/examples/chat/crowd.py", "127.0.0.1",
                                          port_of(daemon), "50", "10", NULL});

    if (outcome.status != 0)
        fail_msg("the crowd says: %s", outcome.errors);
    assert_string_equal(outcome.output, "50 members heard 500 lines each\n");
    daemon_expect_stop(daemon);
}

#define IN_HALL(function, i) TEST_ROW(function, &halls[i], #i)
#define EACH(function)                                                                             \
    IN_HALL(function, 0), IN_HALL(function, 1), IN_HALL(function, 2), IN_HALL(function, 3),        \
        IN_HALL(function, 4)

RUN_TESTS(EACH(members_hear_each_other), EACH(rooms_are_apart), EACH(what_makes_no_sense_is_told),
          EACH(a_full_hall_is_told), EACH(a_stop_says_goodbye),
          EACH(who_does_not_read_misses_something), EACH(who_takes_nothing_is_put_out),
          TEST(the_seat_of_a_dead_child_is_cleared),
          IN_HALL(a_crash_of_the_worker_leaves_nobody, 0),
          IN_HALL(a_crash_of_the_worker_leaves_nobody, 1),
          IN_HALL(a_crash_of_the_worker_leaves_nobody, 2), EACH(netcat_talks),
          EACH(a_crowd_hears_everything))

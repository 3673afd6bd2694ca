/* SPDX-License-Identifier: MIT */
/*
 * test_notify.c - a service manager that does not read, and one that says nonsense
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define CONTROL(...)                                                                               \
    command_run(CTL_PROGRAM, "",                                                                   \
                (const char *const[]){"--socket", test_path("control"), __VA_ARGS__, NULL})

/* ---- the manager ---------------------------------------------------------------------------- */

static struct sockaddr_un
address_of_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", test_path("notify"));
    return address;
}

static int
open_manager(void)
{
    struct sockaddr_un address = address_of_manager();
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Afterwards nobody can send it anything until it reads. */
static void
fill_queue(void)
{
    struct sockaddr_un address = address_of_manager();
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    while (sendto(fd, "X=1", 3, 0, (const struct sockaddr *)&address, sizeof(address)) == 3)
        continue;
    assert_int_equal(errno, EAGAIN);
    (void)close(fd);
}

/* Reads what has come, a line for each assignment, behind what was heard before. */
static const char *
hear(int fd, const char *before)
{
    char text[4096];
    ssize_t got;

    while ((got = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
        text[got] = '\0';
        before = text_of("%s%s\n", before, text);
    }
    return before;
}

/* Waits until the texts have been heard in this order. */
static void
expect_heard(int fd, const char *const *texts)
{
    const char *heard = "";

    for (; *texts != NULL; texts++) {
        const char *found;

        WAIT_UNTIL((found = strstr(heard = hear(fd, heard), *texts)) != NULL);
        heard = found + strlen(*texts);
    }
}

/* ---- the daemon ----------------------------------------------------------------------------- */

struct variables {
    const char *usec; /* WATCHDOG_USEC; NULL: none */
    const char *notify;
};

static void
set_variables(void *userdata)
{
    const struct variables *variables = userdata;

    (void)setenv("NOTIFY_SOCKET", variables->notify, 1);
    if (variables->usec != NULL)
        (void)setenv("WATCHDOG_USEC", variables->usec, 1);
}

static const char *
other_listeners(int count)
{
    const char *text = "";

    for (int i = 0; i < count; i++)
        text = text_of("%s%s", text,
                       listener_text(text_of("other%d", i), "unix", "threading", "echo", ""));
    return text;
}

static struct daemon *
start_with(const char *notify, const char *usec, int others)
{
    struct variables variables = {.usec = usec, .notify = notify};

    (void)test_file("conf",
                    text_of("log = { target = \"stderr\"; };\n"
                            "control = { path = \"%s\"; };\n"
                            "plugin_path = \"" SHIPPED_PLUGINS "\";\nlisteners = {\n%s%s};\n",
                            test_path("control"),
                            listener_text("test", "unix", "threading", "echo", ""),
                            other_listeners(others)));
    return daemon_run_prepared((const char *const[]){"-c", test_path("conf"), NULL}, set_variables,
                               &variables);
}

static struct daemon *
start(const char *notify, const char *usec)
{
    return start_with(notify, usec, 0);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
a_manager_that_does_not_read_holds_nobody_up(void **state)
{
    int manager = open_manager();

    (void)state;
    fill_queue();
    struct daemon *daemon = start(test_path("notify"), "600000");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
    WAIT_UNTIL(CONTROL("status").status == 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(CONTROL("reload").status, 0);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "again\n"), "again\n");
    expect_heard(manager,
                 (const char *const[]){"X=1\n", "RELOADING=1\nMONOTONIC_USEC=", "READY=1\n", NULL});
    expect_heard(manager, (const char *const[]){"WATCHDOG=1\n", "WATCHDOG=1\n", NULL});
    daemon_expect_stop(daemon);
    expect_heard(manager, (const char *const[]){"STOPPING=1\n", NULL});
    (void)close(manager);
}

static size_t
count_in(const char *text, const char *part)
{
    size_t count = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        count++;
    }
    return count;
}

/* Far more sockets than messages fit into its queue, each with its path. */
static void
a_slow_manager_gets_every_socket_to_keep(void **state)
{
    int manager = open_manager();
    const char *heard = "";

    (void)state;
    fill_queue();
    struct daemon *daemon = start_with(test_path("notify"), NULL, 20);
    assert_string_equal(client_ask(daemon_address(daemon, "other19"), "hello\n"), "hello\n");
    WAIT_UNTIL(count_in(heard = hear(manager, heard), "FDSTORE=1\n") == 42);
    assert_non_null(strstr(heard, "READY=1\n"));
    daemon_signal(daemon, SIGTERM);
    WAIT_UNTIL(hear(manager, "") != NULL && !proc_alive(daemon_pid(daemon)));
    daemon_expect_exit(daemon, 0);
    (void)close(manager);
}

/* It has served to the end, and what was left to tell has not kept it long. */
static void
a_stop_ends_without_the_manager(void **state)
{
    int manager = open_manager();

    (void)state;
    struct daemon *daemon = start(test_path("notify"), NULL);
    (void)daemon_address(daemon, "test");
    expect_heard(manager, (const char *const[]){"READY=1\n", NULL});
    fill_queue();
    daemon_expect_stop(daemon);
    (void)close(manager);
}

static void
nonsense_in_the_environment_is_named_and_ignored(void **state)
{
    static const struct {
        const char *notify, *usec, *log;
    } rows[] = {
        {NULL, "garbage", "WATCHDOG_USEC: found \"garbage\"; expected a number of microseconds"},
        {NULL, "-5", "WATCHDOG_USEC: found \"-5\"; expected"},
        {NULL, "0", "WATCHDOG_USEC: found \"0\"; expected"},
        {NULL, "99999999999999999999999", "WATCHDOG_USEC: found \"9999"},
        {"nowhere", NULL, "NOTIFY_SOCKET: expected an absolute path"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *notify = rows[i].notify == NULL ? test_path("notify") : rows[i].notify;
        struct daemon *daemon = start(notify, rows[i].usec);

        (void)daemon_wait_log(daemon, rows[i].log);
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "hello\n");
        daemon_expect_stop(daemon);
    }
}

RUN_TESTS(TEST(a_manager_that_does_not_read_holds_nobody_up),
          TEST(a_slow_manager_gets_every_socket_to_keep), TEST(a_stop_ends_without_the_manager),
          TEST(nonsense_in_the_environment_is_named_and_ignored))

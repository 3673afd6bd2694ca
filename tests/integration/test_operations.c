/* SPDX-License-Identifier: MIT */
/*
 * test_operations.c - drain, resume, stop, start and restart of one listener
 *
 * Asked through the control socket, in Varlink: an object that ends with NUL.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/array.h"
#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/proc.h"
#include "support/test.h"

static const char *file;

static struct daemon *
serve(const char *scheme, const char *mixin, const char *more)
{
    file = daemon_configuration("listeners = {\n%s};",
                                listener_text("test", scheme, mixin, "good_command", more));
    return DAEMON_RUN("-c", file);
}

static const char *
control_address(void)
{
    const char *text = file_text(file), *path = strstr(text, "control = { path = \"");

    assert_non_null(path);
    path += strlen("control = { path = \"");
    return text_of("unix://%.*s", (int)strcspn(path, "\""), path);
}

/* Sends the call; its reply comes when the operation is done. A daemon that becomes another program
 * has hung up, and is asked once more. */
static int
begin(const char *method)
{
    bool of_all = strcmp(method, "Reload") == 0 || strcmp(method, "Upgrade") == 0;
    const char *whom = of_all ? "" : "\"listener\": \"test\"";
    const char *call =
        text_of("{\"method\": \"org.sockserver.Control.%s\", \"parameters\": {%s}}", method, whom);

    for (;;) {
        int client = client_connect(control_address());
        if (send(client, call, strlen(call) + 1, MSG_NOSIGNAL) == (ssize_t)strlen(call) + 1)
            return client;
        assert_true(errno == EPIPE || errno == ECONNRESET);
        client_close(client);
    }
}

static const char *
end(int client)
{
    char reply[8192];
    size_t used = 0;

    do
        assert_int_equal(client_receive_bytes(client, reply + used, 1), 1);
    while (reply[used++] != '\0');
    client_close(client);
    return text_of("%s", reply);
}

static void
operate(const char *method)
{
    assert_lacks(end(begin(method)), "\"error\"");
}

static void
expect_state(const char *state)
{
    assert_contains(end(begin("GetStatus")), text_of("\"state\":\"%s\"", state));
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
a_drained_listener_keeps_its_queue(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(server->scheme, server->mixin, "");
    const char *address = daemon_address(daemon, "test");
    int open = client_connect(address), queued, stop;

    client_send(open, "echo before\n");
    client_expect(open, "before\n");
    end(begin("Drain"));
    queued = client_connect(address);
    client_send(queued, "echo waited\n");
    client_send(open, "echo after\n");
    client_expect(open, "after\n");
    assert_false(client_readable(queued, 0.2));
    client_close(open);
    WAIT_UNTIL(strstr(end(begin("GetStatus")), "drained") != NULL);
    operate("Resume");
    client_expect(queued, "waited\n");
    client_close(queued);

    /* A stop waits for its end, and answers what is in the queue. */
    open = client_connect(address);
    client_send(open, "echo busy\n");
    client_expect(open, "busy\n");
    stop = begin("Stop");
    client_close(open);
    assert_lacks(end(stop), "\"error\"");
    expect_state("stopped");
    assert_true(client_try_connect(address, true, &queued) < 0);
    operate("Start");
    expect_state("serving");
    daemon_expect_stop(daemon);
}

static void
a_drain_that_is_resumed_at_once_goes_on(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(server->scheme, server->mixin, "");
    const char *address = daemon_address(daemon, "test");
    int open = client_connect(address);

    client_send(open, "echo before\n");
    client_expect(open, "before\n");
    end(begin("Drain"));
    operate("Resume"); /* beside the generation that still drains */
    assert_string_equal(client_ask(address, "echo new\n"), "new\n");
    client_send(open, "echo after\n");
    client_expect(open, "after\n");
    client_close(open);
    daemon_expect_stop(daemon);
}

static void
a_restart_refuses_nobody(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve(server->scheme, server->mixin, "");
    const char *address = daemon_address(daemon, "test");
    struct load *load = load_start(address, 2, "echo ");

    for (int i = 0; i < 5; i++) {
        operate("Restart");
        load_wait_more(load, 10);
    }
    load_stop(load);
    load_expect_answered(load, 50);
    assert_contains(end(begin("GetStatus")), "\"generation\":6");
    daemon_expect_stop(daemon);
}

static void
a_stop_that_is_started_again_serves_beside_what_still_runs(void **state)
{
    struct daemon *daemon = serve("unix", "threading", "");
    const char *address = daemon_address(daemon, "test");
    int open = client_connect(address), stop;

    (void)state;
    client_send(open, "echo before\n");
    client_expect(open, "before\n");
    stop = begin("Stop");
    WAIT_UNTIL(strstr(end(begin("GetStatus")), "draining") != NULL);
    operate("Start");
    expect_state("serving");
    assert_contains(end(stop), "started again meanwhile");
    assert_string_equal(client_ask(address, "echo new\n"), "new\n");
    client_send(open, "echo after\n");
    client_expect(open, "after\n");
    client_close(open);
    daemon_expect_stop(daemon);
}

/* Every order in every state that can be brought about: the daemon lives, and serves afterwards. */
static void
orders_in_any_order_do_no_harm(void **state)
{
    static const char *const methods[] = {"Drain", "Resume", "Stop", "Start", "Restart", "Reload"};
    const struct server_case *server = *state;
    struct daemon *daemon = serve(server->scheme, server->mixin, "");
    size_t count = sizeof methods / sizeof methods[0];
    unsigned seed = 7;

    (void)daemon_address(daemon, "test");
    for (int i = 0; i < 60; i++) {
        seed = seed * 1103515245 + 12345;
        int client = begin(methods[seed / 65536 % count]);
        if (seed / 131072 % 3 != 0)
            (void)end(client);
        else
            client_close(client); /* does not wait for it */
    }
    WAIT_UNTIL(strstr(end(begin("Start")), "\"error\"") == NULL);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
    WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1);
    daemon_expect_stop(daemon);
}

/* Orders at once, and a stop amid them: whatever comes first, nothing of it is an error. */
static void
no_orderly_end_is_logged_as_an_error(void **state)
{
    static const char *const methods[] = {"Stop",  "Restart", "Stop",   "Reload",
                                          "Drain", "Start",   "Upgrade"};
    const struct server_case *server = *state;
    unsigned seed = 11;

    for (int round = 0; round < 6; round++) {
        file = daemon_configuration(
            "log = { level = \"err\"; };\nlisteners = {\n%s};",
            listener_text("test", server->scheme, server->mixin, "good_command", ""));
        struct daemon *daemon = DAEMON_RUN("-c", file);
        WAIT_UNTIL(proc_child_count(daemon_pid(daemon)) == 1 && daemon_worker(daemon) > 0);
        WAIT_UNTIL(strstr(end(begin("GetStatus")), "\"serving\"") != NULL);
        for (int i = 0; i < 8; i++) {
            seed = seed * 1103515245 + 12345;
            (void)begin(methods[seed / 65536 % ARRAY_SIZE(methods)]);
            (void)poll(NULL, 0, (int)(seed / 131072 % 8));
        }
        daemon_expect_stop(daemon);
        client_close_all();
        assert_string_equal(daemon_log(daemon), "");
    }
}

static void
a_reload_leaves_a_stopped_listener_alone(void **state)
{
    struct daemon *daemon = serve("unix", "threading", "");

    (void)state;
    (void)daemon_address(daemon, "test");
    operate("Stop");
    operate("Reload");
    expect_state("stopped");
    operate("Start");
    operate("Drain");
    WAIT_UNTIL(strstr(end(begin("GetStatus")), "drained") != NULL);
    operate("Reload");
    expect_state("drained");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(a_drained_listener_keeps_its_queue, "tcp", "none"),
          TEST_CASE(a_drained_listener_keeps_its_queue, "tcp", "coroutine"),
          TEST_CASE(a_drained_listener_keeps_its_queue, "unix", "threading"),
          TEST_CASE(a_drained_listener_keeps_its_queue, "unix", "forking"),
          TEST_CASE(a_drain_that_is_resumed_at_once_goes_on, "tcp", "threading"),
          TEST_CASE(a_drain_that_is_resumed_at_once_goes_on, "unix", "forking"),
          TEST_CASE(a_drain_that_is_resumed_at_once_goes_on, "unix", "coroutine"),
          TEST_CASE(a_restart_refuses_nobody, "tcp", "none"),
          TEST_CASE(a_restart_refuses_nobody, "udp", "threading"),
          TEST_CASE(a_restart_refuses_nobody, "unix", "forking"),
          TEST_CASE(a_restart_refuses_nobody, "unix", "coroutine"),
          TEST(a_stop_that_is_started_again_serves_beside_what_still_runs),
          TEST_CASE(orders_in_any_order_do_no_harm, "tcp", "none"),
          TEST_CASE(orders_in_any_order_do_no_harm, "unix", "forking"),
          TEST_CASE(orders_in_any_order_do_no_harm, "udp", "coroutine"),
          TEST_EACH_MIXIN(no_orderly_end_is_logged_as_an_error, "tcp"),
          TEST_EACH_MIXIN(no_orderly_end_is_logged_as_an_error, "unix"),
          TEST(a_reload_leaves_a_stopped_listener_alone))

/* SPDX-License-Identifier: MIT */
/*
 * request_fixture.h - a plugin whose steps leave a trace, and a transport over a socketpair
 */
#ifndef TESTS_UNIT_REQUEST_FIXTURE_H
#define TESTS_UNIT_REQUEST_FIXTURE_H

#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "worker/request/wait.h"

/* ---- a plugin, and what became of it ------------------------------------------ */

static struct fixture fixture;
static struct ss_request *request; /* the fixture's */
static char trace[512];            /* "verify setup handle ..." */
static struct {
    bool refuse;
    int setup, handle;                /* what the hooks return */
    void (*act)(struct ss_request *); /* what handle does before */
    int told;                         /* what handle_error was told */
    unsigned times_told;
} plugin;
static int other_end; /* the client's */

static inline void
note(const char *step)
{
    (void)strcat(trace, trace[0] == '\0' ? "" : " ");
    (void)strcat(trace, step);
}

static inline bool
fake_verify_request(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("verify");
    return !plugin.refuse;
}

static inline int
fake_setup(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("setup");
    return plugin.setup;
}

static inline int
fake_handle(struct ss_request *given)
{
    note("handle");
    if (plugin.act != NULL)
        plugin.act(given);
    return plugin.handle;
}

static inline void
fake_finish(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("finish");
}

static inline void
fake_handle_error(struct ss_request *given, int error)
{
    assert_ptr_equal(given, request);
    note("error");
    plugin.told = error;
    plugin.times_told++;
}

/* ---- a transport over a socketpair ------------------------------------------------ */

static inline void
traced_shutdown(struct ss_request *given)
{
    note("shutdown");
    stream_transport.shutdown_request(given);
}

static inline void
traced_close(struct ss_request *given)
{
    note("close");
    stream_transport.close_request(given);
}

static struct transport traced_transport;

/* A client has connected. */
static inline void
accept_client(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    request->fd = request->output_fd = pair[0];
    request->client.address.ss_family = AF_UNIX;
    request->client.size = sizeof(sa_family_t);
    request->receive_timeout = 0;
    other_end = pair[1];
    trace[0] = '\0';
    request_take(request);
}

static inline int
open_request(void **state)
{
    (void)state;
    memset(&plugin, 0, sizeof(plugin));
    traced_transport = stream_transport;
    traced_transport.shutdown_request = traced_shutdown;
    traced_transport.close_request = traced_close;
    fixture_open(&fixture, &traced_transport);
    fixture.server.plugin.hooks = (struct plugin_hooks){
        .verify_request = fake_verify_request,
        .setup = fake_setup,
        .handle = fake_handle,
        .finish = fake_finish,
        .handle_error = fake_handle_error,
    };
    request = fixture.request;
    log_set_level(LOG_EMERG);
    accept_client();
    return 0;
}

static inline int
close_it(void **state)
{
    (void)state;
    (void)close(other_end);
    fixture_close(&fixture);
    return 0;
}

static inline void
expect_sent(const char *expected)
{
    char bytes[256] = "";
    ssize_t got = recv(other_end, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);

    assert_int_equal(got, strlen(expected));
    assert_string_equal(bytes, expected);
}

#endif

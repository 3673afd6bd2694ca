/* SPDX-License-Identifier: MIT */
/*
 * gate_fixture.h - two gates, a transport and a plugin whose steps leave a trace
 */
#ifndef TESTS_UNIT_GATE_FIXTURE_H
#define TESTS_UNIT_GATE_FIXTURE_H

#include "worker_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/errors.h"
#include "worker/request/gate.h"
#include "worker/request/wait.h"

static struct fixture fixture;
static struct ss_request *request; /* the fixture's */
static int client;
static char trace[512]; /* "outer inner verify handle ..." */

static inline void
note(const char *step)
{
    (void)strcat(trace, trace[0] == '\0' ? "" : " ");
    (void)strcat(trace, step);
}

/* ---- three gates and a transport with something to say ---------------------------- */

/* What prepare() says, and what enter() does. */
static struct act {
    int applies;
    int (*enter)(struct ss_request *request);
} outer, inner, opening;

static inline int
act(const struct act *what, struct ss_request *given)
{
    assert_ptr_equal(given, request);
    assert_ptr_equal(request_current, request);
    return what->enter != NULL ? what->enter(given) : 0;
}

static inline int
say_whether(int applies, struct errors *errors)
{
    if (applies < 0)
        errors_add(errors, NULL, 0, "it cannot be");
    return applies;
}

static inline int
prepare_outer(struct ss_server *server, struct errors *errors)
{
    assert_ptr_equal(server, &fixture.server);
    note("prepare-outer");
    return say_whether(outer.applies, errors);
}

static inline int
prepare_inner(struct ss_server *server, struct errors *errors)
{
    assert_ptr_equal(server, &fixture.server);
    note("prepare-inner");
    return say_whether(inner.applies, errors);
}

static inline int
enter_outer(struct ss_request *given)
{
    note("outer");
    return act(&outer, given);
}

static inline int
enter_inner(struct ss_request *given)
{
    note("inner");
    return act(&inner, given);
}

static inline int
open_request(struct ss_request *given)
{
    note("open");
    return act(&opening, given);
}

static inline void
leave_outer(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    assert_int_equal(given->fd, -1); /* closed by now */
    note("-outer");
}

static inline void
leave_inner(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    note("-inner");
}

static const struct gate outer_gate = {
    .name = "outer",
    .failed = {.reason = "outer failed"},
    .prepare = prepare_outer,
    .enter = enter_outer,
    .leave = leave_outer,
};
static const struct gate inner_gate = {
    .name = "inner",
    .failed = {.reason = "inner failed", .polite = true},
    .prepare = prepare_inner,
    .enter = enter_inner,
    .leave = leave_inner,
};
static const struct gate *const both[] = {&outer_gate, &inner_gate, NULL};

static struct transport traced_transport;

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

/* ---- a plugin -------------------------------------------------------------------------- */

static int setup_result;
static char seen_client[160]; /* by handle, and in the slot */

static inline bool
verify(struct ss_request *given)
{
    (void)given;
    note("verify");
    return true;
}

static inline int
setup_it(struct ss_request *given)
{
    (void)given;
    note("setup");
    return setup_result;
}

static inline int
handle_it(struct ss_request *given)
{
    note("handle");
    assert_memory_equal(fixture.slot->client, &given->client, sizeof(fixture.slot->client));
    (void)snprintf(seen_client, sizeof(seen_client), "%s", ss_client_name(given));
    return 0;
}

static inline void
tell_error(struct ss_request *given, int error)
{
    (void)given;
    (void)error;
    note("error");
}

/* ---- setting up ---------------------------------------------------------------------------- */

static inline void
accept_client(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    request->fd = request->output_fd = pair[0];
    request->client.address = (struct sockaddr_storage){.ss_family = AF_UNIX};
    request->client.size = sizeof(sa_family_t);
    request->receive_timeout = 0;
    client = pair[1];
    request_take(request);
}

static inline void
prepare(void)
{
    struct errors errors = {0};

    assert_int_equal(gates_prepare(&fixture.server, both, &errors), 0);
    assert_false(errors_any(&errors));
    trace[0] = '\0';
}

static inline int
open_it(void **state)
{
    (void)state;
    traced_transport = stream_transport;
    traced_transport.shutdown_request = traced_shutdown;
    traced_transport.close_request = traced_close;
    fixture_open(&fixture, &traced_transport);
    fixture.server.plugin.hooks = (struct plugin_hooks){
        .verify_request = verify,
        .setup = setup_it,
        .handle = handle_it,
        .handle_error = tell_error,
    };
    request = fixture.request;
    outer = inner = (struct act){.applies = 1};
    opening = (struct act){0};
    setup_result = 0;
    log_set_level(LOG_EMERG);
    accept_client();
    prepare();
    return 0;
}

static inline int
close_it(void **state)
{
    (void)state;
    (void)close(client);
    fixture_close(&fixture);
    return 0;
}

static inline struct counter_sums
sums(void)
{
    struct counter_sums sums;

    counters_sum(fixture.server.counters, 1, &sums);
    return sums;
}

/* ---- what gates do ---------------------------------------------------------------------- */

static const struct refusal rude = {.reason = "rude"};
static const struct refusal polite = {.reason = "polite", .polite = true};
static const struct refusal aside = {.reason = "aside", .polite = true, .aside = true};

static inline int
refuse_rudely(struct ss_request *given)
{
    return gate_refuse(given, &rude);
}

static inline int
refuse_politely(struct ss_request *given)
{
    return gate_refuse(given, &polite);
}

static inline int
put_aside(struct ss_request *given)
{
    return gate_refuse(given, &aside);
}

static inline int
announce_another_client(struct ss_request *given)
{
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(4711)};

    other.sin_addr.s_addr = htonl(0xc0000207); /* 192.0.2.7 */
    (void)ss_client_name(given);               /* a gate that logs knows the peer by its name */
    return gate_set_client(given, (const struct sockaddr *)&other, sizeof(other));
}

static inline int
see_no_client_yet(struct ss_request *given)
{
    static const unsigned char nobody[sizeof(given->slot->client)];

    assert_memory_equal(given->slot->client, nobody, sizeof(nobody));
    assert_int_equal(counter_get(given->slot->accepted), 0);
    return 0;
}

static inline int
wait_in_vain(struct ss_request *given)
{
    char byte;

    gate_limit(given, 0.02);
    return (int)ss_read(given, &byte, 1);
}

static inline int
wait_for_ever(struct ss_request *given)
{
    return wait_io(given, given->fd, POLLIN, 0);
}

static inline int
see_the_whole_deadline(struct ss_request *given)
{
    assert_true(given->deadline == FOREVER);
    return 0;
}

static inline int
lose_the_client(struct ss_request *given)
{
    (void)given;
    return -ECONNRESET;
}

static inline int
be_cut(struct ss_request *given)
{
    (void)given;
    counter_set(fixture.server.counters->phase, PHASE_CUT);
    return wait_for_ever(given);
}

static inline int
read_a_header(struct ss_request *given)
{
    char *line;

    assert_int_equal(ss_readline(given, &line), 7);
    assert_string_equal(line, "header\n");
    return 0;
}

static inline int
handle_the_rest(struct ss_request *given)
{
    char bytes[8] = "";

    assert_int_equal(ss_read(given, bytes, sizeof(bytes)), 4);
    assert_string_equal(bytes, "rest");
    note("rest");
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_it, close_it)

#endif

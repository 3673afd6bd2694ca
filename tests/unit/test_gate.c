/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - which gates a listener gets, in which order a request enters and leaves them,
 * and what becomes of one that is turned away
 */
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

static void
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

static int
act(const struct act *what, struct ss_request *given)
{
    assert_ptr_equal(given, request);
    assert_ptr_equal(request_current, request);
    return what->enter != NULL ? what->enter(given) : 0;
}

static int
say_whether(int applies, struct errors *errors)
{
    if (applies < 0)
        errors_add(errors, NULL, 0, "it cannot be");
    return applies;
}

static int
prepare_outer(struct ss_server *server, struct errors *errors)
{
    assert_ptr_equal(server, &fixture.server);
    note("prepare-outer");
    return say_whether(outer.applies, errors);
}

static int
prepare_inner(struct ss_server *server, struct errors *errors)
{
    assert_ptr_equal(server, &fixture.server);
    note("prepare-inner");
    return say_whether(inner.applies, errors);
}

static int
enter_outer(struct ss_request *given)
{
    note("outer");
    return act(&outer, given);
}

static int
enter_inner(struct ss_request *given)
{
    note("inner");
    return act(&inner, given);
}

static int
open_request(struct ss_request *given)
{
    note("open");
    return act(&opening, given);
}

static void
leave_outer(struct ss_request *given)
{
    assert_ptr_equal(given, request);
    assert_int_equal(given->fd, -1); /* closed by now */
    note("-outer");
}

static void
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

static void
traced_shutdown(struct ss_request *given)
{
    note("shutdown");
    stream_transport.shutdown_request(given);
}

static void
traced_close(struct ss_request *given)
{
    note("close");
    stream_transport.close_request(given);
}

/* ---- a plugin -------------------------------------------------------------------------- */

static int setup_result;
static char seen_client[160]; /* by handle, and in the slot */

static bool
verify(struct ss_request *given)
{
    (void)given;
    note("verify");
    return true;
}

static int
setup_it(struct ss_request *given)
{
    (void)given;
    note("setup");
    return setup_result;
}

static int
handle_it(struct ss_request *given)
{
    note("handle");
    assert_memory_equal(fixture.slot->client, &given->client, sizeof(fixture.slot->client));
    (void)snprintf(seen_client, sizeof(seen_client), "%s", ss_client_name(given));
    return 0;
}

static void
tell_error(struct ss_request *given, int error)
{
    (void)given;
    (void)error;
    note("error");
}

/* ---- setting up ---------------------------------------------------------------------------- */

static void
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

static void
prepare(void)
{
    struct errors errors = {0};

    assert_int_equal(gates_prepare(&fixture.server, both, &errors), 0);
    assert_false(errors_any(&errors));
    trace[0] = '\0';
}

static int
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

static int
close_it(void **state)
{
    (void)state;
    (void)close(client);
    fixture_close(&fixture);
    return 0;
}

static struct counter_sums
sums(void)
{
    struct counter_sums sums;

    counters_sum(fixture.server.counters, 1, &sums);
    return sums;
}

/* ---- what gates do -----------------------------------------------------------------------------
 */

static const struct refusal rude = {.reason = "rude"};
static const struct refusal polite = {.reason = "polite", .polite = true};
static const struct refusal aside = {.reason = "aside", .polite = true, .aside = true};

static int
refuse_rudely(struct ss_request *given)
{
    return gate_refuse(given, &rude);
}

static int
refuse_politely(struct ss_request *given)
{
    return gate_refuse(given, &polite);
}

static int
put_aside(struct ss_request *given)
{
    return gate_refuse(given, &aside);
}

static int
announce_another_client(struct ss_request *given)
{
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(4711)};

    other.sin_addr.s_addr = htonl(0xc0000207); /* 192.0.2.7 */
    (void)ss_client_name(given);               /* a gate that logs knows the peer by its name */
    gate_set_client(given, (const struct sockaddr *)&other, sizeof(other));
    return 0;
}

static int
see_no_client_yet(struct ss_request *given)
{
    static const unsigned char nobody[sizeof(given->slot->client)];

    assert_memory_equal(given->slot->client, nobody, sizeof(nobody));
    assert_int_equal(counter_get(given->slot->accepted), 0);
    return 0;
}

static int
wait_in_vain(struct ss_request *given)
{
    char byte;

    gate_limit(given, 0.02);
    return (int)ss_read(given, &byte, 1);
}

static int
wait_for_ever(struct ss_request *given)
{
    return wait_io(given, given->fd, POLLIN, 0);
}

static int
see_the_whole_deadline(struct ss_request *given)
{
    assert_true(given->deadline == FOREVER);
    return 0;
}

static int
lose_the_client(struct ss_request *given)
{
    (void)given;
    return -ECONNRESET;
}

static int
be_cut(struct ss_request *given)
{
    (void)given;
    counter_set(fixture.server.counters->phase, PHASE_CUT);
    return wait_for_ever(given);
}

static int
read_a_header(struct ss_request *given)
{
    char *line;

    assert_int_equal(ss_readline(given, &line), 7);
    assert_string_equal(line, "header\n");
    return 0;
}

static int
handle_the_rest(struct ss_request *given)
{
    char bytes[8] = "";

    assert_int_equal(ss_read(given, bytes, sizeof(bytes)), 4);
    assert_string_equal(bytes, "rest");
    note("rest");
    return 0;
}

/* ---- preparing ----------------------------------------------------------------------------------
 */

static void
only_gates_that_apply_are_entered(void **state)
{
    (void)state;
    outer.applies = 0;
    prepare();
    assert_int_equal(fixture.server.gate_count, 1);
    request_process(request);
    assert_string_equal(trace, "inner verify setup handle shutdown close -inner");
}

static void
no_gate_applies(void **state)
{
    (void)state;
    outer.applies = inner.applies = 0;
    prepare();
    assert_int_equal(fixture.server.gate_count, 0);
    request_process(request);
    assert_string_equal(trace, "verify setup handle shutdown close");
    assert_int_equal(sums().accepted, 1);
}

static void
a_gate_that_cannot_be_prepared_is_told(void **state)
{
    struct errors errors = {0};

    (void)state;
    outer.applies = -EPERM;
    trace[0] = '\0';
    assert_int_equal(gates_prepare(&fixture.server, both, &errors), -EPERM);
    assert_string_equal(trace, "prepare-outer"); /* and no further */
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0], "it cannot be");
    errors_done(&errors);
    traced_transport.close_request(request);
}

static void
more_gates_than_there_is_room_for_are_told(void **state)
{
    const struct gate *many[GATES_MAX + 2] = {0};
    struct errors errors = {0};

    (void)state;
    for (size_t i = 0; i <= GATES_MAX; i++)
        many[i] = &inner_gate;
    assert_int_equal(gates_prepare(&fixture.server, many, &errors), -E2BIG);
    assert_int_equal(errors.count, 1);
    assert_int_equal(fixture.server.gate_count, GATES_MAX);
    errors_done(&errors);
    traced_transport.close_request(request);
}

/* ---- entering and leaving
 * ------------------------------------------------------------------------ */

static void
gates_are_left_in_reverse_when_all_is_over(void **state)
{
    (void)state;
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup handle shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_DONE);
    assert_int_equal(request->gates_entered, 0);
}

static void
the_transport_opens_behind_the_last_gate(void **state)
{
    (void)state;
    traced_transport.open_request = open_request;
    prepare();
    request_process(request);
    assert_string_equal(trace, "outer inner open verify setup handle shutdown close -inner -outer");
}

static void
a_transport_that_cannot_open_is_a_refusal(void **state)
{
    (void)state;
    traced_transport.open_request = open_request;
    opening.enter = wait_in_vain;
    prepare();
    request_process(request);
    assert_string_equal(trace, "outer inner open shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_REFUSED);
    assert_string_equal(request->refusal->reason, "the connection was not opened");
}

static void
gates_are_left_when_setup_failed(void **state)
{
    (void)state;
    setup_result = -EIO;
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup error shutdown close -inner -outer");
}

static void
gates_are_left_when_the_handler_ended_its_thread(void **state)
{
    (void)state;
    request_current = request;
    assert_int_equal(gates_enter(request), 0);
    request_abandon(request);
    assert_string_equal(trace, "outer inner shutdown close -inner -outer");
}

static void
next_request_enters_anew(void **state)
{
    (void)state;
    inner.enter = refuse_politely;
    request_process(request);
    (void)close(client);
    accept_client();
    inner.enter = NULL;
    trace[0] = '\0';
    request_process(request);
    assert_string_equal(trace, "outer inner verify setup handle shutdown close -inner -outer");
    assert_int_equal(request->reason, CLOSE_DONE);
    assert_null(request->refusal);
}

/* ---- being turned away
 * ------------------------------------------------------------------------------ */

static const struct outcome {
    const char *name;
    int (*outer)(struct ss_request *);
    int (*inner)(struct ss_request *);
    const char *steps;
    enum close_reason reason;
    const char *refusal; /* NULL: none */
} outcomes[] = {
    {"refused by the first", refuse_rudely, NULL, "outer shutdown close", CLOSE_REFUSED, "rude"},
    {"refused by the second", NULL, refuse_politely, "outer inner shutdown close -outer",
     CLOSE_REFUSED, "polite"},
    {"no client", NULL, put_aside, "outer inner shutdown close -outer", CLOSE_ASIDE, "aside"},
    {"waited in vain", NULL, wait_in_vain, "outer inner shutdown close -outer", CLOSE_REFUSED,
     "inner failed"},
    {"the first one waited in vain", wait_in_vain, NULL, "outer shutdown close", CLOSE_REFUSED,
     "outer failed"},
    {"client went away", NULL, lose_the_client, "outer inner shutdown close -outer", CLOSE_VANISHED,
     NULL},
    {"cut", NULL, be_cut, "outer inner shutdown close -outer", CLOSE_CUT, NULL},
};

static void
request_ends_as_the_gate_says(void **state)
{
    const struct outcome *outcome = *state;

    (void)open_it(NULL);
    outer.enter = outcome->outer;
    inner.enter = outcome->inner;
    request_process(request);
    assert_string_equal(trace, outcome->steps);
    assert_int_equal(request->reason, outcome->reason);
    if (outcome->refusal == NULL)
        assert_null(request->refusal);
    else
        assert_string_equal(request->refusal->reason, outcome->refusal);
    assert_int_equal(sums().accepted, outcome->reason != CLOSE_ASIDE);
    assert_int_equal(sums().refused, outcome->reason == CLOSE_REFUSED);
    assert_int_equal(sums().cut, outcome->reason == CLOSE_CUT);
    assert_int_equal(sums().vanished, outcome->reason == CLOSE_VANISHED);
    assert_int_equal(sums().failed, 0);
    assert_true(counter_get(fixture.slot->ended) >= request->started);
    assert_null(request_current);
    (void)close_it(NULL);
}

static void
one_put_aside_leaves_no_trace_in_the_figures(void **state)
{
    uint64_t times = 0;

    (void)state;
    outer.enter = put_aside;
    assert_int_equal(send(client, "hello", 5, 0), 5);
    request_process(request);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        times += sums().handling.buckets[i];
    assert_int_equal(times, 0);
    assert_int_equal(sums().busy_ns, 0);
    assert_int_equal(sums().bytes_in, 0);
}

/* A client that goes on sending would hold a context for a second. */
static void
only_a_polite_refusal_waits_for_what_comes(void **state)
{
    int64_t before;

    for (int i = 0; i < 2; i++) {
        outer.enter = i == 0 ? refuse_rudely : refuse_politely;
        assert_int_equal(send(client, "hello", 5, 0), 5);
        before = monotonic_now();
        request_process(request);
        int64_t took = monotonic_now() - before;
        assert_true(i == 0 ? took < 900000000 : took >= 900000000);
        (void)close(client);
        accept_client();
    }
    traced_transport.close_request(request);
    (void)state;
}

static void
request_timeout_bounds_a_gate_too(void **state)
{
    (void)state;
    fixture.server.settings.request_timeout = 0.02;
    inner.enter = wait_for_ever;
    request_process(request);
    assert_string_equal(trace, "outer inner shutdown close -outer");
    assert_int_equal(request->reason, CLOSE_OVERTIME);
}

static int
limit_and_pass(struct ss_request *given)
{
    gate_limit(given, 0.01);
    assert_true(given->deadline < FOREVER);
    return 0;
}

static int
ask_for_more_than_there_is(struct ss_request *given)
{
    int64_t deadline = given->deadline;

    gate_limit(given, 3600);
    assert_true(given->deadline == deadline);
    return 0;
}

static void
a_gates_limit_is_its_own_and_no_longer_than_the_requests(void **state)
{
    (void)state;
    outer.enter = limit_and_pass;
    inner.enter = see_the_whole_deadline;
    request_process(request);
    assert_int_equal(request->reason, CLOSE_DONE);
    (void)close(client);
    accept_client();
    fixture.server.settings.request_timeout = 60;
    inner.enter = ask_for_more_than_there_is;
    request_process(request);
    assert_int_equal(request->reason, CLOSE_DONE);
}

/* ---- who it is
 * ---------------------------------------------------------------------------------------- */

static void
client_is_published_behind_the_gates(void **state)
{
    (void)state;
    memset(fixture.slot->client, 7, sizeof(fixture.slot->client)); /* the last one's */
    outer.enter = see_no_client_yet;
    inner.enter = announce_another_client;
    request_process(request);
    assert_string_equal(seen_client, "192.0.2.7:4711");
    assert_int_equal(request->reason, CLOSE_DONE);
}

static void
what_a_gate_has_not_read_is_the_plugins(void **state)
{
    (void)state;
    outer.enter = read_a_header;
    fixture.server.plugin.hooks = (struct plugin_hooks){.handle = handle_the_rest};
    assert_int_equal(send(client, "header\nrest", 11, 0), 11);
    request_process(request);
    assert_string_equal(trace, "outer inner rest shutdown close -inner -outer");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_it, close_it)
#define OUTCOMES       (sizeof(outcomes) / sizeof(outcomes[0]))

static const struct CMUnitTest other_tests[] = {
    TEST(only_gates_that_apply_are_entered),
    TEST(no_gate_applies),
    TEST(a_gate_that_cannot_be_prepared_is_told),
    TEST(more_gates_than_there_is_room_for_are_told),
    TEST(gates_are_left_in_reverse_when_all_is_over),
    TEST(the_transport_opens_behind_the_last_gate),
    TEST(a_transport_that_cannot_open_is_a_refusal),
    TEST(gates_are_left_when_setup_failed),
    TEST(gates_are_left_when_the_handler_ended_its_thread),
    TEST(next_request_enters_anew),
    TEST(one_put_aside_leaves_no_trace_in_the_figures),
    TEST(only_a_polite_refusal_waits_for_what_comes),
    TEST(request_timeout_bounds_a_gate_too),
    TEST(a_gates_limit_is_its_own_and_no_longer_than_the_requests),
    TEST(client_is_published_behind_the_gates),
    TEST(what_a_gate_has_not_read_is_the_plugins),
};
#define OTHERS (sizeof(other_tests) / sizeof(other_tests[0]))

int
main(void)
{
    struct CMUnitTest tests[OUTCOMES + OTHERS];

    for (size_t i = 0; i < OUTCOMES; i++)
        tests[i] = (struct CMUnitTest){outcomes[i].name, request_ends_as_the_gate_says, NULL, NULL,
                                       (void *)(uintptr_t)&outcomes[i]};
    memcpy(tests + OUTCOMES, other_tests, sizeof(other_tests));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * expect.c - what a test expects: the calls of <sockserver/test.h> that may find something else
 *
 * Runs in:  the test's thread.
 * Owns:     nothing.
 * Failures: whatever is not as expected fails the test.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "testing/calls.h"
#include "testing/rig.h"

/* ---- what came -------------------------------------------------------------------- */

static const char *
unread(const struct ss_test *test, size_t *ret_size)
{
    *ret_size = test->size - test->taken;
    return test->came != NULL ? test->came + test->taken : "";
}

static bool
is_over(const struct ss_test *test)
{
    return test->ended || test->play == NULL || play_has_ended(test->play);
}

/* Waits until so many bytes are there. False: no more will come. */
static bool
await_bytes(struct ss_test *test, size_t size)
{
    int64_t deadline = patience_end();

    for (;;) {
        settle(test->rig);
        if (test->size - test->taken >= size)
            return true;
        if (test->room > 0 && (is_over(test) || !settle_outside(test->rig, deadline)))
            return false;
    }
}

static _Noreturn void
fail_difference(struct ss_test *test, const char *what, const void *wanted, size_t size)
{
    size_t held;
    const char *bytes = unread(test, &held);
    const char *came = keep_text(show_bytes(bytes, held));

    fail(test->rig, "%s\n  came:     %s\n  expected: %s", what, came,
         keep_text(show_bytes(wanted, size)));
}

static void
expect_stream(struct ss_test *test, const char *wanted, size_t size)
{
    char what[80] = "less came than was expected";
    size_t same = 0, held;
    bool enough = await_bytes(test, size);
    const char *came = unread(test, &held);

    while (same < held && same < size && came[same] == wanted[same])
        same++;
    if (same < held && same < size)
        (void)snprintf(what, sizeof(what), "what came differs from byte %zu on", same);
    else if (held == 0)
        (void)snprintf(what, sizeof(what), "nothing came");
    if (same < size || !enough)
        fail_difference(test, what, wanted, size);
    test->taken += size;
}

/* The next datagram; false: there is none. */
static bool
await_packet(struct ss_test *test, size_t *ret_size)
{
    int64_t deadline = patience_end();

    for (;;) {
        settle(test->rig);
        if (test->packets_taken < test->packet_count) {
            *ret_size = test->packets[test->packets_taken];
            return true;
        }
        if (!settle_outside(test->rig, deadline))
            return false;
    }
}

static void
expect_packet(struct ss_test *test, const char *wanted, size_t size)
{
    size_t came;

    if (!await_packet(test, &came))
        fail_difference(test, "no datagram came", wanted, size);
    if (came != size || memcmp(test->came + test->taken, wanted, size) != 0) {
        test->size = test->taken + came; /* those after it are not shown */
        fail_difference(test, "another datagram came", wanted, size);
    }
    test->taken += came;
    test->packets_taken++;
}

void
ss_test_expect_bytes(struct ss_test *test, const void *data, size_t size)
{
    need_client(test, "ss_test_expect");
    if (test->rig->stream)
        expect_stream(test, data, size);
    else
        expect_packet(test, data, size);
}

void
ss_test_expect(struct ss_test *test, const char *text)
{
    ss_test_expect_bytes(test, text, strlen(text));
}

/* A copy that the client keeps until the next one. */
static const char *
show(struct ss_test *test, const char *bytes, size_t size)
{
    free(test->shown);
    test->shown = must(test->rig, malloc(size + 1));
    memcpy(test->shown, bytes, size);
    test->shown[size] = '\0';
    return test->shown;
}

/* Waits for a whole line, which no datagram shares with the next: its size without its "\n". */
static size_t
await_line(struct ss_test *test, const char *pattern)
{
    for (size_t seen = 0;;) {
        bool more = test->rig->stream ? await_bytes(test, seen + 1) : await_packet(test, &seen);
        const char *bytes = unread(test, &seen);
        if (!test->rig->stream)
            seen = more ? test->packets[test->packets_taken] : 0;
        const char *end = seen > 0 ? memchr(bytes, '\n', seen) : NULL;
        if (end != NULL)
            return (size_t)(end - bytes);
        if (!more || !test->rig->stream)
            fail_difference(test, "no whole line came", pattern, strlen(pattern));
    }
}

const char *
ss_test_expect_line(struct ss_test *test, const char *pattern)
{
    size_t held;

    need_client(test, "ss_test_expect_line");
    size_t size = await_line(test, pattern);
    const char *bytes = unread(test, &held);
    size_t shown = size > 0 && bytes[size - 1] == '\r' ? size - 1 : size;
    const char *line = show(test, bytes, shown);
    if (fnmatch(pattern, line, 0) != 0)
        fail_difference(test, "the next line is another one", pattern, strlen(pattern));
    test->taken += size + 1;
    if (!test->rig->stream && (test->packets[test->packets_taken] -= size + 1) == 0)
        test->packets_taken++;
    return line;
}

void
ss_test_expect_nothing(struct ss_test *test)
{
    size_t held;

    need_client(test, "ss_test_expect_nothing");
    settle(test->rig);
    (void)unread(test, &held);
    if (held > 0 || test->packets_taken < test->packet_count)
        fail_difference(test, "something came", "", 0);
    if (test->rig->stream && is_over(test))
        fail(test->rig, "the request has ended");
}

void
ss_test_expect_end(struct ss_test *test)
{
    size_t held;

    need_client(test, "ss_test_expect_end");
    bool more = await_bytes(test, 1);
    (void)unread(test, &held);
    if (more || held > 0 || test->packets_taken < test->packet_count)
        fail_difference(test, "more came, instead of the end of the stream", "", 0);
    if (test->rig->stream && !test->ended && test->fd >= 0)
        fail(test->rig, "the connection is still open");
}

const char *
ss_test_take(struct ss_test *test, size_t *size)
{
    size_t held;

    need_client(test, "ss_test_take");
    settle(test->rig);
    const char *bytes = unread(test, &held);
    if (!test->rig->stream)
        held = test->packets_taken < test->packet_count ? test->packets[test->packets_taken++] : 0;
    const char *shown = show(test, bytes, held);
    test->taken += held;
    if (size != NULL)
        *size = held;
    return shown;
}

/* ---- how it ended ----------------------------------------------------------------- */

static const struct play *
need_play(const struct ss_test *test)
{
    if (test->play == NULL)
        fail(test->rig, "there is no request yet: send a datagram first");
    return test->play;
}

static const struct stage *
await_end(struct ss_test *test, const char *call)
{
    int64_t deadline = patience_end();

    need_client(test, call);
    settle(test->rig);
    const struct play *play = need_play(test);
    while (!play_has_ended(play) && settle_outside(test->rig, deadline))
        ;
    if (!play_has_ended(play))
        fail(test->rig, "the request has not ended");
    if (play->fate != NULL)
        fail(test->rig, "the request's process %s", play->fate);
    return play->stage;
}

void
ss_test_expect_outcome(struct ss_test *test, const char *pattern)
{
    const struct stage *stage = await_end(test, "ss_test_expect_outcome");

    if (fnmatch(pattern, stage->outcome, 0) != 0)
        fail(test->rig,
             "the request has ended in another way\n  came:     \"%s\"\n"
             "  expected: \"%s\"",
             stage->outcome, pattern);
}

static const char *
error_name(int error)
{
    return error == 0 ? "0" : strerrorname_np(-error) != NULL ? strerrorname_np(-error) : "?";
}

void
ss_test_expect_error(struct ss_test *test, int error)
{
    const struct stage *stage = await_end(test, "ss_test_expect_error");
    int result = stage->setup_result < 0 ? stage->setup_result : stage->handle_result;

    if ((result < 0 ? result : 0) != error)
        fail(test->rig,
             "the hooks have returned something else\n  came:     %d (-%s)\n"
             "  expected: %d (-%s)",
             result, error_name(result), error, error_name(error));
}

void
ss_test_expect_calls(struct ss_test *test, const char *hook, unsigned count)
{
    static const char *const names[HOOK_COUNT] = {"verify_request", "setup", "handle", "finish",
                                                  "handle_error"};
    const struct stage *stage = await_end(test, "ss_test_expect_calls");

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], hook) != 0)
            continue;
        unsigned calls = atomic_load(&stage->calls[i]);
        if (calls != count)
            fail(test->rig, "%s was called %u times, and %u were expected", hook, calls, count);
        return;
    }
    fail(test->rig, "\"%s\" is no hook of a request", hook);
}

void
ss_test_expect_log(struct ss_test *test, const char *text)
{
    struct rig *rig = test->rig;

    need_start(test, "ss_test_expect_log");
    settle(rig);
    log_collect(rig);
    const char *found = rig->log != NULL ? strstr(rig->log + rig->log_taken, text) : NULL;
    if (found == NULL)
        fail(rig, "nothing of this was logged%s: \"%s\"", rig->log_taken > 0 ? " since" : "", text);
    else
        rig->log_taken = (size_t)(found - rig->log) + strlen(text);
}

void
ss_test_fail(struct ss_test *test, const char *message)
{
    test->rig->call = "ss_test_check";
    fail(test->rig, "%s", message);
}

/* ---- the beginning and the end ---------------------------------------------------- */

void
ss_test_expect_refused(struct ss_test *test, const char *text)
{
    struct rig *rig = test->rig;

    rig->call = "ss_test_expect_refused";
    if (rig->started || rig_start(rig) == 0)
        fail(rig, "the plugin starts");
    free(rig->mistakes); /* it is the rig's, because fail() does not return */
    rig->mistakes = errors_join(&rig->errors);
    if (rig->mistakes == NULL || strstr(rig->mistakes, text) == NULL)
        fail(rig, "other mistakes were told\n%s  expected: %s", rig->mistakes, text);
}

static void
free_clients(struct rig *rig)
{
    while (rig->clients != NULL) {
        struct ss_test *client = rig->clients;
        rig->clients = client->next;
        free(client->came);
        free(client->packets);
        free(client->shown);
        free(client);
    }
}

static void
close_clients(struct rig *rig)
{
    settle(rig);
    for (struct ss_test *client = rig->clients; client != NULL; client = client->next) {
        if (client->fd >= 0)
            (void)close(client->fd);
        client->fd = -1;
        if (client->play != NULL)
            client->play->client = NULL;
    }
    settle(rig);
}

/* Returns what was wrong with the first of them with which something was; or NULL. */
static char *
end_requests(struct rig *rig)
{
    int64_t deadline = patience_end();

    close_clients(rig);
    if (plays_active(rig) > 0)
        cut_all(rig);
    while (plays_active(rig) > 0 && settle_outside(rig, deadline))
        ;
    if (plays_active(rig) > 0)
        fail(rig, "a request goes on although it was cut");
    for (struct play *play = rig->plays; play != NULL; play = play->next)
        play->let_go = true;
    plays_sweep(rig);
    char *problem = rig->problem;
    rig->problem = NULL;
    return problem;
}

/* Nobody can free the rig after this. */
static _Noreturn void
fail_last(struct rig *rig, char *problem)
{
    static struct rig last;

    log_collect(rig);
    free(last.log);
    last = (struct rig){.file = rig->file,
                        .line = rig->line,
                        .call = rig->call,
                        .log = rig->log,
                        .log_size = rig->log_size};
    rig->log = NULL;
    rig_free(rig);
    fail(&last, "%s", keep_text(problem));
}

void
ss_test_done(struct ss_test *test)
{
    struct rig *rig = test->rig;

    rig->call = "ss_test_done";
    char *problem = rig->started ? end_requests(rig) : NULL;
    char *left = rig_stop(rig);
    free_clients(rig);
    if (problem == NULL)
        problem = left;
    else
        free(left);
    if (problem != NULL)
        fail_last(rig, problem);
    rig_free(rig);
}

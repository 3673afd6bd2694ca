/* SPDX-License-Identifier: MIT */
/*
 * test_reload_load.c - reloads while clients ask all the while
 *
 * TORTURE=1 in the environment: the long form.
 */
#include "reload_fixture.h"

#include "support/load.h"
#include "support/proc.h"

#define RELOADS_MAX 100

static bool
long_form(void)
{
    return getenv("TORTURE") != NULL;
}

static const struct server_case matrix[] = {
    {"tcp", "none"},     {"tcp", "threading"},  {"tcp", "forking"},      {"tcp", "coroutine"},
    {"udp", "none"},     {"udp", "threading"},  {"udp", "coroutine"},    {"unix", "none"},
    {"unix", "forking"}, {"unix", "coroutine"}, {"unixgram", "forking"}, {"unixgram", "threading"},
};
#define LISTENERS (sizeof matrix / sizeof matrix[0])

struct reloads {
    size_t count;
    double began[RELOADS_MAX], done[RELOADS_MAX];
};

/* Build 'a' first, then 'b' after reload 0, 'a' after reload 1 ... */
static char
build_after(size_t reloads)
{
    return reloads % 2 == 0 ? 'a' : 'b';
}

/* No answer that began after a reload was done comes from the build before it. */
static void
expect_right_builds(const struct load *load, const struct reloads *reloads)
{
    const struct load_entry *history;
    size_t size = load_history(load, &history);

    for (size_t i = 0; i < size; i++) {
        const struct load_entry *entry = &history[i];
        size_t done = 0, begun = 0;

        while (done < reloads->count && reloads->done[done] < entry->began)
            done++;
        while (begun < reloads->count && reloads->began[begun] < entry->ended)
            begun++;
        if (begun == done && entry->build != build_after(done))
            fail_msg("an answer of build %c, begun %.3f s after reload %zu to build %c",
                     entry->build, entry->began - reloads->done[done - 1], done, build_after(done));
    }
}

static const char *
all_listeners(void)
{
    const char *plugin = test_path("build.so"), *text = "";

    for (size_t i = 0; i < LISTENERS; i++)
        text = text_of(
            "%s%s", text,
            listener_text(text_of("l%zu", i), matrix[i].scheme, matrix[i].mixin, plugin, ""));
    return text;
}

static void
reload_under_load(struct daemon *daemon, struct reloads *reloads, struct load **loads)
{
    size_t fds = 0, memory = 0;

    for (size_t i = 0; i < reloads->count; i++) {
        if (i == 4) { /* what is allocated once has been */
            memory = proc_memory_kib(daemon_pid(daemon));
            fds = proc_fd_count(daemon_pid(daemon));
        }
        (void)install_build(build_after(i + 1));
        reloads->began[i] = clock_now();
        reload(daemon);
        reloads->done[i] = clock_now();
        load_wait_more(loads[i % LISTENERS], 3);
    }
    WAIT_UNTIL(proc_fd_count(daemon_pid(daemon)) <= fds);
    if (!SANITIZED && proc_memory_kib(daemon_pid(daemon)) > memory + 512)
        fail_msg("the supervisor has grown from %zu to %zu KiB", memory,
                 proc_memory_kib(daemon_pid(daemon)));
}

static void
reloads_lose_nobody_and_bring_the_new_build(void **state)
{
    struct reloads reloads = {.count = long_form() ? RELOADS_MAX : 8};
    struct load *loads[LISTENERS];
    struct daemon *daemon;

    (void)state;
    (void)install_build('a');
    daemon = SERVE("listeners = {\n%s};", all_listeners());
    for (size_t i = 0; i < LISTENERS; i++)
        loads[i] = load_start(daemon_address(daemon, text_of("l%zu", i)), 1, "");
    reload_under_load(daemon, &reloads, loads);
    for (size_t i = 0; i < LISTENERS; i++)
        load_wait_more(loads[i], reloads.count);
    for (size_t i = 0; i < LISTENERS; i++)
        load_stop(loads[i]);
    for (size_t i = 0; i < LISTENERS; i++) {
        load_expect_answered(loads[i], reloads.count);
        expect_right_builds(loads[i], &reloads);
    }
    daemon_expect_stop(daemon);
}

/* Another mixin sets other modes on the same socket. */
static void
mixins_may_change_under_load(void **state)
{
    static const char *const mixins[] = {"none", "coroutine", "threading", "forking", "coroutine"};
    const char *scheme = *state;
    struct daemon *daemon;
    struct load *load;

    daemon =
        SERVE("listeners = {\n%s};", listener_text("test", scheme, "forking", "good_command", ""));
    load = load_start(daemon_address(daemon, "test"), 3, "echo ");
    for (size_t i = 0; i < sizeof mixins / sizeof mixins[0]; i++) {
        REWRITE("listeners = {\n%s};",
                listener_text("test", scheme, mixins[i], "good_command", ""));
        reload(daemon);
        load_wait_more(load, 20);
    }
    load_stop(load);
    load_expect_answered(load, 100);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(reloads_lose_nobody_and_bring_the_new_build),
          TEST_ROW(mixins_may_change_under_load, "tcp", "tcp"),
          TEST_ROW(mixins_may_change_under_load, "udp", "udp"))

/* SPDX-License-Identifier: MIT */
/*
 * breaks.c - breaks a plugin's conversations at each place, in each way
 *
 *     plugin_breaks [-o NAME=VALUE]... [--set KEY=VALUE]... [--check CHECK] [--most N]
 *                   [--only stream | server] [--keeps descriptors] PLUGIN.so FOLDER
 *
 * Each file in FOLDER is what a client sends. Up to each of its bytes the client is reset, closes,
 * says that it is done, or is silent for hours; a drain begins there, and ends there; a signal
 * comes; at each byte of the answer the connection breaks, or the client takes no more. Whatever
 * happens, the request ends, finish is called, and no descriptor is left open: the library sees to
 * that. If nothing is broken, but comes byte by byte, between signals, or leaves by short
 * writes, the answer is the same as without (--check exact), as long (size), or not looked at
 * (none), or it has no end (endless). --only server is for a plugin that can be started only once
 * in a process: there are no drains then. --most is how many places are tried.
 */
#include <dirent.h>
#include <sockserver/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOURS   7200.0 /* seconds: longer than any wait of the plugins */
#define LARGEST 65536
#define OPTIONS 32

static struct {
    char *pairs[OPTIONS]; /* NAME=VALUE */
    bool keys[OPTIONS];   /* of the listener, not the plugin */
    size_t pair_count;
    const char *plugin, *check, *mixin;
    size_t most;
    unsigned transports;
    bool keeps, single;
} job = {.check = "exact", .most = 150, .transports = SS_STREAM | SS_DATAGRAM};

static struct {
    const char *name;
    char bytes[LARGEST];
    size_t size;
    char answer[LARGEST * 16];
    size_t answer_size;
} sample;

static size_t cases;

/* ---- the plugin, as it was asked for ---------------------------------------------------- */

static struct ss_test *
begin(const char *address)
{
    struct ss_test *test = ss_test_load(job.plugin);

    for (size_t i = 0; i < job.pair_count; i++) {
        char name[64];
        const char *value = strchr(job.pairs[i], '=');
        (void)snprintf(name, sizeof(name), "%.*s", (int)(value - job.pairs[i]), job.pairs[i]);
        if (job.keys[i])
            ss_test_set(test, name, value + 1);
        else
            ss_test_option(test, name, value + 1);
    }
    if (job.keeps)
        ss_test_keeps_descriptors(test);
    ss_test_set(test, "mixin", job.mixin);
    if (address != NULL)
        ss_test_set(test, "address", address);
    return test;
}

/* The next request of the same client. */
static void
again(struct ss_test *test)
{
    ss_test_pieces(test, 0);
    ss_test_short_writes(test, 0);
    ss_test_break_after(test, SIZE_MAX);
    ss_test_hold(test, false);
    ss_test_connect(test);
    cases++;
}

/* Whatever was done to it, it ends by itself. */
static void
expect_over(struct ss_test *test)
{
    ss_test_hold(test, false);
    ss_test_pause(test, HOURS);
    ss_test_expect_outcome(test, "*");
    (void)ss_test_take(test, NULL);
}

static void
expect_answer(struct ss_test *test, const char *how)
{
    size_t size;

    ss_test_shutdown(test);
    if (strcmp(job.check, "none") == 0) {
        expect_over(test);
        return;
    }
    ss_test_expect_outcome(test, "*");
    const char *answer = ss_test_take(test, &size);
    if (size != sample.answer_size ||
        (strcmp(job.check, "exact") == 0 && memcmp(answer, sample.answer, size) != 0)) {
        (void)fprintf(stderr, "%s, %s, %s: the answer has %zu bytes, not these %zu: \"%.*s\"\n",
                      sample.name, job.mixin, how, size, sample.answer_size, (int)size, answer);
        abort();
    }
}

/* ---- at each byte of what comes ----------------------------------------------------------- */

static void
just_reset(struct ss_test *test)
{
    ss_test_reset(test);
}

static void
just_close(struct ss_test *test)
{
    ss_test_close(test);
}

static void
just_shut_down(struct ss_test *test)
{
    ss_test_shutdown(test);
}

static void
be_silent(struct ss_test *test)
{
    (void)test; /* expect_over() lets time go by */
}

static void
hold(struct ss_test *test)
{
    ss_test_hold(test, true);
    ss_test_send_bytes(test, sample.bytes, sample.size);
    ss_test_pause(test, HOURS);
}

static void
wake(struct ss_test *test)
{
    ss_test_wake(test);
    ss_test_shutdown(test);
}

static void (*const breaks[])(struct ss_test *test) = {just_reset, just_close, just_shut_down,
                                                       be_silent,  hold,       wake};

static size_t
step_over(size_t size)
{
    return size / job.most + 1;
}

static void
break_input(struct ss_test *test)
{
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++)
        for (size_t at = 0; at <= sample.size; at += step_over(sample.size)) {
            again(test);
            ss_test_send_bytes(test, sample.bytes, at);
            breaks[i](test);
            expect_over(test);
        }
}

/* A drain ends the plugin, so each takes a new one. */
static void
break_by_drains(void)
{
    for (size_t at = 0; at <= sample.size; at += step_over(sample.size) * 4) {
        struct ss_test *test = begin(NULL);
        ss_test_send_bytes(test, sample.bytes, at);
        ss_test_drain(test);
        ss_test_send_bytes(test, sample.bytes + at, sample.size - at);
        if (at % 2 == 0)
            ss_test_cut(test);
        expect_over(test);
        ss_test_done(test);
        cases++;
    }
}

/* ---- at each byte of the answer -------------------------------------------------------------- */

static void
break_output(struct ss_test *test)
{
    for (size_t at = 0; at <= sample.answer_size; at += step_over(sample.answer_size)) {
        again(test);
        ss_test_break_after(test, at);
        ss_test_send_bytes(test, sample.bytes, sample.size);
        ss_test_shutdown(test);
        expect_over(test);
    }
}

/* ---- what must change nothing -------------------------------------------------------------------
 */

static void
interrupt_each_byte(struct ss_test *test)
{
    for (size_t at = 0; at < sample.size; at++) {
        ss_test_send_bytes(test, sample.bytes + at, 1);
        ss_test_interrupt(test);
    }
}

static void
change_nothing(struct ss_test *test)
{
    again(test);
    ss_test_pieces(test, 1);
    ss_test_send_bytes(test, sample.bytes, sample.size);
    expect_answer(test, "byte by byte");
    again(test);
    ss_test_short_writes(test, 1);
    ss_test_send_bytes(test, sample.bytes, sample.size);
    expect_answer(test, "by short writes");
    again(test);
    interrupt_each_byte(test);
    expect_answer(test, "between signals");
}

static void
learn_answer(struct ss_test *test)
{
    ss_test_connect(test);
    ss_test_send_bytes(test, sample.bytes, sample.size);
    ss_test_shutdown(test);
    if (strcmp(job.check, "exact") != 0)
        ss_test_pause(test, HOURS);
    ss_test_expect_outcome(test, "*");
    const char *answer = ss_test_take(test, &sample.answer_size);
    if (sample.answer_size > sizeof(sample.answer))
        sample.answer_size = sizeof(sample.answer);
    memcpy(sample.answer, answer, sample.answer_size);
}

static void
try_stream(const char *mixin)
{
    job.mixin = mixin;
    struct ss_test *test = begin(NULL);
    learn_answer(test);
    if (strcmp(job.check, "endless") != 0)
        change_nothing(test);
    break_input(test);
    if (strcmp(job.check, "endless") != 0)
        break_output(test);
    ss_test_done(test);
    if (!job.single)
        break_by_drains();
}

/* Each beginning of it is a datagram. */
static void
try_datagram(void)
{
    job.mixin = "none";
    struct ss_test *test = begin("unixgram:@breaks");
    for (size_t at = 0; at <= sample.size; at += step_over(sample.size)) {
        ss_test_send_bytes(test, sample.bytes, at);
        expect_over(test);
        cases++;
    }
    ss_test_done(test);
}

/* ---- the command line
 * ------------------------------------------------------------------------------ */

static unsigned
transports_of(void)
{
    struct ss_test *test = ss_test_load(job.plugin);
    unsigned transports = ss_test_plugin(test)->transports & job.transports;

    ss_test_done(test);
    return transports;
}

static unsigned
mixins_of(void)
{
    struct ss_test *test = ss_test_load(job.plugin);
    unsigned mixins = ss_test_plugin(test)->mixins;

    ss_test_done(test);
    return mixins;
}

static void
try_sample(const char *folder, const char *name)
{
    char path[4096];
    unsigned transports = transports_of();

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "plugin_breaks: cannot read %s\n", path);
        exit(1);
    }
    sample.name = path;
    sample.size = fread(sample.bytes, 1, sizeof(sample.bytes), file);
    (void)fclose(file);
    if (transports & SS_STREAM) {
        size_t most = job.most;
        try_stream((mixins_of() & SS_COROUTINE) ? "coroutine" : "none");
        job.most = most / 5 + 1;
        if (!job.single && (mixins_of() & SS_ONE_PROCESS) == 0)
            try_stream("forking");
        job.most = most;
    }
    if (transports & SS_DATAGRAM)
        try_datagram();
}

static int
read_arguments(int argc, char **argv)
{
    int i = 1;

    for (; i + 2 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--check") == 0) {
            job.check = argv[i + 1];
        } else if (strcmp(argv[i], "--most") == 0) {
            job.most = (size_t)atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--keeps") == 0) {
            job.keeps = true;
        } else if (strcmp(argv[i], "--only") == 0) {
            job.transports = SS_STREAM;
            job.single = strcmp(argv[i + 1], "server") == 0;
        } else if (strcmp(argv[i], "--whole") == 0) {
            continue; /* fuzzing only */
        } else if (job.pair_count < OPTIONS) {
            job.keys[job.pair_count] = strcmp(argv[i], "--set") == 0;
            job.pairs[job.pair_count++] = argv[i + 1];
        }
    }
    return i;
}

int
main(int argc, char **argv)
{
    int i = read_arguments(argc, argv);
    struct dirent **entries = NULL;

    if (i + 2 != argc) {
        (void)fprintf(stderr, "usage: see tests/plugin_tests/breaks.c\n");
        return 64;
    }
    job.plugin = argv[i];
    int count = scandir(argv[i + 1], &entries, NULL, alphasort);
    for (int j = 0; j < count; j++) {
        if (entries[j]->d_name[0] != '.')
            try_sample(argv[i + 1], entries[j]->d_name);
        free(entries[j]);
    }
    free(entries);
    (void)printf("%zu conversations were broken\n", cases);
    return cases > 0 ? 0 : 1;
}

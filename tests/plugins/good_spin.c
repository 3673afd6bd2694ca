/* SPDX-License-Identifier: MIT */
/*
 * good_spin.c - handlers and hooks that spin, and crashes of every kind
 *
 * A request is one line, or one datagram:
 *
 *     pid           the process's id
 *     spin          computes for ever
 *     log           the same, and logs all the time
 *     compute S     computes for S seconds of processor time, then "ok"
 *     lines         echoes lines, and ends at an error: not at the end of the stream
 *     stubborn      the same, and does not even end at an error
 *     look          waits for the client by ss_wait() and does not read
 *     nap           waits for ever in a poll() of its own
 *     pieces S      sleeps in many short pieces, S seconds in all, then "ok"
 *     CRASH         segv, fpe, abort, bus or library (a fault in a function of libc)
 *
 * The option `hook` names a hook of the server that spins, once `spins` exists
 * as a file.
 *
 * Runs in:  every kind of context there is.
 * Owns:     nothing.
 * Failures: on purpose.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const struct ss_option good_spin_options[] = {
    {"hook", SS_STRING, .fallback = "", .help = "the hook that spins"},
    {"spins", SS_STRING, .fallback = "", .help = "the file: without it no hook spins"},
    {0},
};

SS_PLUGIN(.name = "good_spin", .summary = "spins and crashes",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = good_spin_options)

/* A name of its own, which is in no table for the linker. */
__attribute__((noinline)) static int
spin_for_ever(void)
{
    volatile unsigned turns = 1;

    while (turns != 0)
        turns |= 1;
    return 0;
}

static double
processor_time(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int
compute(struct ss_request *request, double seconds)
{
    double until = processor_time() + seconds;

    while (processor_time() < until)
        ;
    return ss_printf(request, "ok\n");
}

__attribute__((noinline)) static int
log_for_ever(void)
{
    volatile unsigned turns = 1;

    while (turns != 0)
        ss_log(LOG_INFO, "still nothing");
    return 0;
}

static int
echo_lines(struct ss_request *request, bool stubborn)
{
    char *line;

    for (;;) {
        ssize_t size = ss_readline(request, &line);
        if (size < 0 && !stubborn)
            return (int)size;
        if (size > 0)
            (void)ss_write(request, line, (size_t)size);
    }
}

static int
look(struct ss_request *request)
{
    int result = 0;

    while (result >= 0)
        result = ss_wait(request, ss_fd(request), POLLIN, 1);
    return result;
}

static int
sleep_in_pieces(struct ss_request *request, double seconds)
{
    for (double slept = 0; slept < seconds; slept += 0.0005)
        (void)usleep(500);
    return ss_printf(request, "ok\n");
}

__attribute__((noinline)) static int
crash(const char *how)
{
    volatile int zero = 0;
    volatile uintptr_t nowhere = 64;

    if (!strcmp(how, "segv"))
        *(volatile int *)nowhere = 1;
    if (!strcmp(how, "fpe"))
        return 1000 / zero;
    if (!strcmp(how, "bus")) {
        FILE *file = tmpfile();
        volatile char *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fileno(file), 0);
        return page[0];
    }
    if (!strcmp(how, "library"))
        return (int)strlen((const char *)nowhere);
    abort();
}

static int
obey(struct ss_request *request, const char *line)
{
    double seconds = strchr(line, ' ') == NULL ? 0 : atof(strchr(line, ' '));

    if (!strcmp(line, "pid"))
        return ss_printf(request, "%d\n", (int)getpid());
    if (!strcmp(line, "spin"))
        return spin_for_ever();
    if (!strcmp(line, "log"))
        return log_for_ever();
    if (!strcmp(line, "lines") || !strcmp(line, "stubborn"))
        return echo_lines(request, line[0] == 's');
    if (!strcmp(line, "look"))
        return look(request);
    if (!strcmp(line, "nap"))
        return poll(NULL, 0, -1);
    if (!strncmp(line, "compute ", 8))
        return compute(request, seconds);
    if (!strncmp(line, "pieces ", 7))
        return sleep_in_pieces(request, seconds);
    return crash(line);
}

int
handle(struct ss_request *request)
{
    char copy[64];
    size_t packet;
    char *line;

    if (ss_packet(request, &packet) == NULL) {
        for (;;) {
            ssize_t size = ss_readline(request, &line);
            if (size <= 0)
                return (int)size;
            (void)snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
            int result = obey(request, copy);
            if (result < 0)
                return result;
        }
    }
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)packet,
                   (const char *)ss_packet(request, &packet));
    copy[strcspn(copy, "\n")] = '\0';
    return obey(request, copy);
}

static void
spin_in(struct ss_server *server, const char *hook)
{
    if (!strcmp(ss_option_string(server, "hook"), hook) &&
        access(ss_option_string(server, "spins"), F_OK) == 0) {
        (void)unlink(ss_option_string(server, "spins"));
        (void)spin_for_ever();
    }
}

void
service_actions(struct ss_server *server)
{
    spin_in(server, "service_actions");
}

bool
verify_request(struct ss_request *request)
{
    spin_in(ss_server(request), "verify_request");
    return true;
}

void
finish(struct ss_request *request)
{
    spin_in(ss_server(request), "finish");
}

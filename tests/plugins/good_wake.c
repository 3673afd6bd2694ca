/* SPDX-License-Identifier: MIT */
/*
 * good_wake.c - a plugin whose requests wake each other
 *
 * One command a line, on a connection or in a datagram. Requests know each other by a letter.
 *
 *   join L            joined: this request is L from now on
 *   wake L            woke: whoever is L, or was it last
 *   self              self: wakes this request, twice
 *   wait KIND S       waiting, then KIND RESULT. Of the kinds, sleep is ss_sleep(), input is
 *                     ss_wait_input(), pipe is ss_wait() for a pipe, client is ss_wait() for
 *                     SS_CLIENT. poll is ss_poll() for both, urgent the same for the client's
 *                     POLLPRI; both tell its revents, too
 *   collect N         collecting, then N lines of the client's own, whoever wakes it meanwhile, and
 *                     "collected N"
 *   bounce L M N      bounced N: this request is L, gives a token to M and waits until it is back,
 *                     so many times; M runs "bounce M L N"
 *   thread N          thread N: the same with a thread of the plugin's
 *   pester            pestered: from now on a thread wakes all requests that have ended
 *   quiet N           quiet: so many short sleeps, none of which was disturbed
 *   timeouts R W      timeouts RESULT of ss_set_timeouts()
 *   read              read RESULT of ss_read()
 *
 * Runs in:  handlers, and threads of its own.
 * Owns:     a table of handles for each process.
 * Failures: "lost" and where, if a wake-up is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sockserver/plugin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LETTERS 26
#define PAST    64  /* handles of requests that have ended */
#define LIMIT   120 /* seconds: what takes longer was lost */

SS_PLUGIN(.name = "good_wake", .summary = "its requests wake each other",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

static _Atomic(struct ss_waker *) named[LETTERS], past[PAST];
static _Atomic unsigned past_count;
static atomic_int token[LETTERS * LETTERS]; /* of the pair: whose turn it is, as a letter */
static atomic_bool pestering, closing;
static pthread_t pest;

static int
letter(char name)
{
    return (name - 'a' + LETTERS) % LETTERS;
}

/* ---- waking --------------------------------------------------------------------------------- */

static int
join(struct ss_request *request, const char *name)
{
    atomic_store(&named[letter(*name)], ss_waker(request));
    return ss_printf(request, "joined\n");
}

static int
wake(struct ss_request *request, const char *name)
{
    ss_wake(atomic_load(&named[letter(*name)]));
    return ss_printf(request, "woke\n");
}

static int
wake_self(struct ss_request *request, const char *argument)
{
    struct ss_waker *waker = ss_waker(request);

    (void)argument;
    ss_wake(waker);
    ss_wake(waker);
    return ss_printf(request, waker == ss_waker(request) ? "self\n" : "another one\n");
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int
wait_for_pipe(struct ss_request *request, double seconds, struct pollfd *client)
{
    int pipes[2], result;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    struct pollfd fds[2] = {{.fd = pipes[0], .events = POLLIN}};
    if (client == NULL) {
        result = ss_wait(request, pipes[0], POLLIN, seconds);
    } else {
        fds[1] = *client;
        result = ss_poll(request, fds, 2, seconds);
        *client = fds[1];
    }
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return result;
}

static int
wait_well(struct ss_request *request, const char *argument)
{
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char kind[16] = "";
    double seconds = 0;
    int result = -EINVAL;

    (void)sscanf(argument, "%15s %lf", kind, &seconds);
    (void)ss_printf(request, "waiting\n");
    if (!strcmp(kind, "sleep"))
        result = ss_sleep(request, seconds);
    else if (!strcmp(kind, "input"))
        result = ss_wait_input(request, seconds);
    else if (!strcmp(kind, "client"))
        result = ss_wait(request, SS_CLIENT, POLLIN, seconds);
    else if (!strcmp(kind, "pipe"))
        result = wait_for_pipe(request, seconds, NULL);
    else if (!strcmp(kind, "poll"))
        result = wait_for_pipe(request, seconds, &client);
    else if (!strcmp(kind, "urgent")) {
        client.events = POLLPRI;
        result = wait_for_pipe(request, seconds, &client);
    }
    if (result > 0 && (!strcmp(kind, "poll") || !strcmp(kind, "urgent")))
        return ss_printf(request, "%s %d: %d\n", kind, result, client.revents);
    return ss_printf(request, "%s %d\n", kind, result);
}

static int
collect(struct ss_request *request, const char *argument)
{
    long count = strtol(argument, NULL, 10), got = 0;
    struct pollfd client = {.fd = SS_CLIENT, .events = POLLIN};
    char *line;

    (void)ss_printf(request, "collecting\n");
    while (got < count) {
        int result = got % 3 == 0   ? ss_wait_input(request, -1)
                     : got % 3 == 1 ? ss_poll(request, &client, 1, -1)
                                    : ss_wait(request, SS_CLIENT, POLLIN, -1);
        if (result == -EINTR)
            continue;
        ssize_t size = result > 0 ? ss_readline(request, &line) : result;
        if (size <= 0)
            return ss_printf(request, "lost after %ld: %zd\n", got, size);
        if (strtol(line, NULL, 10) != got)
            return ss_printf(request, "lost: %s instead of %ld\n", line, got);
        got++;
    }
    return ss_printf(request, "collected %ld\n", got);
}

/* ---- back and forth ------------------------------------------------------------------------- */

/* Waits for its turn, however often it is woken. False: it was lost. */
static bool
await_turn(struct ss_request *request, atomic_int *turn, int own)
{
    while (atomic_load(turn) != own)
        if (ss_sleep(request, LIMIT) != -EINTR)
            return atomic_load(turn) == own;
    return true;
}

static int
bounce(struct ss_request *request, const char *argument)
{
    char own_name = 'a', other_name = 'b';
    int rounds = 0;

    (void)sscanf(argument, "%c %c %d", &own_name, &other_name, &rounds);
    int own = letter(own_name), other = letter(other_name);
    bool first = own < other;
    atomic_int *turn = &token[first ? own * LETTERS + other : other * LETTERS + own];
    atomic_store(&named[own], ss_waker(request));
    if (first)
        atomic_store(turn, own);
    for (int i = 0; i < rounds; i++) {
        if (!await_turn(request, turn, own))
            return ss_printf(request, "lost in round %d\n", i);
        atomic_store(turn, other);
        while (atomic_load(&named[other]) == NULL) /* it has not begun */
            (void)ss_sleep(request, 0.001);
        ss_wake(atomic_load(&named[other]));
    }
    return ss_printf(request, "bounced %d\n", rounds);
}

struct partner {
    struct ss_waker *waker;
    int rounds;
    atomic_int turn; /* 0: the request's; 1: the thread's; -1: the request has given up */
};

static void *
partner_main(void *argument)
{
    struct partner *partner = argument;

    for (int i = 0; i < partner->rounds; i++) {
        int turn;
        while ((turn = atomic_load(&partner->turn)) == 0)
            (void)sched_yield();
        if (turn < 0)
            break;
        atomic_store(&partner->turn, 0);
        ss_wake(partner->waker);
    }
    return NULL;
}

static int
bounce_with_thread(struct ss_request *request, const char *argument)
{
    struct partner partner = {.waker = ss_waker(request), .rounds = atoi(argument), .turn = 1};
    pthread_t thread;
    int done = 0;

    if (pthread_create(&thread, NULL, partner_main, &partner) != 0)
        return ss_printf(request, "no thread\n");
    while (done < partner.rounds && await_turn(request, &partner.turn, 0)) {
        done++;
        atomic_store(&partner.turn, done < partner.rounds ? 1 : -1);
    }
    atomic_store(&partner.turn, -1);
    (void)pthread_join(thread, NULL);
    return ss_printf(request, done == partner.rounds ? "thread %d\n" : "lost in round %d\n", done);
}

/* ---- those that have ended ------------------------------------------------------------------ */

static void *
pester_main(void *argument)
{
    (void)argument;
    while (!atomic_load(&closing)) {
        for (unsigned i = 0; i < PAST; i++)
            ss_wake(atomic_load(&past[i]));
        (void)sched_yield();
    }
    return NULL;
}

static int
pester(struct ss_request *request, const char *argument)
{
    (void)argument;
    if (!atomic_exchange(&pestering, true) && pthread_create(&pest, NULL, pester_main, NULL) != 0)
        return ss_printf(request, "no thread\n");
    return ss_printf(request, "pestered\n");
}

static int
stay_quiet(struct ss_request *request, const char *argument)
{
    struct ss_waker *waker = ss_waker(request);

    for (int i = atoi(argument); i > 0; i--) {
        int result = ss_sleep(request, 0.0005);
        if (result != 0)
            return ss_printf(request, "disturbed: %d\n", result);
    }
    ss_set_data(request, waker);
    return ss_printf(request, "quiet\n");
}

void
finish(struct ss_request *request)
{
    struct ss_waker *waker = ss_data(request);

    if (waker == NULL)
        return;
    /* It has not ended yet: one wake may still come to it. */
    atomic_store(&past[atomic_fetch_add(&past_count, 1) % PAST], waker);
}

void
server_close(struct ss_server *server)
{
    (void)server;
    atomic_store(&closing, true);
    if (atomic_load(&pestering))
        (void)pthread_join(pest, NULL);
}

/* ---- timeouts ------------------------------------------------------------------------------- */

static int
set_timeouts(struct ss_request *request, const char *argument)
{
    char read[16] = "", write[16] = "";

    (void)sscanf(argument, "%15s %15s", read, write);
    return ss_printf(request, "timeouts %d\n",
                     ss_set_timeouts(request, strtod(read, NULL), strtod(write, NULL)));
}

static int
read_some(struct ss_request *request, const char *argument)
{
    char bytes[100];

    (void)argument;
    ssize_t got = ss_read(request, bytes, sizeof(bytes));
    return ss_printf(request, "read %zd\n", got);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static const struct command {
    const char *name;
    int (*run)(struct ss_request *request, const char *argument);
} commands[] = {
    {"join", join},
    {"wake", wake},
    {"self", wake_self},
    {"wait", wait_well},
    {"collect", collect},
    {"bounce", bounce},
    {"thread", bounce_with_thread},
    {"pester", pester},
    {"quiet", stay_quiet},
    {"timeouts", set_timeouts},
    {"read", read_some},
};

static int
obey(struct ss_request *request, char *line)
{
    char *argument = strchr(line, ' ');

    line[strcspn(line, "\n")] = '\0';
    if (argument != NULL)
        *argument++ = '\0';
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (!strcmp(commands[i].name, line))
            return commands[i].run(request, argument == NULL ? "" : argument);
    return ss_printf(request, "unknown %s\n", line);
}

int
handle(struct ss_request *request)
{
    ssize_t size;
    char *line;

    while ((size = ss_readline(request, &line)) > 0) {
        char *copy = strdup(line);
        int result = copy == NULL ? -ENOMEM : obey(request, copy);
        free(copy);
        if (result < 0)
            return result;
    }
    return (int)size;
}

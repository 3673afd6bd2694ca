/* SPDX-License-Identifier: MIT */
/*
 * spin.c - finding handlers that use the processor and never wait
 *
 * A request costs nothing for it: the housekeeping looks now and then at the
 * processor time of each context that runs one, and only of those that have
 * used much it asks the kernel whether they have waited. A context that has used
 * spin_limit without a wait is asked, by a signal, where it is; then its request
 * is cut. If it spins on, its child is killed, or its worker replaced.
 *
 * Runs in:  the thread that does the housekeeping; spin_check(), sighting_write()
 *           and spin_answer() in signal handlers, too.
 * Owns:     the watches, one for each slot.
 * Failures: without memory nobody is watched; without /proc nobody is taken for
 *           one that spins.
 */
#include "worker/request/spin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/plugin/place.h"
#include "worker/request/exec.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"

#define SECOND         1000000000ll
#define SHORTEST_LOOK  20000000ll /* ns between two */
#define LONGEST_LOOK   SECOND
#define LONGEST_GRACE  (5 * SECOND)
#define ANSWER_TIMEOUT SECOND       /* a thread that has not said where it is never will */
#define PINGS          (2 * SECOND) /* the supervisor's wake the housekeeping so often */
#define WAIT_SHARE     100          /* of its processor time: less is not a wait */

_Static_assert(sizeof(((struct sighting *)NULL)->place) == PLACE_SIZE, "a place fits");

/* ---- measuring ------------------------------------------------------------------------ */

/* The kernel's own numbers of other threads' clocks, which are glibc's, too. */
static clockid_t
clock_of(pid_t process, pid_t thread)
{
    unsigned id = ~(unsigned)(process == getpid() ? thread : process);

    return (clockid_t)(id << 3 | (process == getpid() ? 6u : 2u));
}

static int64_t
processor_time(clockid_t clock)
{
    struct timespec time;

    return clock_gettime(clock, &time) < 0 ? -1 : time.tv_sec * SECOND + time.tv_nsec;
}

static ssize_t
read_task_file(pid_t process, pid_t thread, const char *name, char *buffer, size_t size)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)process, (int)thread, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, buffer, size - 1);
    buffer[got < 0 ? 0 : got] = '\0';
    return got;
}

/* The number that follows the text; -1: there is none. */
static int64_t
number_after(const char *buffer, const char *text)
{
    const char *at = strstr(buffer, text);
    int64_t number = 0;

    if (at == NULL)
        return -1;
    at += strlen(text);
    while (*at == ' ' || *at == '\t')
        at++;
    if (*at < '0' || *at > '9')
        return -1;
    for (; *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    return number;
}

static void
read_waits(struct spin_mark *mark, pid_t process, pid_t thread)
{
    char buffer[4096];

    (void)read_task_file(process, thread, "status", buffer, sizeof(buffer));
    mark->waits = number_after(buffer, "\nvoluntary_ctxt_switches:");
    (void)read_task_file(process, thread, "schedstat", buffer, sizeof(buffer));
    mark->queued = number_after(buffer, " "); /* the second number: it was ready and had to queue */
    mark->wall = monotonic_now();
}

/*
 * A thread that writes to a log has to wait for a lock now and then, for some
 * microseconds. Only one that has waited for a hundredth of its time has waited.
 */
static bool
has_waited(const struct spin_mark *from, const struct spin_mark *to)
{
    int64_t used = to->cpu - from->cpu;

    if (to->waits < 0 || from->waits < 0 || to->waits < from->waits)
        return true;
    if (to->waits == from->waits)
        return false;
    if (to->queued < 0 || from->queued < 0)
        return true;
    return to->wall - from->wall - used - (to->queued - from->queued) >= used / WAIT_SHARE;
}

bool
spin_check(struct spin_mark *mark, pid_t process, pid_t thread, int64_t limit, int64_t *ret_used)
{
    struct spin_mark now = {processor_time(clock_of(process, thread)), -1, -1, -1};

    *ret_used = 0;
    if (mark->cpu < 0 || now.cpu < mark->cpu) {
        *mark = now;
        return false;
    }
    *ret_used = now.cpu - mark->cpu;
    if (*ret_used < limit / 4)
        return false;
    read_waits(&now, process, thread);
    if (mark->waits < 0 || has_waited(mark, &now)) {
        *mark = now;
        *ret_used = 0;
        return false;
    }
    return *ret_used >= limit;
}

int64_t
spin_grace(const struct ss_server *server)
{
    int64_t limit = (int64_t)(server->settings.spin_limit * 1e9);

    return limit < LONGEST_GRACE ? limit : LONGEST_GRACE;
}

/* ---- saying where --------------------------------------------------------------------- */

void
sighting_write(struct sighting *sighting, const siginfo_t *info, const void *context, uintptr_t top)
{
    sighting->request = request_current != NULL ? request_current->number : 0;
    sighting->has_address = info->si_code > 0 && info->si_signo != SIGABRT;
    sighting->address = (uintptr_t)info->si_addr;
    place_describe(context, top, sighting->place);
    atomic_store(&sighting->state, SIGHTING_WRITTEN);
    if (sighting->signal != 0)
        place_unwind(context, sighting->place);
}

void
spin_answer(struct ss_server *server, const siginfo_t *info, const void *context)
{
    int32_t self = gettid();

    for (size_t i = 0; i < SIGHTINGS; i++) {
        struct sighting *sighting = &server->counters->sightings[i];

        if (atomic_load(&sighting->owner) != self || sighting->signal != 0 ||
            atomic_load(&sighting->state) != SIGHTING_EMPTY)
            continue;
        sighting_write(sighting, info, context, 0);
        sighting->has_address = 0;
    }
}

void
spin_cut(struct slot *slot, uint64_t request)
{
    atomic_store(&slot->cancelled, request | SLOT_SPINS);
}

void
spin_report(const struct slot *slot, uint64_t request, double seconds, const char *place)
{
    char client[ADDRESS_TEXT_SIZE] = "", what[ADDRESS_TEXT_SIZE + 48] = "a hook of the listener";

    if (request != 0 && slot != NULL) {
        (void)address_format_client(slot->client, sizeof(slot->client), client);
        (void)snprintf(what, sizeof(what), "request %lu%s%s", request,
                       client[0] == '\0' ? "" : " of ", client);
    }
    log_warning("%s spins: it has used %.1f s of processor time without a wait (spin_limit)%s%s%s",
                what, seconds, place[0] == '\0' ? "" : ", at ", place,
                request == 0 ? "" : "; the request is cut");
}

/* ---- the guard of threads and children -------------------------------------------------- */

enum watch_stage {
    WATCH_NONE,
    WATCH_COMPUTING,
    WATCH_ASKED,   /* it has used the limit; it shall say where it is */
    WATCH_CUT,     /* and its request was cut; how long does it spin on? */
    WATCH_GIVEN_UP /* for too long */
};

struct spin_watch {
    enum watch_stage stage;
    uint64_t request; /* the running one, or the last one: it changes with every request */
    bool runs;        /* false: a hook of the server, between requests */
    uint32_t moves;
    struct spin_mark mark;
    struct sighting *sighting; /* while it is asked; NULL: there was none free */
    int64_t asked;             /* when */
    double seconds;            /* that it had used then */
};

void
spin_guard_init(struct spin_guard *guard, struct ss_server *server)
{
    int64_t limit = (int64_t)(server->settings.spin_limit * 1e9);
    int64_t period = limit / 4;

    period = period < SHORTEST_LOOK ? SHORTEST_LOOK : period;
    *guard = (struct spin_guard){
        .server = server,
        .limit = server->mixin->blocking ? limit : 0, /* loops have a watchdog */
        .period = period > LONGEST_LOOK ? LONGEST_LOOK : period,
    };
}

void
spin_guard_done(struct spin_guard *guard)
{
    free(guard->watches);
    guard->watches = NULL;
}

/* Hooks of the server run in the same thread as requests, between them: it is watched anyway. */
static bool
is_watched(const struct ss_server *server, const struct slot *slot)
{
    uint32_t state = atomic_load(&slot->state);

    /* What a program does that a request has become is its own affair. */
    return counter_get(slot->context) > 0 && !slot_has_program(slot) &&
           (state == SLOT_BUSY || (server->mixin->hooks_between && state != SLOT_FREE));
}

/* Whether it is still what was looked at, and has moved no bytes since. */
static bool
is_same(const struct spin_watch *watch, const struct slot *slot)
{
    bool runs = atomic_load(&slot->state) == SLOT_BUSY;

    return watch->stage != WATCH_NONE && watch->runs == runs &&
           watch->request == atomic_load(&slot->request) &&
           (watch->stage != WATCH_COMPUTING || watch->moves == counter_get(slot->moves));
}

static void
watch_anew(struct spin_guard *guard, struct spin_watch *watch, const struct slot *slot)
{
    if (watch->sighting != NULL)
        sightings_forget(guard->server->counters, counter_get(watch->sighting->owner));
    *watch = (struct spin_watch){
        .stage = WATCH_COMPUTING,
        .request = atomic_load(&slot->request),
        .runs = atomic_load(&slot->state) == SLOT_BUSY,
        .moves = counter_get(slot->moves),
        .mark = {-1, -1, -1, -1},
    };
}

/* The number of the request that spins; 0: a hook of the server does. */
static uint64_t
culprit(const struct spin_watch *watch)
{
    return watch->runs ? watch->request : 0;
}

static void
ask(struct spin_guard *guard, struct spin_watch *watch, struct slot *slot, int64_t used)
{
    watch->stage = WATCH_ASKED;
    watch->asked = monotonic_now();
    watch->seconds = (double)used / 1e9;
    watch->sighting = sighting_take(guard->server->counters, counter_get(slot->context));
    interrupt_context(guard->server, slot);
}

/* Where it is has been said, or will not be: the request is cut. */
static void
cut(struct spin_guard *guard, struct spin_watch *watch, struct slot *slot)
{
    struct spin_mark none = {-1, -1, -1, -1};
    char place[PLACE_SIZE] = "";

    if (watch->sighting != NULL) {
        memcpy(place, watch->sighting->place, sizeof(place) - 1);
        if (atomic_load(&watch->sighting->state) != SIGHTING_WRITTEN)
            place[0] = '\0';
        sightings_forget(guard->server->counters, counter_get(watch->sighting->owner));
        watch->sighting = NULL;
    }
    spin_report(slot, culprit(watch), watch->seconds, place);
    if (watch->runs) {
        spin_cut(slot, watch->request);
        interrupt_context(guard->server, slot); /* it shuts its connection */
    }
    watch->stage = WATCH_CUT;
    watch->mark = none;
}

static void
give_up(struct spin_guard *guard, struct spin_watch *watch, const struct slot *slot)
{
    pid_t context = counter_get(slot->context);

    watch->stage = WATCH_GIVEN_UP;
    if (guard->server->mixin->processes) {
        log_error("request %lu was cut and spins on: its child %d is killed", watch->request,
                  (int)context);
        (void)kill(context, SIGKILL);
        return;
    }
    if (guard->replace)
        return;
    if (watch->runs)
        log_error("request %lu was cut and spins on: this worker must be replaced", watch->request);
    else
        log_error("the hook spins on: this worker must be replaced");
    guard->replace = true;
}

/* One step with a context that runs. Whether it must be looked at again soon. */
static bool
look_at(struct spin_guard *guard, struct spin_watch *watch, struct slot *slot, int64_t now)
{
    pid_t context = counter_get(slot->context);
    pid_t process = guard->server->mixin->processes ? context : getpid();
    bool first = !is_same(watch, slot);
    int64_t used;

    if (first)
        watch_anew(guard, watch, slot);
    if (watch->stage == WATCH_COMPUTING && watch->runs && slot_is_unwanted(slot)) {
        watch->stage = WATCH_CUT; /* by an operator */
        return true;
    }
    switch (watch->stage) {
    case WATCH_COMPUTING:
        if (spin_check(&watch->mark, process, context, guard->limit, &used))
            ask(guard, watch, slot, used);
        return first || used >= guard->limit / 8;
    case WATCH_ASKED:
        if (watch->sighting == NULL || now - watch->asked >= ANSWER_TIMEOUT ||
            atomic_load(&watch->sighting->state) == SIGHTING_WRITTEN)
            cut(guard, watch, slot);
        return true;
    case WATCH_CUT:
        if (spin_check(&watch->mark, process, context, spin_grace(guard->server), &used))
            give_up(guard, watch, slot);
        return true;
    case WATCH_GIVEN_UP:
    case WATCH_NONE:
        return false;
    }
    return false;
}

/* Threads' time is part of the process's: while that does not grow, nobody spins. */
static bool
nobody_computes(struct spin_guard *guard)
{
    if (guard->server->mixin->processes || guard->hot)
        return false;
    int64_t cpu = processor_time(CLOCK_PROCESS_CPUTIME_ID);
    if (cpu - guard->cpu < guard->limit / 8)
        return true;
    guard->cpu = cpu;
    return false;
}

void
spin_guard_look(struct spin_guard *guard, int64_t now)
{
    struct ss_server *server = guard->server;

    if (guard->limit == 0 || now < guard->next)
        return;
    uint32_t used = counters_used(server->counters, server->slot_count);
    guard->next = now + guard->period;
    if (nobody_computes(guard))
        return;
    if (guard->watches == NULL)
        guard->watches = calloc(server->slot_count, sizeof(*guard->watches));
    guard->hot = false;
    for (uint32_t i = 0; i < used && guard->watches != NULL; i++)
        if (is_watched(server, &server->counters->slots[i]))
            guard->hot |= look_at(guard, &guard->watches[i], &server->counters->slots[i], now);
}

int64_t
spin_guard_next(const struct spin_guard *guard)
{
    return guard->hot || (guard->limit > 0 && guard->limit < PINGS) ? guard->next : FOREVER;
}

bool
spin_guard_alone(const struct spin_guard *guard)
{
    const struct ss_server *server = guard->server;

    if (!guard->replace || guard->watches == NULL)
        return false;
    uint32_t used = counters_used(server->counters, server->slot_count);
    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        const struct spin_watch *watch = &guard->watches[i];
        if (is_watched(server, slot) && (watch->stage != WATCH_GIVEN_UP || !is_same(watch, slot)))
            return false;
    }
    return true;
}

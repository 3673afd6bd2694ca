/* SPDX-License-Identifier: MIT */
/*
 * forking.c - each request in a process of its own
 *
 * The worker is a zygote: it has loaded the plugin, never starts a thread, and
 * forks children ahead of need. A child waits in accept itself, says so when
 * it has taken a request (the zygote forks the next), serves it and exits;
 * with `recycle_after` above 1 it serves so many. Under load, when connections
 * are waiting already, the zygote takes them and children are born with one:
 * a fifth less work than waking a child up for it. At `max_connections` nobody
 * waits in accept, and the kernel's queue holds the rest.
 *
 * Runs in:  the zygote (control loop, forking, reaping) and its children.
 * Owns:     the children: each is one slot; the zygote reaps these and no others.
 * Failures: a child that dies loses its own request only, and is logged. A
 *           fork that fails is tried again, and logged once.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/fork.h"
#include "worker/mixin/mixins.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

#define FIRST_OUTPUT     256          /* bytes on the stack: many replies are small */
#define RETRY_NS         100000000ll  /* 100 ms after a fork failed */
#define STATUS_USELESS   2            /* of a child that could not even wait for a request */
#define OVERTIME_KILL_NS 2000000000ll /* a child so long past request_timeout is killed */

struct zygote {
    struct ss_server *server;
    struct housekeeping *housekeeping;
    pid_t pid;
    pid_t *children;            /* by slot; 0: none; not there in a child */
    struct ss_request *request; /* every child's: made once, so that a child touches few pages */
    uint32_t limit, spare;
    uint32_t top;     /* no child is in this place or above it */
    uint32_t running; /* children not reaped */
    bool cramped;     /* the last fork failed */
};

/* ---- in a child --------------------------------------------------------------- */

static struct ss_server *child_server; /* for the signal handler */

/*
 * The zygote is gone, or wants us gone: serve nothing new, and the present one
 * not for ever. If we are just about to wait for one, that is not interrupted:
 * the alarm ends it.
 */
static void
on_terminate(int signal)
{
    (void)signal;
    child_server->terminated = 1;
    double seconds = request_current == NULL ? 0 : child_server->settings.drain_timeout;
    (void)alarm(seconds < 1 ? 1 : (unsigned)seconds);
}

/* The zygote reads SIGTERM and blocks it; its children have this handler from birth. */
static void
prepare_signals(struct ss_server *server)
{
    struct sigaction action = {.sa_handler = on_terminate}; /* no SA_RESTART */

    child_server = server;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void
child_signals(struct zygote *zygote)
{
    sigset_t none = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (getppid() != zygote->pid)
        server_end_process(0); /* it died before we could ask to be told */
}

/* What belongs to the zygote alone. Memory stays as it is: to write would cost a page. */
static void
child_release(struct zygote *zygote)
{
    const struct ss_server *server = zygote->server;

    (void)close(zygote->housekeeping->signals);
    if (server->channel >= 0)
        (void)close(server->channel);
}

/* A child with a connection of its own needs the listening socket no more. */
static void
child_close_socket(struct ss_server *server)
{
    if (!server->transport->stream)
        return;
    (void)close(server->socket);
}

static bool
child_retires(struct ss_server *server)
{
    if (counter_get(server->counters->retire) <= 0)
        return false;
    return atomic_fetch_sub(&server->counters->retire, 1) > 0;
}

/*
 * Whether the log file was replaced after this child's birth. Its slot says
 * idle before it looks: either it sees the new log, or the housekeeping sees
 * an idle child, and interrupts it until it has left (nudge_outdated()).
 */
static bool
child_is_outdated(const struct ss_request *request)
{
    struct slot *slot = request->slot;

    atomic_store(&slot->state, SLOT_IDLE);
    return atomic_load(&request->server->counters->log) != counter_get(slot->log);
}

/*
 * The next request: at first the one that it was born with, if so. Whoever
 * takes it with no more than the spares waiting tells the zygote.
 */
static int
child_get(struct ss_request *request)
{
    struct ss_server *server = request->server;
    int error;

    if (request->fd >= 0)
        return 0;
    do
        error = child_is_outdated(request) ? -ECANCELED : request_get(request);
    while (error == -EINTR && !child_retires(server));
    if (error == 0 && atomic_fetch_sub(&server->counters->surplus, 1) <= 0)
        server_wake(server);
    return error;
}

/* Serves `recycle_after` requests (0: without end). 0, or a negative errno if it could not. */
static int
child_serve(struct ss_server *server, struct ss_request *request)
{
    uint64_t left =
        server->settings.recycle_after == 0 ? UINT64_MAX : server->settings.recycle_after;
    int error = 0;

    if (server->once)
        left = 1;
    while (left > 0) {
        error = child_get(request);
        if (error != 0)
            break;
        if (--left == 0)
            child_close_socket(server);
        request_process(request);
        if (server->once)
            server_ask_stop(server);
        if (left > 0)
            atomic_fetch_add(&server->counters->surplus, 1); /* before it is seen idle */
    }
    return error == -EINTR || error == -ECANCELED ? 0 : error;
}

static _Noreturn void
child_main(struct zygote *zygote, struct slot *slot)
{
    struct ss_request *request = zygote->request;
    int error;

    child_signals(zygote);
    child_release(zygote);
    /* Reading maps the counters' neighbouring pages, too; a first access that writes only its own.
     */
    (void)server_phase(zygote->server);
    request->slot = slot;
    error = child_serve(zygote->server, request);
    counter_set(slot->state, SLOT_FREE);
    server_end_process(error == 0 ? 0 : STATUS_USELESS);
}

/* ---- in the zygote ---------------------------------------------------------------- */

static void
count_children(const struct zygote *zygote, uint32_t *ret_idle)
{
    const struct counters *counters = zygote->server->counters;
    uint32_t idle = 0;

    for (uint32_t i = 0; i < zygote->top; i++) {
        uint32_t state = counter_get(counters->slots[i].state);
        idle += zygote->children[i] != 0 && (state == SLOT_IDLE || state == SLOT_STARTING);
    }
    *ret_idle = idle;
}

/* A child that is born with its request is busy from the start: nobody waits for it to accept. */
static int
fork_child(struct zygote *zygote, bool taken)
{
    uint32_t place = 0;

    while (zygote->children[place] != 0)
        place++;
    struct slot *slot = &zygote->server->counters->slots[place];
    counters_use(zygote->server->counters, slot);
    counter_set(slot->log, counter_get(zygote->server->counters->log));
    if (taken) {
        zygote->request->slot = slot;
        request_take(zygote->request);
    } else {
        counter_set(slot->state, SLOT_STARTING);
    }
    pid_t pid = fork_cheaply();
    if (pid == 0)
        child_main(zygote, slot);
    if (pid < 0) {
        counter_set(slot->state, SLOT_FREE);
        return -errno;
    }
    counter_set(slot->context, pid);
    zygote->children[place] = pid;
    zygote->running++;
    if (place >= zygote->top)
        zygote->top = place + 1;
    return 0;
}

/* Whether children serve one connection each: the zygote may then take it for them. */
static bool
forks_each(const struct ss_server *server)
{
    return server->settings.recycle_after == 1 && !server->once;
}

/*
 * Whether there is a connection for the next child. The socket does not wait
 * (see stream_prepare()); poll() is asked first all the same, because another
 * generation of this listener may have made it wait again.
 */
static bool
take_connection(struct zygote *zygote)
{
    struct ss_server *server = zygote->server;
    struct pollfd socket = {.fd = server->socket, .events = POLLIN};

    if (!server->transport->stream || !forks_each(server))
        return false;
    if (zygote->request->fd >= 0)
        return true; /* it was taken, and then no child could be forked */
    return poll(&socket, 1, 0) > 0 && server->transport->get_request(zygote->request) == 0;
}

static void
close_connection(struct ss_request *request)
{
    if (request->fd >= 0)
        (void)close(request->fd);
    request->fd = request->output_fd = -1;
}

/*
 * Says how many children may become busy before one of them must tell. If some
 * did, or became idle, since they were counted, they are counted once more: a
 * figure that is too low costs a turn, one too high would leave nobody waiting.
 */
static void
publish_surplus(const struct zygote *zygote, int32_t before, uint32_t idle)
{
    struct ss_server *server = zygote->server;
    int32_t surplus =
        zygote->running < zygote->limit ? (int32_t)idle - (int32_t)zygote->spare : INT32_MAX / 2;

    if (!atomic_compare_exchange_strong(&server->counters->surplus, &before, surplus))
        server_wake(server);
}

/* A connection that was taken is served in a drain, too. */
static bool
is_wanted(const struct zygote *zygote)
{
    const struct ss_server *server = zygote->server;
    bool once_done = server->once && counter_get(server->counters->requests) > 0;

    return zygote->request->fd >= 0 || (server_accepts(server) && !once_done);
}

/* Keeps `spare` children waiting, within `max_connections`. */
static void
top_up(struct zygote *zygote)
{
    struct housekeeping *housekeeping = zygote->housekeeping;
    int32_t surplus = atomic_load(&zygote->server->counters->surplus);
    uint32_t idle;

    if (housekeeping->next_retry != FOREVER && monotonic_now() < housekeeping->next_retry)
        return;
    if (housekeeping->next_retry != FOREVER)
        housekeeping->next_retry = FOREVER;
    count_children(zygote, &idle);
    while (is_wanted(zygote) && idle < zygote->spare && zygote->running < zygote->limit) {
        bool taken = take_connection(zygote);
        int error = fork_child(zygote, taken);
        if (error < 0) {
            if (!zygote->cramped)
                log_warning("cannot fork a child: %s; trying again", strerror(-error));
            zygote->cramped = true;
            housekeeping->next_retry = monotonic_now() + RETRY_NS;
            return;
        }
        zygote->cramped = false;
        idle += !taken;
        close_connection(zygote->request); /* the child has it */
    }
    publish_surplus(zygote, surplus, idle);
}

/* Says how a child died, if that was not in order, and what it was serving. */
static void
report_death(const struct slot *slot, pid_t pid, int status)
{
    char how[64], client[ADDRESS_TEXT_SIZE] = "", what[ADDRESS_TEXT_SIZE + 64] = "";
    struct sockaddr_storage address = {0};

    if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof(how), "was killed by signal %d (SIG%s)", WTERMSIG(status),
                       sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
    if (counter_get(slot->state) == SLOT_BUSY) {
        memcpy(&address, slot->client, sizeof(slot->client));
        if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
            (void)address_format_peer((struct sockaddr *)&address, sizeof(slot->client), client);
        (void)snprintf(what, sizeof(what), " while it served request %lu%s%s",
                       counter_get(slot->request), client[0] != '\0' ? " of " : "", client);
    }
    log_error("child %d %s%s", (int)pid, how, what);
}

static void
bury(struct zygote *zygote, uint32_t place, int status)
{
    struct slot *slot = &zygote->server->counters->slots[place];
    bool cut = server_phase(zygote->server) == PHASE_CUT || slot_is_cancelled(slot);
    uint32_t state = counter_get(slot->state);

    /* One that left its slot has said itself why it ends. */
    if (status != 0 && !cut && state != SLOT_FREE)
        report_death(slot, zygote->children[place], status);
    if (status != 0 && state == SLOT_BUSY) {
        if (cut)
            counter_bump(slot->cut, 1);
        else
            counter_bump(slot->failed, 1);
    }
    if (state == SLOT_BUSY && zygote->server->once)
        server_ask_stop(zygote->server);
    if (state != SLOT_BUSY && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_USELESS)
        zygote->housekeeping->next_retry = monotonic_now() + RETRY_NS;
    counter_set(slot->ended, monotonic_now());
    counter_set(slot->context, 0);
    counter_set(slot->state, SLOT_FREE);
    zygote->children[place] = 0;
    zygote->running--;
    while (zygote->top > 0 && zygote->children[zygote->top - 1] == 0)
        zygote->top--;
}

/* A foreign child (the plugin's own) is dead and stands first in the queue: ask for each of ours.
 */
static void
reap_each(struct zygote *zygote)
{
    int status;

    for (uint32_t i = 0; i < zygote->top; i++)
        if (zygote->children[i] != 0 &&
            waitpid(zygote->children[i], &status, WNOHANG) == zygote->children[i])
            bury(zygote, i, status);
}

/* One that has left its slot is ending or has ended: no need to ask who it was. */
static void
reap_finished(struct zygote *zygote)
{
    const struct slot *slots = zygote->server->counters->slots;
    int status;

    for (uint32_t i = 0; i < zygote->top; i++)
        if (zygote->children[i] != 0 && counter_get(slots[i].state) == SLOT_FREE &&
            waitpid(zygote->children[i], &status, WNOHANG) == zygote->children[i])
            bury(zygote, i, status);
}

/* Only children that we forked are reaped: the plugin may have its own. */
static void
reap(struct zygote *zygote)
{
    if (!zygote->housekeeping->child_ended)
        return;
    zygote->housekeeping->child_ended = false;
    reap_finished(zygote);
    while (zygote->running > 0) {
        siginfo_t info = {0};
        uint32_t place = 0;
        int status;

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        while (place < zygote->top && zygote->children[place] != info.si_pid)
            place++;
        if (place == zygote->top) {
            reap_each(zygote);
            return;
        }
        if (waitpid(info.si_pid, &status, 0) == info.si_pid)
            bury(zygote, place, status);
    }
}

static void
kill_children(const struct zygote *zygote)
{
    for (uint32_t i = 0; i < zygote->top; i++)
        if (zygote->children[i] != 0)
            (void)kill(zygote->children[i], SIGKILL);
}

/* What a thread cannot offer: a handler that will not end is ended. */
static void
kill_overtime(const struct zygote *zygote)
{
    const struct ss_server *server = zygote->server;
    int64_t limit = (int64_t)(server->settings.request_timeout * 1e9) + OVERTIME_KILL_NS;
    int64_t now = monotonic_now();

    if (server->settings.request_timeout <= 0)
        return;
    for (uint32_t i = 0; i < zygote->top; i++) {
        const struct slot *slot = &server->counters->slots[i];
        if (zygote->children[i] == 0 || counter_get(slot->state) != SLOT_BUSY ||
            !slot_is_cancelled(slot) || now - counter_get(slot->started) < limit)
            continue;
        log_warning("child %d is killed: its request %lu went on after request_timeout",
                    (int)zygote->children[i], counter_get(slot->request));
        (void)kill(zygote->children[i], SIGKILL);
    }
}

/* The drain's time is up and children went on: the kernel ends them. */
static void
end_children(struct zygote *zygote)
{
    int status;

    log_warning("requests still running after they were cut: %u; killing their children",
                zygote->running);
    kill_children(zygote);
    for (uint32_t i = 0; i < zygote->top; i++) {
        pid_t pid = zygote->children[i];
        while (pid != 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (pid != 0)
            bury(zygote, i, status);
    }
}

static void
look_after(struct zygote *zygote)
{
    struct ss_server *server = zygote->server;

    server_run_due(server);
    reap(zygote);
    kill_overtime(zygote);
    if (is_wanted(zygote))
        top_up(zygote);
    else
        zygote->housekeeping->next_retry = FOREVER;
}

/*
 * A handler called pthread_exit() in its child's only thread, which has the
 * zygote's stack. The zygote tells and counts it.
 */
static void
abandon(void *request)
{
    gates_leave(request);
    server_end_process(1);
}

/* Not copied by fork(): to write to it would cost the zygote a page for each child. */
static pid_t *
map_children(uint32_t count)
{
    size_t size = count * sizeof(pid_t);
    void *children = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (children == MAP_FAILED)
        return NULL;
    (void)madvise(children, size, MADV_DONTFORK);
    return children;
}

static void
serve(struct zygote *zygote)
{
    look_after(zygote);
    while (server_phase(zygote->server) < PHASE_DRAINING || zygote->running > 0 ||
           zygote->request->fd >= 0) {
        if (!housekeeping_turn(zygote->housekeeping)) {
            end_children(zygote);
            break;
        }
        look_after(zygote);
    }
}

/* The request lies on the stack, of which every child writes a page anyway. */
static int
forking_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    uint32_t places = server->settings.max_connections;
    struct ss_request request;
    char output[FIRST_OUTPUT];
    struct zygote zygote = {
        .server = server,
        .housekeeping = housekeeping,
        .pid = getpid(),
        .limit = server->once ? 1 : server->settings.max_connections,
        .spare = server->settings.spare > 0 ? server->settings.spare : 1,
        .children = map_children(places),
        .request = &request,
    };

    if (zygote.children == NULL)
        return -ENOMEM;
    request_init(&request, server, NULL, "child", 0);
    if (server->transport->stream)
        output_lend(&request.output, output, sizeof(output));
    else
        (void)input_reserve(&request.input, (size_t)server->settings.max_packet_size);
    prepare_signals(server);
    pthread_cleanup_push(abandon, &request);
    serve(&zygote);
    pthread_cleanup_pop(0);
    request_done(&request);
    (void)munmap(zygote.children, places * sizeof(pid_t));
    return 0;
}

const struct mixin mixin_forking = {
    .blocking = true,
    .processes = true,
    .trims = true,
    .run = forking_run,
    .wait = wait_blocking,
    .polls = forks_each,
};

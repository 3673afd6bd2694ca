/* SPDX-License-Identifier: MIT */
/*
 * forking.c - each request in a process of its own
 *
 * The worker is a zygote: it has loaded the plugin, never starts a thread, and
 * forks children ahead of need. A child (child.c) waits in accept itself, and
 * says so when it has taken a request: the zygote forks the next. Under load,
 * when connections are waiting already, the zygote takes them and children are
 * born with one: a fifth less work than waking a child up for it. At
 * `max_connections` nobody waits in accept, and the kernel's queue holds the
 * rest. How children end is reap.c's.
 *
 * Runs in:  the zygote, which does the housekeeping, too.
 * Owns:     the children: each has one slot; these are reaped and no others.
 * Failures: a fork that fails is tried again, and logged once.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/fork.h"
#include "worker/mixin/mixins.h"
#include "worker/mixin/zygote.h"
#include "worker/request/listener_limit.h"
#include "worker/request/request.h"
#include "worker/request/source_limit.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"

#define FIRST_OUTPUT    256 /* bytes on the stack: many replies are small */
#define REFUSED_IN_TURN 64  /* connections, until the housekeeping has its turn */

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

/* There is one, as long as there are fewer children than they may be. */
static uint32_t
free_place(const struct zygote *zygote)
{
    uint32_t place = 0;

    while (zygote->children[place] != 0)
        place++;
    return place;
}

/* A child that is born with its request is busy from the start: nobody waits for it to accept. */
static int
fork_child(struct zygote *zygote, bool taken)
{
    uint32_t place = free_place(zygote);
    struct slot *slot = &zygote->server->counters->slots[place];
    counters_use(zygote->server->counters, slot);
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
    if (server->rated && source_limit_next_turn(monotonic_now()) > 0)
        return false; /* a child waits for the turn */
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
 * Whether the connection that was taken is refused by an address alone. Then it
 * is disposed of here, and costs no child: in the slot of the next one, which
 * nobody has at present.
 */
static bool
refuse_at_once(struct zygote *zygote)
{
    struct ss_server *server = zygote->server;
    struct ss_request *request = zygote->request;

    if (!gates_will_refuse(request))
        return false;
    struct slot *slot = &server->counters->slots[free_place(zygote)];
    counters_use(server->counters, slot);
    request->slot = slot;
    request_take(request);
    request_process(request);
    counter_set(slot->state, SLOT_FREE);
    return true;
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
    uint32_t idle, refused = 0;

    if (housekeeping->next_retry != FOREVER && monotonic_now() < housekeeping->next_retry)
        return;
    if (housekeeping->next_retry != FOREVER)
        housekeeping->next_retry = FOREVER;
    count_children(zygote, &idle);
    while (is_wanted(zygote) && idle < zygote->spare && zygote->running < zygote->limit) {
        bool taken = take_connection(zygote);
        if (taken && refuse_at_once(zygote)) {
            if (++refused < REFUSED_IN_TURN)
                continue;
            server_wake(zygote->server); /* to go on behind the housekeeping */
            break;
        }
        int error = fork_child(zygote, taken);
        if (error < 0) {
            if (!zygote->cramped)
                log_warning("cannot fork a child: %s; trying again", strerror(-error));
            zygote->cramped = true;
            housekeeping->next_retry = monotonic_now() + FORK_RETRY_NS;
            return;
        }
        zygote->cramped = false;
        idle += !taken;
        close_connection(zygote->request); /* the child has it */
    }
    publish_surplus(zygote, surplus, idle);
}

/* Blocked or not: what a plugin's hook starts shall find SIGCHLD as it usually is. */
static void
mask_ends(int how)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    (void)sigprocmask(how, &ends, NULL);
}

static void
run_due(struct ss_server *server)
{
    if (atomic_load(&server->due) == 0)
        return;
    mask_ends(SIG_UNBLOCK);
    server_run_due(server);
    mask_ends(SIG_BLOCK);
}

static void
look_after(struct zygote *zygote)
{
    struct ss_server *server = zygote->server;

    run_due(server);
    children_reap(zygote);
    children_end_programs(zygote);
    children_kill_overtime(zygote);
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
            children_end(zygote);
            break;
        }
        look_after(zygote);
    }
}

/* The request lies on the stack, of which every child writes a page anyway. */
static int
forking_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    uint32_t places = listener_contexts(server);
    struct ss_request request;
    char output[FIRST_OUTPUT];
    struct zygote zygote = {
        .server = server,
        .housekeeping = housekeeping,
        .pid = getpid(),
        .limit = server->once ? 1 : places,
        .spare = server->settings.spare > 0 ? server->settings.spare : 1,
        .children = map_children(places),
        .request = &request,
    };

    if (zygote.children == NULL)
        return -ENOMEM;
    int error = housekeeping_follow_children(housekeeping);
    if (error < 0)
        return error;
    request_init(&request, server, NULL, "child", 0);
    if (server->transport->stream)
        output_lend(&request.output, output, sizeof(output));
    else
        (void)input_reserve(&request.input, (size_t)server->settings.max_packet_size);
    children_prepare(server);
    pthread_cleanup_push(abandon, &request);
    serve(&zygote);
    pthread_cleanup_pop(0);
    mask_ends(SIG_UNBLOCK);
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
    .wait_both = wait_blocking_all,
    .prepare_wake = waker_prepare_blocking,
    .polls = forks_each,
};

/* SPDX-License-Identifier: MIT */
/*
 * none.c - one request after another
 *
 * Python's plain TCPServer: the main thread accepts and serves. The housekeeping
 * has a thread beside it, so that a long request holds up no ping and no
 * drain; hooks of the server run in the main thread, between requests.
 *
 * Runs in:  a worker's main thread, and one thread for the housekeeping.
 * Owns:     the one serving context.
 * Failures: a handler that ends the main thread ends the worker.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/mixins.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"

static void *
housekeeping_main(void *argument)
{
    while (housekeeping_turn(argument))
        ;
    log_warning("a request was cut and did not end; leaving without it");
    server_end_process(0);
}

/* Plugins' signals are for the thread that runs them. */
static int
start_housekeeping(struct housekeeping *housekeeping)
{
    sigset_t all, old;
    pthread_t thread;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &old);
    int error = pthread_create(&thread, NULL, housekeeping_main, housekeeping);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0)
        (void)pthread_detach(thread);
    return -error;
}

/* The handler called pthread_exit() in the worker's only serving thread. */
static void
abandon(void *argument)
{
    request_abandon(argument);
    server_end_process(1);
}

static int
serve(struct ss_server *server, struct ss_request *request)
{
    int error;

    do {
        server_run_due(server);
        error = request_get(request);
        if (error == 0) {
            request_process(request);
            if (server->once) {
                server_ask_stop(server);
                break;
            }
        }
    } while (error == 0 || error == -EINTR);
    counter_set(request->slot->state, SLOT_FREE);
    return error == -ECANCELED ? 0 : error;
}

/* The one request of --once is done: wait to be told to stop. */
static void
await_drain(const struct ss_server *server)
{
    while (server_phase(server) < PHASE_DRAINING)
        (void)usleep(1000);
}

static int
none_run(struct ss_server *server, struct housekeeping *housekeeping)
{
    struct slot *slot = &server->counters->slots[0];
    struct ss_request *request;
    int error = request_new(server, slot, "main", 0, &request);

    if (error < 0)
        return error;
    counter_set(slot->context, gettid());
    error = start_housekeeping(housekeeping);
    if (error == 0) {
        pthread_cleanup_push(abandon, request);
        error = serve(server, request);
        pthread_cleanup_pop(0);
        if (error == 0)
            await_drain(server);
    }
    request_free(request);
    return error;
}

const struct mixin mixin_none = {
    .blocking = true,
    .hooks_between = true,
    .batches = true,
    .run = none_run,
    .wait = wait_blocking,
    .wait_both = wait_blocking_all,
    .prepare_wake = waker_prepare_blocking,
};

/* SPDX-License-Identifier: MIT */
/*
 * child.c - a forked child: it waits for a request, serves it and exits
 *
 * With `recycle_after` above 1 it serves so many, and with 0 it serves without
 * end. A child whose zygote accepted for it is born with its connection.
 *
 * Runs in:  a child of the zygote.
 * Owns:     its one request, and its slot while it lives.
 * Failures: one that cannot wait for requests exits with STATUS_USELESS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/housekeeping.h"
#include "worker/mixin/zygote.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

/* Both are for the signal handler. */
static struct ss_server *child_server;
static pid_t zygote_pid;

/*
 * The zygote is gone, or wants us gone: serve nothing new, leave the listening
 * socket to whoever wants its address, and serve the present request not for
 * ever. If we are just about to wait for one, that is not interrupted: the
 * alarm ends it.
 */
static void
on_terminate(int signal)
{
    int saved = errno;

    if (getpid() == zygote_pid) {
        housekeeping_note_signal(signal);
        return;
    }
    child_server->terminated = 1;
    if (child_server->transport->stream)
        (void)dup3(child_server->wakeup, child_server->socket, O_CLOEXEC);
    double seconds = request_current == NULL ? 0 : child_server->settings.drain_timeout;
    (void)alarm(1 + (unsigned)seconds);
    errno = saved;
}

/* The zygote's own SIGTERM goes to its housekeeping. */
void
children_prepare(struct ss_server *server)
{
    struct sigaction action = {.sa_handler = on_terminate}; /* no SA_RESTART */

    child_server = server;
    zygote_pid = getpid();
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

    (void)close(zygote->housekeeping->children);
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

/* What an address alone refuses is no request of this child's: it saw none of the plugin's code,
 * and stays as it was for the next one. */
static int
child_get_admitted(struct ss_request *request)
{
    int error = request_get(request);

    while (error == 0 && !request->server->once && gates_will_refuse(request)) {
        request_process(request);
        error = request_get(request);
    }
    return error;
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
        error = child_get_admitted(request);
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

_Noreturn void
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

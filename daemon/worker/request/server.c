/* SPDX-License-Identifier: MIT */
/*
 * server.c - what happens once per worker rather than once per request
 *
 * Runs in:  any context of a worker, as each function says.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/request/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/clock.h"

#define WARN_PAUSE (10 * INT64_C(1000000000)) /* ns */

size_t
server_stack_size(const struct ss_server *server)
{
    return (size_t)server->settings.stack_size * (SANITIZED ? 4u : 1u);
}

void
server_wake(struct ss_server *server)
{
    int saved = errno;

    if (server->wakeup >= 0)
        (void)!write(server->wakeup, &(uint64_t){1}, sizeof(uint64_t));
    errno = saved;
}

void
server_ask_stop(struct ss_server *server)
{
    counter_set(server->counters->stop_asked, 1);
    server_wake(server);
}

void
server_run_due(struct ss_server *server)
{
    unsigned due = 0;

    if (atomic_load(&server->due) != 0) /* writing would cost a forking worker a page each time */
        due = atomic_exchange(&server->due, 0);
    if ((due & DUE_SERVICE) && server->plugin.hooks.service_actions != NULL)
        server->plugin.hooks.service_actions(server);
    if (due & DUE_TIMEOUT) {
        if (server->plugin.hooks.handle_timeout != NULL)
            server->plugin.hooks.handle_timeout(server);
        if (server->once)
            server_ask_stop(server);
    }
}

bool
server_may_warn(_Atomic int64_t *silent_until)
{
    int64_t now = monotonic_now(), until = counter_get(*silent_until);

    return now >= until && atomic_compare_exchange_strong(silent_until, &until, now + WARN_PAUSE);
}

_Noreturn void
server_end_process(int status)
{
    /* Leak checks and coverage are written by exit handlers. */
    if (INSTRUMENTED)
        exit(status);
    _exit(status);
}

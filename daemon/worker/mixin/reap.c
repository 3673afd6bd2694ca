/* SPDX-License-Identifier: MIT */
/*
 * reap.c - the ends of forked children: those that come by themselves, and those that do not
 *
 * Runs in:  the zygote of a forking worker.
 * Owns:     nothing; it empties the places of children that have ended.
 * Failures: a child that died is logged and counted; its request is lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/address.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/housekeeping.h"
#include "worker/mixin/zygote.h"
#include "worker/request/exec.h"
#include "worker/request/server.h"
#include "worker/request/source_limit.h"

#define OVERTIME_KILL_NS 2000000000ll /* a child so long past request_timeout is killed */

/* Says how a child died, if that was not in order, and what it was serving. */
static void
report_death(const struct counters *counters, const struct slot *slot, pid_t pid, int status)
{
    char how[CHILD_FATE_SIZE], where[320], client[ADDRESS_TEXT_SIZE] = "",
                                           what[ADDRESS_TEXT_SIZE + 64] = "";

    (void)child_fate_of(status, how);
    if (counter_get(slot->state) == SLOT_BUSY) {
        (void)address_format_client(slot->client, sizeof(slot->client), client);
        (void)snprintf(what, sizeof(what), " while it served request %lu%s%s",
                       counter_get(slot->request), client[0] != '\0' ? " of " : "", client);
    }
    sighting_describe(sighting_of_crash(counters, pid), where, sizeof(where));
    log_error("child %d %s%s%s", (int)pid, how, where, what);
}

static void
bury(struct zygote *zygote, uint32_t place, int status)
{
    struct slot *slot = &zygote->server->counters->slots[place];
    bool cut = server_phase(zygote->server) == PHASE_CUT || slot_is_cancelled(slot);
    uint32_t state = counter_get(slot->state);

    if (slot_has_program(slot)) {
        exec_account(zygote->server, slot, status);
        if (zygote->server->once)
            server_ask_stop(zygote->server);
        state = SLOT_FREE; /* all has been said */
    }
    /* One that left its slot has said itself why it ends. */
    if (status != 0 && !cut && state != SLOT_FREE)
        report_death(zygote->server->counters, slot, zygote->children[place], status);
    if (status != 0)
        sightings_forget(zygote->server->counters, zygote->children[place]);
    if (status != 0 && state == SLOT_BUSY) {
        if (cut)
            counter_bump(slot->cut, 1);
        else
            counter_bump(slot->failed, 1);
    }
    source_limit_bury(zygote->server, slot,
                      state == SLOT_BUSY && !cut && WIFSIGNALED(status) &&
                          child_signal_is_crash(WTERMSIG(status)));
    if (state == SLOT_BUSY && zygote->server->once)
        server_ask_stop(zygote->server);
    if (state != SLOT_BUSY && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_USELESS)
        zygote->housekeeping->next_retry = monotonic_now() + FORK_RETRY_NS;
    counter_set(slot->ended, monotonic_now());
    counter_set(slot->context, 0);
    counter_set(slot->state, SLOT_FREE);
    zygote->children[place] = 0;
    zygote->running--;
    while (zygote->top > 0 && zygote->children[zygote->top - 1] == 0)
        zygote->top--;
}

/* For when a foreign child (the plugin's own) is dead and stands first: asks for each of ours. */
static void
reap_each(struct zygote *zygote)
{
    int status;

    for (uint32_t i = 0; i < zygote->top; i++)
        if (zygote->children[i] != 0 &&
            waitpid(zygote->children[i], &status, WNOHANG) == zygote->children[i])
            bury(zygote, i, status);
}

/* Asks for children that have left their slots: these are ending, or have ended. */
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
void
children_reap(struct zygote *zygote)
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
            (void)kill(slot_has_program(&zygote->server->counters->slots[i]) ? -zygote->children[i]
                                                                             : zygote->children[i],
                       SIGKILL);
}

void
children_end_programs(const struct zygote *zygote)
{
    struct slot *slots = zygote->server->counters->slots;

    for (uint32_t i = 0; i < zygote->top; i++)
        if (zygote->children[i] != 0 && slot_has_program(&slots[i]))
            exec_end_overtime(zygote->server, &slots[i]);
}

/* When its cancelled request should have ended; FOREVER: that is not ours to say. */
static int64_t
end_of(const struct ss_server *server, const struct slot *slot)
{
    if (slot_is_unwanted(slot))
        return counter_get(slot->asked_at);
    if (server->settings.request_timeout <= 0)
        return FOREVER;
    return counter_get(slot->started) + (int64_t)(server->settings.request_timeout * 1e9);
}

/* Threads cannot offer this: a handler that will not end is ended. */
void
children_kill_overtime(const struct zygote *zygote)
{
    const struct ss_server *server = zygote->server;
    int64_t now = monotonic_now();

    if (server->settings.request_timeout <= 0 && counter_get(server->counters->orders) == 0)
        return;
    for (uint32_t i = 0; i < zygote->top; i++) {
        const struct slot *slot = &server->counters->slots[i];
        if (zygote->children[i] == 0 || counter_get(slot->state) != SLOT_BUSY ||
            slot_has_program(slot) || !slot_is_cancelled(slot) ||
            now - end_of(server, slot) < OVERTIME_KILL_NS)
            continue;
        log_warning("child %d is killed: its request %lu went on after %s",
                    (int)zygote->children[i], counter_get(slot->request),
                    slot_is_unwanted(slot) ? "it was cancelled" : "request_timeout");
        (void)kill(zygote->children[i], SIGKILL);
    }
}

/* The drain's time is up and children went on: the kernel ends them. */
void
children_end(struct zygote *zygote)
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

/* SPDX-License-Identifier: MIT */
/*
 * process_orders.c - orders about a single request of a worker
 *
 * They are written into the memory that both share, and a message tells the
 * worker to look there. A request is named by its number, which no other has:
 * one that has ended meanwhile takes its order with it.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: returned. What the worker writes there is not believed.
 */
#include "supervisor/listener/process_orders.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/listener/process_private.h"

struct slot *
process_find_request(const struct process *process, uint64_t request)
{
    uint32_t used = counters_used(process->counters, process->slots);

    for (uint32_t i = 0; i < used && request != 0 && process->state != PROCESS_GONE; i++) {
        struct slot *slot = &process->counters->slots[i];
        if (atomic_load(&slot->state) == SLOT_BUSY && atomic_load(&slot->request) == request)
            return slot;
    }
    return NULL;
}

static int
give_order(const struct process *process)
{
    atomic_fetch_add(&process->counters->orders, 1);
    return channel_send(process->channel, MESSAGE_ORDER, 0, NULL, -1) < 0 ? -EAGAIN : 0;
}

int
process_cancel(const struct process *process, uint64_t request)
{
    struct slot *slot = process_find_request(process, request);

    if (slot == NULL)
        return -ENOENT;
    if (!slot_is_unwanted(slot))
        counter_set(slot->asked_at, monotonic_now());
    atomic_store(&slot->cancelled, request | SLOT_ASKED);
    int r = give_order(process);
    process_ask_again(process);
    return r;
}

int
process_ask(const struct process *process, uint64_t request, uint32_t *ret_serial)
{
    const struct slot *slot = process_find_request(process, request);
    struct inquiry *inquiry = &process->counters->inquiry;

    if (slot == NULL)
        return -ENOENT;
    if (counter_get(slot->program) != 0)
        return -ENOTSUP;
    if (atomic_load(&inquiry->request) != 0)
        return -EBUSY;
    atomic_store(&inquiry->request, request);
    *ret_serial = atomic_load(&inquiry->asked) + 1;
    atomic_store(&inquiry->asked, *ret_serial);
    int r = give_order(process);
    if (r < 0)
        process_ask_no_more(process);
    return r;
}

void
process_ask_again(const struct process *process)
{
    /* Elsewhere another thread or process than the one that computes reads the message. */
    if (process->settings->mixin == MIXIN_COROUTINE && process->state != PROCESS_GONE)
        (void)kill(process->pid, SIGURG);
}

int
process_answer(const struct process *process, uint32_t serial, char text[INQUIRY_TEXT])
{
    const struct inquiry *inquiry = &process->counters->inquiry;

    if (atomic_load(&inquiry->answered) != serial)
        return -EAGAIN;
    memcpy(text, inquiry->text, INQUIRY_TEXT);
    text[INQUIRY_TEXT - 1] = '\0';
    return 0;
}

void
process_ask_no_more(const struct process *process)
{
    atomic_store(&process->counters->inquiry.request, 0);
}

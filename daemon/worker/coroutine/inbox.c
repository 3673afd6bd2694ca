/* SPDX-License-Identifier: MIT */
/*
 * inbox.c - what other threads hand to the thread of a loop
 *
 * A list that any thread adds to at its head by one exchange, and that the loop takes as a whole.
 * Whoever adds to an empty list writes to an eventfd. The loop hears of each write (it is
 * registered edge-triggered), and need not read it.
 *
 * Runs in:  any thread; the loop's takes what is there.
 * Owns:     the eventfd, for as long as the process lives.
 * Failures: returned.
 */
#include "worker/coroutine/inbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/coroutine/coroutine.h"

struct inbox {
    _Atomic(struct inbox_item *) last; /* the one that was added last */
    int event;
    inbox_receiver *receive;
    inbox_doorkeeper *admit;
};

static _Thread_local const struct inbox *own; /* of the calling thread's loop */

struct inbox *
loop_inbox(struct loop *loop, inbox_receiver *receive, inbox_doorkeeper *admit)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = ABOUT_INBOX};

    if (loop->inbox != NULL)
        return loop->inbox;
    struct inbox *inbox = malloc(sizeof(*inbox));
    if (inbox == NULL)
        return NULL;
    *inbox = (struct inbox){
        .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .receive = receive, .admit = admit};
    if (inbox->event < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, inbox->event, &event) < 0) {
        if (inbox->event >= 0)
            (void)close(inbox->event);
        free(inbox);
        return NULL;
    }
    own = loop->inbox = inbox;
    return inbox;
}

void
inbox_deliver(struct inbox *inbox, struct inbox_item *item)
{
    if (inbox == own) {
        inbox->receive(item, false);
        return;
    }
    if (!inbox->admit(item))
        return;
    struct inbox_item *last = atomic_load_explicit(&inbox->last, memory_order_relaxed);
    do
        item->next = last;
    while (!atomic_compare_exchange_weak(&inbox->last, &last, item));
    if (last == NULL) {
        int saved = errno;
        (void)!write(inbox->event, &(uint64_t){1}, sizeof(uint64_t));
        errno = saved;
    }
}

void
inbox_empty(struct inbox *inbox)
{
    struct inbox_item *item = atomic_exchange(&inbox->last, NULL), *first = NULL;

    while (item != NULL) { /* the first one was added last */
        struct inbox_item *next = item->next;
        item->next = first;
        first = item;
        item = next;
    }
    while (first != NULL) {
        struct inbox_item *next = first->next;
        inbox->receive(first, true);
        first = next;
    }
}

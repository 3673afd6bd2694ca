/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - what other threads hand to the thread of a loop
 *
 * Whoever uses it owns its items. An item is in one inbox at a time, and in it once: the user sees
 * to that. An inbox is never freed, as some thread may be about to look at it.
 */
#ifndef SOCKSERVERD_WORKER_COROUTINE_INBOX_H
#define SOCKSERVERD_WORKER_COROUTINE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct inbox;
struct loop;

struct inbox_item {
    struct inbox_item *next;
};

/* What the loop's thread does with an item: handed_over is false if the item was never in the
 * inbox, because the thread itself delivered it. */
typedef void inbox_receiver(struct inbox_item *item, bool handed_over);
/* Whether an item that another thread delivers may go into the inbox. In that thread. */
typedef bool inbox_doorkeeper(struct inbox_item *item);

/* The loop's inbox; made at the first call, in the loop's thread. NULL: no memory or descriptor. */
struct inbox *loop_inbox(struct loop *loop, inbox_receiver *receive, inbox_doorkeeper *admit);

/* In the loop's own thread, hands the item to receive(); in another, asks admit() and puts it into
 * the inbox. Never blocks. */
void inbox_deliver(struct inbox *inbox, struct inbox_item *item);

/* Gives receive() all that is there, in its order. In the loop's thread, when inbox_event() tells.
 */
void inbox_empty(struct inbox *inbox);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * change.c - reloads and upgrades, one after the other
 *
 * What cannot begin yet waits in the queue of operations.c, and begins when whatever was under way
 * has ended.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: returned; of what has waited, told to whoever waited.
 */
#include "supervisor/change/change.h"

#include <errno.h>

#include "supervisor/change/reload.h"
#include "supervisor/change/upgrade.h"
#include "supervisor/change/watch.h"

void
change_begin(struct change *change, struct config *config)
{
    watch_read(change, config);
    watch_configure(change, config);
}

void
change_end(struct change *change)
{
    upgrade_cancel(change);
    watch_end(change);
}

static int
begin(struct change *change, enum operation_kind kind, operation_done done, void *userdata)
{
    return kind == OPERATION_RELOAD ? reload_begin(change, done, userdata)
                                    : upgrade_begin(change, done, userdata);
}

int
change_ask(struct change *change, enum operation_kind kind, operation_done done, void *userdata)
{
    int r = -EBUSY;

    if (operations_first_queued(change->operations) == NULL)
        r = begin(change, kind, done, userdata);
    return r == -EBUSY ? operations_queue(change->operations, kind, done, userdata) : r;
}

void
change_step(struct change *change)
{
    struct operation *first = operations_first_queued(change->operations);
    enum operation_kind kind = first == NULL ? OPERATION_DRAIN : operation_kind(first);

    if (kind != OPERATION_RELOAD && kind != OPERATION_UPGRADE)
        return;
    int r = begin(change, kind, NULL, NULL);
    if (r < 0 && r != -EBUSY)
        operation_end(first, r, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * worker_model.h - what the supervisor must make of a worker's messages, for fuzz_worker.c
 *
 * The model is short because it knows no clock and no process: a message means
 * something in some states, and is misbehaviour in the others.
 */
#ifndef TESTS_FUZZ_WORKER_MODEL_H
#define TESTS_FUZZ_WORKER_MODEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/clock.h"
#include "common/counters.h"
#include "expect.h"
#include "supervisor/listener/process_private.h"

#define EVENTS 4096
#define NAMES  40 /* more than may be kept; each is one letter */

/* What happened, or must happen, one letter for each event: "rsk". */
struct story {
    char events[EVENTS];
    size_t count;
};

static struct story expected;
static bool model_has_tls;  /* its listener has `tls` */
static bool serves_at_once; /* when it is ready, as a generation does */

static inline void
note(struct story *story, char event)
{
    expect(story->count < EVENTS);
    story->events[story->count++] = event;
}

static struct {
    enum process_state state;
    uint64_t pings;
    bool stopped, stop_asked, misbehaved, drains_by_itself;
    size_t mistakes;
} model;

static inline bool
in(unsigned states)
{
    return (states & (1u << model.state)) != 0;
}

#define READY    (1u << PROCESS_READY)
#define SERVING  (1u << PROCESS_SERVING)
#define DRAINING (1u << PROCESS_DRAINING)
#define STARTING (1u << PROCESS_STARTING)

static inline void
model_misbehaves(void)
{
    if (!model.misbehaved)
        note(&expected, 'k');
    model.misbehaved = true;
    model.state = PROCESS_ENDING;
}

static inline void
model_is_ready(void)
{
    model.state = serves_at_once ? PROCESS_SERVING : PROCESS_READY;
    note(&expected, 'r');
}

static inline void
model_has_stopped(void)
{
    if (model.stopped)
        return;
    model.stopped = true;
    if (in(SERVING)) {
        model.state = PROCESS_DRAINING;
        model.drains_by_itself = true;
    }
    note(&expected, 's');
}

static inline void
model_answers(uint64_t value)
{
    if (value == 0 || value > model.pings)
        model_misbehaves();
    else if (in(SERVING))
        note(&expected, 'p');
}

static inline void
model_takes(uint32_t type, uint64_t value)
{
    if (model.state == PROCESS_ENDING)
        return;
    if (type == MESSAGE_READY && in(STARTING)) {
        model_is_ready();
    } else if (type == MESSAGE_MISTAKE && in(STARTING)) {
        model.mistakes++;
    } else if (type == MESSAGE_FAILED && in(STARTING)) {
        model.state = PROCESS_ENDING;
        model.mistakes += model.mistakes == 0; /* "no reason given" */
        note(&expected, 'f');
    } else if ((type == MESSAGE_CERTIFICATE || type == MESSAGE_TLS) && in(STARTING)) {
        if (!model_has_tls)
            model_misbehaves();
    } else if (type == MESSAGE_STOPPED) {
        model_has_stopped();
    } else if (type == MESSAGE_PONG && in(READY | SERVING | DRAINING)) {
        model_answers(value);
    } else if (type == MESSAGE_STOP && in(READY | SERVING | DRAINING)) {
        if (!model.stop_asked)
            note(&expected, 'w');
        model.stop_asked = true;
    } else if (type == MESSAGE_FILE && in(STARTING | READY | SERVING | DRAINING)) {
        /* it is looked at, and nobody is told */
    } else if (type == MESSAGE_REPLACE && in(SERVING | DRAINING)) {
        if (in(SERVING))
            note(&expected, 'a');
    } else {
        model_misbehaves();
    }
}

static inline void
model_drains(void)
{
    if (in(STARTING))
        model.state = PROCESS_ENDING;
    else if (in(READY | SERVING) || (in(DRAINING) && model.drains_by_itself)) {
        model.state = PROCESS_DRAINING;
        model.drains_by_itself = false;
    }
}

/* ---- wishes ------------------------------------------------------------------------------- */

static struct {
    bool names[NAMES];
    size_t count;
    uint64_t area;
} granted;

/* What the supervisor must answer, an errno, and whether it attaches something. */
static inline int
model_grants(const struct message *message, int fd, bool *ret_attaches)
{
    size_t place = (size_t)(message->text[0] - '0');
    bool name = message->text[0] != '\0' && message->text[1] == '\0' && place < NAMES &&
                strchr("/:;<=>?@", message->text[0]) == NULL;

    *ret_attaches = false;
    if (message->type == MESSAGE_AREA) {
        bool other = granted.area != 0 && granted.area != message->value;
        if (message->value == 0 || message->value > UINT64_C(1) << 46 || other)
            return EINVAL;
        granted.area = message->value;
        *ret_attaches = true;
        return 0;
    }
    if (message->type == MESSAGE_KEEP && fd < 0)
        return EMFILE;
    if (!name)
        return EINVAL;
    if (message->type == MESSAGE_KEPT) {
        *ret_attaches = granted.names[place];
        return granted.names[place] ? 0 : ENOENT;
    }
    bool more = message->type == MESSAGE_KEEP && !granted.names[place];
    if (more && granted.count == KEPT_MOST)
        return ENOSPC;
    if (more || (message->type == MESSAGE_FORGET && granted.names[place]))
        granted.count += more ? 1 : SIZE_MAX;
    granted.names[place] = message->type == MESSAGE_KEEP;
    return 0;
}

/* ---- counters ----------------------------------------------------------------------------- */

/* Whether the list of requests has what is in the slot. */
static inline bool
model_lists(const struct slot *slot)
{
    int64_t started = counter_get(slot->started);

    return counter_get(slot->state) == SLOT_BUSY && started > 0 && started <= monotonic_now() &&
           counter_get(slot->stage) <= STAGE_WAITING &&
           atomic_load(&slot->request) > 0; /* they are numbered from 1 */
}

#endif

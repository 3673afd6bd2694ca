/* SPDX-License-Identifier: MIT */
/*
 * worker_model.h - what the supervisor must make of a worker's messages, for fuzz_worker.c
 *
 * The model is short because it knows no clock, no counters, and no process: a
 * message means something in some states, and is misbehaviour in the others.
 */
#ifndef TESTS_FUZZ_WORKER_MODEL_H
#define TESTS_FUZZ_WORKER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "expect.h"
#include "supervisor/listener/process_private.h"

#define EVENTS 4096

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

#endif

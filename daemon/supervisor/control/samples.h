/* SPDX-License-Identifier: MIT */
/*
 * samples.h - what listeners had counted a moment ago
 */
#ifndef SOCKSERVERD_SUPERVISOR_CONTROL_SAMPLES_H
#define SOCKSERVERD_SUPERVISOR_CONTROL_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "common/histogram.h"
#include "supervisor/listener/listener.h"

#define SAMPLE_USEC    UINT64_C(5000000) /* between two of them */
#define SAMPLE_PLACES  13                /* the oldest is a minute old */
#define SAMPLE_RATE_AT 2                 /* a rate is over so many: ten seconds */

struct sample {
    uint64_t when; /* CLOCK_MONOTONIC, microseconds; 0: none yet */
    uint64_t accepted;
    struct histogram handling;
};

/* The last minute of one listener. It is kept by name, because a reload may make another listener
 * of the same name. */
struct sample_series {
    char *name;
    size_t newest;
    struct sample samples[SAMPLE_PLACES];
    bool present; /* while sampling: the listener still exists */
};

struct control_samples {
    struct sample_series **series;
    size_t count;
};

void samples_done(struct control_samples *samples);

/* A round of sampling begins, adds each listener and ends; listeners that were not added are
 * forgotten. */
void samples_begin(struct control_samples *samples);
void samples_add(struct control_samples *samples, const struct listener_status *status,
                 uint64_t now_usec);
void samples_end(struct control_samples *samples);

/* Returns how many were accepted per second, over the last ten seconds or as long as samples go
 * back, and tells the times of the requests that ended in the last minute. */
double samples_recent(const struct control_samples *samples, const struct listener_status *status,
                      uint64_t now_usec, struct histogram *ret);

#endif

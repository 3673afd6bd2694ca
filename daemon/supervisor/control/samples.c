/* SPDX-License-Identifier: MIT */
/*
 * samples.c - what listeners had counted a moment ago
 *
 * Counters only ever grow; a rate is their difference to an older sample. A
 * sample is taken every five seconds and kept for a minute.
 *
 * Runs in:  the supervisor.
 * Owns:     the samples.
 * Failures: without memory a listener has no samples: rates are then 0.
 */
#include "supervisor/control/samples.h"

#include <stdlib.h>
#include <string.h>

static void
free_series(struct sample_series *series)
{
    if (series != NULL)
        free(series->name);
    free(series);
}

void
samples_done(struct control_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++)
        free_series(samples->series[i]);
    free(samples->series);
    *samples = (struct control_samples){0};
}

static struct sample_series *
find(const struct control_samples *samples, const char *name)
{
    for (size_t i = 0; i < samples->count; i++)
        if (strcmp(samples->series[i]->name, name) == 0)
            return samples->series[i];
    return NULL;
}

static struct sample_series *
append(struct control_samples *samples, const char *name)
{
    struct sample_series **grown =
        reallocarray(samples->series, samples->count + 1, sizeof(struct sample_series *));
    struct sample_series *series = calloc(1, sizeof(*series));

    if (grown != NULL)
        samples->series = grown;
    if (grown == NULL || series == NULL || (series->name = strdup(name)) == NULL) {
        free_series(series);
        return NULL;
    }
    samples->series[samples->count++] = series;
    return series;
}

void
samples_begin(struct control_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++)
        samples->series[i]->present = false;
}

void
samples_add(struct control_samples *samples, const struct listener_status *status,
            uint64_t now_usec)
{
    struct sample_series *series = find(samples, status->name);

    if (series == NULL && (series = append(samples, status->name)) == NULL)
        return;
    series->present = true;
    series->newest = (series->newest + 1) % SAMPLE_PLACES;
    series->samples[series->newest] = (struct sample){
        .when = now_usec, .accepted = status->sums.accepted, .handling = status->sums.handling};
}

void
samples_end(struct control_samples *samples)
{
    size_t kept = 0;

    for (size_t i = 0; i < samples->count; i++)
        if (samples->series[i]->present)
            samples->series[kept++] = samples->series[i];
        else
            free_series(samples->series[i]);
    samples->count = kept;
}

/* Returns the sample taken so many rounds ago, or the oldest one; NULL: there is none. */
static const struct sample *
sample_before(const struct sample_series *series, size_t rounds)
{
    const struct sample *found = NULL;

    for (size_t i = 0; series != NULL && i <= rounds && i < SAMPLE_PLACES; i++) {
        const struct sample *sample =
            &series->samples[(series->newest + SAMPLE_PLACES - i) % SAMPLE_PLACES];
        if (sample->when != 0)
            found = sample;
    }
    return found;
}

static double
rate(const struct sample *before, const struct listener_status *status, uint64_t now_usec)
{
    if (before == NULL || now_usec <= before->when || status->sums.accepted < before->accepted)
        return 0;
    return (double)(status->sums.accepted - before->accepted) * 1e6 /
           (double)(now_usec - before->when);
}

double
samples_recent(const struct control_samples *samples, const struct listener_status *status,
               uint64_t now_usec, struct histogram *ret)
{
    const struct sample_series *series = find(samples, status->name);
    const struct sample *before = sample_before(series, SAMPLE_PLACES - 1);

    *ret = status->sums.handling;
    if (before != NULL)
        histogram_subtract(ret, &before->handling);
    return rate(sample_before(series, SAMPLE_RATE_AT), status, now_usec);
}

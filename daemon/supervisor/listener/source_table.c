/* SPDX-License-Identifier: MIT */
/*
 * source_table.c - a listener's table of sources, and which worker has which of its claims
 *
 * Each context of each worker has a claim (common/sources.h), so that what it
 * counts can be taken back when it dies. Claims of workers that are gone are
 * given out again, but not before their last child is gone: under *forking*
 * children may finish what they serve without their worker.
 *
 * Runs in:  the supervisor.
 * Owns:     the memory and its descriptor; a timer, while it waits for orphans.
 * Failures: of making: returned. Without memory for a worker's claims, what it
 *           serves is counted nowhere.
 */
#include "supervisor/listener/source_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/networks.h"

#define LOOK_USEC UINT64_C(500000) /* between two looks for orphans */

struct range {
    uint32_t first, count;
    bool orphaned; /* its worker is gone */
};

struct source_table {
    struct sources *sources;
    int fd;
    struct range *ranges; /* by their first claims */
    size_t count, room;
    sd_event_source *timer; /* while a range is orphaned */
};

/* ---- ranges ------------------------------------------------------------------ */

static void
remove_range(struct source_table *table, size_t i)
{
    table->count--;
    memmove(&table->ranges[i], &table->ranges[i + 1], (table->count - i) * sizeof(struct range));
}

/* Puts a range in its place. Returns false if there is no memory. */
static bool
add_range(struct source_table *table, struct range range)
{
    size_t i = table->count;

    if (table->count == table->room) {
        size_t room = 2 * table->room + 8;
        struct range *ranges = reallocarray(table->ranges, room, sizeof(struct range));
        if (ranges == NULL)
            return false;
        table->ranges = ranges;
        table->room = room;
    }
    for (; i > 0 && table->ranges[i - 1].first > range.first; i--)
        table->ranges[i] = table->ranges[i - 1];
    table->ranges[i] = range;
    table->count++;
    return true;
}

/* Takes back what the dead of orphaned ranges have left. Returns whether any is orphaned still. */
static bool
look_after_orphans(struct source_table *table)
{
    bool any = false;

    for (size_t i = 0; i < table->count;) {
        struct range *range = &table->ranges[i];

        if (range->orphaned && sources_sweep(table->sources, range->first, range->count) == 0) {
            remove_range(table, i);
            continue;
        }
        any |= range->orphaned;
        i++;
    }
    return any;
}

static void
look_again(struct source_table *table)
{
    (void)sd_event_source_set_time(table->timer, monotonic_usec() + LOOK_USEC);
    (void)sd_event_source_set_enabled(table->timer, SD_EVENT_ONESHOT);
}

static int
on_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source;
    (void)when;
    if (look_after_orphans(userdata))
        look_again(userdata);
    return 0;
}

uint32_t
source_table_claim(struct source_table *table, uint32_t count)
{
    uint32_t first = 0;

    for (size_t i = 0; i < table->count && table->ranges[i].first - first < count; i++)
        first = table->ranges[i].first + table->ranges[i].count;
    if (count > SOURCE_CLAIMS - first)
        return NO_CLAIM;
    return add_range(table, (struct range){.first = first, .count = count}) ? first : NO_CLAIM;
}

bool
source_table_keep(struct source_table *table, uint32_t first, uint32_t count)
{
    if (first >= SOURCE_CLAIMS || count > SOURCE_CLAIMS - first)
        return false;
    for (size_t i = 0; i < table->count; i++)
        if (first < table->ranges[i].first + table->ranges[i].count &&
            table->ranges[i].first < first + count)
            return false;
    return add_range(table, (struct range){.first = first, .count = count});
}

void
source_table_adopted(struct source_table *table)
{
    uint32_t used = sources_claims_used(table->sources), first = 0;
    size_t owned = table->count;

    for (size_t i = 0; i <= owned; i++) {
        uint32_t end = i < owned ? table->ranges[i].first : used;
        uint32_t next = i < owned ? table->ranges[i].first + table->ranges[i].count : used;

        if (end > first && add_range(table, (struct range){first, end - first, true})) {
            i++; /* it stands before the one that was looked at */
            owned++;
        }
        first = next;
    }
    if (look_after_orphans(table))
        look_again(table);
}

void
source_table_release(struct source_table *table, uint32_t first)
{
    if (table == NULL || first == NO_CLAIM)
        return;
    for (size_t i = 0; i < table->count; i++)
        if (table->ranges[i].first == first)
            table->ranges[i].orphaned = true;
    if (look_after_orphans(table))
        look_again(table);
}

/* ---- penalties ----------------------------------------------------------------- */

/* The slot whose request a worker crashed in: the one that it named, or the only one. */
static const struct slot *
find_culprit(const struct counters *counters, uint32_t slots, pid_t worker)
{
    const struct sighting *sighting = sighting_of_crash(counters, worker);
    const struct slot *only = NULL;
    uint32_t busy = 0, used = counters_used(counters, slots);

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &counters->slots[i];

        if (counter_get(slot->state) != SLOT_BUSY)
            continue;
        if (sighting != NULL && sighting->request != 0 &&
            sighting->request == counter_get(slot->request))
            return slot;
        busy++;
        only = slot;
    }
    return busy == 1 && (sighting == NULL || sighting->request == 0) ? only : NULL;
}

/* The client as its worker has noted it; nobody if that is no address. */
static bool
is_exempt(const struct slot *slot, const struct settings *settings)
{
    struct sockaddr_storage client = {0};
    struct networks *exempt;

    memcpy(&client, slot->client, sizeof(slot->client));
    if (networks_from_texts(settings->penalty.exempt, &exempt) < 0)
        return true; /* there is no memory to find out */
    uint32_t item = networks_find(exempt, (const struct sockaddr *)&client);
    free(exempt);
    return item != NETWORKS_NONE;
}

void
source_table_penalise_crash(struct source_table *table, uint32_t first, pid_t worker,
                            const struct counters *counters, uint32_t slots,
                            const struct settings *settings)
{
    const struct source_penalties penalty = {
        .kind = PENALTY_CRASH,
        .seconds = (int64_t)(settings->penalty.crash * 1e9),
        .most = (int64_t)(settings->penalty.max * 1e9),
    };

    if (table == NULL || first == NO_CLAIM || mixin_traits[settings->mixin].forks)
        return;
    const struct slot *slot = find_culprit(counters, slots, worker);
    if (slot == NULL || is_exempt(slot, settings))
        return;
    (void)sources_penalise_held(table->sources, first + (uint32_t)(slot - counters->slots),
                                &penalty, monotonic_now());
}

/* ---- beginning and end ---------------------------------------------------------- */

static int
make(sd_event *event, struct sources *sources, int fd, struct source_table **ret)
{
    struct source_table *table = calloc(1, sizeof(*table));
    int r = table == NULL ? -ENOMEM : 0;

    if (table != NULL)
        *table = (struct source_table){.sources = sources, .fd = fd};
    if (r == 0)
        r = sd_event_add_time(event, &table->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer,
                              table);
    if (r >= 0)
        r = sd_event_source_set_enabled(table->timer, SD_EVENT_OFF);
    if (r >= 0) {
        *ret = table;
        return 0;
    }
    if (table != NULL)
        (void)sd_event_source_disable_unref(table->timer);
    free(table);
    sources_detach(sources);
    (void)close(fd);
    return r;
}

int
source_table_new(sd_event *event, struct source_table **ret)
{
    struct sources *sources;
    int fd, r = sources_create(&sources, &fd);

    return r < 0 ? r : make(event, sources, fd, ret);
}

int
source_table_import(sd_event *event, int fd, struct source_table **ret)
{
    struct sources *sources = NULL;
    int r = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : sources_attach(fd, &sources);

    if (r == 0)
        return make(event, sources, fd, ret);
    (void)close(fd);
    return r;
}

void
source_table_free(struct source_table *table)
{
    if (table == NULL)
        return;
    (void)sd_event_source_disable_unref(table->timer);
    sources_detach(table->sources);
    (void)close(table->fd);
    free(table->ranges);
    free(table);
}

struct sources *
source_table_sources(const struct source_table *table)
{
    return table == NULL ? NULL : table->sources;
}

int
source_table_fd(const struct source_table *table)
{
    return table == NULL ? -1 : table->fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * requests.c - the requests that have run longest, as JSON
 *
 * They are read from the workers' slots, which change meanwhile and which a
 * worker may fill with anything: a request that changed while it was read is
 * passed over, and what makes no sense is left out.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "supervisor/control/control_private.h"

struct request {
    const char *listener;
    pid_t worker;
    int32_t context;
    uint32_t stage;
    uint64_t number;
    int64_t started;
    unsigned char client[sizeof(((struct slot *)NULL)->client)];
};

struct collection {
    struct request *requests; /* the oldest first */
    size_t count, limit;
    const char *listener;
    int64_t now;
};

static const char *const stage_names[] = {
    [STAGE_NONE] = "handling",   [STAGE_READING] = "reading", [STAGE_HANDLING] = "handling",
    [STAGE_WRITING] = "writing", [STAGE_WAITING] = "waiting",
};

/* Reads a slot. False if no request runs there, or it changed meanwhile, or its values are
 * impossible. */
static bool
read_slot(const struct slot *slot, int64_t now, struct request *ret)
{
    if (counter_get(slot->state) != SLOT_BUSY)
        return false;
    ret->number = atomic_load(&slot->request);
    ret->started = counter_get(slot->started);
    ret->stage = counter_get(slot->stage);
    ret->context = counter_get(slot->context);
    memcpy(ret->client, slot->client, sizeof(ret->client));
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&slot->request) == ret->number && counter_get(slot->state) == SLOT_BUSY &&
           ret->started > 0 && ret->started <= now && ret->stage < ARRAY_SIZE(stage_names);
}

static void
insert(struct collection *collection, const struct request *request)
{
    size_t place = collection->count;

    while (place > 0 && collection->requests[place - 1].started > request->started)
        place--;
    if (place == collection->limit)
        return;
    if (collection->count < collection->limit)
        collection->count++;
    memmove(&collection->requests[place + 1], &collection->requests[place],
            (collection->count - place - 1) * sizeof(*request));
    collection->requests[place] = *request;
}

static void
collect(const struct listener_worker *worker, void *userdata)
{
    struct collection *collection = userdata;
    uint32_t used = counters_used(worker->counters, worker->slots);

    for (uint32_t i = 0; i < used; i++) {
        struct request request = {.listener = collection->listener, .worker = worker->pid};
        if (read_slot(&worker->counters->slots[i], collection->now, &request))
            insert(collection, &request);
    }
}

/* Makes a printable text of whatever the worker wrote there; "" for a Unix peer. */
static json_t *
client_text(const unsigned char client[sizeof(((struct slot *)NULL)->client)])
{
    char name[ADDRESS_TEXT_SIZE];

    (void)address_format_client(client, sizeof(((struct slot *)NULL)->client), name);
    return json_string(name);
}

static json_t *
describe(const struct collection *collection)
{
    json_t *requests = json_array();

    for (size_t i = 0; i < collection->count; i++) {
        const struct request *request = &collection->requests[i];
        varlink_append(
            &requests,
            json_pack("{s:s, s:i, s:i, s:I, s:o, s:s, s:I}", "listener", request->listener,
                      "worker", (int)request->worker, "context", (int)request->context, "number",
                      (json_int_t)(request->number & INT64_MAX), "client",
                      client_text(request->client), "stage", stage_names[request->stage], "age_us",
                      (json_int_t)((collection->now - request->started) / 1000)));
    }
    return json_pack("{s:o}", "requests", requests);
}

json_t *
control_requests(const struct control *control, const char *name, size_t limit)
{
    _cleanup_free_ struct request *requests = calloc(limit + 1, sizeof(*requests));
    struct collection collection = {.requests = requests, .limit = limit, .now = monotonic_now()};
    const struct roster *roster = control->host.roster;

    if (requests == NULL)
        return NULL;
    for (size_t i = 0; i < roster->count; i++) {
        const struct listener *listener = roster->listeners[i];
        collection.listener = listener_settings(listener)->name;
        if (name == NULL || strcmp(collection.listener, name) == 0)
            listener_visit_workers(listener, collect, &collection);
    }
    return describe(&collection);
}

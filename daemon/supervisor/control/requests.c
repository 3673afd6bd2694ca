/* SPDX-License-Identifier: MIT */
/*
 * requests.c - the requests that run, as JSON: the oldest, or all of a listener
 *
 * They are read from the workers' slots, which change meanwhile and which a
 * worker may fill with anything: a request that changed while it was read is
 * passed over, and what makes no sense is left out. However many slots there
 * are, no more than twice as many requests as are wanted are held at a time.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: none.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/mixins.h"
#include "supervisor/control/control_private.h"
#include "supervisor/listener/process_orders.h"

struct request {
    const char *listener;
    pid_t worker;
    enum mixin_kind mixin;
    uint32_t place; /* of its slot */
    unsigned generation;
    bool draining;
    int32_t context;
    uint32_t stage;
    uint64_t number, received, sent;
    int64_t started, since;
    bool cancelled;
    unsigned char client[sizeof(((struct slot *)NULL)->client)];
};

struct collection {
    struct request *requests; /* room for twice as many as are wanted */
    size_t count, wanted;
    int (*compare)(const void *one, const void *other); /* who comes first */
    uint64_t after;                                     /* only those with greater numbers */
    bool more;                                          /* some were left out */
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
    ret->since = counter_get(slot->since);
    ret->received = counter_get(slot->received);
    ret->sent = counter_get(slot->sent);
    ret->context = counter_get(slot->context);
    ret->cancelled = slot_is_cancelled(slot);
    memcpy(ret->client, slot->client, sizeof(ret->client));
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&slot->request) == ret->number && counter_get(slot->state) == SLOT_BUSY &&
           ret->started > 0 && ret->started <= now && ret->stage < ARRAY_SIZE(stage_names);
}

static int
older(const void *one, const void *other)
{
    const struct request *a = one, *b = other;

    return (a->started > b->started) - (a->started < b->started);
}

static int
lower_number(const void *one, const void *other)
{
    const struct request *a = one, *b = other;

    return (a->number > b->number) - (a->number < b->number);
}

/* Keeps those that are wanted, in order. */
static void
settle(struct collection *collection)
{
    qsort(collection->requests, collection->count, sizeof(*collection->requests),
          collection->compare);
    if (collection->count <= collection->wanted)
        return;
    collection->count = collection->wanted;
    collection->more = true;
}

static void
read_request(const struct listener_worker *worker, uint32_t place, struct collection *collection)
{
    struct request request = {
        .listener = collection->listener,
        .worker = worker->pid,
        .mixin = process_settings(worker->process)->mixin,
        .place = place,
        .generation = worker->generation,
        .draining = worker->draining || process_state(worker->process) == PROCESS_DRAINING,
    };

    if (!read_slot(&worker->counters->slots[place], collection->now, &request) ||
        request.number <= collection->after)
        return;
    if (collection->count == 2 * collection->wanted)
        settle(collection);
    collection->requests[collection->count++] = request;
}

static void
collect(const struct listener_worker *worker, void *userdata)
{
    uint32_t used = counters_used(worker->counters, worker->slots);

    for (uint32_t i = 0; i < used; i++)
        read_request(worker, i, userdata);
}

/* Makes a printable text of whatever the worker wrote there; "" for a Unix peer. */
static json_t *
client_text(const unsigned char client[sizeof(((struct slot *)NULL)->client)])
{
    char name[ADDRESS_TEXT_SIZE];

    (void)address_format_client(client, sizeof(((struct slot *)NULL)->client), name);
    return json_string(name);
}

/* As ss_worker_name() has it. */
static json_t *
worker_name(const struct request *request)
{
    switch (request->mixin) {
    case MIXIN_THREADING:
        return json_sprintf("%s-thread-%u", request->listener, request->place + 1);
    case MIXIN_FORKING:
        return json_sprintf("%s-child-%d", request->listener, (int)request->context);
    case MIXIN_COROUTINE:
        return json_sprintf("%s-coroutine-%u", request->listener, request->place + 1);
    default:
        return json_sprintf("%s-main", request->listener);
    }
}

/* The stage has begun with the request if it has not begun since. */
static int64_t
stage_age(const struct request *request, int64_t now)
{
    int64_t since = request->since > request->started ? request->since : request->started;

    return since < now ? (now - since) / 1000 : 0;
}

static json_t *
describe(const struct request *request, int64_t now)
{
    json_t *object = json_pack("{s:s, s:i, s:i, s:o, s:i, s:b}", "listener", request->listener,
                               "worker", (int)request->worker, "context", (int)request->context,
                               "name", worker_name(request), "generation", (int)request->generation,
                               "draining", (int)request->draining);

    varlink_set(&object, "number", control_integer(request->number));
    varlink_set(&object, "client", client_text(request->client));
    varlink_set(&object, "stage", json_string(stage_names[request->stage]));
    varlink_set(&object, "age_us", json_integer((now - request->started) / 1000));
    varlink_set(&object, "stage_us", json_integer(stage_age(request, now)));
    varlink_set(&object, "bytes_in", control_integer(request->received));
    varlink_set(&object, "bytes_out", control_integer(request->sent));
    varlink_set(&object, "cancelled", json_boolean(request->cancelled));
    return object;
}

static void
collect_all(const struct control *control, const char *name, struct collection *collection)
{
    const struct roster *roster = control->host.roster;

    for (size_t i = 0; i < roster->count; i++) {
        const struct listener *listener = roster->listeners[i];
        collection->listener = listener_settings(listener)->name;
        if (name == NULL || strcmp(collection->listener, name) == 0)
            listener_visit_workers(listener, collect, collection);
    }
    settle(collection);
}

static json_t *
answer(const struct control *control, const char *name, struct collection *collection)
{
    _cleanup_free_ struct request *requests = calloc(2 * collection->wanted + 1, sizeof(*requests));
    json_t *array = json_array();

    if (requests == NULL) {
        json_decref(array);
        return NULL;
    }
    collection->requests = requests;
    collection->now = monotonic_now();
    if (collection->wanted > 0)
        collect_all(control, name, collection);
    for (size_t i = 0; i < collection->count; i++)
        varlink_append(&array, describe(&requests[i], collection->now));
    collection->requests = NULL;
    return array;
}

json_t *
control_requests(const struct control *control, const char *name, size_t limit)
{
    struct collection collection = {.wanted = limit, .compare = older};
    json_t *requests = answer(control, name, &collection);

    return json_pack("{s:o}", "requests", requests);
}

json_t *
control_list_requests(const struct control *control, const char *name, uint64_t after, size_t limit)
{
    struct collection collection = {.wanted = limit, .compare = lower_number, .after = after};
    json_t *requests = answer(control, name, &collection);

    return json_pack("{s:o, s:b}", "requests", requests, "more", (int)collection.more);
}

struct search {
    struct collection collection;
    uint64_t number;
    const struct listener_worker *worker;
    json_t *found;
};

static void
look_for(const struct listener_worker *worker, void *userdata)
{
    struct search *search = userdata;
    const struct slot *slot = process_find_request(worker->process, search->number);

    if (slot == NULL || search->found != NULL)
        return;
    search->collection.count = 0;
    read_request(worker, (uint32_t)(slot - worker->counters->slots), &search->collection);
    if (search->collection.count == 1)
        search->found = describe(search->collection.requests, search->collection.now);
}

json_t *
control_request(const struct listener *listener, uint64_t number)
{
    struct request place[2];
    struct search search = {
        .collection = {.requests = place,
                       .wanted = 1,
                       .compare = older,
                       .listener = listener_settings(listener)->name,
                       .now = monotonic_now()},
        .number = number,
    };

    listener_visit_workers(listener, look_for, &search);
    return search.found;
}

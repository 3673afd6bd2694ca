/* SPDX-License-Identifier: MIT */
/*
 * upgrade_state.c - what one process of the daemon tells the next about itself
 *
 * Both are of one machine and one moment, but maybe of two versions. A line of
 * text says which; the sizes of what workers share with the supervisor are
 * part of it, as the next process will read that, too. Behind it stand
 * numbers of eight bytes, and pieces of bytes with their size before them.
 * What later programs have added stands at the end, and may be missing.
 *
 * Runs in:  the supervisor, at an upgrade.
 * Owns:     nothing beyond a call.
 * Failures: returned. Every count and size is checked against what is left.
 */
#include "supervisor/change/upgrade_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

#define HEADER_SIZE 128
#define ROOM_FIRST  4096

static void
format_header(char header[HEADER_SIZE])
{
    memset(header, 0, HEADER_SIZE);
    (void)snprintf(header, HEADER_SIZE,
                   "sockserverd hand-over %d: counters %zu, slot %zu, sums %zu", UPGRADE_VERSION,
                   sizeof(struct counters), sizeof(struct slot), sizeof(struct counter_sums));
}

/* ---- writing ---------------------------------------------------------------- */

struct writer {
    char *bytes;
    size_t size, room;
    int error; /* the first; nothing is written any more */
};

static void
put(struct writer *writer, const void *bytes, size_t size)
{
    if (writer->error == 0 && size > writer->room - writer->size) {
        size_t room = 2 * writer->room + size + ROOM_FIRST;
        char *grown = realloc(writer->bytes, room);
        if (grown == NULL) {
            writer->error = -ENOMEM;
        } else {
            writer->bytes = grown;
            writer->room = room;
        }
    }
    if (writer->error != 0)
        return;
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static void
put_number(struct writer *writer, uint64_t number)
{
    put(writer, &number, sizeof(number));
}

static void
put_settings(struct writer *writer, const struct settings *settings)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int r = settings_pack(settings, &bytes, &size);

    if (r < 0) {
        writer->error = r;
        return;
    }
    put_number(writer, size);
    put(writer, bytes, size);
}

static void
put_worker(struct writer *writer, const struct upgrade_worker *worker)
{
    const uint64_t numbers[] = {
        (uint64_t)worker->pid, (uint64_t)worker->channel, (uint64_t)worker->counters, worker->slots,
        worker->state,         worker->deadline,          worker->serving_since,      worker->pings,
        worker->stopped,       worker->asked_to_end,
    };

    put(writer, numbers, sizeof(numbers));
}

static void
put_generation(struct writer *writer, const struct upgrade_generation *generation)
{
    put_number(writer, generation->number);
    put_number(writer, generation->present);
    put_settings(writer, generation->settings);
    put_number(writer, generation->worker_count);
    for (size_t i = 0; i < generation->worker_count; i++)
        put_worker(writer, &generation->workers[i]);
}

static void
put_totals(struct writer *writer, const struct counter_sums *totals)
{
    put_number(writer, totals->active);
    put_number(writer, totals->idle);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        put_number(writer, counter_of_sums(totals, &counter_table[i]));
    put(writer, &totals->handling, sizeof(totals->handling));
}

static void
put_listener(struct writer *writer, const struct upgrade_listener *listener)
{
    put_settings(writer, listener->settings);
    put_number(writer, listener->removed);
    put_number(writer, listener->goal);
    put_number(writer, listener->number);
    put_number(writer, listener->restarts);
    put_totals(writer, &listener->totals);
    put_number(writer, listener->generation_count);
    for (size_t i = 0; i < listener->generation_count; i++)
        put_generation(writer, &listener->generations[i]);
}

/* In the order of the workers; a number one above the descriptor's, as 0 is none. */
static void
put_log_pipes(struct writer *writer, const struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++) {
            const struct upgrade_generation *generation = &state->listeners[i].generations[j];
            for (size_t k = 0; k < generation->worker_count; k++)
                put_number(writer, (uint64_t)generation->workers[k].log + 1);
        }
}

int
upgrade_state_pack(const struct upgrade_state *state, char **ret_bytes, size_t *ret_size)
{
    struct writer writer = {0};
    char header[HEADER_SIZE];

    format_header(header);
    put(&writer, header, sizeof(header));
    put_number(&writer, state->listener_count);
    for (size_t i = 0; i < state->listener_count; i++)
        put_listener(&writer, &state->listeners[i]);
    put_number(&writer, state->log_level);
    put_log_pipes(&writer, state);
    put_number(&writer, (uint64_t)state->control);
    put_number(&writer, (uint64_t)state->control_path);
    for (size_t i = 0; i < state->listener_count; i++)
        put_number(&writer, state->listeners[i].numbers);
    if (writer.error != 0) {
        free(writer.bytes);
        return writer.error;
    }
    *ret_bytes = writer.bytes;
    *ret_size = writer.size;
    return 0;
}

/* ---- reading ------------------------------------------------------------------ */

struct reader {
    const char *bytes;
    size_t left;
    int error; /* the first; nothing is read any more */
};

static void
get(struct reader *reader, void *ret, size_t size)
{
    if (reader->error == 0 && size > reader->left)
        reader->error = -EBADMSG;
    if (reader->error != 0) {
        memset(ret, 0, size);
        return;
    }
    memcpy(ret, reader->bytes, size);
    reader->bytes += size;
    reader->left -= size;
}

/* Reads a number that may be at most `most`. */
static uint64_t
get_number(struct reader *reader, uint64_t most)
{
    uint64_t number;

    get(reader, &number, sizeof(number));
    if (number <= most)
        return number;
    reader->error = reader->error != 0 ? reader->error : -EBADMSG;
    return 0;
}

/* How many things follow, each of at least eight bytes; an array for them, or NULL. */
static void *
get_array(struct reader *reader, size_t item_size, size_t *ret_count)
{
    size_t count = get_number(reader, reader->left / sizeof(uint64_t));
    void *items = calloc(count + 1, item_size);

    *ret_count = 0; /* until they have been read */
    if (items == NULL)
        reader->error = -ENOMEM;
    return reader->error != 0 ? (free(items), NULL) : (*ret_count = count, items);
}

static void
get_settings(struct reader *reader, const struct settings **ret)
{
    size_t size = get_number(reader, reader->left);
    struct settings settings;

    *ret = NULL;
    if (reader->error == 0 && size > reader->left)
        reader->error = -EBADMSG;
    if (reader->error != 0)
        return;
    reader->error = settings_unpack(reader->bytes, size, &settings);
    if (reader->error != 0)
        return;
    *ret = settings_share(&settings);
    if (*ret == NULL)
        reader->error = -ENOMEM;
    reader->bytes += size;
    reader->left -= size;
}

static void
get_worker(struct reader *reader, struct upgrade_worker *ret)
{
    ret->pid = (pid_t)get_number(reader, INT32_MAX);
    ret->channel = (int)get_number(reader, INT32_MAX);
    ret->counters = (int)get_number(reader, INT32_MAX);
    ret->slots = (uint32_t)get_number(reader, UINT32_MAX);
    ret->state = (uint32_t)get_number(reader, UINT32_MAX);
    ret->deadline = get_number(reader, UINT64_MAX);
    ret->serving_since = get_number(reader, UINT64_MAX);
    ret->pings = get_number(reader, UINT64_MAX);
    ret->stopped = get_number(reader, 1);
    ret->asked_to_end = get_number(reader, 1);
    ret->log = -1;
    if (reader->error == 0 && ret->pid <= 1)
        reader->error = -EBADMSG;
}

static void
get_generation(struct reader *reader, struct upgrade_generation *ret)
{
    ret->number = (uint32_t)get_number(reader, UINT32_MAX);
    ret->present = get_number(reader, 1);
    get_settings(reader, &ret->settings);
    ret->workers = get_array(reader, sizeof(*ret->workers), &ret->worker_count);
    for (size_t i = 0; i < ret->worker_count && reader->error == 0; i++)
        get_worker(reader, &ret->workers[i]);
}

static void
get_totals(struct reader *reader, struct counter_sums *ret)
{
    ret->active = get_number(reader, UINT64_MAX);
    ret->idle = get_number(reader, UINT64_MAX);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        *counter_in_sums(ret, &counter_table[i]) = get_number(reader, UINT64_MAX);
    get(reader, &ret->handling, sizeof(ret->handling));
}

static void
get_listener(struct reader *reader, struct upgrade_listener *ret)
{
    get_settings(reader, &ret->settings);
    ret->removed = get_number(reader, 1);
    ret->goal = (uint32_t)get_number(reader, 2);
    ret->number = (uint32_t)get_number(reader, UINT32_MAX);
    ret->restarts = get_number(reader, UINT64_MAX);
    get_totals(reader, &ret->totals);
    ret->generations = get_array(reader, sizeof(*ret->generations), &ret->generation_count);
    for (size_t i = 0; i < ret->generation_count && reader->error == 0; i++)
        get_generation(reader, &ret->generations[i]);
}

static void
get_log_pipes(struct reader *reader, struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++) {
            struct upgrade_generation *generation = &state->listeners[i].generations[j];
            for (size_t k = 0; k < generation->worker_count; k++)
                generation->workers[k].log = (int)get_number(reader, INT32_MAX) - 1;
        }
}

static void
get_request_numbers(struct reader *reader, struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        state->listeners[i].numbers = get_number(reader, UINT64_MAX);
}

int
upgrade_state_unpack(const char *bytes, size_t size, struct upgrade_state *ret)
{
    struct reader reader = {.bytes = bytes, .left = size};
    struct upgrade_state state = {0};
    char header[HEADER_SIZE], wanted[HEADER_SIZE];

    format_header(wanted);
    get(&reader, header, sizeof(header));
    if (reader.error != 0)
        return reader.error;
    if (memcmp(header, wanted, sizeof(header)) != 0)
        return -EPROTO;
    state.listeners = get_array(&reader, sizeof(*state.listeners), &state.listener_count);
    for (size_t i = 0; i < state.listener_count && reader.error == 0; i++)
        get_listener(&reader, &state.listeners[i]);
    if (reader.left > 0)
        state.log_level = (unsigned)get_number(&reader, LOG_DEBUG + 1);
    if (reader.left > 0)
        get_log_pipes(&reader, &state);
    if (reader.left > 0) {
        state.control = (int)get_number(&reader, INT32_MAX);
        state.control_path = (int)get_number(&reader, INT32_MAX);
    }
    if (reader.left > 0)
        get_request_numbers(&reader, &state);
    if (reader.error == 0 && reader.left > 0)
        reader.error = -EBADMSG;
    if (reader.error != 0) {
        upgrade_state_done(&state);
        return reader.error;
    }
    *ret = state;
    return 0;
}

void
upgrade_state_done(struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        upgrade_listener_done(&state->listeners[i]);
    free(state->listeners);
    *state = (struct upgrade_state){0};
}

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
#include "supervisor/change/upgrade_bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/secret.h"

#define HEADER_SIZE 128

static void
format_header(char header[HEADER_SIZE])
{
    memset(header, 0, HEADER_SIZE);
    (void)snprintf(header, HEADER_SIZE,
                   "sockserverd hand-over %d: counters %zu, slot %zu, sums %zu", UPGRADE_VERSION,
                   sizeof(struct counters), sizeof(struct slot),
                   offsetof(struct counter_sums, denied));
}

/* ---- writing ---------------------------------------------------------------- */

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
    for (size_t i = 0; i < COUNTERS_FIRST; i++)
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

/* What stands behind all else, each behind its number, and only if it says something. */
enum extra { EXTRA_COUNTERS = 1, EXTRA_TABLES, EXTRA_TLS, EXTRA_SOURCES, EXTRA_WISHES, EXTRA_KEPT };

static bool
any_wishes(const struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++)
            for (size_t k = 0; k < state->listeners[i].generations[j].worker_count; k++)
                if (state->listeners[i].generations[j].workers[k].wishes > 0)
                    return true;
    return false;
}

/* In the order of the workers. */
static void
put_wishes(struct writer *writer, const struct upgrade_state *state)
{
    if (!any_wishes(state))
        return;
    put_number(writer, EXTRA_WISHES);
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++) {
            const struct upgrade_generation *generation = &state->listeners[i].generations[j];
            for (size_t k = 0; k < generation->worker_count; k++)
                put_number(writer, (uint64_t)generation->workers[k].wishes);
        }
}

/* The counters of later rows: how many there are, and then those of each listener. */
static void
put_counters(struct writer *writer, const struct upgrade_state *state)
{
    uint64_t all = 0;

    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = COUNTERS_FIRST; j < COUNTER_COUNT; j++)
            all |= counter_of_sums(&state->listeners[i].totals, &counter_table[j]);
    if (all == 0)
        return;
    put_number(writer, EXTRA_COUNTERS);
    put_number(writer, COUNTER_COUNT - COUNTERS_FIRST);
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = COUNTERS_FIRST; j < COUNTER_COUNT; j++)
            put_number(writer, counter_of_sums(&state->listeners[i].totals, &counter_table[j]));
}

void
upgrade_visit_settings(const struct upgrade_state *state,
                       void (*visitor)(const struct settings *settings, void *userdata),
                       void *userdata)
{
    for (size_t i = 0; i < state->listener_count; i++) {
        const struct upgrade_listener *listener = &state->listeners[i];

        visitor(listener->settings, userdata);
        for (size_t j = 0; j < listener->generation_count; j++)
            visitor(listener->generations[j].settings, userdata);
    }
}

/* The tables of networks, in the order in which they are met. */
struct tables {
    struct access_lists lists;
    struct writer *writer; /* or */
    struct reader *reader;
};

static void
gather_table(const struct settings *settings, void *userdata)
{
    struct tables *tables = userdata;

    if (access_lists_add(&tables->lists, settings->access) < 0)
        tables->writer->error = -ENOMEM;
}

static void
put_table_number(const struct settings *settings, void *userdata)
{
    const struct tables *tables = userdata;

    put_number(tables->writer, access_lists_number(&tables->lists, settings->access));
}

/* Their number, each behind its size, and then which of them each settings have. */
static void
put_tables(struct writer *writer, const struct upgrade_state *state)
{
    struct tables tables = {.writer = writer};

    upgrade_visit_settings(state, gather_table, &tables);
    if (tables.lists.count > 0) {
        put_number(writer, EXTRA_TABLES);
        put_number(writer, tables.lists.count);
    }
    for (uint64_t i = 0; i < tables.lists.count; i++) {
        const struct networks *networks = access_list_networks(tables.lists.lists[i]);
        put_number(writer, networks_size(networks));
        put(writer, networks, networks_size(networks));
    }
    if (tables.lists.count > 0)
        upgrade_visit_settings(state, put_table_number, &tables);
    free(tables.lists.lists);
}

static void
note_tls(const struct settings *settings, void *userdata)
{
    bool *found = userdata;

    *found |= settings->tls_files != NULL;
}

/* The record's size comes first, so that later programs may add to it. */
static void
put_tls_record(struct writer *writer, const struct upgrade_state *state)
{
    struct writer record = {0};
    bool found = false;

    upgrade_visit_settings(state, note_tls, &found);
    for (size_t i = 0; i < state->listener_count; i++)
        found |= state->listeners[i].tls.tickets.count > 0;
    if (!found)
        return;
    put_tls(&record, state);
    writer->error = writer->error != 0 ? writer->error : record.error;
    put_number(writer, EXTRA_TLS);
    put_number(writer, record.size);
    if (record.size > 0)
        put(writer, record.bytes, record.size);
    secret_free(record.bytes, record.room);
}

/* The tables of sources: a number one above the descriptor's for each listener. */
static void
put_sources(struct writer *writer, const struct upgrade_state *state)
{
    bool any = false;

    for (size_t i = 0; i < state->listener_count; i++)
        any |= state->listeners[i].sources > 0;
    if (!any)
        return;
    put_number(writer, EXTRA_SOURCES);
    for (size_t i = 0; i < state->listener_count; i++)
        put_number(writer, (uint64_t)state->listeners[i].sources);
}

static void
put_kept_record(struct writer *writer, const struct upgrade_state *state)
{
    bool any = false;

    for (size_t i = 0; i < state->listener_count; i++)
        any |= state->listeners[i].kept.plugin_file != NULL;
    if (!any)
        return;
    put_number(writer, EXTRA_KEPT);
    put_kept(writer, state);
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
    put_counters(&writer, state);
    put_tables(&writer, state);
    put_tls_record(&writer, state);
    put_sources(&writer, state);
    put_wishes(&writer, state);
    put_kept_record(&writer, state);
    if (writer.error != 0) {
        secret_free(writer.bytes, writer.room);
        return writer.error;
    }
    *ret_bytes = writer.bytes;
    *ret_size = writer.size;
    return 0;
}

/* ---- reading ------------------------------------------------------------------ */

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

    const char *bytes = get_piece(reader, size);

    *ret = NULL;
    if (bytes == NULL)
        return;
    reader->error = settings_unpack(bytes, size, &settings);
    if (reader->error != 0)
        return;
    *ret = settings_share(&settings);
    if (*ret == NULL)
        reader->error = -ENOMEM;
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
    for (size_t i = 0; i < COUNTERS_FIRST; i++)
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
get_wishes(struct reader *reader, struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++) {
            struct upgrade_generation *generation = &state->listeners[i].generations[j];
            for (size_t k = 0; k < generation->worker_count; k++)
                generation->workers[k].wishes = (int)get_number(reader, INT32_MAX);
        }
}

static void
get_request_numbers(struct reader *reader, struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        state->listeners[i].numbers = get_number(reader, UINT64_MAX);
}

/* A later program may know more rows. */
static void
get_counters(struct reader *reader, struct upgrade_state *state)
{
    uint64_t count = get_number(reader, reader->left / sizeof(uint64_t));

    for (size_t i = 0; i < state->listener_count; i++)
        for (uint64_t j = 0; j < count && reader->error == 0; j++) {
            uint64_t value = get_number(reader, UINT64_MAX);
            if (COUNTERS_FIRST + j < COUNTER_COUNT)
                *counter_in_sums(&state->listeners[i].totals, &counter_table[COUNTERS_FIRST + j]) =
                    value;
        }
}

static void
get_table(struct reader *reader, struct access_list **ret)
{
    size_t size = get_number(reader, reader->left);

    const char *bytes = get_piece(reader, size);

    if (bytes != NULL)
        reader->error = access_list_copy(bytes, size, ret);
}

static void
get_table_number(const struct settings *settings, void *userdata)
{
    const struct tables *tables = userdata;
    uint64_t number = get_number(tables->reader, tables->lists.count);

    if (number > 0)
        settings_give_access(settings, tables->lists.lists[number - 1]);
}

static void
get_tables(struct reader *reader, struct upgrade_state *state)
{
    struct tables tables = {.reader = reader};
    size_t count;

    tables.lists.lists = get_array(reader, sizeof(struct access_list *), &count);
    for (; tables.lists.count < count && reader->error == 0;
         tables.lists.count += reader->error == 0)
        get_table(reader, &tables.lists.lists[tables.lists.count]);
    if (reader->error == 0)
        upgrade_visit_settings(state, get_table_number, &tables);
    for (uint64_t i = 0; i < tables.lists.count; i++)
        access_list_unref(tables.lists.lists[i]);
    free(tables.lists.lists);
}

/* A later program may say more behind what is known here. */
static void
get_tls_record(struct reader *reader, struct upgrade_state *state)
{
    size_t size = get_number(reader, reader->left);
    struct reader record = {.left = size};

    record.bytes = get_piece(reader, size);
    if (record.bytes == NULL)
        return;
    get_tls(&record, state);
    reader->error = record.error;
}

static void
get_extra(struct reader *reader, struct upgrade_state *state)
{
    switch (get_number(reader, EXTRA_KEPT)) {
    case EXTRA_COUNTERS:
        get_counters(reader, state);
        break;
    case EXTRA_TABLES:
        get_tables(reader, state);
        break;
    case EXTRA_TLS:
        get_tls_record(reader, state);
        break;
    case EXTRA_SOURCES:
        for (size_t i = 0; i < state->listener_count; i++)
            state->listeners[i].sources = (int)get_number(reader, INT32_MAX);
        break;
    case EXTRA_WISHES:
        get_wishes(reader, state);
        break;
    case EXTRA_KEPT:
        get_kept(reader, state);
        break;
    default:
        reader->error = -EBADMSG;
    }
}

/* Without its table a listener with lists would let everybody in, and without its files one with
 * `tls` would speak in the clear. */
static void
check_whole(const struct settings *settings, void *userdata)
{
    struct reader *reader = userdata;

    if (reader->error == 0 && (settings_restrict_access(settings) != (settings->access != NULL) ||
                               settings_want_tls(settings) != (settings->tls_files != NULL)))
        reader->error = -EBADMSG;
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
    while (reader.left > 0 && reader.error == 0)
        get_extra(&reader, &state);
    if (reader.error == 0)
        upgrade_visit_settings(&state, check_whole, &reader);
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

/* SPDX-License-Identifier: MIT */
/*
 * sources.c - the busiest sources, what limits one of them, and pardons
 *
 * The table of sources is its workers' memory: what it says is shown, and
 * believed no further.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: want of memory gives NULL, and the client is hung up on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "supervisor/control/control_private.h"

struct busiest {
    struct entry {
        const struct settings *settings;
        struct source_state state;
    } entries[SOURCES_SHOWN];
    size_t count, limit;
    uint64_t uncounted;
};

static struct source_prefix
prefix_of(const struct settings *settings)
{
    return (struct source_prefix){settings->source_prefix.ipv4, settings->source_prefix.ipv6};
}

/* ---- the busiest ------------------------------------------------------------ */

/* Requests now come first, then who is turned away, then who comes often. */
static bool
is_busier(const struct source_state *one, const struct source_state *other)
{
    if (one->active != other->active)
        return one->active > other->active;
    if ((one->penalty_left > 0) != (other->penalty_left > 0))
        return one->penalty_left > 0;
    return one->rate > other->rate;
}

static void
consider(struct busiest *busiest, const struct settings *settings, const struct source_state *state)
{
    size_t i = busiest->count;

    while (i > 0 && is_busier(state, &busiest->entries[i - 1].state))
        i--;
    if (i == busiest->limit)
        return;
    if (busiest->count < busiest->limit)
        busiest->count++;
    memmove(&busiest->entries[i + 1], &busiest->entries[i],
            (busiest->count - 1 - i) * sizeof(busiest->entries[0]));
    busiest->entries[i] = (struct entry){settings, *state};
}

/* Memory that no source has used yet is not looked at: that would allocate it. */
static void
look_at(struct busiest *busiest, const struct listener *listener, int64_t now)
{
    int fd = -1;
    const struct sources *sources = listener_sources(listener, &fd);
    struct source_state state;

    if (sources == NULL)
        return;
    busiest->uncounted += sources_uncounted(sources);
    for (int64_t i = sources_next(fd, 0); i >= 0; i = sources_next(fd, (uint32_t)i + 1))
        if (sources_read(sources, (uint32_t)i, now, &state))
            consider(busiest, listener_settings(listener), &state);
}

static json_t *
describe(const struct entry *entry)
{
    const struct source_state *state = &entry->state;
    bool penalised = state->penalty_left > 0;
    char text[SOURCE_TEXT_SIZE];

    return json_pack("{s:s, s:s, s:I, s:f, s:I, s:I, s:o, s:o}", "listener", entry->settings->name,
                     "source", source_format(state->key, prefix_of(entry->settings), text),
                     "active", (json_int_t)state->active, "rate", state->rate, "refused",
                     (json_int_t)state->refused, "penalty_us",
                     (json_int_t)(state->penalty_left / 1000), "penalty",
                     varlink_text(penalised ? source_penalty_name(state->kind) : NULL), "reason",
                     varlink_text(penalised && *state->reason != '\0' ? state->reason : NULL));
}

json_t *
control_sources(const struct control *control, const char *name, size_t limit)
{
    const struct roster *roster = control->host.roster;
    _cleanup_free_ struct busiest *busiest = calloc(1, sizeof(*busiest));
    json_t *array = busiest == NULL ? NULL : json_array(), *reply = json_object();
    int64_t now = monotonic_now();

    for (size_t i = 0; busiest != NULL && i < roster->count; i++) {
        busiest->limit = limit;
        if (name == NULL || strcmp(listener_settings(roster->listeners[i])->name, name) == 0)
            look_at(busiest, roster->listeners[i], now);
    }
    for (size_t i = 0; busiest != NULL && i < busiest->count; i++)
        varlink_append(&array, describe(&busiest->entries[i]));
    varlink_set(&reply, "sources", array);
    if (busiest != NULL)
        varlink_set(&reply, "uncounted", json_integer((json_int_t)busiest->uncounted));
    return reply;
}

/* ---- one of them ----------------------------------------------------------------- */

/* Adds "KEY = VALUE (FILE:LINE): STATE"; what was not given has no place. */
static void
add_line(json_t **lines, const struct settings *settings, const char *key, const char *state)
{
    const struct setting *setting = setting_find(key);
    const struct given *place =
        settings->places == NULL ? NULL : &settings->places[setting - settings_table];
    _cleanup_free_ char *value = NULL, *text = NULL;
    char where[32] = "";
    const char *file = place == NULL ? NULL : place->file;

    if (setting_format(settings, setting, &value) < 0)
        value = NULL;
    if (file != NULL)
        (void)snprintf(where, sizeof(where), ":%u", place->line);
    if (asprintf(&text, "%s = %s (%s%s): %s", key, value == NULL ? "-" : value,
                 file != NULL                       ? file
                 : setting_given(settings, setting) ? "command line"
                                                    : "default",
                 where, state) < 0)
        text = NULL;
    varlink_append(lines, text == NULL ? NULL : varlink_text(text));
}

static void
add_penalty(json_t **lines, const struct settings *settings, const struct source_state *state)
{
    char key[32], text[SOURCE_REASON_SIZE + 64];

    if (state->penalty_left <= 0 || state->kind == PENALTY_NONE || state->kind >= PENALTY_KINDS)
        return;
    (void)snprintf(key, sizeof(key), "penalty.%s", source_penalty_name(state->kind));
    (void)snprintf(text, sizeof(text), "turned away for %.1f s more%s%s",
                   (double)state->penalty_left / 1e9, *state->reason == '\0' ? "" : ": ",
                   state->reason);
    add_line(lines, settings, key, text);
}

json_t *
control_source_lines(const struct listener *listener, struct source_key key, bool local)
{
    const struct settings *settings = listener_settings(listener);
    const struct sources *sources = listener_sources(listener, NULL);
    struct source_state state = {0};
    json_t *lines = json_array();
    char text[64];
    bool free_of_it = local && !settings_have(settings, "max_per_source");

    if (sources == NULL)
        return lines;
    (void)sources_find(sources, key, monotonic_now(), &state);
    add_penalty(&lines, settings, &state);
    (void)snprintf(text, sizeof(text), "%" PRIu32 " requests now", state.active);
    if (settings->max_per_source > 0 && setting_applies(settings, setting_find("max_per_source")))
        add_line(&lines, settings, "max_per_source",
                 free_of_it ? "not for local sources, unless it is given" : text);
    (void)snprintf(text, sizeof(text), "%.1f/s in the last seconds", state.rate);
    if (settings->rate_per_source.count > 0)
        add_line(&lines, settings, "rate_per_source", text);
    return lines;
}

bool
control_pardon(const struct listener *listener, struct source_key key)
{
    struct sources *sources = listener_sources(listener, NULL);

    return sources != NULL && sources_pardon(sources, key, monotonic_now());
}

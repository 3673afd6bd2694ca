/* SPDX-License-Identifier: MIT */
/*
 * upgrade_kept.c - what the next process of the daemon is told of what plugins have kept
 *
 * Each listener tells its plugin's file behind the size of that text; 0 stands
 * for nothing. Descriptors and areas follow, behind their counts.
 *
 * Runs in:  the supervisor, at an upgrade.
 * Owns:     nothing beyond a call.
 * Failures: noted in the writer or reader.
 */
#include <limits.h>
#include <stdlib.h>

#include "supervisor/change/upgrade_bytes.h"

static void
put_one(struct writer *writer, const struct upgrade_kept *kept)
{
    size_t size = kept->plugin_file == NULL ? 0 : strlen(kept->plugin_file) + 1;

    put_number(writer, size);
    if (size == 0)
        return;
    put(writer, kept->plugin_file, size);
    put_number(writer, kept->count);
    for (size_t i = 0; i < kept->count; i++) {
        put(writer, kept->fds[i].name, KEPT_NAME_SIZE);
        put_number(writer, (uint64_t)kept->fds[i].fd);
    }
    put_number(writer, kept->area_count);
    for (size_t i = 0; i < kept->area_count; i++) {
        put_number(writer, kept->areas[i].size);
        put_number(writer, (uint64_t)kept->areas[i].fd);
    }
}

void
put_kept(struct writer *writer, const struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count; i++)
        put_one(writer, &state->listeners[i].kept);
}

static void
get_fds(struct reader *reader, struct upgrade_kept *ret)
{
    size_t count = get_number(reader, KEPT_MOST);

    for (size_t i = 0; i < count && reader->error == 0; i++) {
        get(reader, ret->fds[i].name, KEPT_NAME_SIZE);
        ret->fds[i].fd = (int)get_number(reader, INT_MAX);
        if (memchr(ret->fds[i].name, '\0', KEPT_NAME_SIZE) == NULL && reader->error == 0)
            reader->error = -EBADMSG;
    }
    ret->count = reader->error == 0 ? count : 0;
}

static void
get_areas(struct reader *reader, struct upgrade_kept *ret)
{
    size_t count = get_number(reader, KEPT_AREAS_MOST);

    for (size_t i = 0; i < count && reader->error == 0; i++) {
        ret->areas[i].size = get_number(reader, UINT64_MAX);
        ret->areas[i].fd = (int)get_number(reader, INT_MAX);
    }
    ret->area_count = reader->error == 0 ? count : 0;
}

static void
get_one(struct reader *reader, struct upgrade_kept *ret)
{
    size_t size = get_number(reader, reader->left);
    const char *text = size == 0 ? NULL : get_piece(reader, size);

    if (text == NULL)
        return;
    if (text[size - 1] != '\0') {
        reader->error = -EBADMSG;
        return;
    }
    ret->plugin_file = strdup(text);
    if (ret->plugin_file == NULL)
        reader->error = -ENOMEM;
    get_fds(reader, ret);
    get_areas(reader, ret);
}

void
get_kept(struct reader *reader, struct upgrade_state *state)
{
    for (size_t i = 0; i < state->listener_count && reader->error == 0; i++)
        if (state->listeners[i].kept.plugin_file == NULL) /* it stands there once */
            get_one(reader, &state->listeners[i].kept);
        else
            reader->error = -EBADMSG;
}

/* SPDX-License-Identifier: MIT */
/*
 * upgrade_bytes.h - numbers and pieces of bytes, written to memory and read from it
 *
 * After the first failure nothing more is written or read. What is written may
 * be secret: no copy stays behind.
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_BYTES_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_BYTES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/secret.h"
#include "supervisor/change/upgrade_state.h"

#define UPGRADE_ROOM_FIRST 4096

struct writer {
    char *bytes;
    size_t size, room;
    int error; /* the first; nothing is written any more */
};

static inline void
put(struct writer *writer, const void *bytes, size_t size)
{
    if (writer->error == 0 && size > writer->room - writer->size) {
        size_t room = 2 * writer->room + size + UPGRADE_ROOM_FIRST;
        char *grown = secret_grow(writer->bytes, writer->size, writer->room, room);
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

static inline void
put_number(struct writer *writer, uint64_t number)
{
    put(writer, &number, sizeof(number));
}

struct reader {
    const char *bytes;
    size_t left;
    int error; /* the first; nothing is read any more */
};

static inline void
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
static inline uint64_t
get_number(struct reader *reader, uint64_t most)
{
    uint64_t number;

    get(reader, &number, sizeof(number));
    if (number <= most)
        return number;
    reader->error = reader->error != 0 ? reader->error : -EBADMSG;
    return 0;
}

/* Takes so many bytes as they stand. Returns NULL if there are not so many. */
static inline const char *
get_piece(struct reader *reader, size_t size)
{
    const char *piece = reader->bytes;

    if (reader->error == 0 && size > reader->left)
        reader->error = -EBADMSG;
    if (reader->error != 0)
        return NULL;
    reader->bytes += size;
    reader->left -= size;
    return piece;
}

/* Calls visitor for all settings in the state, in the order in which they were put. */
void upgrade_visit_settings(const struct upgrade_state *state,
                            void (*visitor)(const struct settings *settings, void *userdata),
                            void *userdata);

/* upgrade_tls.c: what the files of `tls` hold, and what listeners know beside them. The caller has
 * written or read the record's size. */
void put_tls(struct writer *writer, const struct upgrade_state *state);
void get_tls(struct reader *reader, struct upgrade_state *state);

/* upgrade_kept.c: what each listener's plugin has asked to be kept. */
void put_kept(struct writer *writer, const struct upgrade_state *state);
void get_kept(struct reader *reader, struct upgrade_state *state);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * records.c - pairs of text, key and value, as bytes
 *
 * Runs in:  the supervisor (writing, and reading at an upgrade), a worker
 *           (reading).
 * Owns:     what a writer holds, until record_finish(). It may be secret, and
 *           leaves no other copy behind.
 * Failures: returned; a writer remembers its own until then.
 */
#include "common/records.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/secret.h"

#define ROOM_FIRST 1024

static bool
make_room(struct record_writer *writer, size_t size)
{
    size_t room = writer->room == 0 ? ROOM_FIRST : writer->room;

    while (room - writer->size < size)
        room *= 2;
    if (room == writer->room)
        return true;
    char *bytes = secret_grow(writer->bytes, writer->size, writer->room, room);
    if (bytes == NULL)
        return false;
    writer->bytes = bytes;
    writer->room = room;
    return true;
}

/* After a failure nothing is added: bytes with a hole might be read as something else. */
void
record_put_bytes(struct record_writer *writer, const char *bytes, size_t size)
{
    writer->failed = writer->failed || !make_room(writer, size);
    if (writer->failed)
        return;
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

int
record_finish(struct record_writer *writer, char **ret_bytes, size_t *ret_size)
{
    int r = writer->failed ? -ENOMEM : 0;

    if (r == 0) {
        *ret_bytes = take_pointer(writer->bytes);
        *ret_size = writer->size;
    }
    secret_free(writer->bytes, writer->room);
    *writer = (struct record_writer){0};
    return r;
}

void
record_put(struct record_writer *writer, const char *key, const char *value)
{
    record_put_bytes(writer, key, strlen(key) + 1);
    record_put_bytes(writer, value, strlen(value) + 1);
}

void
record_put_number(struct record_writer *writer, const char *key, uint64_t value)
{
    char buffer[32];

    (void)snprintf(buffer, sizeof(buffer), "%" PRIu64, value);
    record_put(writer, key, buffer);
}

static int
take_string(struct record_reader *reader, const char **ret)
{
    const char *nul = memchr(reader->at, '\0', (size_t)(reader->end - reader->at));

    if (nul == NULL)
        return -EBADMSG;
    *ret = reader->at;
    reader->at = nul + 1;
    return 0;
}

int
record_take(struct record_reader *reader, const char **ret_key, const char **ret_value)
{
    int r = take_string(reader, ret_key);

    return r < 0 ? r : take_string(reader, ret_value);
}

int
record_take_named(struct record_reader *reader, const char *key, const char **ret_value)
{
    const char *found;
    int r = record_take(reader, &found, ret_value);

    return r < 0 ? r : strcmp(found, key) == 0 ? 0 : -EBADMSG;
}

int
record_number(const char *value, uint64_t max, uint64_t *ret)
{
    uintmax_t number;
    char *end;

    if (*value < '0' || *value > '9')
        return -EBADMSG;
    errno = 0;
    number = strtoumax(value, &end, 10);
    if (*end != '\0' || errno == ERANGE || number > max)
        return -EBADMSG;
    *ret = number;
    return 0;
}

int
record_take_number(struct record_reader *reader, const char *key, uint64_t max, uint64_t *ret)
{
    const char *value;
    int r = record_take_named(reader, key, &value);

    return r < 0 ? r : record_number(value, max, ret);
}

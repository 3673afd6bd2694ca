/* SPDX-License-Identifier: MIT */
/*
 * records.c - pairs of text, key and value, as bytes
 *
 * Runs in:  the supervisor (writing, and reading at an upgrade), a worker
 *           (reading).
 * Owns:     nothing.
 * Failures: returned.
 */
#include "common/records.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void
record_put(FILE *stream, const char *key, const char *value)
{
    (void)fwrite(key, strlen(key) + 1, 1, stream);
    (void)fwrite(value, strlen(value) + 1, 1, stream);
}

void
record_put_number(FILE *stream, const char *key, uint64_t value)
{
    char buffer[32];

    (void)snprintf(buffer, sizeof(buffer), "%" PRIu64, value);
    record_put(stream, key, buffer);
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

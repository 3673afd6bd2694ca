/* SPDX-License-Identifier: MIT */
/*
 * brief.c - what a worker is told at its start, beside its listener's settings
 *
 * A brief consists of records, all of which must be there in the order of
 * pack(), and of the bytes of settings_pack() behind them. It has no version:
 * the supervisor opens the worker's program when it starts, and never another.
 *
 * Runs in:  the supervisor (pack), a worker (unpack).
 * Owns:     the address, until brief_done().
 * Failures: returned.
 */
#include "common/brief.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/memfd.h"
#include "common/records.h"

#define MAGIC     "sockserverd-brief"
#define SIZE_MOST (16 << 20)

static int
pack(const struct brief *brief, const struct settings *settings, char **ret_bytes, size_t *ret_size)
{
    _cleanup_free_ char *rest = NULL;
    struct record_writer writer = {0};
    size_t rest_size;
    int r = settings_pack(settings, &rest, &rest_size);

    if (r < 0)
        return r;
    record_put(&writer, MAGIC, brief->address);
    record_put_number(&writer, "check", brief->check);
    record_put_number(&writer, "once", brief->once);
    record_put_number(&writer, "access", brief->access);
    record_put_number(&writer, "fields", brief->fields);
    record_put_number(&writer, "sink", brief->sink);
    record_put_number(&writer, "level", (uint64_t)brief->level);
    record_put_bytes(&writer, rest, rest_size);
    return record_finish(&writer, ret_bytes, ret_size);
}

int
brief_to_fd(const struct brief *brief, const struct settings *settings)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size;
    int r = pack(brief, settings, &bytes, &size);

    return r < 0 ? r : memfd_sealed("brief", bytes, size);
}

static int
take_brief(struct record_reader *reader, struct brief *ret)
{
    uint64_t check, once, access, fields, sink, level;
    const char *address;

    if (record_take_named(reader, MAGIC, &address) < 0 ||
        record_take_number(reader, "check", 1, &check) < 0 ||
        record_take_number(reader, "once", 1, &once) < 0 ||
        record_take_number(reader, "access", 1, &access) < 0 ||
        record_take_number(reader, "fields", 1, &fields) < 0 ||
        record_take_number(reader, "sink", LOG_TO_JOURNAL, &sink) < 0 ||
        record_take_number(reader, "level", LOG_DEBUG, &level) < 0)
        return -EBADMSG;
    *ret = (struct brief){.check = check != 0,
                          .once = once != 0,
                          .access = access != 0,
                          .fields = fields != 0,
                          .sink = (enum log_sink)sink,
                          .level = (int)level,
                          .address = strdup(address)};
    return ret->address == NULL ? -ENOMEM : 0;
}

static int
unpack(const char *bytes, size_t size, struct brief *ret_brief, struct settings *ret_settings)
{
    struct record_reader reader = {bytes, bytes + size};
    struct brief brief;
    int r = take_brief(&reader, &brief);

    if (r < 0)
        return r;
    r = settings_unpack(reader.at, (size_t)(reader.end - reader.at), ret_settings);
    if (r < 0)
        brief_done(&brief);
    else
        *ret_brief = brief;
    return r;
}

int
brief_from_fd(int fd, struct brief *ret_brief, struct settings *ret_settings)
{
    _cleanup_free_ char *bytes = NULL;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size <= 0 || status.st_size > SIZE_MOST)
        return -EBADMSG;
    bytes = malloc((size_t)status.st_size);
    if (bytes == NULL)
        return -ENOMEM;
    if (pread(fd, bytes, (size_t)status.st_size, 0) != status.st_size)
        return -EBADMSG;
    return unpack(bytes, (size_t)status.st_size, ret_brief, ret_settings);
}

void
brief_done(struct brief *brief)
{
    free(brief->address);
    *brief = (struct brief){0};
}

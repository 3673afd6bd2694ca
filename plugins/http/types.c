/* SPDX-License-Identifier: MIT */
/*
 * types.c - which media type a file has, by the end of its name
 *
 * Runs in:  a worker's start; the table is only read afterwards.
 * Owns:     the table.
 * Failures: returned.
 */
#include "types.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../regular_file.h"

#define UNKNOWN "application/octet-stream"

struct type {
    char *ending; /* without its dot */
    char *name;
    size_t order;
};

struct types {
    struct type *all; /* sorted by ending */
    size_t count, capacity;
    const char *charset;
};

static const char built_in[] = "text/html html htm\n"
                               "text/plain txt log md conf text asc\n"
                               "text/css css\n"
                               "text/javascript js mjs\n"
                               "text/csv csv\n"
                               "text/xml xml\n"
                               "application/json json map\n"
                               "application/pdf pdf\n"
                               "application/wasm wasm\n"
                               "application/zip zip\n"
                               "application/gzip gz tgz\n"
                               "application/x-xz xz\n"
                               "application/zstd zst\n"
                               "application/x-tar tar\n"
                               "application/vnd.debian.binary-package deb\n"
                               "image/png png\n"
                               "image/jpeg jpeg jpg\n"
                               "image/gif gif\n"
                               "image/svg+xml svg\n"
                               "image/webp webp\n"
                               "image/avif avif\n"
                               "image/x-icon ico\n"
                               "font/woff2 woff2\n"
                               "font/woff woff\n"
                               "font/ttf ttf\n"
                               "audio/mpeg mp3\n"
                               "audio/ogg ogg oga\n"
                               "audio/flac flac\n"
                               "video/mp4 mp4\n"
                               "video/webm webm\n";

/* No byte of a type may end the line of the answer that it stands in. */
static bool
is_plain(const char *name)
{
    for (; *name != '\0'; name++)
        if (*name <= ' ' || *name >= 0x7f)
            return false;
    return true;
}

static bool
needs_charset(const struct types *types, const char *name)
{
    return types->charset[0] != '\0' && strncmp(name, "text/", 5) == 0;
}

static int
add(struct types *types, const char *ending, const char *name)
{
    if (types->count == types->capacity) {
        size_t capacity = types->capacity * 2 + 64;
        struct type *all = realloc(types->all, capacity * sizeof(*all));
        if (all == NULL)
            return -ENOMEM;
        types->all = all;
        types->capacity = capacity;
    }
    bool text = needs_charset(types, name);
    struct type type = {.ending = strdup(ending), .order = types->count};
    if (asprintf(&type.name, "%s%s%s", name, text ? "; charset=" : "", text ? types->charset : "") <
        0)
        type.name = NULL;
    types->all[types->count++] = type;
    return type.ending == NULL || type.name == NULL ? -ENOMEM : 0;
}

/* TYPE ENDING..., and a comment from "#" on. */
static int
take_line(struct types *types, char *line)
{
    char *rest = NULL;
    int error = 0;

    line[strcspn(line, "#")] = '\0';
    const char *name = strtok_r(line, " \t\r\n", &rest);
    if (name == NULL || !is_plain(name))
        return 0;
    for (char *ending; error == 0 && (ending = strtok_r(NULL, " \t\r\n", &rest)) != NULL;)
        error = add(types, ending, name);
    return error;
}

static int
read_all(struct types *types, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    int error = 0;

    while (error == 0 && getline(&line, &size, file) >= 0)
        error = take_line(types, line);
    if (error == 0 && ferror(file))
        error = -EIO;
    free(line);
    return error;
}

static int
compare(const void *one, const void *other)
{
    const struct type *a = one, *b = other;
    int order = strcasecmp(a->ending, b->ending);

    return order != 0 ? order : a->order < b->order ? -1 : a->order > b->order;
}

static FILE *
open_file(const char *path)
{
    int fd = regular_file_open(path);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (fd < 0)
        errno = -fd;
    else if (file == NULL)
        (void)close(fd);
    return file;
}

static FILE *
open_table(const char *path)
{
    if (path != NULL)
        return open_file(path);
    return fmemopen((char *)(uintptr_t)built_in, sizeof(built_in) - 1, "r");
}

int
types_new(const char *path, const char *charset, struct types **ret)
{
    struct types *types = calloc(1, sizeof(*types));
    FILE *file = types != NULL ? open_table(path) : NULL;
    int error = file != NULL ? 0 : -errno;

    if (error == 0) {
        types->charset = charset;
        error = read_all(types, file);
        (void)fclose(file);
    }
    if (error < 0) {
        types_free(types);
        return error;
    }
    qsort(types->all, types->count, sizeof(types->all[0]), compare);
    *ret = types;
    return 0;
}

void
types_free(struct types *types)
{
    if (types == NULL)
        return;
    for (size_t i = 0; i < types->count; i++) {
        free(types->all[i].ending);
        free(types->all[i].name);
    }
    free(types->all);
    free(types);
}

/* The last line that names an ending counts. */
const char *
types_of(const struct types *types, const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = strrchr(name != NULL ? name : path, '.');
    size_t low = 0, high = types->count;

    if (dot == NULL)
        return UNKNOWN;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcasecmp(types->all[middle].ending, dot + 1) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcasecmp(types->all[low - 1].ending, dot + 1) != 0)
        return UNKNOWN;
    return types->all[low - 1].name;
}

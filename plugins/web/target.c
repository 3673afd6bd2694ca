/* SPDX-License-Identifier: MIT */
/*
 * target.c - what a request asks for: from the target as it was sent to a path below the root
 *
 * A path is split first and decoded once, and no part of it that begins with a dot is there for
 * a client: so neither "." and "..", in whatever spelling, nor hidden files reach the file system.
 * The one exception is .well-known (RFC 8615) directly in the root.
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: returned as an HTTP status.
 */
#include "target.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

#include "head.h"

#define WELL_KNOWN ".well-known"

/* Where the path begins; NULL: the target has none that a file could be found by. */
static const char *
find_path(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (*target == '/')
        return target;
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], size) != 0)
            continue;
        size_t host = strcspn(target + size, "/?#");
        if (host == 0 || !host_is_valid(target + size, host))
            return NULL;
        return target + size + host;
    }
    return NULL;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of the path; *at becomes the next one's place. -1: no file name can have it. */
static int
decode(const char **at)
{
    const char *text = *at;
    int value = (unsigned char)*text;

    *at += 1;
    if (*text == '%') {
        int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0)
            return -1;
        value = high * 16 + low;
        *at += 2;
    }
    return value < ' ' || value == 0x7f ? -1 : value;
}

/* One part of the path, which is not empty. Its end, or NULL and the status. */
static char *
decode_part(const char *from, size_t size, char *to, int *ret_status)
{
    const char *end = from + size;
    char *begin = to;

    while (from < end) {
        int c = decode(&from);
        if (c < 0 || from > end) {
            *ret_status = HTTP_STATUS_BAD_REQUEST;
            return NULL;
        }
        if (c == '/') {
            *ret_status = HTTP_STATUS_NOT_FOUND;
            return NULL;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    *ret_status = *begin == '.' ? HTTP_STATUS_NOT_FOUND : 0;
    return to;
}

static int
decode_path(const char *path, const char *end, char *memory, struct target *ret)
{
    char *to = memory;
    int status;

    ret->folder = true;
    *to = '\0';
    while (path < end) {
        size_t size = strcspn(path, "/?#");
        if (size == 0) {
            ret->folder = true;
            path++;
            continue;
        }
        if (to > memory)
            *to++ = '/';
        char *part = to;
        to = decode_part(path, size, part, &status);
        bool known = part == memory && to != NULL && strcmp(part, WELL_KNOWN) == 0;
        if (status != 0 && !known)
            return status;
        ret->folder = false;
        path += size;
    }
    ret->path = memory;
    return 0;
}

int
target_parse(const char *text, char *memory, struct target *ret)
{
    const char *path = find_path(text);

    *ret = (struct target){0};
    if (path == NULL || strchr(path, '#') != NULL)
        return HTTP_STATUS_BAD_REQUEST;
    const char *end = path + strcspn(path, "?");
    ret->query = *end == '?' ? end + 1 : NULL;
    return decode_path(path, end, memory, ret);
}

/* SPDX-License-Identifier: MIT */
/*
 * condition.c - If-Match and its kin: what a client wants only of a certain state of a file
 *
 * The entity tag is made of inode, size and time of change. As long as that time is no more than
 * a second ago, the file may change again without one of them being another: the tag is a weak one,
 * and nobody continues a download by it.
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: a field with a mistake in it names no version.
 */
#include "condition.h"

#include <stdint.h>
#include <string.h>

#include "../web/text.h"

void
version_init(struct version *version, const struct stat *status, time_t now)
{
    struct text tag = TEXT_IN(version->tag);
    time_t changed = status->st_mtim.tv_sec;

    if (changed >= now - 1)
        text_add_string(&tag, "W/");
    text_add_string(&tag, "\"");
    text_add_hex(&tag, status->st_ino);
    text_add_string(&tag, "-");
    text_add_hex(&tag, (uint64_t)status->st_size);
    text_add_string(&tag, "-");
    text_add_hex(&tag, (uint64_t)changed * 1000000000 + (uint64_t)status->st_mtim.tv_nsec);
    text_add(&tag, "\"", 2);
    version->changed = changed;
    date_write(changed < now ? changed : now, version->date);
}

static bool
is_weak(const char *tag)
{
    return strncmp(tag, "W/", 2) == 0;
}

/* The end of the tag that stands here, or NULL. */
static const char *
tag_end(const char *text)
{
    if (is_weak(text))
        text += 2;
    if (*text != '"')
        return NULL;
    text = strchr(text + 1, '"');
    return text != NULL ? text + 1 : NULL;
}

static bool
tag_is(const char *text, size_t size, const char *tag, bool strong)
{
    if (strong && (is_weak(text) || is_weak(tag)))
        return false;
    size_t skip = is_weak(text) ? 2 : 0;
    tag += is_weak(tag) ? 2 : 0;
    return size - skip == strlen(tag) && memcmp(text + skip, tag, size - skip) == 0;
}

/* Whether the list of tags, or "*", names this one. */
static bool
names(const char *list, const char *tag, bool strong)
{
    if (strcmp(list, "*") == 0)
        return true;
    for (;;) {
        list += strspn(list, " \t,");
        const char *end = tag_end(list);
        if (end == NULL)
            return false;
        if (tag_is(list, (size_t)(end - list), tag, strong))
            return true;
        list = end;
    }
}

/* Whether the file has changed after the date of the field; otherwise, if that is no date. */
static bool
changed_since(const char *field, const struct version *version, bool otherwise)
{
    time_t date;

    return date_read(field, &date) ? version->changed > date : otherwise;
}

int
conditions_judge(const struct head *head, const struct version *version)
{
    const char *match = head->fields[FIELD_IF_MATCH];
    const char *none = head->fields[FIELD_IF_NONE_MATCH];
    const char *since = head->fields[FIELD_IF_MODIFIED_SINCE];
    const char *unless = head->fields[FIELD_IF_UNMODIFIED_SINCE];

    if (match != NULL && !names(match, version->tag, true))
        return HTTP_STATUS_PRECONDITION_FAILED;
    if (match == NULL && unless != NULL && changed_since(unless, version, false))
        return HTTP_STATUS_PRECONDITION_FAILED;
    if (none != NULL)
        return names(none, version->tag, false) ? HTTP_STATUS_NOT_MODIFIED : HTTP_STATUS_OK;
    if (since != NULL && !changed_since(since, version, true))
        return HTTP_STATUS_NOT_MODIFIED;
    return HTTP_STATUS_OK;
}

bool
condition_allows_range(const struct head *head, const struct version *version)
{
    const char *field = head->fields[FIELD_IF_RANGE];
    time_t date;

    if (field == NULL)
        return true;
    if (*field == '"' || is_weak(field))
        return tag_is(field, strlen(field), version->tag, true);
    return !is_weak(version->tag) && date_read(field, &date) && date == version->changed;
}

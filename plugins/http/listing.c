/* SPDX-License-Identifier: MIT */
/*
 * listing.c - a page of what a folder has
 *
 * Hidden files are left out, and so is what no request for it would get: sockets, FIFOs, and
 * symbolic links out of the root.
 *
 * Runs in:  a handler.
 * Owns:     the entries, while the page is made.
 * Failures: returned.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

#define MOST_ENTRIES 5000

struct entry {
    char *name;
    bool folder;
    off_t size;
    time_t changed;
};

struct entries {
    struct entry *all;
    size_t count, capacity;
    bool more; /* than MOST_ENTRIES */
};

static void
entries_done(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->all[i].name);
    free(entries->all);
}

static int
entries_add(struct entries *entries, const char *name, const struct stat *status)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity * 2 + 64;
        struct entry *all = realloc(entries->all, capacity * sizeof(*all));
        if (all == NULL)
            return -ENOMEM;
        entries->all = all;
        entries->capacity = capacity;
    }
    struct entry *entry = &entries->all[entries->count];
    *entry = (struct entry){.name = strdup(name),
                            .folder = S_ISDIR(status->st_mode),
                            .size = status->st_size,
                            .changed = status->st_mtim.tv_sec};
    if (entry->name == NULL)
        return -ENOMEM;
    entries->count++;
    return 0;
}

/* What the entry is, or what it points to below the root. False: it is nobody's business. */
static bool
look_at(const struct site *site, const char *path, int folder, const char *name, struct stat *ret)
{
    char whole[PATH_MAX];

    if (fstatat(folder, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISLNK(ret->st_mode)) {
        int size = snprintf(whole, sizeof(whole), "%s%s%s", path, *path != '\0' ? "/" : "", name);
        int fd = size < (int)sizeof(whole) ? root_open(site, whole, ret) : -ENAMETOOLONG;
        if (fd < 0)
            return false;
        (void)close(fd);
    }
    return S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode);
}

static int
entries_read(const struct site *site, const char *path, DIR *folder, struct entries *entries)
{
    const struct dirent *entry;
    struct stat status;
    int error = 0;

    while (error == 0 && (errno = 0, entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' || !look_at(site, path, dirfd(folder), entry->d_name, &status))
            continue;
        entries->more = entries->count == MOST_ENTRIES;
        if (entries->more)
            break;
        error = entries_add(entries, entry->d_name, &status);
    }
    return error == 0 && entry == NULL ? -errno : error;
}

static int
compare(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;

    return a->folder != b->folder ? (a->folder ? -1 : 1) : strcmp(a->name, b->name);
}

/* "./" keeps a name with a colon from being taken for a scheme. */
static void
add_entry(struct text *page, const struct entry *entry)
{
    struct tm parts;
    char changed[32] = "";

    if (gmtime_r(&entry->changed, &parts) != NULL)
        (void)strftime(changed, sizeof(changed), "%Y-%m-%d %H:%M", &parts);
    text_add_string(page, "<tr><td><a href=\"./");
    text_add_url(page, entry->name);
    text_add_string(page, entry->folder ? "/\">" : "\">");
    text_add_html(page, entry->name);
    text_add_string(page, entry->folder ? "/</a></td><td>" : "</a></td><td>");
    text_add_string(page, changed);
    text_add_string(page, "</td><td>");
    if (!entry->folder)
        text_add_number(page, (uint64_t)entry->size);
    text_add_string(page, "</td></tr>\n");
}

static void
add_page(struct text *page, const char *path, const struct entries *entries)
{
    text_add_string(page, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>/");
    text_add_html(page, path);
    text_add_string(page, "</title></head>\n<body><h1>/");
    text_add_html(page, path);
    text_add_string(page, "</h1>\n<table>\n");
    if (*path != '\0')
        text_add_string(page, "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    for (size_t i = 0; i < entries->count; i++)
        add_entry(page, &entries->all[i]);
    text_add_string(page, "</table>\n");
    if (entries->more)
        text_add_string(page, "<p>There is more than this list has room for.</p>\n");
    text_add_string(page, "</body></html>\n");
}

int
listing_make(const struct site *site, const char *path, int folder, struct text *ret)
{
    struct entries entries = {0};
    int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;

    if (stream == NULL) {
        int error = -errno;
        if (copy >= 0)
            (void)close(copy);
        return error;
    }
    int error = entries_read(site, path, stream, &entries);
    (void)closedir(stream);
    if (error == 0) {
        if (entries.count > 0)
            qsort(entries.all, entries.count, sizeof(entries.all[0]), compare);
        add_page(ret, path, &entries);
        error = ret->failed ? -ENOMEM : 0;
    }
    entries_done(&entries);
    return error;
}

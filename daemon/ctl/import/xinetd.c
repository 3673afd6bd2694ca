/* SPDX-License-Identifier: MIT */
/*
 * xinetd.c - reads xinetd.conf(5) and the files that it includes
 *
 * The form is xinetd's own, line by line. Where xinetd only complains about a
 * form and goes on with what is left, the import ends: nobody should believe in
 * a configuration of which a part was not understood. What a line says is
 * judged later, by the table of attributes.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: import->problem.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/import/import.h"

#define SPACE " \t"

static int read_file(struct import *import, struct place at, const char *path, unsigned depth);

/* ---- entries -------------------------------------------------------------------------------- */

struct entry *
entry_new(struct import *import, struct place place, const char *name)
{
    if (++import->entry_count > IMPORT_ENTRIES_MOST) {
        (void)import_fail(import, place, "found more than %d services", IMPORT_ENTRIES_MOST);
        return NULL;
    }
    struct entry *entry = import_alloc(import, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    entry->name = name;
    entry->place = place;
    entry->end = &entry->first;
    *import->entries_end = entry;
    import->entries_end = &entry->next;
    return entry;
}

struct assignment *
entry_assign(struct import *import, struct entry *entry, struct place place, const char *name,
             enum operation operation)
{
    struct assignment *assignment = import_alloc(import, sizeof(*assignment));

    if (assignment == NULL)
        return NULL;
    assignment->name = name;
    assignment->operation = operation;
    assignment->place = place;
    *entry->end = assignment;
    entry->end = &assignment->next;
    return assignment;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* The next line that says something. */
static const char *
next_line(struct lines *lines)
{
    const char *line;

    do
        line = lines_next(lines);
    while (line != NULL && (*line == '\0' || *line == '#'));
    return line;
}

/* Reads "NAME = VALUE VALUE". */
static int
read_assignment(struct import *import, const struct lines *lines, const char *line,
                struct entry *entry)
{
    size_t size = strcspn(line, SPACE "=+-");
    const char *at = line + size + strspn(line + size, SPACE);
    enum operation operation = *at == '+'   ? OPERATION_ADD
                               : *at == '-' ? OPERATION_REMOVE
                                            : OPERATION_SET;

    at += operation == OPERATION_SET ? 0 : 1;
    if (size == 0 || *at != '=')
        return import_fail(import, lines->place,
                           "found \"%.60s\"; expected \"ATTRIBUTE = VALUE\" (or += or -=), or } "
                           "alone at the end of the entry that begins in line %u",
                           line, entry->place.line);
    struct assignment *assignment =
        entry_assign(import, entry, lines->place, import_copy(import, line, size), operation);
    if (assignment == NULL)
        return -ENOMEM;
    words_split(import, &assignment->values, at + 1);
    return 0;
}

/* Reads from behind the "{" to the "}". */
static int
read_block(struct import *import, struct lines *lines, struct entry *entry)
{
    const char *line;
    int error = 0;

    while (error == 0 && (line = next_line(lines)) != NULL) {
        if (strcmp(line, "}") == 0)
            return 0;
        error = read_assignment(import, lines, line, entry);
    }
    if (error < 0)
        return error;
    return import_fail(import, lines->place,
                       "the file ends within the entry that begins in line %u; expected }",
                       entry->place.line);
}

/* Reads "{" at the end of a line, or alone in the next one. */
static int
read_entry(struct import *import, struct lines *lines, const char *name, bool opened)
{
    struct entry *entry = entry_new(import, lines->place, name);
    const char *line;

    if (entry == NULL)
        return import->problem != NULL ? -EINVAL : -ENOMEM;
    entry->defaults = name == NULL;
    if (opened)
        return read_block(import, lines, entry);
    line = next_line(lines);
    if (line == NULL || strcmp(line, "{") != 0)
        return import_fail(import, lines->place, "found %s%.60s%s; expected { alone in its line",
                           line == NULL ? "the end of the file" : "\"", line == NULL ? "" : line,
                           line == NULL ? "" : "\"");
    return read_block(import, lines, entry);
}

/* ---- includes ------------------------------------------------------------------------------- */

static int
compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Gathers the names that xinetd would read, in its order. */
static int
list_folder(struct import *import, struct place at, const char *path, struct words *ret)
{
    DIR *folder = opendir(path);
    struct dirent *item;

    if (folder == NULL)
        return import_fail(import, at, "includedir %s: %s", path, strerror(errno));
    errno = 0;
    while ((item = readdir(folder)) != NULL) {
        const char *name = item->d_name;
        if (strchr(name, '.') == NULL && name[strlen(name) - 1] != '~')
            words_add(import, ret, import_copy(import, name, strlen(name)));
    }
    int error = errno;
    (void)closedir(folder);
    if (error != 0)
        return import_fail(import, at, "includedir %s: %s", path, strerror(error));
    if (ret->count > 0)
        qsort(ret->all, ret->count, sizeof(*ret->all), compare_names);
    return 0;
}

static int
include_folder(struct import *import, struct place at, const char *path, unsigned depth)
{
    struct words names = {0};
    struct stat status;
    int error = list_folder(import, at, path, &names);

    for (size_t i = 0; i < names.count && error == 0; i++) {
        const char *file = import_text(import, "%s/%s", path, names.all[i]);
        if (stat(file, &status) == 0 && S_ISDIR(status.st_mode))
            continue; /* as xinetd does */
        error = read_file(import, at, file, depth + 1);
    }
    return error;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Reads what stands outside of entries. */
static int
read_directive(struct import *import, struct lines *lines, const char *line, unsigned depth)
{
    struct words words = {0};
    struct place at = lines->place;

    words_split(import, &words, line);
    if (import->exhausted)
        return -ENOMEM;
    bool opened = words.count > 1 && strcmp(words.all[words.count - 1], "{") == 0;
    size_t count = words.count - opened;
    if (strcmp(words.all[0], "service") == 0 && count == 2)
        return read_entry(import, lines, words.all[1], opened);
    if (strcmp(words.all[0], "defaults") == 0 && count == 1)
        return read_entry(import, lines, NULL, opened);
    if (strcmp(words.all[0], "include") == 0 && words.count == 2)
        return read_file(import, at, words.all[1], depth + 1);
    if (strcmp(words.all[0], "includedir") == 0 && words.count == 2)
        return include_folder(import, at, words.all[1], depth);
    return import_fail(import, at,
                       "found \"%.60s\"; expected \"service NAME\", \"defaults\", "
                       "\"include FILE\" or \"includedir DIRECTORY\"",
                       line);
}

static int
read_file(struct import *import, struct place at, const char *path, unsigned depth)
{
    struct lines lines;
    const char *line;

    if (depth > IMPORT_DEPTH_MOST)
        return import_fail(import, at,
                           "%s: files include each other more than %d deep; does one include "
                           "itself?",
                           path, IMPORT_DEPTH_MOST);
    int error = lines_open(import, at, path, &lines);
    while (error == 0 && (line = next_line(&lines)) != NULL)
        error = read_directive(import, &lines, line, depth);
    return import->exhausted ? -ENOMEM : error;
}

int
import_read_xinetd(struct import *import, const char *path)
{
    return read_file(import, (struct place){0}, path, 0);
}

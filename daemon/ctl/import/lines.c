/* SPDX-License-Identifier: MIT */
/*
 * lines.c - a file of lines, read whole before its first line is looked at
 *
 * Only a regular file of bounded size is read: a FIFO or a terminal would hold
 * up whoever asked, and a device might never end.
 *
 * Runs in:  sockserverctl.
 * Owns:     the file's descriptor, until it has been read.
 * Failures: import->problem, with the place where the file's name stands.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ctl/import/import.h"

#define SPACE " \t\r\v\f"

/* What it is, where it is no regular file. */
static const char *
kind_of(mode_t mode)
{
    static const struct {
        mode_t mode;
        const char *name;
    } kinds[] = {{S_IFDIR, "a directory"},
                 {S_IFIFO, "a FIFO"},
                 {S_IFSOCK, "a socket"},
                 {S_IFCHR, "a device"},
                 {S_IFBLK, "a device"}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].mode == (mode & S_IFMT))
            return kinds[i].name;
    return "no file";
}

/* Reads up to room bytes. Files that the kernel makes up say that they have none, and may have
 * some. */
static int
read_all(struct lines *lines, struct place at, const char *path, int fd, size_t room)
{
    char *text = import_alloc(lines->import, room);
    size_t size = 0;

    if (text == NULL)
        return -ENOMEM;
    while (size < room) {
        ssize_t got = read(fd, text + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return import_fail(lines->import, at, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size == room)
        return import_fail(lines->import, at,
                           "%s has more than %zu bytes, or grows; expected a configuration", path,
                           room - 1);
    lines->text = lines->at = text;
    lines->end = text + size;
    return 0;
}

static size_t
room_for(off_t size)
{
    const size_t least = 65536;

    if (size > (off_t)IMPORT_FILE_MOST)
        return IMPORT_FILE_MOST + 1;
    return (size_t)size < least ? least : (size_t)size + 1;
}

/* A byte 0 is in no text; its line is told. */
static int
check_text(const struct lines *lines)
{
    struct place place = lines->place;
    const char *zero = memchr(lines->text, '\0', (size_t)(lines->end - lines->text));

    if (zero == NULL)
        return 0;
    place.line = 1;
    for (const char *at = lines->text; at < zero; at++)
        place.line += *at == '\n';
    return import_fail(lines->import, place, "found a byte 0; expected a file of text");
}

int
lines_open(struct import *import, struct place at, const char *path, struct lines *ret)
{
    /* O_NONBLOCK: the opening of a FIFO would wait for its writer. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return import_fail(import, at, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return import_fail(import, at, "%s is %s; expected a regular file", path,
                           kind_of(status.st_mode));
    if (++import->files > IMPORT_FILES_MOST)
        return import_fail(import, at, "%s would be the %uth file; expected at most %d", path,
                           import->files, IMPORT_FILES_MOST);
    *ret = (struct lines){
        .import = import,
        .place = {import_copy(import, path, strlen(path)), 0, import->files},
    };
    int error = read_all(ret, at, path, fd, room_for(status.st_size));
    return error < 0 ? error : check_text(ret);
}

const char *
lines_next(struct lines *lines)
{
    if (lines->at == lines->end)
        return NULL;
    const char *line = lines->at;
    const char *newline = memchr(line, '\n', (size_t)(lines->end - line));
    const char *end = newline == NULL ? lines->end : newline;

    lines->at = newline == NULL ? lines->end : newline + 1;
    lines->place.line++;
    while (line < end && strchr(SPACE, *line) != NULL)
        line++;
    while (end > line && strchr(SPACE, end[-1]) != NULL)
        end--;
    return import_copy(lines->import, line, (size_t)(end - line));
}

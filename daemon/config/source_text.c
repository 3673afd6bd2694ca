/* SPDX-License-Identifier: MIT */
/*
 * source_text.c - reads the files of a configuration, and joins them to one text
 *
 * A FIFO, a device or an endless file as configuration is a mistake: a running
 * daemon reads the file in its event loop, where nothing may wait. Each line of
 * the joined text remembers which file it comes from.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     the text, its pieces and the names of files in struct source, until
 *           source_done().
 * Failures: returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "config/read_files.h"
#include "config/source.h"

/* ---- reading one file ----------------------------------------------------------------------- */

static int
read_all(int fd, size_t largest, char **ret_text, size_t *ret_size)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0, room = 0;

    for (;;) {
        ssize_t n;

        if (room - size < 2) {
            char *more = secret_grow(text, size, room, room * 2 + 4096);

            if (more == NULL)
                return -ENOMEM;
            text = more;
            room = room * 2 + 4096;
        }
        n = read(fd, text + size, room - size - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > largest)
            return -EFBIG;
    }
    text[size] = '\0';
    *ret_text = take_pointer(text);
    *ret_size = size;
    return 0;
}

/* O_NONBLOCK is for FIFOs, and for files under /proc and /sys that look regular and wait. */
int
source_read_some(const char *name, size_t largest, char **ret_text, size_t *ret_size)
{
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0) {
        int error = -errno;
        read_files_note(name, NULL);
        return error;
    }
    read_files_note(name, &status);
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size > (off_t)largest)
        return -EFBIG;
    return read_all(fd, largest, ret_text, ret_size);
}

int
source_read(const char *name, char **ret_text, size_t *ret_size)
{
    return source_read_some(name, SOURCE_LARGEST, ret_text, ret_size);
}

const char *
source_problem(int error)
{
    switch (error) {
    case -EINVAL:
    case -ENXIO: /* a socket's path */
        return "it is not a regular file";
    case -EFBIG:
        return "it is larger than " SOURCE_LARGEST_TEXT;
    case -EAGAIN:
        return "it is not a regular file: reading it would wait";
    default:
        return strerror(-error);
    }
}

/* ---- joining them --------------------------------------------------------------------------- */

const char *
source_keep_name(struct source *source, const char *name)
{
    char **files = reallocarray(source->files, source->file_count + 1, sizeof(char *));
    char *copy = strdup(name);

    if (files != NULL)
        source->files = files;
    if (files == NULL || copy == NULL) {
        free(copy);
        return NULL;
    }
    source->files[source->file_count++] = copy;
    return copy;
}

int
source_append(struct source *source, const char *text, size_t size)
{
    if (source->room - source->size <= size) {
        size_t room = (source->size + size) * 2 + 4096;
        char *more = realloc(source->text, room);

        if (more == NULL)
            return -ENOMEM;
        source->text = more;
        source->room = room;
    }
    *(char *)mempcpy(source->text + source->size, text, size) = '\0';
    source->size += size;
    for (size_t i = 0; i < size; i++)
        source->lines += text[i] == '\n';
    return 0;
}

int
source_begin_piece(struct source *source, const char *file, unsigned line)
{
    struct source_piece *pieces =
        reallocarray(source->pieces, source->piece_count + 1, sizeof(*pieces));

    if (pieces == NULL)
        return -ENOMEM;
    source->pieces = pieces;
    pieces[source->piece_count++] =
        (struct source_piece){.first = source->lines, .file = file, .line = line};
    return 0;
}

const char *
source_place(const struct source *source, unsigned line, unsigned *ret_line)
{
    size_t low = 0, high = source->piece_count;
    const struct source_piece *piece;

    /* Find the last piece that begins in this line or before it. */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (source->pieces[middle].first <= line)
            low = middle;
        else
            high = middle;
    }
    piece = &source->pieces[low];
    *ret_line = line < piece->first ? piece->line : piece->line + (line - piece->first);
    return piece->file;
}

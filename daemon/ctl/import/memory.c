/* SPDX-License-Identifier: MIT */
/*
 * memory.c - the memory of an import, its words, notes and mistakes
 *
 * Whoever asks for memory need not look whether there was some: the import
 * remembers that there was none, and whoever began it asks once, at the end.
 *
 * Runs in:  sockserverctl.
 * Owns:     every byte that the import has asked for.
 * Failures: import->exhausted.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "ctl/import/import.h"

#define SPACE " \t"

/* A piece of memory, behind which stands what it was asked for. */
struct block {
    struct block *next;
    _Alignas(max_align_t) char bytes[];
};

void
import_init(struct import *import)
{
    *import = (struct import){0};
    import->entries_end = &import->entries;
    import->listeners_end = &import->listeners;
}

void
import_done(struct import *import)
{
    while (import->blocks != NULL) {
        struct block *block = import->blocks;
        import->blocks = block->next;
        free(block);
    }
    free(import->notes);
    import_init(import);
}

void *
import_alloc(struct import *import, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + size);

    if (block == NULL) {
        import->exhausted = true;
        return NULL;
    }
    block->next = import->blocks;
    import->blocks = block;
    return block->bytes;
}

const char *
import_copy(struct import *import, const char *text, size_t size)
{
    char *copy = import_alloc(import, size + 1);

    if (copy == NULL)
        return "";
    memcpy(copy, text, size);
    return copy;
}

const char *
import_text_of(struct import *import, const char *format, va_list arguments)
{
    _cleanup_free_ char *text = NULL;
    int size = vasprintf(&text, format, arguments);

    if (size < 0) {
        text = NULL;
        import->exhausted = true;
        return "";
    }
    return import_copy(import, text, (size_t)size);
}

const char *
import_text(struct import *import, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const char *text = import_text_of(import, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- words ---------------------------------------------------------------------------------- */

void
words_add(struct import *import, struct words *words, const char *word)
{
    if (words->count == words->room) {
        size_t room = words->room == 0 ? 8 : words->room * 2;
        const char **all = import_alloc(import, room * sizeof(*all));
        if (all == NULL)
            return;
        if (words->count > 0)
            memcpy(all, words->all, words->count * sizeof(*all));
        words->all = all;
        words->room = room;
    }
    words->all[words->count++] = word;
}

void
words_split(struct import *import, struct words *words, const char *text)
{
    text += strspn(text, SPACE);
    while (*text != '\0') {
        size_t size = strcspn(text, SPACE);
        words_add(import, words, import_copy(import, text, size));
        text += size;
        text += strspn(text, SPACE);
    }
}

bool
words_have(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->all[i], word) == 0)
            return true;
    return false;
}

const char *
words_join(struct import *import, const struct words *words)
{
    size_t size = 1;

    for (size_t i = 0; i < words->count; i++)
        size += strlen(words->all[i]) + 1;
    char *text = import_alloc(import, size);
    if (text == NULL)
        return "";
    char *at = text;
    for (size_t i = 0; i < words->count; i++) {
        at = stpcpy(at, i == 0 ? "" : " ");
        at = stpcpy(at, words->all[i]);
    }
    return text;
}

/* ---- mistakes and notes --------------------------------------------------------------------- */

int
import_fail(struct import *import, struct place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const char *text = import_text_of(import, format, arguments);
    va_end(arguments);
    if (import->problem != NULL)
        return -EINVAL;
    import->problem =
        place.file == NULL ? text : import_text(import, "%s:%u: %s", place.file, place.line, text);
    return -EINVAL;
}

static bool
has_note(const struct import *import, struct place place, const char *text)
{
    for (size_t i = import->note_count; i > 0; i--) {
        const struct note *note = &import->notes[i - 1];
        if (note->place.order == place.order && note->place.line == place.line &&
            strcmp(note->text, text) == 0)
            return true;
    }
    return false;
}

void
import_note(struct import *import, struct place place, const char *attribute, enum fate fate,
            const char *text)
{
    static const char *const fates[] = {"mapped", "approximated", "dropped"};
    const char *line = import_text(import, "%s: %s: %s", attribute, fates[fate], text);

    if (has_note(import, place, line))
        return;
    if (import->note_count == import->note_room) {
        size_t room = import->note_room == 0 ? 64 : import->note_room * 2;
        struct note *notes = reallocarray(import->notes, room, sizeof(*notes));
        if (notes == NULL) {
            import->exhausted = true;
            return;
        }
        import->notes = notes;
        import->note_room = room;
    }
    import->notes[import->note_count] =
        (struct note){.place = place, .text = line, .number = import->note_count};
    import->note_count++;
}

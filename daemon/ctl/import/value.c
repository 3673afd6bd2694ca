/* SPDX-License-Identifier: MIT */
/*
 * value.c - what an attribute is for a service, with what "defaults" says of it
 *
 * Xinetd's rules: a service's "=" takes the place of the defaults, "+=" and "-="
 * change them. What is a set may be given in several lines. Anything else counts
 * once, where it stands first.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: import->exhausted.
 */
#include <string.h>

#include "ctl/import/import.h"

static void
note_from(struct attribute_value *value, struct assignment *assignment)
{
    if (value->from_count < VALUE_PLACES)
        value->from[value->from_count++] = assignment;
}

static void
remove_word(struct words *words, const char *word)
{
    size_t kept = 0;

    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->all[i], word) != 0)
            words->all[kept++] = words->all[i];
    words->count = kept;
}

static void
apply(struct import *import, struct attribute_value *value, struct assignment *assignment)
{
    const struct words *words = &assignment->values;

    for (size_t i = 0; i < words->count; i++)
        if (assignment->operation == OPERATION_REMOVE)
            remove_word(&value->words, words->all[i]);
        else
            words_add(import, &value->words, words->all[i]);
    value->given = true;
    note_from(value, assignment);
}

/* A second line for what is no set. */
static void
ignore(struct import *import, struct assignment *assignment, const struct assignment *first)
{
    assignment->noted = true;
    import_note(import, assignment->place, assignment->name, FATE_DROPPED,
                import_text(import, "it is given in line %u already, and the first one counts",
                            first->place.line));
}

static void
apply_entry(struct import *import, const struct entry *entry, const char *name, bool set,
            struct attribute_value *value)
{
    struct assignment *first = NULL;

    for (struct assignment *at = entry->first; at != NULL; at = at->next) {
        if (strcmp(at->name, name) != 0)
            continue;
        if (first != NULL && !set) {
            ignore(import, at, first);
            continue;
        }
        if (first == NULL && !entry->defaults && at->operation == OPERATION_SET)
            *value = (struct attribute_value){0};
        first = first == NULL ? at : first;
        apply(import, value, at);
    }
}

struct attribute_value
value_of(struct import *import, const struct entry *defaults, const struct entry *service,
         const char *name, bool set)
{
    struct attribute_value value = {0}, own = {0};

    if (defaults != NULL)
        apply_entry(import, defaults, name, set, &value);
    if (set)
        apply_entry(import, service, name, set, &value);
    else
        apply_entry(import, service, name, set, &own);
    return own.given ? own : value;
}

/* SPDX-License-Identifier: MIT */
/*
 * map.c - from entries to listeners
 *
 * Each attribute of a service, and each of the defaults that holds for it, goes
 * through the table. Each line that was read gets a note, also where nothing
 * became of it.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: import->exhausted.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/suggest.h"
#include "ctl/import/import.h"

#define LONGEST_NAME 56 /* a listener's may have 63, and "_1234" may follow */

#define UNLIMITED_CONNECTIONS "1000" /* what becomes of no limit, under forking */

/* ---- names ---------------------------------------------------------------------------------- */

static struct listener *
find_listener(const struct import *import, const char *name)
{
    for (struct listener *at = import->listeners; at != NULL; at = at->next)
        if (at->name != NULL && strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

/* A name that a listener may have, of letters, digits, - and _. */
static const char *
plain_name(struct import *import, const char *id)
{
    char name[LONGEST_NAME + 1];
    size_t size = 0;

    if (!isalpha((unsigned char)*id))
        name[size++] = 's';
    for (; *id != '\0' && size < LONGEST_NAME; id++)
        name[size++] =
            isascii((unsigned char)*id) && (isalnum((unsigned char)*id) || *id == '-') ? *id : '_';
    return import_copy(import, name, size);
}

static const char *
unique_name(struct import *import, const char *id)
{
    const char *name = plain_name(import, id), *next = name;

    for (int i = 2; find_listener(import, next) != NULL; i++)
        next = import_text(import, "%s_%d", name, i);
    return next;
}

/* ---- notes where there is no map ------------------------------------------------------------ */

/* Everything that stands in a service that becomes no listener. */
static void
note_left_out(struct import *import, struct entry *entry, const char *why)
{
    import_note(import, entry->place, "service", FATE_DROPPED,
                import_text(import, "%s: %s", entry->name, why));
    for (struct assignment *at = entry->first; at != NULL; at = at->next) {
        at->noted = true;
        import_note(import, at->place, at->name, FATE_DROPPED, "the service is left out");
    }
}

static const char *
why_unknown(struct import *import, const char *name)
{
    const char **names = import_alloc(import, (attribute_count + 1) * sizeof(*names));

    if (names == NULL)
        return "";
    for (size_t i = 0; i < attribute_count; i++)
        names[i] = attributes[i].inetd ? "id" : attributes[i].name;
    _cleanup_free_ char *phrase = suggest_phrase(name, names);
    return import_text(import, "xinetd has no such attribute, and ignores it%s",
                       phrase == NULL ? "" : phrase);
}

/* What no service has used. */
static void
note_rest(struct import *import)
{
    for (struct entry *entry = import->entries; entry != NULL; entry = entry->next)
        for (struct assignment *at = entry->first; at != NULL; at = at->next) {
            const struct attribute *attribute = attribute_find(at->name);
            if (at->noted)
                continue;
            if (attribute == NULL || (attribute->inetd && !entry->inetd))
                import_note(import, at->place, at->name, FATE_DROPPED,
                            why_unknown(import, at->name));
            else if (entry->defaults && !attribute->defaults)
                import_note(import, at->place, at->name, FATE_DROPPED,
                            "xinetd does not know it among the defaults");
            else
                import_note(import, at->place, at->name, FATE_DROPPED,
                            entry->defaults ? "there is no service that takes it from the defaults"
                                            : "another line takes its place");
        }
}

/* ---- a service ------------------------------------------------------------------------------ */

static void
map_attribute(struct service *service, const struct attribute *attribute)
{
    if (attribute->inetd && !service->entry->inetd)
        return;
    service->attribute = attribute->name;
    service->value = value_of(service->import, attribute->defaults ? service->defaults : NULL,
                              service->entry, attribute->name, attribute->set);
    if (!service->value.given)
        return;
    if (attribute->map == NULL)
        service_note(service, attribute->fate, "%s", attribute->text);
    else if (service->value.words.count == 0 && !attribute->set)
        service_note(service, FATE_DROPPED, "it has no value");
    else
        attribute->map(service);
}

/* What holds where nothing is said: xinetd has no limits then. */
static void
add_limits(struct service *service)
{
    const char *const *values = service->listener->values;
    bool forks = values[KEY_MIXIN] != NULL && strcmp(values[KEY_MIXIN], "\"forking\"") == 0;

    if (forks && values[KEY_MAX_CONNECTIONS] == NULL)
        service_set(service, KEY_MAX_CONNECTIONS, UNLIMITED_CONNECTIONS);
    if (service->stream && !(service->waits && service_is_program(service)) &&
        values[KEY_MAX_PER_SOURCE] == NULL)
        service_set_text(service, KEY_MAX_PER_SOURCE, "none");
}

/* Two sockets cannot have one address: the first service keeps it. */
static void
check_address(struct service *service)
{
    struct listener *own = service->listener;

    if (own->values[KEY_ENABLED] != NULL)
        return;
    for (const struct listener *at = service->import->listeners; at != own; at = at->next)
        if (at->values[KEY_ADDRESS] != NULL && at->values[KEY_ENABLED] == NULL &&
            strcmp(at->values[KEY_ADDRESS], own->values[KEY_ADDRESS]) == 0) {
            service_set(service, KEY_ENABLED, "false");
            import_note(service->import, own->place, "service", FATE_APPROXIMATED,
                        import_text(service->import,
                                    "%s: disabled, as %s (%s:%u) has its address already",
                                    own->name, at->name, at->place.file, at->place.line));
            return;
        }
}

static const char *
id_of(struct service *service)
{
    const char *id = service_word(service, "id");

    return id == NULL ? service->entry->name : id;
}

static void
map_service(struct import *import, const struct entry *defaults, struct entry *entry)
{
    struct listener *listener = import_alloc(import, sizeof(*listener));
    struct service service = {.import = import,
                              .defaults = entry->inetd ? NULL : defaults,
                              .entry = entry,
                              .listener = listener};

    if (listener == NULL)
        return;
    listener->place = entry->place;
    const char *name = unique_name(import, id_of(&service));
    *import->listeners_end = listener;
    import->listeners_end = &listener->next;
    listener->name = name;
    listener->left_out = service_judge(&service);
    if (listener->left_out != NULL) {
        note_left_out(import, entry, listener->left_out);
        return;
    }
    import_note(import, entry->place, "service", FATE_MAPPED,
                import_text(import, "to the listener %s", name));
    for (size_t i = 0; i < attribute_count; i++)
        map_attribute(&service, &attributes[i]);
    add_limits(&service);
    if (service.closed)
        service_set(&service, KEY_ENABLED, "false");
    check_address(&service);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* Several "defaults" count as one. */
static struct entry *
join_defaults(struct import *import)
{
    struct entry *defaults = NULL;

    for (struct entry *entry = import->entries; entry != NULL; entry = entry->next) {
        if (!entry->defaults)
            continue;
        if (defaults == NULL) {
            defaults = entry;
        } else if (entry->first != NULL) {
            *defaults->end = entry->first;
            defaults->end = entry->end;
            entry->first = NULL;
            entry->end = &entry->first;
        }
    }
    return defaults;
}

int
import_map(struct import *import)
{
    struct entry *defaults = join_defaults(import);

    for (struct entry *entry = import->entries; entry != NULL && !import->exhausted;
         entry = entry->next)
        if (!entry->defaults)
            map_service(import, defaults, entry);
    note_rest(import);
    return import->exhausted ? -ENOMEM : 0;
}

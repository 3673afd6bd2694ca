/* SPDX-License-Identifier: MIT */
/*
 * amounts.c - attributes that are a number: of clients, of bytes, of seconds
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: a value that means nothing is dropped with a note.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/value.h"
#include "ctl/import/import.h"

#define NUMBER_MOST 1000000 /* of clients */

/* ---- values --------------------------------------------------------------------------------- */

const char *
service_first(const struct service *service)
{
    return service->value.words.count > 0 ? service->value.words.all[0] : "";
}

bool
word_is_unlimited(const char *word)
{
    return strcasecmp(word, "UNLIMITED") == 0;
}

/* Reads a number from least to most; a note says so if it is none. */
bool
service_read_number(struct service *service, const char *word, long least, long most, long *ret)
{
    int64_t number;

    if (value_integer(word, VALUE_PLAIN, &number) < 0 || number < least || number > most) {
        service_note(service, FATE_DROPPED, "found \"%s\"; expected a number from %ld to %ld", word,
                     least, most);
        return false;
    }
    *ret = (long)number;
    return true;
}

bool
word_is_yes(const char *word)
{
    return strcasecmp(word, "yes") == 0;
}

bool
service_is_program(const struct service *service)
{
    return !service->internal && service->redirect == NULL;
}

/* What is about a program means nothing to a plugin. */
bool
service_wants_program(struct service *service)
{
    if (service_is_program(service))
        return true;
    service_note(service, FATE_DROPPED, "no program is started: a plugin serves in the worker");
    return false;
}

/* ---- how much ------------------------------------------------------------------------------- */

void
map_instances(struct service *service)
{
    long number;

    if (service->waits && service_is_program(service)) {
        service_note(service, FATE_DROPPED, "a program that waits runs once at a time");
        return;
    }
    if (word_is_unlimited(service_first(service))) {
        service_note(service, FATE_APPROXIMATED, "there is always a limit: see `max_connections`");
        return;
    }
    if (!service->stream) {
        service_note(service, FATE_DROPPED, "a datagram is answered at once");
        return;
    }
    if (!service_read_number(service, service_first(service), 1, NUMBER_MOST, &number))
        return;
    service_set(service, KEY_MAX_CONNECTIONS, "%ld", number);
    service_set_text(service, KEY_ON_FULL, "refuse");
    service_note(service, FATE_MAPPED, "to `max_connections` and `on_full`");
}

void
map_per_source(struct service *service)
{
    long number;

    if (!service->stream || (service->waits && service_is_program(service))) {
        service_note(service, FATE_DROPPED, "only clients of a stream are counted by their source");
        return;
    }
    if (word_is_unlimited(service_first(service))) {
        service_note(service, FATE_MAPPED, "to `max_per_source`");
        return;
    }
    if (!service_read_number(service, service_first(service), 1, NUMBER_MOST, &number))
        return;
    service_set(service, KEY_MAX_PER_SOURCE, "%ld", number);
    service_note(service, FATE_MAPPED, "to `max_per_source`");
}

void
map_cps(struct service *service)
{
    long number;

    if (word_is_unlimited(service_first(service)) || strcmp(service_first(service), "0") == 0) {
        service_note(service, FATE_MAPPED, "there is no limit unless `rate` is given");
        return;
    }
    if (!service_read_number(service, service_first(service), 1, NUMBER_MOST, &number))
        return;
    service_set_text(service, KEY_RATE, import_text(service->import, "%ld/s", number));
    service_note(service, FATE_APPROXIMATED,
                 "to `rate`: clients wait until there is room, and nothing is switched off");
}

void
map_cpm(struct service *service)
{
    long number;

    if (!service_read_number(service, service_first(service), 1, NUMBER_MOST, &number))
        return;
    service_set_text(service, KEY_RATE, import_text(service->import, "%ld/m", number));
    service_note(service, FATE_APPROXIMATED,
                 "to `rate`: clients wait until there is room, and nothing is switched off");
}

/* A size, as "8M"; xinetd's letters are ours. */
static void
map_size_limit(struct service *service, enum key key, const char *name, uint64_t least)
{
    uint64_t bytes;
    char text[32];

    if (word_is_unlimited(service_first(service))) {
        service_set_text(service, key, "unlimited");
        service_note(service, FATE_MAPPED, "to `%s`", name);
        return;
    }
    if (value_size(service_first(service), VALUE_PLAIN, &bytes) < 0) {
        service_note(service, FATE_DROPPED, "found \"%s\"; expected a size",
                     service_first(service));
        return;
    }
    bool raised = bytes < least;
    service_set_text(service, key, value_format_size(raised ? least : bytes, text));
    service_note(service, raised ? FATE_APPROXIMATED : FATE_MAPPED,
                 raised ? "to `%s`, which the worker must live with, too, and which is raised to %s"
                        : "to `%s`",
                 name, text);
}

#define LEAST_SPACE ((uint64_t)64 * 1024 * 1024) /* in which a worker can live */
#define LEAST_STACK ((uint64_t)256 * 1024)

void
map_rlimit_as(struct service *service)
{
    map_size_limit(service, KEY_LIMIT_AS, "limits.as", LEAST_SPACE);
}

void
map_rlimit_stack(struct service *service)
{
    map_size_limit(service, KEY_LIMIT_STACK, "limits.stack", LEAST_STACK);
}

void
map_rlimit_files(struct service *service)
{
    long number;

    if (word_is_unlimited(service_first(service))) {
        service_set_text(service, KEY_LIMIT_NOFILE, "unlimited");
        service_note(service, FATE_MAPPED, "to `limits.nofile`");
        return;
    }
    if (!service_read_number(service, service_first(service), 1, 1000000000, &number))
        return;
    service_set(service, KEY_LIMIT_NOFILE, "%ld", number < 64 ? 64 : number);
    service_note(service, number < 64 ? FATE_APPROXIMATED : FATE_MAPPED,
                 number < 64 ? "to `limits.nofile`, which is raised to 64 for the worker's sake"
                             : "to `limits.nofile`");
}

void
map_rlimit_cpu(struct service *service)
{
    long number;

    if (word_is_unlimited(service_first(service))) {
        service_set_text(service, KEY_LIMIT_CPU, "unlimited");
        service_note(service, FATE_MAPPED, "to `limits.cpu`");
        return;
    }
    if (!service_read_number(service, service_first(service), 1, 365L * 24 * 3600, &number))
        return;
    service_set_text(service, KEY_LIMIT_CPU, import_text(service->import, "%lds", number));
    service_note(service, FATE_APPROXIMATED,
                 "to `limits.cpu`; a worker that has used as much itself is replaced");
}

void
map_nice(struct service *service)
{
    long number;

    if (!service_read_number(service, service_first(service), -20, 19, &number))
        return;
    service_set(service, KEY_NICE, "%ld", number);
    service_note(service, FATE_MAPPED, "to `nice`");
}

void
map_umask(struct service *service)
{
    uint32_t mode;

    if (value_mode(service_first(service), VALUE_PLAIN, &mode) < 0) {
        service_note(service, FATE_DROPPED, "found \"%s\"; expected octal digits up to 777",
                     service_first(service));
        return;
    }
    service_set_text(service, KEY_UMASK, import_text(service->import, "%03o", mode));
    service_note(service, FATE_MAPPED, "to `umask`");
}

static void
map_buffer(struct service *service, enum key key, const char *name)
{
    uint64_t bytes;
    char text[32];

    if (value_size(service_first(service), VALUE_PLAIN, &bytes) < 0 || bytes < 4096 ||
        bytes > (uint64_t)1024 * 1024 * 1024) {
        service_note(service, FATE_DROPPED, "found \"%s\"; expected a size from 4k to 1g",
                     service_first(service));
        return;
    }
    service_set_text(service, key, value_format_size(bytes, text));
    service_note(service, FATE_MAPPED, "to `%s`", name);
}

void
map_sndbuf(struct service *service)
{
    map_buffer(service, KEY_SEND_BUFFER, "send_buffer");
}

void
map_rcvbuf(struct service *service)
{
    map_buffer(service, KEY_RECEIVE_BUFFER, "receive_buffer");
}

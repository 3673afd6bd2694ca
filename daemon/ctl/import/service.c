/* SPDX-License-Identifier: MIT */
/*
 * service.c - what a service is, and whether it can be a listener
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: returned as a reason, which is printed in the place of the listener.
 */
#include <ctype.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "ctl/import/import.h"

/* ---- helpers of the table ------------------------------------------------------------------- */

struct attribute_value
service_value(struct service *service, const char *name)
{
    const struct attribute *attribute = attribute_find(name);

    return value_of(service->import, service->defaults, service->entry, name,
                    attribute != NULL && attribute->set);
}

const char *
service_word(struct service *service, const char *name)
{
    struct attribute_value value = service_value(service, name);

    return value.words.count > 0 ? value.words.all[0] : NULL;
}

void
service_note(struct service *service, enum fate fate, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const char *text = import_text_of(service->import, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < service->value.from_count; i++) {
        service->value.from[i]->noted = true;
        import_note(service->import, service->value.from[i]->place, service->attribute, fate, text);
    }
}

void
service_set(struct service *service, enum key key, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    service->listener->values[key] = import_text_of(service->import, format, arguments);
    va_end(arguments);
}

/* Writes a text in quotes, as libconfig reads it. */
static const char *
quoted(struct import *import, const char *text)
{
    char *quoted = import_alloc(import, strlen(text) * 4 + 3), *at = quoted;

    if (quoted == NULL)
        return "\"\"";
    *at++ = '"';
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            at += sprintf(at, "\\%c", byte);
        else if (byte < ' ' || byte == 0x7f)
            at += sprintf(at, "\\x%02x", byte);
        else
            *at++ = (char)byte;
    }
    *at = '"';
    return quoted;
}

void
service_set_text(struct service *service, enum key key, const char *text)
{
    service->listener->values[key] = quoted(service->import, text);
}

#define LIST_WIDTH 64 /* a longer list has a line for each item */

void
service_set_list(struct service *service, enum key key, const struct words *words)
{
    struct words parts = {0};
    size_t width = 0;

    for (size_t i = 0; i < words->count; i++) {
        const char *item = quoted(service->import, words->all[i]);
        const char *comma = i + 1 < words->count ? "," : "";
        words_add(service->import, &parts, import_text(service->import, "%s%s", item, comma));
        width += strlen(item) + 2;
    }
    const char *space = width <= LIST_WIDTH ? " " : "\n";
    size_t size = width + words->count + 4;
    char *text = import_alloc(service->import, size), *at = text;
    if (text == NULL)
        return;
    at = stpcpy(at, "[");
    for (size_t i = 0; i < parts.count; i++) {
        at = stpcpy(at, space);
        at = stpcpy(at, parts.all[i]);
    }
    at = stpcpy(at, words->count == 0 ? "" : space);
    (void)stpcpy(at, "]");
    service->listener->values[key] = text;
}

/* ---- addresses ------------------------------------------------------------------------------ */

static bool
is_port(const char *word)
{
    return word[0] != '\0' && strlen(word) <= 5 && strspn(word, "0123456789") == strlen(word) &&
           strtol(word, NULL, 10) <= 65535;
}

const char *
port_number(struct import *import, const char *word, bool stream)
{
    const struct servent *found;

    if (is_port(word))
        return import_text(import, "%ld", strtol(word, NULL, 10));
    if (word[0] == '\0' || isdigit((unsigned char)word[0]))
        return NULL;
    found = getservbyname(word, stream ? "tcp" : "udp");
    return found == NULL ? NULL : import_text(import, "%d", ntohs((uint16_t)found->s_port));
}

/* NULL and service->port, or why there is none. */
static const char *
find_port(struct service *service)
{
    const char *given = service_word(service, "port"), *name = service->entry->name;
    const char *listed = port_number(service->import, name, service->stream);
    const char *protocol = service->stream ? "tcp" : "udp";

    if (given != NULL && given[0] == '/') {
        service->path = given;
        return NULL;
    }
    service->port = given == NULL ? listed : port_number(service->import, given, service->stream);
    if (given != NULL && service->port == NULL)
        return import_text(service->import, "\"%s\" is no port", given);
    if (service->port == NULL)
        return import_text(service->import,
                           "it has no port: /etc/services does not know %s/%s; add `port` there",
                           name, protocol);
    if (listed != NULL && strcmp(listed, service->port) != 0 &&
        !words_have(&service->types, "UNLISTED"))
        return import_text(service->import,
                           "its port is %s, but /etc/services says %s for %s/%s, so that xinetd "
                           "does not start it, either; its type must be UNLISTED",
                           service->port, listed, name, protocol);
    return NULL;
}

static const char *
host_of(struct service *service)
{
    const char *bind = service_word(service, "bind");

    if (bind == NULL)
        bind = service_word(service, "interface");
    if (bind != NULL)
        return host_text(service->import, bind);
    if (words_have(&service->flags, "IPv6") || words_have(&service->flags, "IPV6ONLY"))
        return "[::]";
    return words_have(&service->flags, "IPv4") ? "0.0.0.0" : "*"; /* xinetd's way, too */
}

static void
set_address(struct service *service)
{
    if (service->path != NULL)
        service_set_text(service, KEY_ADDRESS,
                         import_text(service->import, "%s://%s",
                                     service->stream ? "unix" : "unixgram", service->path));
    else
        service_set_text(service, KEY_ADDRESS,
                         import_text(service->import, "%s://%s:%s", service->stream ? "tcp" : "udp",
                                     host_of(service), service->port));
}

/* ---- the judgement -------------------------------------------------------------------------- */

static const char *
judge_types(struct service *service)
{
    static const struct {
        const char *type, *why;
    } refused[] = {
        {"RPC", "an RPC service gets its port from rpcbind, and registers there"},
        {"TCPMUX", "no listener hands connections on by a name that the client sends (RFC 1078)"},
        {"TCPMUXPLUS",
         "no listener hands connections on by a name that the client sends (RFC 1078)"}};

    service->types = service_value(service, "type").words;
    service->flags = service_value(service, "flags").words;
    service->internal = words_have(&service->types, "INTERNAL");
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (words_have(&service->types, refused[i].type))
            return refused[i].why;
    if (words_have(&service->flags, "SENSOR"))
        return "it is a sensor, which serves nobody";
    return NULL;
}

static const char *
judge_socket(struct service *service)
{
    const char *type = service_word(service, "socket_type");
    const char *protocol = service_word(service, "protocol");
    const char *wait = service_word(service, "wait");

    if (type == NULL || wait == NULL)
        return import_text(service->import,
                           "it has no `%s`, so that xinetd does not start it, either",
                           type == NULL ? "socket_type" : "wait");
    service->stream = strcmp(type, "stream") == 0;
    service->waits = strcasecmp(wait, "yes") == 0;
    if (!service->stream && strcmp(type, "dgram") != 0)
        return import_text(service->import,
                           "its socket_type is %s; listeners have stream and dgram", type);
    if (protocol == NULL || strcmp(protocol, "unix") == 0)
        return NULL;
    if (strcmp(protocol, service->stream ? "tcp" : "udp") != 0)
        return import_text(service->import, "its protocol is %s; listeners have %s for %s",
                           protocol, service->stream ? "tcp" : "udp", type);
    return NULL;
}

static const char *
judge_internal(struct service *service)
{
    static const char *const plugins[] = {"echo", "discard", "chargen", "daytime", "time"};

    for (size_t i = 0; i < ARRAY_SIZE(plugins); i++)
        if (strcmp(plugins[i], service->entry->name) == 0) {
            service_set_text(service, KEY_PLUGIN, plugins[i]);
            service_set_text(service, KEY_MIXIN, service->stream ? "coroutine" : "none");
            return NULL;
        }
    return import_text(service->import, "xinetd and inetd answer %s themselves; no plugin does",
                       service->entry->name);
}

static const char *
judge_redirect(struct service *service, const struct words *words)
{
    if (!service->stream)
        return "xinetd redirects connections alone";
    const char *port = words->count == 2 ? port_number(service->import, words->all[1], true) : NULL;
    if (port == NULL)
        return import_text(service->import, "redirect: found \"%s\"; expected a host and a port",
                           words_join(service->import, words));
    service->redirect = import_text(service->import, "tcp://%s:%s",
                                    host_text(service->import, words->all[0]), port);
    service_set_text(service, KEY_PLUGIN, "forward");
    service_set_text(service, KEY_MIXIN, "coroutine");
    service_set_text(service, OPTION_TO, service->redirect);
    return NULL;
}

static const char *
judge_program(struct service *service)
{
    const char *server = service_word(service, "server");

    if (server == NULL)
        return "it has no `server`, so that xinetd does not start it, either";
    if (server[0] != '/')
        return import_text(service->import, "its server is \"%s\"; expected an absolute path",
                           server);
    if (service_word(service, "user") == NULL)
        return "it has no `user`, so that xinetd does not start it, either";
    if (!service->stream)
        service->waits = true;
    service_set_text(service, KEY_PLUGIN, "exec");
    service_set_text(service, KEY_MIXIN, service->waits ? "none" : "forking");
    service_set_text(service, OPTION_DIRECTORY, "/"); /* where both daemons are themselves */
    service_set_text(service, OPTION_STDERR, "client");
    if (service->waits)
        service_set(service, OPTION_WAIT, "true");
    return NULL;
}

const char *
service_judge(struct service *service)
{
    const char *why = judge_types(service);
    struct attribute_value redirect = service_value(service, "redirect");

    if (why == NULL)
        why = judge_socket(service);
    if (why == NULL && service->internal)
        why = judge_internal(service);
    else if (why == NULL && redirect.given)
        why = judge_redirect(service, &redirect.words);
    else if (why == NULL)
        why = judge_program(service);
    if (why == NULL)
        why = find_port(service);
    if (why == NULL)
        set_address(service);
    return why;
}

/* SPDX-License-Identifier: MIT */
/*
 * service.c - the listener's options, read and judged once
 *
 * Runs in:  check_options, server_activate and server_close.
 * Owns:     the service.
 * Failures: complained of here; the listener fails.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "forward.h"

static enum proxy_protocol
proxy_of(const char *version)
{
    return strcmp(version, "v1") == 0   ? PROXY_V1
           : strcmp(version, "v2") == 0 ? PROXY_V2
                                        : PROXY_NONE;
}

/* ---- the targets ---------------------------------------------------------------------------- */

static bool
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What is wrong with HOST:PORT; NULL: nothing. */
static const char *
check_internet(const char *text)
{
    const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');

    if (strpbrk(text, " \t@") != NULL)
        return "a host's name has neither spaces nor \"@\"";
    if (colon == NULL || colon == text || colon[1] == '\0' || strchr(text, '/') != NULL)
        return "it must be HOST:PORT behind \"//\"";
    if (text[0] == '*')
        return "a target is one host; \"*\" is for listeners";
    if (text[0] == '[' ? bracket == NULL || bracket == text + 1 || bracket + 1 != colon
                       : strchr(text, ':') != colon)
        return "an IPv6 address stands in brackets, as in \"[::1]:80\"";
    for (const char *digit = colon + 1; *digit != '\0'; digit++)
        if (!isdigit((unsigned char)*digit))
            return NULL; /* a service's name */
    long port = strtol(colon + 1, NULL, 10);
    return port < 1 || port > 65535 ? "the port must be 1 to 65535" : NULL;
}

static const char *
check_path(const char *text)
{
    if (starts_with(text, "///") || (text[0] == '@' && text[1] != '\0'))
        return strlen(text) > 109 ? "the path is too long" : NULL;
    return "it must be \"///PATH\" or \"@NAME\" behind the colon";
}

static const char *
check_target(const struct service *service, const char *address)
{
    static const struct {
        const char *scheme;
        bool datagrams, internet;
    } rows[] = {
        {"tcp://", false, true},
        {"unix:", false, false},
        {"udp://", true, true},
        {"unixgram:", true, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *rest = address + strlen(rows[i].scheme);
        if (!starts_with(address, rows[i].scheme))
            continue;
        if (rows[i].datagrams != service->datagrams)
            return service->datagrams ? "this listener has datagrams, so its targets are udp:// or "
                                        "unixgram:"
                                      : "this listener has connections, so its targets are tcp:// "
                                        "or unix:";
        return rows[i].internet ? check_internet(rest) : check_path(rest);
    }
    return "it must begin with tcp://, unix:, udp:// or unixgram:";
}

static int
read_targets(struct ss_server *server, struct service *service)
{
    const char *const *list = ss_option_list(server, "to", &service->count);
    size_t size = service->count * sizeof(struct target_state);

    if (service->count == 0) /* the option's row does not let it be */
        return -EINVAL;
    for (size_t i = 0; i < service->count; i++) {
        const char *wrong = check_target(service, list[i]);
        if (wrong != NULL) {
            ss_complain(server, "to", "\"%s\": %s", list[i], wrong);
            return -EINVAL;
        }
    }
    service->targets = calloc(service->count, sizeof(struct target));
    if (service->targets == NULL)
        return -ENOMEM;
    void *states = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (states == MAP_FAILED)
        return -errno;
    service->states = states;
    for (size_t i = 0; i < service->count; i++) {
        struct target *target = &service->targets[i];
        target->address = list[i];
        target->state = &service->states[i];
        (void)snprintf(target->outcome, sizeof(target->outcome), "forwarded to %s", list[i]);
    }
    return 0;
}

/* ---- datagrams ------------------------------------------------------------------------------ */

/* Sessions live in the memory of one process, and each of them is a request that stays. */
static int
prepare_sessions(struct ss_server *server, struct service *service)
{
    unsigned places = ss_server_concurrency(server);
    size_t most = (size_t)ss_option_integer(server, "max_sessions");
    bool encrypted = ss_option_boolean(server, "tls");

    if (service->proxy != PROXY_NONE)
        ss_complain(server, "proxy_protocol", "PROXY headers are for connections; remove it");
    else if (encrypted)
        ss_complain(server, "tls", "TLS is for connections, and there is no DTLS; remove it");
    else if (places < 2)
        ss_complain(server, "to",
                    "datagrams are forwarded under the mixins \"threading\" and \"coroutine\" "
                    "only, with a max_connections of at least 2: a request waits for the answers "
                    "of its peer");
    else if (most >= places)
        ss_complain(server, "max_sessions",
                    "it must be less than max_connections, as each session is a request");
    if (service->proxy != PROXY_NONE || encrypted || places < 2 || most >= places)
        return -EINVAL;
    if (most == 0)
        most = places - (places + 3) / 4;
    return sessions_new(most, &service->sessions);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static double
limit_of(struct ss_server *server, const char *name)
{
    double seconds = ss_option_duration(server, name);

    return seconds > 0 ? seconds : -1;
}

static int
fill_in(struct ss_server *server, struct service *service)
{
    service->datagrams = ss_server_transport(server) == SS_DATAGRAM;
    service->connect_timeout = limit_of(server, "connect_timeout");
    service->idle_timeout = limit_of(server, "idle_timeout");
    service->fail_timeout = ss_option_duration(server, "fail_timeout");
    service->session_timeout = ss_option_duration(server, "session_timeout");
    service->least = strcmp(ss_option_string(server, "balance"), "least") == 0;
    service->proxy = proxy_of(ss_option_string(server, "proxy_protocol"));
    int error = read_targets(server, service);
    if (error == 0 && service->datagrams)
        error = prepare_sessions(server, service);
    if (error == 0)
        error = encryption_prepare(server, service);
    return error;
}

int
service_new(struct ss_server *server, struct service **ret)
{
    struct service *service = calloc(1, sizeof(*service));

    if (service == NULL)
        return -ENOMEM;
    int error = fill_in(server, service);
    if (error < 0) {
        service_free(service);
        return error;
    }
    *ret = service;
    return 0;
}

void
service_free(struct service *service)
{
    if (service == NULL)
        return;
    encryption_done(service);
    sessions_free(service->sessions);
    if (service->states != NULL)
        (void)munmap(service->states, service->count * sizeof(struct target_state));
    free(service->targets);
    free(service);
}

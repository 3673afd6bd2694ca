/* SPDX-License-Identifier: MIT */
/*
 * environment.c - what a program finds in its environment
 *
 * It finds what the options say, who its user is, and what is known of the client. No other
 * variable of the daemon's reaches it. What is said of the client cannot be overridden by options.
 *
 * Runs in:  server_activate, and a handler thread, child or coroutine.
 * Owns:     the service's variables and those of the request.
 * Failures: logged here where an option is wrong; else returned.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "exec.h"

/* The worker's own, which its program shares. By the last one the daemon finds what a worker has
 * left behind. */
static const char *const always[] = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "SOCKSERVERD_WORKER"};

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const inetd_names[] = {"REMOTE_ADDR", "REMOTE_PORT", "REMOTE_HOST", NULL};
static const char *const ucspi_names[] = {"PROTO",
                                          "TCPLOCALIP",
                                          "TCPLOCALPORT",
                                          "TCPREMOTEIP",
                                          "TCPREMOTEPORT",
                                          "UNIXREMOTEEUID",
                                          "UNIXREMOTEEGID",
                                          "UNIXREMOTEPID",
                                          "UNIXLOCALPATH",
                                          "UNIXREMOTEPATH",
                                          NULL};

/* ---- the service's -------------------------------------------------------------------------- */

static size_t
name_size(const char *variable)
{
    return strcspn(variable, "=");
}

static bool
is_among(const char *variable, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) == name_size(variable) &&
            strncmp(names[i], variable, name_size(variable)) == 0)
            return true;
    return false;
}

static bool
is_of_request(const struct service *service, const char *variable)
{
    return is_among(variable, inetd_names) || (service->ucspi && is_among(variable, ucspi_names));
}

/* Sets NAME=VALUE, in the place of an earlier one. */
static int
set(struct service *service, const char *variable)
{
    char *copy = strdup(variable);
    size_t size = name_size(variable) + 1, place = 0;

    if (copy == NULL)
        return -ENOMEM;
    while (place < service->variables && strncmp(service->environment[place], variable, size) != 0)
        place++;
    if (place < service->variables)
        free(service->environment[place]);
    else
        service->variables++;
    service->environment[place] = copy;
    return 0;
}

/* Sets the worker's own variable of this name, if it has one. */
static int
pass(struct service *service, const char *name)
{
    const char *value = getenv(name);
    char *variable;

    if (value == NULL || is_of_request(service, name))
        return 0;
    if (asprintf(&variable, "%s=%s", name, value) < 0)
        return -ENOMEM;
    int error = set(service, variable);
    free(variable);
    return error;
}

static int
check_variable(struct ss_server *server, const struct service *service, const char *variable)
{
    const char *wrong = NULL;

    if (strchr(variable, '=') == NULL || variable[0] == '=')
        wrong = "it must be NAME=VALUE";
    else if (is_of_request(service, variable))
        wrong = "it is set for each request";
    if (wrong != NULL)
        ss_complain(server, "environment", "\"%s\": %s", variable, wrong);
    return wrong == NULL ? 0 : -EINVAL;
}

int
environment_prepare(struct ss_server *server, struct service *service)
{
    const size_t given = sizeof(always) / sizeof(always[0]);
    size_t passed, written;
    const char *const *names = ss_option_list(server, "pass_environment", &passed);
    const char *const *items = ss_option_list(server, "environment", &written);
    int error;

    service->environment = calloc(1 + given + passed + written, sizeof(char *));
    error = service->environment == NULL ? -ENOMEM : set(service, DEFAULT_PATH);
    for (size_t i = 0; error == 0 && i < given; i++)
        error = pass(service, always[i]);
    for (size_t i = 0; error == 0 && i < passed; i++)
        error = pass(service, names[i]);
    for (size_t i = 0; error == 0 && i < written; i++) {
        error = check_variable(server, service, items[i]);
        if (error == 0)
            error = set(service, items[i]);
    }
    return error;
}

/* ---- the request's -------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
add(struct environment *environment, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(environment->texts[environment->count++], VARIABLE_SIZE, format, arguments);
    va_end(arguments);
}

/* PREFIX + IP and port, if this is an address of the internet. */
static void
add_internet(struct environment *environment, const char *ip_name, const char *port_name,
             const struct sockaddr *address)
{
    const struct sockaddr_in *ipv4 = (const void *)address;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    bool is_ipv6 = address->sa_family == AF_INET6;
    char text[INET6_ADDRSTRLEN];

    if (address->sa_family != AF_INET && !is_ipv6)
        return;
    (void)inet_ntop(address->sa_family,
                    is_ipv6 ? (const void *)&ipv6->sin6_addr : (const void *)&ipv4->sin_addr, text,
                    sizeof(text));
    add(environment, "%s=%s", ip_name, text);
    add(environment, "%s=%u", port_name,
        (unsigned)ntohs(is_ipv6 ? ipv6->sin6_port : ipv4->sin_port));
}

/* Xinetd's name of the client, which is its address, too, as nobody looks up names. */
static void
add_host(struct environment *environment)
{
    const char *address = environment->count > 0 ? strchr(environment->texts[0], '=') : NULL;

    if (address != NULL)
        add(environment, "REMOTE_HOST=%s", address + 1);
}

/* A path, if the socket has one. */
static void
add_path(struct environment *environment, const char *name, const struct sockaddr *address,
         socklen_t size)
{
    const struct sockaddr_un *path = (const void *)address;

    if (address->sa_family == AF_UNIX && size > sizeof(sa_family_t) && path->sun_path[0] == '/')
        add(environment, "%s=%.*s", name, (int)(size - sizeof(sa_family_t)), path->sun_path);
}

static void
add_user(struct environment *environment, struct ss_request *request)
{
    struct ss_credentials user;

    if (ss_client_credentials(request, &user) < 0)
        return;
    add(environment, "UNIXREMOTEPID=%d", (int)user.pid);
    add(environment, "UNIXREMOTEEUID=%u", user.uid);
    add(environment, "UNIXREMOTEEGID=%u", user.gid);
}

static void
add_ucspi(struct environment *environment, struct ss_request *request,
          const struct sockaddr *client, socklen_t client_size)
{
    struct sockaddr_storage local = {0};
    socklen_t size = sizeof(local);
    bool is_unix = client->sa_family == AF_UNIX;

    (void)ss_local_address(request, (struct sockaddr *)&local, &size);
    add(environment, "PROTO=%s", is_unix ? "UNIX" : "TCP");
    add_internet(environment, "TCPLOCALIP", "TCPLOCALPORT", (const struct sockaddr *)&local);
    add_internet(environment, "TCPREMOTEIP", "TCPREMOTEPORT", client);
    if (!is_unix)
        return;
    add_user(environment, request);
    add_path(environment, "UNIXLOCALPATH", (const struct sockaddr *)&local, size);
    add_path(environment, "UNIXREMOTEPATH", client, client_size);
}

int
environment_init(struct environment *environment, struct ss_request *request,
                 const struct service *service)
{
    socklen_t size;
    const struct sockaddr *client = ss_client_address(request, &size);
    size_t place = 0;

    environment->count = 0;
    add_internet(environment, "REMOTE_ADDR", "REMOTE_PORT", client);
    if (service->ucspi)
        add_ucspi(environment, request, client, size);
    else
        add_host(environment);
    environment->all = calloc(environment->count + service->variables + 1, sizeof(char *));
    if (environment->all == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < environment->count; i++)
        environment->all[place++] = environment->texts[i];
    for (size_t i = 0; i < service->variables; i++)
        environment->all[place++] = service->environment[i];
    return 0;
}

void
environment_done(struct environment *environment)
{
    free(environment->all);
}

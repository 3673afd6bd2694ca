/* SPDX-License-Identifier: MIT */
/*
 * data.c - good_command's memory: what is private, what is shared, what leaks
 *
 * Owns: `struct request_data` from setup to finish, `struct server_data` from
 *       server_activate to server_close, the leaked blocks for ever. These
 *       stay linked, for a leak checker is to find the daemon's leaks alone.
 */
#include "command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct request_data {
    char *text;
};

struct server_data {
    atomic_uint requests;
};

struct leak {
    struct leak *next;
};

static atomic_uint request_count;
static struct leak *_Atomic leaks;

int
data_activate(struct ss_server *server)
{
    struct server_data *data = calloc(1, sizeof(*data));

    if (!data)
        return -ENOMEM;
    ss_server_set_data(server, data);
    return 0;
}

void
data_close(struct ss_server *server)
{
    free(ss_server_data(server));
    ss_server_set_data(server, NULL);
}

int
data_setup(struct ss_request *request)
{
    struct server_data *shared = ss_server_data(ss_server(request));
    struct request_data *data;

    if (ss_data(request))
        return -EEXIST; /* another request's */
    data = calloc(1, sizeof(*data));
    if (!data)
        return -ENOMEM;
    ss_set_data(request, data);
    atomic_fetch_add(&request_count, 1);
    atomic_fetch_add(&shared->requests, 1);
    return 0;
}

void
data_finish(struct ss_request *request)
{
    struct request_data *data = ss_data(request);

    free(data->text);
    free(data);
    ss_set_data(request, NULL);
}

static int
tell_count(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "count %u\n", atomic_load(&request_count));
}

static int
tell_shared(struct ss_request *request, const char *argument)
{
    struct server_data *shared = ss_server_data(ss_server(request));

    (void)argument;
    return ss_printf(request, "shared %u\n", atomic_load(&shared->requests));
}

static int
keep_data(struct ss_request *request, const char *argument)
{
    struct request_data *data = ss_data(request);

    if (*argument) {
        free(data->text);
        data->text = strdup(argument);
    }
    return ss_printf(request, "data %s\n", data->text ? data->text : "");
}

static int
leak_memory(struct ss_request *request, const char *argument)
{
    size_t size = argument_size(argument);
    struct leak *leak = malloc(sizeof(*leak) + size);

    if (!leak)
        return ss_printf(request, "error %d\n", -ENOMEM);
    memset(leak, 0xaa, sizeof(*leak) + size);
    leak->next = atomic_load(&leaks);
    while (!atomic_compare_exchange_weak(&leaks, &leak->next, leak))
        continue;
    return ss_printf(request, "malloc %zu\n", size);
}

static int
tell_options(struct ss_request *request, const char *argument)
{
    struct ss_server *server = ss_server(request);

    (void)argument;
    return ss_printf(
        request, "text=%s flag=%s count=%lld ratio=%g limit=%llu pause=%g\n",
        ss_option_string(server, "text"), ss_option_boolean(server, "flag") ? "true" : "false",
        (long long)ss_option_integer(server, "count"), ss_option_number(server, "ratio"),
        (unsigned long long)ss_option_size(server, "limit"), ss_option_duration(server, "pause"));
}

static int
tell_names(struct ss_request *request, const char *argument)
{
    size_t count = 99;
    const char *const *names = ss_option_list(ss_server(request), "names", &count);

    (void)argument;
    ss_printf(request, "names %zu", count);
    for (; *names != NULL; names++)
        ss_printf(request, " \"%s\"", *names);
    return ss_printf(request, "\n");
}

/* Wrong name, then wrong types: none may do more than log. */
static int
misuse_options(struct ss_request *request, const char *argument)
{
    struct ss_server *server = ss_server(request);
    bool null = !ss_option_string(server, "colour") && !ss_option_string(server, "count") &&
                ss_option_integer(server, "text") == 0 && !ss_option_boolean(server, "limit") &&
                !ss_option_list(server, "text", NULL) && !ss_option_string(server, "names");

    (void)argument;
    return ss_printf(request, "misuse %s\n", null ? "null" : "value");
}

static int
write_log(struct ss_request *request, const char *argument)
{
    const char *text = strchr(argument, ' ');

    ss_log((int)argument_size(argument), "%s", text ? text + 1 : "");
    return ss_printf(request, "logged\n");
}

const struct command data_commands[] = {
    {"count", tell_count},   {"shared", tell_shared},   {"data", keep_data},
    {"malloc", leak_memory}, {"options", tell_options}, {"misuse", misuse_options},
    {"names", tell_names},   {"log", write_log},        {0},
};

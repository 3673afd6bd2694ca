/* SPDX-License-Identifier: MIT */
/*
 * explain.c - the command that says what would become of a client
 *
 * The daemon looks up no names. So the numbers of a user and its groups are
 * found here, and are those that a process has which the user starts now.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the result is the exit status.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/control_interface.h"
#include "common/network.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/status.h"
#include "ctl/text.h"

#define GROUPS_MOST 65536

/* Returns "user:1000,group:1000,group:4" for a user of the database, to free; NULL without memory.
 */
static char *
describe_user(const struct passwd *user)
{
    int count = GROUPS_MOST;
    _cleanup_free_ gid_t *gids = calloc(GROUPS_MOST, sizeof(*gids));
    char *text = NULL;
    size_t size;
    FILE *stream = gids == NULL ? NULL : open_memstream(&text, &size);

    if (stream == NULL)
        return NULL;
    if (getgrouplist(user->pw_name, user->pw_gid, gids, &count) < 0)
        count = GROUPS_MOST; /* it has even more */
    (void)fprintf(stream, "user:%u", (unsigned)user->pw_uid);
    for (int i = 0; i < count; i++)
        (void)fprintf(stream, ",group:%u", (unsigned)gids[i]);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Returns what the daemon is asked about, to free. A user that is not in the database can only be a
 * number, of which no group is known. */
static char *
client_of(const char *operand)
{
    const char *name = operand + strlen("user:");
    const struct passwd *user;
    uint32_t uid;

    if (strncmp(operand, "user:", strlen("user:")) != 0 || strchr(name, ',') != NULL)
        return strdup(operand);
    user = network_id_number(name, false, &uid) == 0 ? getpwuid(uid) : getpwnam(name);
    return user == NULL ? strdup(operand) : describe_user(user);
}

static bool
is_unknown_user(const char *client)
{
    uint32_t uid;

    return strncmp(client, "user:", 5) == 0 && strchr(client, ',') == NULL &&
           network_id_number(client + 5, false, &uid) < 0;
}

static void
print_line(const json_t *text)
{
    const char *line = json_string_value(text);

    print_clean(stdout, line == NULL ? "-" : line);
    (void)putchar('\n');
}

static void
print_answer(const json_t *reply)
{
    const json_t *proxy = json_object_get(reply, "proxy"), *limits;

    print_line(json_object_get(reply, "text"));
    if (json_is_string(proxy))
        print_line(proxy);
    limits = json_object_get(reply, "limits");
    for (size_t i = 0; i < json_array_size(limits); i++)
        print_line(json_array_get(limits, i));
}

enum ctl_result
ctl_explain(const struct ctl_arguments *arguments)
{
    _cleanup_free_ char *client = client_of(arguments->second);
    json_t *reply = NULL;

    if (client == NULL) {
        (void)fputs("sockserverctl: out of memory\n", stderr);
        return CTL_FAILED;
    }
    if (is_unknown_user(client)) {
        (void)fputs("sockserverctl: explain: unknown user \"", stderr);
        print_clean(stderr, client + strlen("user:"));
        (void)fputs("\"; expected one that exists here, or a number\n", stderr);
        return CTL_USAGE;
    }
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".Explain",
                  json_pack("{s:s, s:s}", "listener", arguments->operand, "client", client),
                  CONNECTION_QUICK, &reply);
    if (reply != NULL && arguments->json)
        print_json(reply);
    else if (reply != NULL)
        print_answer(reply);
    json_decref(reply);
    return result;
}

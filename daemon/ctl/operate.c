/* SPDX-License-Identifier: MIT */
/*
 * operate.c - the commands that change something
 *
 * The daemon answers when it is done; until then we wait, however long it
 * takes. A user who does not want to wait ends us, and the operation goes on.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the result is the exit status.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/control_interface.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/suggest.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

#define UPGRADE_SECONDS  20  /* for the new program to answer */
#define UPGRADE_PAUSE_MS 100 /* between two looks */
#define REFUSALS         10  /* the path has no listener for a moment */
#define INSTANCE_LOOKS   50  /* for the program that answers before the operation */

/* Prints the notices of an operation: one that succeeded may have some, too. */
static void
print_notices(const json_t *parameters)
{
    const json_t *notices = json_object_get(parameters, "notices"), *notice;
    size_t i;

    json_array_foreach(notices, i, notice)
    {
        if (json_is_string(notice))
            print_clean(stdout, json_string_value(notice));
        (void)putchar('\n');
    }
}

static json_t *
parameters_for(const struct ctl_arguments *arguments)
{
    if (arguments->operand == NULL)
        return NULL;
    if (strcmp(arguments->command->operand, "LEVEL") == 0)
        return json_pack("{s:s}", "level", arguments->operand);
    if (arguments->announce)
        return json_pack("{s:s, s:b}", "listener", arguments->operand, "announce", 1);
    if (arguments->wait)
        return json_pack("{s:s, s:b}", "listener", arguments->operand, "wait", 1);
    return json_pack("{s:s}", "listener", arguments->operand);
}

/* Complains about an unknown level. The daemon would refuse it, too, but cannot say what was
 * meant. */
static bool
is_wrong_level(const struct ctl_arguments *arguments)
{
    if (arguments->operand == NULL || strcmp(arguments->command->operand, "LEVEL") != 0 ||
        log_level_from_name(arguments->operand) >= 0)
        return false;
    _cleanup_free_ char *phrase = suggest_phrase(arguments->operand, log_level_names);
    (void)fputs("sockserverctl: log-level: unknown level \"", stderr);
    printable_put(stderr, arguments->operand);
    (void)fprintf(stderr,
                  "\"%s\nexpected emerg, alert, crit, err, warning, notice, info or debug\n",
                  phrase == NULL ? "" : phrase);
    return true;
}

/* ---- upgrade --------------------------------------------------------------------------------- */

/* Asks once which program answers. Returns 0 and *ret, or a negative errno. */
static int
ask_instance_once(const char *path, json_int_t *ret)
{
    struct connection connection = CONNECTION_CLOSED;
    json_t *reply = NULL;
    int r = connection_open(path, &connection);

    if (r == 0)
        r = connection_call(&connection, CONTROL_INTERFACE ".GetStatus", NULL, CONNECTION_QUICK,
                            &reply);
    connection_close(&connection);
    if (r == 0)
        *ret = json_integer_value(json_object_get(
            json_object_get(json_object_get(reply, "parameters"), "daemon"), "instance"));
    json_decref(reply);
    return r;
}

/* Asks which program answers. While the daemon becomes another one, it hangs up or refuses: then
 * asks again for a moment. Returns 0 and *ret, or a negative errno. */
static int
ask_instance(const char *path, json_int_t *ret)
{
    int r = ask_instance_once(path, ret);

    for (int i = 0; i < INSTANCE_LOOKS &&
                    (r == -ECONNRESET || r == -EPIPE || (r == -ECONNREFUSED && i < REFUSALS) ||
                     (i > 0 && r < 0 && r != -ECONNREFUSED));
         i++) {
        (void)poll(NULL, 0, UPGRADE_PAUSE_MS);
        r = ask_instance_once(path, ret);
    }
    return r;
}

/* Waits for the new program, which answers soon. The old one has ended our connection. */
static enum ctl_result
await_new_program(const struct ctl_arguments *arguments, json_int_t before)
{
    time_t give_up = time(NULL) + UPGRADE_SECONDS;
    json_int_t now = before;
    int r;

    while ((r = ask_instance_once(arguments->socket, &now)) < 0 || now == before) {
        if (time(NULL) > give_up)
            break;
        (void)poll(NULL, 0, UPGRADE_PAUSE_MS);
    }
    if (r < 0)
        return complain_unreachable(arguments->socket, r);
    if (now != before)
        return CTL_FINE;
    (void)fputs("sockserverctl: the daemon hung up, but still runs the old program; see its log\n",
                stderr);
    return CTL_FAILED;
}

/* How many milliseconds the daemon may take: as many as it needs, unless --wait has a limit. */
static int
patience(const struct ctl_arguments *arguments)
{
    if (!arguments->wait || arguments->seconds < 0)
        return CONNECTION_PATIENT;
    return (int)(arguments->seconds * 1000) + 1;
}

/* Whether the listener has ended its requests. The reply that said so may have come too late, most
 * of all where others were waited for before it. */
static bool
is_drained(const struct ctl_arguments *arguments)
{
    json_t *health = NULL;

    (void)call_once(arguments, CONTROL_INTERFACE ".GetHealth",
                    json_pack("{s:s}", "listener", arguments->operand), CONNECTION_QUICK, &health);
    const json_t *listener = json_array_get(json_object_get(health, "listeners"), 0);
    const char *reason = json_string_value(json_object_get(listener, "reason"));
    bool drained = reason != NULL && strcmp(reason, "drained") == 0;
    json_decref(health);
    return drained;
}

static enum ctl_result
conclude_late(const struct ctl_arguments *arguments)
{
    if (is_drained(arguments))
        return CTL_FINE;
    (void)fputs("sockserverctl: drain: requests of ", stderr);
    print_clean(stderr, arguments->operand);
    (void)fputs(" still run; the drain goes on\n", stderr);
    return CTL_FAILED;
}

/* Asks the daemon to do it. Returns 0 and *ret_reply, or a negative errno. *ret_before: which
 * program was asked. */
static int
ask(const struct ctl_arguments *arguments, json_int_t *ret_before, json_t **ret_reply)
{
    struct connection connection = CONNECTION_CLOSED;
    int r = ask_instance(arguments->socket, ret_before);

    if (r == 0)
        r = connection_open(arguments->socket, &connection);
    if (r == 0)
        r = connection_call(&connection, arguments->command->method, parameters_for(arguments),
                            patience(arguments), ret_reply);
    connection_close(&connection);
    return r;
}

/* Whether the reply was lost with the connection: the daemon becomes another program. */
static bool
was_cut_off(int error)
{
    return error == -ECONNRESET || error == -EPIPE;
}

/* Says how it ended. */
static enum ctl_result
conclude(const struct ctl_arguments *arguments, int error, json_t *reply)
{
    enum ctl_result result = CTL_FINE;

    if (error == -ETIMEDOUT && patience(arguments) != CONNECTION_PATIENT)
        return conclude_late(arguments);
    if (error < 0)
        return complain_unreachable(arguments->socket, error);
    const json_t *parameters = reply_parameters(reply, arguments, &result);
    if (parameters != NULL)
        print_notices(parameters);
    json_decref(reply);
    return result;
}

enum ctl_result
ctl_upgrade(const struct ctl_arguments *arguments)
{
    json_int_t before = 0;
    json_t *reply = NULL;
    int r = ask(arguments, &before, &reply);

    return was_cut_off(r) ? await_new_program(arguments, before) : conclude(arguments, r, reply);
}

/* ---- the other commands ---------------------------------------------------------------------- */

/* Every operation may be asked twice: the new program is asked anew. */
enum ctl_result
ctl_operate(const struct ctl_arguments *arguments)
{
    json_int_t before = 0;
    json_t *reply = NULL;

    if (is_wrong_level(arguments))
        return CTL_USAGE;
    int r = ask(arguments, &before, &reply);
    if (was_cut_off(r)) {
        enum ctl_result result = await_new_program(arguments, before);
        if (result != CTL_FINE)
            return result;
        r = ask(arguments, &before, &reply);
    }
    return conclude(arguments, r, reply);
}

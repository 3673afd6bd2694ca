/* SPDX-License-Identifier: MIT */
/*
 * operate_all.c - drain and resume of all listeners
 *
 * Each listener is told by itself, as if it had been named. One that fails
 * does not keep the others from being told. Those whose plugin looks into the
 * daemon go on: they tell balancers and whoever watches of the others.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the first one is the exit status.
 */
#include <string.h>

#include "common/array.h"
#include "common/clock.h"
#include "common/control_interface.h"
#include "common/varlink.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"

/* In which states a listener is told, by command. Others have nothing to drain or to resume. */
static const struct {
    const char *command, *state;
} concerned[] = {
    {"drain", "serving"},  {"drain", "starting"},  {"drain", "backing off"},
    {"drain", "draining"}, {"resume", "draining"}, {"resume", "drained"},
};

static bool
concerns(const struct ctl_arguments *arguments, const json_t *listener)
{
    const char *state = json_string_value(json_object_get(listener, "state"));
    const char *access = json_string_value(json_object_get(listener, "control_access"));

    if (strcmp(arguments->command->name, "drain") == 0 && access != NULL &&
        strcmp(access, "none") != 0)
        return false;
    for (size_t i = 0; state != NULL && i < ARRAY_SIZE(concerned); i++)
        if (strcmp(concerned[i].command, arguments->command->name) == 0 &&
            strcmp(concerned[i].state, state) == 0)
            return true;
    return false;
}

/* Tells each listener. until: the time that is left for all of them (monotonic_now()), if there is
 * a limit. */
static enum ctl_result
tell_each(const struct ctl_arguments *arguments, const json_t *listeners, int64_t until)
{
    enum ctl_result result = CTL_FINE;
    const json_t *listener;
    size_t i;

    json_array_foreach(listeners, i, listener)
    {
        struct ctl_arguments one = *arguments;
        one.operand = json_string_value(json_object_get(listener, "name"));
        if (one.operand == NULL || !concerns(arguments, listener))
            continue;
        if (arguments->wait && arguments->seconds >= 0) {
            int64_t left = until - monotonic_now();
            one.seconds = left > 0 ? (double)left / 1e9 : 0;
        }
        enum ctl_result this = ctl_operate(&one);
        result = result == CTL_FINE ? this : result;
    }
    return result;
}

enum ctl_result
ctl_operate_all(const struct ctl_arguments *arguments)
{
    struct ctl_arguments first = *arguments;
    json_t *status = NULL;
    int64_t until = monotonic_after(arguments->seconds);
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".GetStatus", NULL, CONNECTION_QUICK, &status);
    const json_t *listeners = json_object_get(status, "listeners");

    first.wait = false; /* none may go on accepting while another is waited for */
    first.announce = strcmp(arguments->command->name, "drain") == 0;
    if (result == CTL_FINE && first.announce)
        result = tell_each(&first, listeners, until);
    first.announce = false; /* by now each knows, and their delays end together */
    if (result == CTL_FINE)
        result = tell_each(&first, listeners, until);
    if (result == CTL_FINE && arguments->wait)
        result = tell_each(arguments, listeners, until);
    json_decref(status);
    return result;
}

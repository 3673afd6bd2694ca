/* SPDX-License-Identifier: MIT */
/*
 * health.c - the command health: whether clients can be taken, for scripts and keepalived
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the result is the exit status.
 */
#include <stdio.h>

#include "common/control_interface.h"
#include "common/varlink.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/status.h"
#include "ctl/text.h"

/* One line: "upper: ready, 5 of 512 requests" or "upper: not ready: drained". */
static void
print_listener(const json_t *listener)
{
    const char *name = json_string_value(json_object_get(listener, "name"));
    const char *reason = json_string_value(json_object_get(listener, "reason"));

    print_clean(stdout, name == NULL ? "?" : name);
    if (json_is_true(json_object_get(listener, "ready"))) {
        (void)printf(": ready, %lld of %lld requests\n",
                     json_integer_value(json_object_get(listener, "active")),
                     json_integer_value(json_object_get(listener, "max_connections")));
        return;
    }
    (void)fputs(": not ready: ", stdout);
    print_clean(stdout, reason == NULL ? "?" : reason);
    (void)putchar('\n');
}

static void
print_health(const json_t *health)
{
    const json_t *listeners = json_object_get(health, "listeners");

    for (size_t i = 0; i < json_array_size(listeners); i++)
        print_listener(json_array_get(listeners, i));
}

enum ctl_result
ctl_health(const struct ctl_arguments *arguments)
{
    json_t *health = NULL, *parameters = NULL;

    if (arguments->operand != NULL)
        parameters = json_pack("{s:s}", "listener", arguments->operand);
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".GetHealth", parameters, CONNECTION_QUICK, &health);
    if (health != NULL && arguments->json)
        print_json(health);
    else if (health != NULL)
        print_health(health);
    if (health != NULL && !json_is_true(json_object_get(health, "ready")))
        result = CTL_FAILED;
    json_decref(health);
    return result;
}

/* SPDX-License-Identifier: MIT */
/*
 * metrics_fixture.h - a listener "test", and one whose plugin is `metrics`, which tells of both
 */
#ifndef TESTS_INTEGRATION_METRICS_FIXTURE_H
#define TESTS_INTEGRATION_METRICS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

#define PATIENT "timeout = \"50s\";" /* the machine may be busy */

/* The configuration of the one that tells, which the case is about. */
static inline const char *
metrics_listener(const struct server_case *server, const char *options)
{
    return listener_text("metrics", server->scheme, server->mixin, "metrics",
                         text_of("control_access = \"read\"; options = { %s };", options));
}

/* The whole answer to a GET of that path, with one more field. */
static inline const char *
fetch_with(struct daemon *daemon, const char *path, const char *field)
{
    return client_ask(
        daemon_address(daemon, "metrics"),
        text_of("GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s\r\n", path, field));
}

static inline const char *
fetch(struct daemon *daemon, const char *path)
{
    return fetch_with(daemon, path, "");
}

static inline const char *
body_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");

    assert_non_null(body);
    return body + 4;
}

static inline int
status_of(const char *answer)
{
    assert_starts(answer, "HTTP/1.1 ");
    return atoi(answer + strlen("HTTP/1.1 "));
}

/* The value of a sample, by all that stands before it; -1: there is none. */
static inline double
sample_in(const char *text, const char *sample)
{
    const char *line = strstr(text, text_of("\nsockserverd_%s ", sample));

    return line == NULL ? -1 : strtod(line + strlen("\nsockserverd_ ") + strlen(sample), NULL);
}

static inline double
sample(struct daemon *daemon, const char *name)
{
    return sample_in(fetch(daemon, "/metrics"), name);
}

/* "test" has the plugin good_command, and these lines more. */
static inline struct daemon *
serve_metrics(const struct server_case *server, const char *mixin, const char *more)
{
    struct daemon *daemon = daemon_start("listeners = {\n%s%s};",
                                         listener_text("test", "tcp", mixin, "good_command", more),
                                         metrics_listener(server, PATIENT));

    (void)daemon_address(daemon, "test"), (void)daemon_address(daemon, "metrics");
    WAIT_UNTIL(sample(daemon, "ready") == 1);
    return daemon;
}

/* Of "test", with one more label. */
static inline double
ended(struct daemon *daemon, const char *end)
{
    return sample(daemon, text_of("requests_total{listener=\"test\",end=\"%s\"}", end));
}

static inline double
refused(struct daemon *daemon, const char *reason)
{
    return sample(daemon, text_of("refused_total{listener=\"test\",reason=\"%s\"}", reason));
}

static inline double
of_test(struct daemon *daemon, const char *name)
{
    return sample(daemon, text_of("%s{listener=\"test\"}", name));
}

#define assert_figure(value, expected) assert_int_equal((long)(value), expected)

/* Whether the place of a name is in the head of an item of a list: the line, or one that it
 * continues, begins so. */
static inline bool
is_head_of_item(const char *manual, const char *place)
{
    static const char item[] = ".It Ic ";

    for (;;) {
        while (place > manual && place[-1] != '\n')
            place--;
        if (strncmp(place, item, strlen(item)) == 0)
            return true;
        if (place - manual < 2 || place[-2] != '\\')
            return false;
        place -= 2;
    }
}

/* Fails unless the name is a whole word in the head of an item of a list. */
static inline void
assert_listed(const char *manual, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = manual; (at = strstr(at, name)) != NULL; at += size) {
        bool begins = at > manual && strchr(" \n", at[-1]) != NULL;
        bool ends = strchr(" \n", at[size]) != NULL;
        if (begins && ends && is_head_of_item(manual, at))
            return;
    }
    fail_msg("the manual lists no %s", name);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * forward_fixture.h - a listener whose plugin is `forward`, and targets that are the test's own
 */
#ifndef TESTS_INTEGRATION_FORWARD_FIXTURE_H
#define TESTS_INTEGRATION_FORWARD_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* A target of this test. */
struct place {
    int fd;
    const char *address;
};

static inline struct place
open_place(const char *scheme, const char *name)
{
    struct place place;

    place.fd = client_listen(address_for(scheme, name), 128, &place.address);
    return place;
}

/* An address of the scheme where nobody listens. */
static inline const char *
nowhere(const char *scheme, const char *name)
{
    struct place place = open_place(scheme, name);

    client_close(place.fd);
    if (strncmp(scheme, "unix", 4) == 0)
        (void)unlink(strchr(place.address, '/') + 2);
    return place.address;
}

/* A daemon that forwards and writes access lines: more options, more of the listener. to is the
 * value of the option. */
static inline struct daemon *
start_forward(const struct server_case *server, const char *to, const char *options,
              const char *more)
{
    return daemon_start(
        "log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
        listener_text("test", server->scheme, server->mixin, "forward",
                      text_of("options = { to = %s; %s };\n%s", to, options, more)));
}

static inline struct daemon *
serve_forward(const struct server_case *server, const char *to, const char *options,
              const char *more)
{
    struct daemon *daemon = start_forward(server, to, options, more);

    (void)daemon_address(daemon, "test");
    return daemon;
}

static inline const char *
quote(const char *text)
{
    return text_of("\"%s\"", text);
}

static inline int
connect_to(struct daemon *daemon)
{
    return client_connect(daemon_address(daemon, "test"));
}

/* Both ends of one forwarded connection. */
struct pair {
    int client, target;
};

static inline struct pair
connect_pair(struct daemon *daemon, const struct place *place)
{
    struct pair pair;

    pair.client = connect_to(daemon);
    pair.target = client_accept(place->fd);
    return pair;
}

static inline void
expect_exchange(struct pair pair, const char *question, const char *reply)
{
    client_send(pair.client, question);
    client_expect(pair.target, question);
    client_send(pair.target, reply);
    client_expect(pair.client, reply);
}

#endif

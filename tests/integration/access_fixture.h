/* SPDX-License-Identifier: MIT */
/*
 * access_fixture.h - clients of listeners with `allow` and `deny`
 */
#ifndef TESTS_INTEGRATION_ACCESS_FIXTURE_H
#define TESTS_INTEGRATION_ACCESS_FIXTURE_H

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

static inline void
expect_served(int client)
{
    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    client_close(client);
}

static inline long
figure(struct daemon *daemon, const char *member)
{
    return control_figure(daemon, "test", member);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worker_fixture.h - a server and a request without a process around them
 *
 * What a worker makes of its settings, made by hand: one slot, no plugin but
 * the hooks a test fills in, and whichever transport the test gives.
 */
#ifndef TESTS_UNIT_WORKER_FIXTURE_H
#define TESTS_UNIT_WORKER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/counters.h"
#include "worker/mixin/mixins.h"
#include "worker/request/request.h"
#include "worker/request/server.h"
#include "worker/transport/transports.h"

struct fixture {
    struct ss_server server;
    struct ss_request *request;
    struct slot *slot; /* the request's */
};

static inline void
fixture_open(struct fixture *fixture, const struct transport *transport)
{
    int memory;

    *fixture = (struct fixture){.server = {.socket = -1, .channel = -1, .wakeup = -1}};
    struct ss_server *server = &fixture->server;
    server->settings.name = (char *)"test";
    server->settings.max_line = 64 * 1024;
    server->settings.read_buffer = server->settings.write_buffer = 16 * 1024;
    server->settings.max_packet_size = 65535;
    server->settings.drain_timeout = 30;
    server->plugin.record.name = "fake";
    server->address = (char *)"tcp://127.0.0.1:1";
    server->transport = transport;
    server->mixin = &mixin_none;
    server->slot_count = 1;
    assert_int_equal(counters_create(1, &server->counters, &memory), 0);
    (void)close(memory);
    counter_set(server->counters->phase, PHASE_SERVING);
    fixture->slot = &server->counters->slots[0];
    assert_int_equal(request_new(server, fixture->slot, "main", 0, &fixture->request), 0);
    fixture->request->deadline = fixture->request->overtime = fixture->request->aged = FOREVER;
}

static inline void
fixture_close(struct fixture *fixture)
{
    request_free(fixture->request);
    counters_detach(fixture->server.counters, 1);
}

static inline int
open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* but for the folder's own */

    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * bad_thread.c - a plugin whose server_activate() starts a thread
 *
 * Must be refused under forking, which forks from a process with one thread, and
 * served under every other mixin.
 */
#include <pthread.h>
#include <sockserver/plugin.h>
#include <unistd.h>

SS_PLUGIN(.name = "bad_thread", .summary = "starts a thread in server_activate()",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

static void *
stay(void *unused)
{
    (void)unused;
    for (;;)
        (void)pause();
    return NULL;
}

int
server_activate(struct ss_server *server)
{
    pthread_t thread;
    int error;

    (void)server;
    error = pthread_create(&thread, NULL, stay, NULL);
    if (error)
        return -error;
    return -pthread_detach(thread);
}

int
handle(struct ss_request *request)
{
    return ss_printf(request, "bad_thread\n");
}

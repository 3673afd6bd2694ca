/* SPDX-License-Identifier: MIT */
/*
 * client.c - one client of the control socket
 *
 * It has one call at a time. It is given the time of CLIENT_USEC to send a
 * whole message and, after that, to take the whole reply; only while its
 * operation runs is it left alone, for as long as it stays connected. What it
 * sends meanwhile waits in the socket.
 *
 * Runs in:  the supervisor.
 * Owns:     its descriptor, its event sources, what came and what goes.
 * Failures: end this client.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "supervisor/control/control_private.h"

#define MESSAGE_LIMIT 65536
#define CLIENT_USEC   UINT64_C(2000000) /* for a whole message; to take the whole reply */

void
control_client_close(struct control_client *client)
{
    client->control->clients[client->place] = NULL;
    if (client->question != NULL)
        control_ask_no_more(client);
    else if (client->waits != NULL)
        operations_forget(client->control->host.operations, client);
    (void)sd_event_source_disable_unref(client->io);
    (void)sd_event_source_disable_unref(client->timer);
    (void)close(client->fd);
    varlink_input_done(&client->input);
    free(client->output);
    free(client);
}

/* Begins the time for the next message or reply. Nothing that the client does prolongs it. */
static void
client_give_time(struct control_client *client)
{
    (void)sd_event_source_set_time(client->timer, monotonic_usec() + CLIENT_USEC);
    (void)sd_event_source_set_enabled(client->timer,
                                      client->waits == NULL ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

bool
control_client_waits(const struct control_client *client)
{
    return client->waits != NULL || client->patient;
}

bool
control_client_is_busy(const struct control_client *client)
{
    return client->waits != NULL || client->output != NULL;
}

/* Tells the loop what to watch for now. It reports in any case that the client is gone. */
static void
client_watch(struct control_client *client)
{
    uint32_t events = client->output != NULL ? EPOLLOUT : 0;

    if (!control_client_is_busy(client) && !client->ended)
        events |= EPOLLIN;
    (void)sd_event_source_set_io_events(client->io, events);
    if (client->waits != NULL)
        (void)sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
}

void
control_reply_message(struct control_client *client, char *message, size_t size)
{
    client->patient = client->waits != NULL;
    client->waits = NULL;
    if (client->oneway) {
        free(message);
    } else {
        free(client->output);
        client->output_sent = 0;
        client->output = message;
        client->output_size = size;
        if (message == NULL)
            client->ended = true; /* there is no memory to watch: end the client instead */
    }
    client_give_time(client);
    client_watch(client);
}

static void
queue_reply(struct control_client *client, const char *error, json_t *parameters)
{
    size_t size = 0;
    char *message = varlink_reply_text(error, parameters, &size);

    control_reply_message(client, message, size);
}

void
control_reply(struct control_client *client, json_t *parameters)
{
    queue_reply(client, NULL, parameters);
}

void
control_reply_error(struct control_client *client, const char *error, json_t *parameters)
{
    queue_reply(client, error, parameters);
}

/* Sends what the client takes without waiting. Returns 0, or a negative errno if the client is
 * gone. */
static int
client_flush(struct control_client *client)
{
    while (client->output != NULL) {
        ssize_t sent = send(client->fd, client->output + client->output_sent,
                            client->output_size - client->output_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        client->output_sent += (size_t)sent;
        if (client->output_sent < client->output_size)
            continue;
        free(take_pointer(client->output));
        client->patient = false;
        client_give_time(client);
    }
    return 0;
}

/* Runs the calls that have come, one after the other. Returns 0, or a negative errno if the client
 * must go. */
static int
client_take_calls(struct control_client *client)
{
    int r = 0;

    while (!control_client_is_busy(client)) {
        struct varlink_call call;
        json_t *message;
        r = varlink_input_next(&client->input, &message);
        if (r <= 0)
            break;
        r = varlink_call_parse(message, &call);
        if (r == 0) {
            client->oneway = call.oneway;
            control_call(client, &call);
        }
        json_decref(message);
        if (r == 0)
            r = client_flush(client);
        if (r < 0)
            break;
    }
    return r;
}

/* Reads what has come. Returns 0 or a negative errno. */
static int
client_read(struct control_client *client)
{
    int r = varlink_input_read(&client->input, client->fd);

    if (r == 0)
        client->ended = true;
    return r == -EAGAIN || r > 0 ? 0 : r;
}

/* Does whatever can be done now; closes the client when nothing is left to do. */
void
control_client_proceed(struct control_client *client, bool readable)
{
    int r = client_flush(client);

    if (r == 0 && readable && !control_client_is_busy(client))
        r = client_read(client);
    if (r == 0)
        r = client_take_calls(client);
    if (r == -EBADMSG || r == -EMSGSIZE)
        log_debug("control: uid %u, pid %d sent %s", (unsigned)client->uid, (int)client->pid,
                  r == -EBADMSG ? "no Varlink call" : "too long a message");
    if (r < 0 || (client->ended && !control_client_is_busy(client)))
        control_client_close(client);
    else
        client_watch(client);
}

static int
on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct control_client *client = userdata;

    (void)source;
    (void)fd;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && control_client_is_busy(client))
        control_client_close(client); /* nobody is left to hear the reply; the operation goes on */
    else
        control_client_proceed(client, (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0);
    return 0;
}

static int
on_client_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source;
    (void)when;
    control_client_close(userdata);
    return 0;
}

int
control_client_begin(struct control_client *client)
{
    sd_event *event = client->control->event;
    int r = sd_event_add_io(event, &client->io, client->fd, EPOLLIN, on_client, client);

    varlink_input_init(&client->input, MESSAGE_LIMIT);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &client->timer, CLOCK_MONOTONIC, CLIENT_USEC, 0,
                                       on_client_timer, client);
    if (r >= 0)
        r = sd_event_source_set_priority(client->io, CONTROL_PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_priority(client->timer, CONTROL_PRIORITY);
    return r;
}

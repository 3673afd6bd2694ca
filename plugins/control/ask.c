/* SPDX-License-Identifier: MIT */
/*
 * ask.c - a plugin asks the daemon, through its control socket
 *
 * Runs in:  a handler thread, child or coroutine, or a thread of the plugin's own.
 * Owns:     the connection, until talk_end(), and a reply until it is whole.
 * Failures: returned. A reply that does not come in time is one.
 */
#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REPLY_ROOM 16384      /* bytes, at first */
#define REPLY_MOST (64 << 20) /* of thousands of listeners */
#define SECOND     1e9
#define PAUSE      0.02 /* seconds, before the daemon is asked again */

struct bytes {
    char *data;
    size_t size, room;
};

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t
now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Seconds; 0: the time is over. */
static double
time_left(const struct talk *talk)
{
    int64_t left = talk->until - now();

    return left > 0 ? (double)left / SECOND : 0;
}

/* A thread of the plugin's own waits for so many seconds. fd -1: for nothing but the time. The
 * events that came, 0 when the time is up, -ECANCELED. */
static int
wait_alone(const struct talk *talk, int fd, short events, double seconds)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = talk->stop, .events = POLLIN}};
    int ready = poll(fds, 2, (int)(seconds * 1000) + 1);

    if (ready < 0)
        return errno == EINTR ? 0 : -errno;
    return fds[1].revents != 0 ? -ECANCELED : fds[0].revents;
}

/* Waits until the connection is ready. 0 or a negative errno. */
static int
await(const struct talk *talk, short events)
{
    double left = time_left(talk);
    int ready = 0;

    if (left > 0)
        ready = talk->request == NULL ? wait_alone(talk, talk->control, events, left)
                                      : ss_wait(talk->request, talk->control, events, left);
    return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : ready;
}

/* Waits for a moment before the daemon is asked again. */
static int
pause_for(const struct talk *talk, double seconds)
{
    return talk->request == NULL ? wait_alone(talk, -1, 0, seconds)
                                 : ss_sleep(talk->request, seconds);
}

/* ---- a connection ------------------------------------------------------------------------- */

void
talk_begin(struct talk *talk, struct ss_request *request, double seconds)
{
    *talk = (struct talk){.request = request,
                          .server = ss_server(request),
                          .stop = -1,
                          .until = now() + (int64_t)(seconds * SECOND),
                          .control = -1};
}

void
talk_begin_alone(struct talk *talk, struct ss_server *server, int stop, double seconds)
{
    *talk = (struct talk){.server = server,
                          .stop = stop,
                          .until = now() + (int64_t)(seconds * SECOND),
                          .control = -1};
}

void
talk_end(struct talk *talk)
{
    if (talk->control >= 0)
        (void)close(talk->control);
    talk->control = -1;
}

static int
send_all(const struct talk *talk, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(talk->control, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        int error = sent < 0 ? await(talk, POLLOUT) : 0;
        if (error < 0)
            return error;
        text += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

static int
make_room(struct bytes *reply)
{
    size_t room = reply->room == 0 ? REPLY_ROOM : reply->room * 2;
    char *data = room > REPLY_MOST ? NULL : realloc(reply->data, room);

    if (data == NULL)
        return room > REPLY_MOST ? -EMSGSIZE : -ENOMEM;
    reply->data = data;
    reply->room = room;
    return 0;
}

/* Receives until the NUL that ends the reply. */
static int
receive_reply(const struct talk *talk, struct bytes *reply)
{
    for (;;) {
        int error = reply->size == reply->room ? make_room(reply) : 0;
        if (error < 0)
            return error;
        ssize_t got =
            recv(talk->control, reply->data + reply->size, reply->room - reply->size, MSG_DONTWAIT);
        if (got == 0)
            return -ECONNRESET;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        error = got < 0 ? await(talk, POLLIN) : 0;
        if (error < 0)
            return error;
        reply->size += got > 0 ? (size_t)got : 0;
        if (got > 0 && reply->data[reply->size - 1] == '\0')
            return 0;
    }
}

/* ---- a call --------------------------------------------------------------------------------- */

/* Takes the reply apart: 0 and its parameters, -EAGAIN: there is no place, or another error. */
static int
read_reply(const struct bytes *bytes, json_t **ret)
{
    json_t *reply = json_loadb(bytes->data, bytes->size - 1, 0, NULL);
    const char *error = json_string_value(json_object_get(reply, "error"));
    json_t *parameters = json_object_get(reply, "parameters");
    int result = 0;

    if (error != NULL && strcmp(error, CONTROL "Busy") == 0)
        result = -EAGAIN;
    else if (error != NULL && strcmp(error, CONTROL "UnknownListener") == 0)
        result = -ENOENT;
    else if (error != NULL || !json_is_object(parameters))
        result = -EBADMSG;
    else
        *ret = json_incref(parameters);
    json_decref(reply);
    return result;
}

static int
ask_once(struct talk *talk, const char *call, size_t size, json_t **ret)
{
    struct bytes reply = {0};
    int error = 0;

    if (talk->control < 0)
        talk->control = ss_control(talk->server);
    if (talk->control < 0)
        return talk->control;
    error = send_all(talk, call, size);
    if (error == 0 || error == -EPIPE) /* why it hangs up may be there to be read */
        error = receive_reply(talk, &reply);
    if (error == 0)
        error = read_reply(&reply, ret);
    free(reply.data);
    return error;
}

/* The daemon has no place for another client, or had none before it heard the call. */
static bool
is_passing(int error)
{
    return error == -EAGAIN || error == -ECONNRESET || error == -EPIPE;
}

int
talk_ask(struct talk *talk, const char *method, json_t *parameters, json_t **ret)
{
    json_t *call = parameters == NULL
                       ? json_pack("{s:s}", "method", method)
                       : json_pack("{s:s, s:o}", "method", method, "parameters", parameters);
    char *text = call == NULL ? NULL : json_dumps(call, JSON_COMPACT);
    int error = -ENOMEM;

    while (text != NULL) {
        error = ask_once(talk, text, strlen(text) + 1, ret); /* the NUL ends the message */
        if (error < 0)
            talk_end(talk);
        if (!is_passing(error) || time_left(talk) < PAUSE)
            break;
        int slept = pause_for(talk, PAUSE);
        if (slept < 0) {
            error = slept;
            break;
        }
    }
    free(text);
    json_decref(call);
    return error;
}

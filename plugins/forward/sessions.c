/* SPDX-License-Identifier: MIT */
/*
 * sessions.c - datagrams: which answers belong to which peer
 *
 * Each peer has a socket of its own to the target, so that answers come to that socket. The request
 * of its first datagram stays: it waits for answers and sends them back. Later datagrams find the
 * socket in a table, and are done. A full table loses the session that was idle for longest.
 *
 * Runs in:  a handler thread or coroutine; the table's lock is held for moments only.
 * Owns:     a session belongs to its first request; the table only points to it.
 * Failures: a target's refusal ends the session, and is logged here.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward.h"

#define ANSWER_MOST 65536
#define IN_A_ROW    16  /* answers, until something else has its turn */
#define LOOK        2.0 /* seconds at most, until a drain is noticed */
#define FAREWELL    1.0 /* seconds: in a drain, answers on their way still arrive */

struct session {
    struct sockaddr_storage peer;
    socklen_t peer_size;
    int fd;
    int64_t used; /* when something passed, either way */
    bool expelled;
    struct target *target;
    struct session *next;          /* with the same hash */
    struct session *newer, *older; /* by when they were used */
};

struct sessions {
    pthread_mutex_t lock;
    size_t most, count, mask;
    struct session *newest, *oldest;
    struct session *table[];
};

/* ---- the table ------------------------------------------------------------------------------ */

int
sessions_new(size_t most, struct sessions **ret)
{
    size_t room = 16;

    while (room < most)
        room *= 2;
    struct sessions *sessions = calloc(1, sizeof(*sessions) + room * sizeof(struct session *));
    if (sessions == NULL)
        return -ENOMEM;
    sessions->most = most;
    sessions->mask = room - 1;
    (void)pthread_mutex_init(&sessions->lock, NULL);
    *ret = sessions;
    return 0;
}

void
sessions_free(struct sessions *sessions)
{
    free(sessions);
}

/* FNV-1a. */
static struct session **
chain_of(struct sessions *sessions, const void *peer, socklen_t size)
{
    const unsigned char *bytes = peer;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (socklen_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return &sessions->table[(hash ^ hash >> 32) & sessions->mask];
}

static struct session *
find(struct sessions *sessions, const void *peer, socklen_t size)
{
    struct session *session = *chain_of(sessions, peer, size);

    while (session != NULL &&
           (session->peer_size != size || memcmp(&session->peer, peer, size) != 0))
        session = session->next;
    return session;
}

static void
leave_order(struct sessions *sessions, struct session *session)
{
    *(session->newer != NULL ? &session->newer->older : &sessions->newest) = session->older;
    *(session->older != NULL ? &session->older->newer : &sessions->oldest) = session->newer;
}

static void
enter_order(struct sessions *sessions, struct session *session)
{
    session->newer = NULL;
    session->older = sessions->newest;
    *(session->older != NULL ? &session->older->newer : &sessions->oldest) = session;
    sessions->newest = session;
}

static void
touch(struct sessions *sessions, struct session *session)
{
    session->used = now_ns();
    if (session->expelled || sessions->newest == session)
        return;
    leave_order(sessions, session);
    enter_order(sessions, session);
}

static void
take_out(struct sessions *sessions, struct session *session)
{
    struct session **place = chain_of(sessions, &session->peer, session->peer_size);

    if (session->expelled)
        return;
    while (*place != session)
        place = &(*place)->next;
    *place = session->next;
    leave_order(sessions, session);
    sessions->count--;
    session->expelled = true;
}

/* Its own request finds the end of the socket, and goes. */
static void
expel(struct sessions *sessions, struct session *session)
{
    take_out(sessions, session);
    (void)shutdown(session->fd, SHUT_RDWR);
}

static void
put_in(struct sessions *sessions, struct session *session)
{
    if (sessions->count == sessions->most)
        expel(sessions, sessions->oldest);
    struct session **place = chain_of(sessions, &session->peer, session->peer_size);
    session->next = *place;
    *place = session;
    enter_order(sessions, session);
    sessions->count++;
}

/* ---- to the target -------------------------------------------------------------------------- */

/* A refusal that an earlier datagram met is told now, and this one is not sent. */
static int
send_on(const struct session *session, const void *packet, size_t size)
{
    return send(session->fd, packet, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The target's word counts; a full queue does not: the datagram is lost, as datagrams are. */
static bool
is_failure(int error)
{
    return error < 0 && error != -EAGAIN && error != -ENOBUFS && error != -EINTR &&
           error != -EMSGSIZE;
}

/* Sends it by the peer's session. The target, or NULL: there is no session, or none any more. */
static struct target *
send_by_session(struct service *service, const struct sockaddr *peer, socklen_t size,
                const void *packet, size_t packet_size)
{
    struct sessions *sessions = service->sessions;
    struct target *target = NULL;
    int error = 0;

    (void)pthread_mutex_lock(&sessions->lock);
    struct session *session = find(sessions, peer, size);
    if (session != NULL) {
        target = session->target;
        touch(sessions, session);
        error = send_on(session, packet, packet_size);
        if (is_failure(error))
            expel(sessions, session);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    if (!is_failure(error))
        return target;
    target_note_failure(service, target, error);
    return NULL;
}

/* ---- from the target ------------------------------------------------------------------------ */

/* The end of the socket says so, but is no other than a datagram without a byte. */
static bool
is_expelled(struct sessions *sessions, const struct session *session)
{
    (void)pthread_mutex_lock(&sessions->lock);
    bool expelled = session->expelled;
    (void)pthread_mutex_unlock(&sessions->lock);
    return expelled;
}

/* Passes on what there is. 0, or a negative errno that ends the session. */
static int
answer(struct ss_request *request, struct service *service, struct session *session)
{
    char *bytes = malloc(ANSWER_MOST);
    int error = bytes == NULL ? -ENOMEM : 0;

    for (int i = 0; error == 0 && i < IN_A_ROW; i++) {
        ssize_t got = recv(session->fd, bytes, ANSWER_MOST, MSG_DONTWAIT);
        if (got == 0 && is_expelled(service->sessions, session))
            break;
        if (got >= 0)
            (void)ss_send(request, bytes, (size_t)got); /* lost, if the peer does not want it */
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            error = -errno;
    }
    free(bytes);
    return error;
}

/* Seconds until the session is over; 0: it is. */
static double
time_left(struct ss_request *request, struct service *service, const struct session *session)
{
    bool leaves = ss_cancelled(request);
    double limit =
        leaves && service->session_timeout > FAREWELL ? FAREWELL : service->session_timeout;

    (void)pthread_mutex_lock(&service->sessions->lock);
    double left = limit - (double)(now_ns() - session->used) / 1e9;
    if (session->expelled)
        left = 0;
    (void)pthread_mutex_unlock(&service->sessions->lock);
    return left < 0 ? 0 : left;
}

static int
stay(struct ss_request *request, struct service *service, struct session *session)
{
    double left;

    while ((left = time_left(request, service, session)) > 0) {
        int ready = ss_wait(request, session->fd, POLLIN, left < LOOK ? left : LOOK);
        if (ready < 0)
            return ready;
        if (ready == 0)
            continue;
        int error = answer(request, service, session);
        if (error < 0)
            return error;
        (void)pthread_mutex_lock(&service->sessions->lock);
        touch(service->sessions, session);
        (void)pthread_mutex_unlock(&service->sessions->lock);
    }
    return 0;
}

/* ---- both ----------------------------------------------------------------------------------- */

/* Another request of this peer may have been faster: then that one's session is it. */
static bool
enter(struct service *service, struct session *session, const void *packet, size_t size,
      int *ret_error)
{
    struct sessions *sessions = service->sessions;
    struct session *other;

    (void)pthread_mutex_lock(&sessions->lock);
    other = find(sessions, &session->peer, session->peer_size);
    if (other == NULL) {
        put_in(sessions, session);
        other = session;
    }
    touch(sessions, other);
    *ret_error = send_on(other, packet, size);
    (void)pthread_mutex_unlock(&sessions->lock);
    return other == session;
}

static int
serve_first(struct ss_request *request, struct service *service, const struct sockaddr *peer,
            socklen_t size)
{
    struct session session = {.peer_size = size};
    size_t packet_size;
    const void *packet = ss_packet(request, &packet_size);

    memcpy(&session.peer, peer, size);
    session.fd = targets_connect(request, service, NULL, NULL, &session.target);
    if (session.fd < 0)
        return session.fd;
    ss_set_outcome(request, session.target->outcome);
    int error;
    bool ours = enter(service, &session, packet, packet_size, &error);
    if (!ours)
        error = 0; /* whose session it is finds out what is wrong with it */
    else if (!is_failure(error))
        error = stay(request, service, &session);
    (void)pthread_mutex_lock(&service->sessions->lock);
    if (ours)
        take_out(service->sessions, &session);
    (void)pthread_mutex_unlock(&service->sessions->lock);
    if (is_failure(error) && error != -ECANCELED && error != -ENOMEM) {
        target_note_failure(service, session.target, error);
        ss_log(LOG_NOTICE, "%s has failed: %s", session.target->address, strerror(-error));
    }
    (void)close(session.fd);
    target_leave(session.target);
    return is_failure(error) ? error : 0;
}

int
sessions_serve(struct ss_request *request, struct service *service)
{
    socklen_t size;
    size_t packet_size;
    const struct sockaddr *peer = ss_client_address(request, &size);
    const void *packet = ss_packet(request, &packet_size);

    const struct target *target = send_by_session(service, peer, size, packet, packet_size);
    if (target == NULL)
        return serve_first(request, service, peer, size);
    ss_set_outcome(request, target->outcome);
    return 0;
}

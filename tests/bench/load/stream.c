/* SPDX-License-Identifier: MIT */
/*
 * stream.c - clients of stream sockets: connect again and again, echo, download, get, or idle
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "http.h"
#include "load.h"
#include "tls.h"

#define EVENTS   512
#define OPENING  64  /* idle connections on their way at a time */
#define BEHIND   256 /* messages that a paced connection may be behind its times */
#define GREETING (20000 * MS)

enum kind { ONE_SHOT, ECHO, IDLE, DOWNLOAD, GET };

struct connection {
    int fd;
    struct tls *tls; /* NULL: plain */
    enum kind kind;
    bool watched, blocked, announced;
    uint64_t owed, sent, got; /* bytes allowed to be sent, sent, received */
    uint64_t *stamps;         /* when each message in flight was due (a ring) */
    struct answer *answer;    /* GET: that which is being received */
};

static struct connection **retry;
static size_t retries;
static long ring; /* stamps of a connection */
static long opening, begun;

/* "echo" connections exchange one message each, then wait for all the others. */
static bool greeting;
static long greeted;

static void start(struct connection *c);

static void
shut(struct connection *c)
{
    if (c->tls != NULL)
        tls_close(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->fd = -1;
}

static void
broken(struct connection *c, const char *where, int error)
{
    shut(c);
    failed(where, error);
    if (c->kind == IDLE)
        opening--;
    else
        retry[retries++] = c; /* not at once, so that a dead server costs no spin */
}

static void
opened(void)
{
    opening--;
    counts.open++;
}

/* Sends a PROXY header of version 2 before all else. Returns false if it must be tried again. */
static bool
announce(struct connection *c)
{
    static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" /* and 192.0.2.7:51234 */
                                 "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb";
    const size_t size = sizeof(header) - 1;

    if (options.announce && !c->announced)
        c->announced = send(c->fd, header, size, MSG_NOSIGNAL | MSG_MORE) == (ssize_t)size;
    return !options.announce || c->announced;
}

static ssize_t
put(struct connection *c, const char *bytes, size_t size)
{
    return c->tls ? tls_send(c->tls, bytes, size) : send(c->fd, bytes, size, MSG_NOSIGNAL);
}

static ssize_t
get(struct connection *c, char *bytes, size_t size)
{
    return c->tls ? tls_receive(c->tls, bytes, size) : recv(c->fd, bytes, size, 0);
}

/* A handshake that waits for the server. */
static bool
greets(const struct connection *c)
{
    return c->tls != NULL && c->sent < c->owed && tls_wants_input(c->tls);
}

static void
flush(struct connection *c)
{
    while (c->sent < c->owed && announce(c)) {
        size_t at = c->sent % (uint64_t)options.size, size = c->owed - c->sent;
        ssize_t sent = put(c, out_bytes + at, size < CHUNK ? size : CHUNK);
        if (sent < 0 && errno != EAGAIN) {
            broken(c, "send", errno);
            return;
        }
        if (sent < 0)
            break;
        c->sent += (uint64_t)sent;
    }
    bool blocked = c->sent < c->owed && !greets(c);
    if (!c->watched || blocked != c->blocked) {
        watch(c->fd, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
              EPOLLIN | (blocked ? EPOLLOUT : 0u), c);
        c->watched = true;
        c->blocked = blocked;
    }
}

/* What a new connection sends unasked. */
static uint64_t
first_bytes(const struct connection *c)
{
    if (c->kind == IDLE && !options.echo_once)
        return 0;
    if (c->kind == ECHO && !greeting)
        return options.rate > 0 ? 0 : (uint64_t)(options.size * options.depth);
    return (uint64_t)options.size;
}

static bool
connected(struct connection *c)
{
    c->announced = false;
    c->fd = dial();
    if (c->fd < 0 && errno == EAGAIN) { /* unix: the accept queue is full */
        counts.retries++;
        retry[retries++] = c;
        return false;
    }
    counts.started += c->kind == ONE_SHOT;
    if (c->fd >= 0)
        return true;
    failed("connect", errno);
    if (c->kind == IDLE)
        opening--;
    else
        retry[retries++] = c;
    return false;
}

static void
start(struct connection *c)
{
    if (c->kind == ONE_SHOT && options.total && counts.started >= (uint64_t)options.total)
        return;
    uint64_t begin = now();
    if (!connected(c))
        return;
    if ((c->kind == ECHO || options.tls) && peer.inet) /* a handshake's end and data: two sends */
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->tls = options.tls ? tls_open(c->fd) : NULL;
    c->watched = c->blocked = false;
    c->sent = c->got = 0;
    if (c->answer != NULL)
        *c->answer = (struct answer){0};
    c->owed = first_bytes(c);
    for (long i = 0; i < ring; i++)
        c->stamps[i] = begin;
    flush(c);
    if (c->kind == IDLE && !options.echo_once && c->fd >= 0)
        opened();
}

/* Counts every MiB; whoever has it all asks again. */
static bool
take_download(struct connection *c, size_t size)
{
    uint64_t before = c->got >> 20, wanted = (uint64_t)options.mebibytes << 20, t = now();

    if (c->got + size > wanted || c->sent < c->owed)
        return false;
    c->got += size;
    counts.done += (c->got >> 20) - before;
    if (c->got == wanted) {
        record(t - *c->stamps);
        *c->stamps = t;
        c->sent = c->got = 0;
    }
    return true;
}

/* Counts an answer that is complete, and asks for the next one. */
static bool
take_answer(struct connection *c, const char *bytes, size_t size)
{
    enum answer_state state = answer_take(c->answer, bytes, size);

    if (state == ANSWER_BAD || c->sent < c->owed)
        return false;
    if (state == ANSWER_COMPLETE) {
        uint64_t t = now();
        counts.done++;
        record(t - *c->stamps);
        *c->stamps = t;
        c->owed += (uint64_t)options.size;
    }
    return true;
}

/* Accounts for received bytes; false when the content is wrong. */
static bool
take(struct connection *c, const char *bytes, size_t size)
{
    if (c->kind == DOWNLOAD)
        return take_download(c, size);
    if (c->kind == GET)
        return take_answer(c, bytes, size);
    uint64_t length = (uint64_t)options.size, t = now(), first = c->got / length;
    if (c->got + size > c->owed)
        return false;
    if (options.check >= CHECK_SAME && memcmp(bytes, in_bytes + c->got % length, size) != 0)
        return false;
    c->got += size;
    uint64_t complete = c->got / length - first;
    if (c->kind == ECHO && greeting) {
        greeted += (long)complete;
        return true;
    }
    for (uint64_t i = 0; i < complete && c->kind != IDLE; i++) {
        uint64_t *stamp = &c->stamps[(first + i) % (uint64_t)ring];
        counts.done++;
        record(t - *stamp);
        *stamp = t;
    }
    if (c->kind == ECHO && options.rate == 0 &&
        (!options.total || counts.done < (uint64_t)options.total))
        c->owed += complete * length;
    return true;
}

static void
on_message(struct connection *c)
{
    if (c->kind == ECHO || c->kind == DOWNLOAD || c->kind == GET) {
        if (c->owed > c->sent)
            flush(c);
    } else if (c->got >= c->owed) {
        if (c->kind == IDLE) {
            opened();
        } else {
            shut(c);
            start(c);
        }
    }
}

/* Once what has come; false when there was nothing, or the connection ended. */
static bool
receive(struct connection *c)
{
    static char bytes[CHUNK];
    ssize_t got = get(c, bytes, sizeof(bytes));

    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0) {
        broken(c, "recv", got < 0 ? errno : 0);
        return false;
    }
    if (!take(c, bytes, (size_t)got)) {
        broken(c, "content", EPROTO);
        return false;
    }
    on_message(c);
    return true;
}

static void
on_events(struct connection *c, uint32_t events)
{
    if (events & EPOLLOUT || greets(c)) {
        flush(c);
        if (c->fd < 0 || greets(c))
            return;
    }
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    while (receive(c) && c->tls != NULL && tls_pending(c->tls))
        ;
}

/* Waits for events, until a time at most, and serves them. */
static void
step(uint64_t until)
{
    struct epoll_event events[EVENTS];
    uint64_t t = now(), left = t >= until ? 0 : until - t;

    if (retries > 0 && left > MS)
        left = MS;
    struct timespec timeout = {.tv_sec = (time_t)(left / (1000 * MS)),
                               .tv_nsec = (long)(left % (1000 * MS))};
    int count = epoll_pwait2(ep, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++)
        on_events(events[i].data.ptr, events[i].events);
    size_t waiting = retries;
    retries = 0;
    for (size_t i = 0; i < waiting; i++)
        start(retry[i]);
}

static struct connection *
new_connections(long count, enum kind kind)
{
    ring = kind != ECHO ? 1 : options.rate > 0 ? BEHIND : options.depth;
    struct connection *connections = calloc((size_t)count + 1, sizeof(*connections));
    uint64_t *stamps = calloc((size_t)(count * ring) + 1, sizeof(*stamps));
    retry = calloc((size_t)count + 1, sizeof(*retry));
    if (connections == NULL || stamps == NULL || retry == NULL)
        die("out of memory");
    for (long i = 0; i < count; i++)
        connections[i] = (struct connection){.fd = -1, .kind = kind, .stamps = stamps + i * ring};
    return connections;
}

static void
report_idle(void)
{
    printf("{\"mode\":\"idle\",\"open\":%lu,\"errors\":%lu,\"last_error\":\"%s\"}\n", counts.open,
           counts.errors, last_error);
    fflush(stdout);
}

/* One message on each connection that is still there; counts those that are answered. */
static void
echo_again(struct connection *connections, uint64_t limit)
{
    counts.open = 0;
    for (long i = 0; i < options.parked; i++) {
        struct connection *c = &connections[i];
        if (c->fd < 0)
            continue;
        opening++;
        c->owed += (uint64_t)options.size;
        flush(c);
    }
    while (opening > 0 && now() < limit)
        step(now() + 10 * MS);
    report_idle();
}

/* When connections have been opened, or have answered, for so long, that is enough. */
static uint64_t
idle_limit(void)
{
    return now() + (uint64_t)(options.seconds + 60) * 1000 * MS;
}

void
run_idle(void)
{
    struct connection *connections = new_connections(options.parked, IDLE);

    t_begin = now();
    uint64_t limit = idle_limit();
    while ((begun < options.parked || opening > 0) && now() < limit) {
        while (begun < options.parked && opening < OPENING && retries == 0) {
            opening++;
            start(&connections[begun++]);
        }
        step(now() + 10 * MS);
    }
    report_idle();
    poll(&(struct pollfd){.fd = 0, .events = POLLIN}, 1, (int)(options.seconds * 1000));
    if (options.again)
        echo_again(connections, idle_limit());
}

static bool
finished(uint64_t t)
{
    return t >= t_end || (options.total && counts.done + counts.errors >= (uint64_t)options.total);
}

/* All of them begin, and go on until the time is up. */
static void
ask_for_the_time(struct connection *connections)
{
    begin();
    for (long i = 0; i < options.clients; i++)
        start(&connections[i]);
    while (!finished(now()))
        step(t_end);
    report();
}

void
run_connections(void)
{
    struct connection *connections = new_connections(options.clients, ONE_SHOT);

    if (options.resume)
        tls_first_session();
    ask_for_the_time(connections);
}

/* Each client asks, receives all of it, and asks again. */
static void
ask_again_and_again(enum kind kind)
{
    struct connection *connections = new_connections(options.clients, kind);
    struct answer *answers = calloc((size_t)options.clients, sizeof(*answers));

    if (answers == NULL)
        die("out of memory");
    for (long i = 0; i < options.clients && kind == GET; i++)
        connections[i].answer = &answers[i];
    ask_for_the_time(connections);
}

void
run_downloads(void)
{
    ask_again_and_again(DOWNLOAD);
}

void
run_gets(void)
{
    ask_again_and_again(GET);
}

/* Sends what is due at t; when the next message is. Latency counts from when each was due. */
static uint64_t
send_due(struct connection *connections, uint64_t t)
{
    static uint64_t turn;
    double apart = 1e9 / options.rate;

    for (;; turn++) {
        uint64_t due = t_begin + (uint64_t)((double)turn * apart);
        struct connection *c = &connections[turn % (uint64_t)options.clients];
        if (due > t)
            return due;
        if (c->fd < 0 || c->owed - c->got >= (uint64_t)(options.size * (BEHIND - 1))) {
            counts.late++;
            continue;
        }
        c->stamps[c->owed / (uint64_t)options.size % BEHIND] = due;
        c->owed += (uint64_t)options.size;
        flush(c);
    }
}

/* All connections are there and have been served once: from now on it counts. */
static void
unleash(struct connection *connections)
{
    greeting = false;
    begin();
    for (long i = 0; i < options.clients && options.rate == 0; i++) {
        struct connection *c = &connections[i];
        if (c->got == 0)
            continue;
        for (long j = 0; j < ring; j++)
            c->stamps[j] = t_begin;
        c->owed += (uint64_t)(options.size * options.depth);
        flush(c);
    }
}

void
run_echo(void)
{
    struct connection *connections = new_connections(options.clients, ECHO);
    uint64_t limit = now() + GREETING;

    prctl(PR_SET_TIMERSLACK, 1);
    greeting = true;
    for (long i = 0; i < options.clients; i++)
        start(&connections[i]);
    while (greeted < options.clients && now() < limit)
        step(now() + 10 * MS);
    unleash(connections);
    for (uint64_t t; !finished(t = now());)
        step(options.rate > 0 ? send_due(connections, t) : t_end);
    report();
}

/* SPDX-License-Identifier: MIT */
/*
 * chat.c - members of a chat (examples/chat): each line that one of them says comes to all
 *
 * The members take turns. A line is in flight until all of them have received it, and what is
 * counted is deliveries: lines that one member has received.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define EVENTS   512
#define JOINING  16 /* members that have not been welcomed yet, at a time */
#define PATIENCE (60000 * MS)

struct member {
    int fd;
    bool welcome, ready, within; /* within a line */
    char line[128];              /* the beginning of what comes while they gather */
    size_t size;
};

static const char marker[] = "#ready\n";
static long welcomed, ready;
static bool measuring;
static uint64_t said, *stamps;

/* The server is not there, or wants no more: that is told as an error, with what was done so far.
 */
_Noreturn static void
give_up(const char *where, int error)
{
    failed(where, error);
    if (!measuring)
        begin();
    report();
    exit(0);
}

static void
gather(struct member *m, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (m->size < sizeof(m->line) - 1)
            m->line[m->size++] = bytes[i];
        if (bytes[i] != '\n')
            continue;
        m->line[m->size] = '\0';
        m->size = 0;
        welcomed += !m->welcome;
        m->welcome = true;
        ready += !m->ready && m->line[0] != '*' && strstr(m->line, marker) != NULL;
        m->ready = m->ready || (m->line[0] != '*' && strstr(m->line, marker) != NULL);
    }
}

/* Notices of the server begin with an asterisk: somebody has missed something. */
static void
count(struct member *m, const char *bytes, size_t size)
{
    const char *end = bytes + size, *newline;

    for (; bytes < end; bytes = newline + 1) {
        if (!m->within && *bytes == '*')
            counts.lost++;
        newline = memchr(bytes, '\n', (size_t)(end - bytes));
        m->within = newline == NULL;
        if (newline == NULL)
            return;
        counts.done++;
        if (counts.done % (uint64_t)options.clients == 0)
            record(now() -
                   stamps[(counts.done / (uint64_t)options.clients - 1) % (uint64_t)options.depth]);
    }
}

static void
receive(struct member *m)
{
    static char bytes[CHUNK];
    ssize_t size = recv(m->fd, bytes, sizeof(bytes), 0);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0)
        give_up("recv", size < 0 ? errno : 0);
    if (measuring)
        count(m, bytes, (size_t)size);
    else
        gather(m, bytes, (size_t)size);
}

static void
step(uint64_t until)
{
    struct epoll_event events[EVENTS];
    uint64_t t = now();
    int happened = epoll_wait(ep, events, EVENTS, t >= until ? 0 : (int)((until - t) / MS) + 1);

    for (int i = 0; i < happened; i++)
        receive(events[i].data.ptr);
}

/* A line is small and its sender's socket empty: it is taken at once. */
static void
say(const struct member *m, const char *line, size_t size)
{
    if (send(m->fd, line, size, MSG_NOSIGNAL) != (ssize_t)size)
        give_up("send", errno);
}

static void
join(struct member *members)
{
    uint64_t limit = now() + PATIENCE;

    for (long i = 0; i < options.clients; i++) {
        members[i].fd = dial();
        if (members[i].fd < 0)
            give_up("connect", errno);
        watch(members[i].fd, EPOLL_CTL_ADD, EPOLLIN, &members[i]);
        while (i + 1 - welcomed >= JOINING && now() < limit)
            step(now() + MS);
    }
    while (welcomed < options.clients && now() < limit)
        step(now() + MS);
    say(&members[0], marker, strlen(marker));
    while (ready < options.clients && now() < limit)
        step(now() + MS);
    if (ready < options.clients)
        give_up("the first line", ETIMEDOUT);
}

void
run_chat(void)
{
    struct member *members = calloc((size_t)options.clients, sizeof(*members));
    uint64_t all = (uint64_t)options.clients, depth = (uint64_t)options.depth;

    stamps = calloc(depth, sizeof(*stamps));
    if (members == NULL || stamps == NULL)
        die("out of memory");
    join(members);
    measuring = true;
    for (begin(); now() < t_end; step(t_end))
        while (said - counts.done / all < depth) {
            stamps[said % depth] = now();
            say(&members[said++ % all], out_bytes, (size_t)options.size);
        }
    report();
}

/* SPDX-License-Identifier: MIT */
/*
 * datagram.c - clients of datagram sockets, with so many datagrams in flight on each
 *
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load.h"

#define BATCH      64
#define LOST_AFTER (200 * MS)
#define SEQ        8 /* hex digits of sequence number that open a datagram */

struct slot {
    uint64_t t0; /* 0: free */
    uint32_t seq;
    char head[SEQ];
};

struct dsock {
    int fd;
    bool blocked;
    long n_free;
    long *free_slots;
    struct slot *slot;
};

static void
compose(struct slot *s, struct iovec parts[2])
{
    char hex[SEQ + 1];

    if (options.dns) {
        dns_query(s->seq, s->head, parts);
        return;
    }
    snprintf(hex, sizeof hex, "%08X", s->seq);
    memcpy(s->head, hex, SEQ);
    parts[0] = (struct iovec){s->head, SEQ};
    parts[1] = (struct iovec){out_bytes + SEQ, (size_t)options.size - SEQ};
}

static void
dgram_fill(struct dsock *d)
{
    while (d->n_free > 0 && !(options.total && counts.started >= (uint64_t)options.total)) {
        struct mmsghdr m[BATCH] = {0};
        struct iovec v[BATCH][2];
        int n = 0;
        uint64_t t = now();
        for (; n < BATCH && n < d->n_free; n++) {
            struct slot *s = &d->slot[d->free_slots[d->n_free - 1 - n]];
            compose(s, v[n]);
            m[n].msg_hdr.msg_iov = v[n];
            m[n].msg_hdr.msg_iovlen = 2;
        }
        int w = sendmmsg(d->fd, m, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (w < 0 && errno != EAGAIN) {
            failed("sendmmsg", errno);
            return;
        }
        for (int i = 0; i < w; i++)
            d->slot[d->free_slots[--d->n_free]].t0 = t;
        counts.started += w > 0 ? (uint64_t)w : 0;
        bool blocked = w < n;
        if (blocked != d->blocked)
            watch(d->fd, EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0), d);
        d->blocked = blocked;
        if (blocked)
            return;
    }
}

static void
release(struct dsock *d, struct slot *s)
{
    s->t0 = 0;
    s->seq += (uint32_t)options.depth;
    d->free_slots[d->n_free++] = s - d->slot;
}

/* Finds what an answer belongs to, and whether nobody waits for it any more. False: it is wrong. */
static bool
judge(struct dsock *d, const char *p, size_t size, struct slot **ret_slot, bool *ret_late)
{
    char hex[SEQ + 1] = {0};

    if (options.dns ? size < 2 : size < SEQ)
        return false;
    memcpy(hex, p, options.dns ? 0 : SEQ);
    uint32_t seq = options.dns ? dns_number(p) : (uint32_t)strtoul(hex, NULL, 16);
    struct slot *s = *ret_slot = &d->slot[seq % (uint32_t)options.depth];
    *ret_late = s->t0 == 0 || (options.dns ? s->seq & 0xffff : s->seq) != seq;
    if (options.dns)
        return *ret_late || dns_is_answer(s->seq, p, size);
    return size == (size_t)options.size &&
           (options.check < CHECK_SAME ||
            !memcmp(p + SEQ, in_bytes + SEQ, (size_t)options.size - SEQ));
}

static void
dgram_drain(struct dsock *d)
{
    static char *buf;
    struct mmsghdr m[BATCH] = {0};
    struct iovec v[BATCH];
    size_t cap = options.dns ? 2048 : (size_t)options.size + 1;
    if (!buf && !(buf = malloc(cap * BATCH)))
        die("out of memory");
    for (size_t i = 0; i < BATCH; i++) {
        v[i] = (struct iovec){buf + i * cap, cap};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    int n = recvmmsg(d->fd, m, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN)
        failed("recvmmsg", errno);
    uint64_t t = now();
    for (int i = 0; i < n; i++) {
        struct slot *s;
        bool late;
        if (!judge(d, v[i].iov_base, m[i].msg_len, &s, &late)) {
            failed("content", EPROTO);
        } else if (late) {
            counts.late++;
        } else {
            record(t - s->t0);
            counts.done++;
            release(d, s);
        }
    }
}

void
run_datagrams(void)
{
    if (options.size < SEQ + 1)
        die("datagrams need -s %d or more", SEQ + 1);
    struct dsock *d = calloc((size_t)options.clients, sizeof *d);
    for (long i = 0; i < options.clients; i++) {
        if ((d[i].fd = dial()) < 0)
            die("connect: %s", strerror(errno));
        d[i].slot = calloc((size_t)options.depth, sizeof *d[i].slot);
        d[i].free_slots = calloc((size_t)options.depth, sizeof *d[i].free_slots);
        for (long j = 0; j < options.depth; j++) {
            d[i].slot[j].seq = (uint32_t)j;
            d[i].free_slots[d[i].n_free++] = j;
        }
        watch(d[i].fd, EPOLL_CTL_ADD, EPOLLIN, &d[i]);
    }
    begin();
    uint64_t t, timeout = LOST_AFTER, scan = t_begin + timeout / 4;
    for (long i = 0; i < options.clients; i++)
        dgram_fill(&d[i]);
    while ((t = now()) < t_end &&
           !(options.total && counts.done + counts.lost >= (uint64_t)options.total)) {
        if (t >= scan) {
            for (long i = 0; i < options.clients; i++) {
                for (long j = 0; j < options.depth; j++)
                    if (d[i].slot[j].t0 && t - d[i].slot[j].t0 > timeout) {
                        counts.lost++;
                        release(&d[i], &d[i].slot[j]);
                    }
                dgram_fill(&d[i]);
            }
            scan = t + timeout / 4;
        }
        uint64_t next = scan < t_end ? scan : t_end;
        struct epoll_event ev[512];
        int n = epoll_wait(ep, ev, 512, next > t ? (int)((next - t + MS - 1) / MS) : 0);
        for (int i = 0; i < n; i++) {
            if (ev[i].events & ~(uint32_t)EPOLLOUT)
                dgram_drain(ev[i].data.ptr);
            dgram_fill(ev[i].data.ptr);
        }
    }
    report();
}

/*
 * loadgen - neutral load generator for echo-like socket servers.
 *
 * One thread, epoll, non-blocking sockets, no allocation while measuring.
 * It prints one line of JSON.  It only ever connects to loopback addresses
 * and unix sockets.
 *
 * Ephemeral ports: a closed-loop `conn` run makes tens of thousands of
 * connections a second, and the side that closes first (we do) keeps each one
 * 60 s in TIME_WAIT.  So every connection is bound to one of -S source
 * addresses 127.0.x.y in turn, with IP_BIND_ADDRESS_NO_PORT, so that the
 * kernel picks the port in connect() per (source, destination) pair: 64
 * addresses give 64 x 28k ports.  An ordinary FIN close (-x fin, the default)
 * then works at any rate; -x rst closes with SO_LINGER 0 instead (no
 * TIME_WAIT, but the server sees ECONNRESET), and -x wait half-closes and
 * waits for the server's EOF, which bounds the server's own concurrency to K.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536
#define BATCH 64
#define SEQ   8 /* hex digits of sequence number that open a datagram */
#define MS    1000000ull

static const char usage[] =
    "usage: loadgen MODE ADDRESS [options]\n"
    "  ADDRESS  tcp:127.0.0.1:PORT tcp:[::1]:PORT unix:PATH udp:... unixgram:PATH\n"
    "  MODE     conn   connect, send, read back, close, again (latency from connect)\n"
    "           echo   persistent connections, -d messages in flight on each\n"
    "           dgram  datagram sockets, -d messages in flight on each\n"
    "           idle   open -N connections, print the line, hold -t seconds or until\n"
    "                  standard input ends\n"
    "           slow   -N connections dribble one byte a second, then `conn` runs\n"
    "           cold   loadgen cold ADDRESS [options] -- COMMAND...: start it, time\n"
    "                  the first answer, end it\n"
    "  -k N   clients (16)              -n N   stop after N messages (0: no bound)\n"
    "  -t S   seconds (3)               -s B   message bytes, last is newline (64)\n"
    "  -d N   messages in flight (1)    -c W   check: none len same upper (same)\n"
    "  -S N   source addresses (conn on TCP: 64, else 0: unbound)\n"
    "  -x W   close: fin rst wait (fin) -R     read only: the server speaks first\n"
    "  -N N   idle or slow connections (1000)   -e  idle: one echo on each first\n"
    "  -o MS  a datagram is lost after (200)    -B DIR  bind unix dgrams to DIR/...\n"
    "  -P CPU cold: pin the command there       -G FILE  report by how much the number\n"
    "  in FILE grew meanwhile (say, the server's cpuacct.usage)\n";

enum check { CHECK_NONE, CHECK_LEN, CHECK_SAME, CHECK_UPPER };
enum closing { CLOSE_FIN, CLOSE_RST, CLOSE_WAIT };
enum kind { ONESHOT, PERSISTENT, IDLE, SLOW };

static struct {
    const char *mode, *addr, *dir, *gauge;
    long clients, total, size, depth, sources, parked, timeout_ms;
    double secs;
    int cpu;
    enum check check;
    enum closing closing;
    bool read_only, echo_once;
} o = {.clients = 16,
       .secs = 3,
       .size = 64,
       .depth = 1,
       .sources = -1,
       .parked = 1000,
       .timeout_ms = 200,
       .cpu = -1,
       .check = CHECK_SAME};

static struct {
    struct sockaddr_storage ss;
    socklen_t len;
    int type;
    bool inet;
} peer;

static struct {
    uint64_t done, started, errors, retries, lost, late, open, dropped, dribbled;
} st;

/* `echo` connections exchange one message each, then wait for all the others. */
static bool greeting;
static long greeted;

static char *out_bytes, *in_bytes; /* the message, over and over: size + CHUNK bytes */
static int ep;
static uint64_t t_begin, t_end, gauge_begin;
static double cpu_begin;
static char last_error[64];

static void
die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

static uint64_t
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void
failed(const char *where, int err)
{
    st.errors++;
    snprintf(last_error, sizeof last_error, "%s: %s", where,
             err ? strerror(err) : "unexpected EOF");
}

/* --- latency histogram: 64 linear steps in every power of two (error < 1.6 %) --- */

static uint64_t hist[64 * 60], hist_n, hist_max;

static void
record(uint64_t ns)
{
    unsigned shift = ns < 64 ? 0 : 57 - (unsigned)__builtin_clzll(ns);
    hist[ns < 64 ? ns : (shift + 1) * 64 + (ns >> shift) - 64]++;
    hist_n++;
    if (ns > hist_max)
        hist_max = ns;
}

static double
percentile_us(double q)
{
    uint64_t want = (uint64_t)(q * (double)hist_n), seen = 0;
    for (size_t i = 0; i < sizeof hist / sizeof *hist; i++)
        if ((seen += hist[i]) > want)
            return (i < 64 ? (double)i : (double)((i % 64 + 65) << (i / 64 - 1))) / 1000;
    return (double)hist_max / 1000;
}

/* --- the measured interval --- */

static uint64_t
read_gauge(void)
{
    uint64_t v = 0;
    FILE *f = o.gauge ? fopen(o.gauge, "r") : NULL;
    if (f && fscanf(f, "%lu", &v) != 1)
        v = 0;
    if (f)
        fclose(f);
    return v;
}

static double
own_cpu(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static void
begin(void)
{
    gauge_begin = read_gauge();
    cpu_begin = own_cpu();
    t_begin = now();
    t_end = t_begin + (uint64_t)(o.secs * 1e9);
}

static void
report(void)
{
    double secs = (double)((now() < t_end ? now() : t_end) - t_begin) / 1e9;
    double cpu = own_cpu() - cpu_begin;
    uint64_t gauge = read_gauge() - gauge_begin;
    printf("{\"mode\":\"%s\",\"addr\":\"%s\",\"k\":%ld,\"size\":%ld,\"depth\":%ld,\"secs\":%.3f,"
           "\"done\":%lu,\"rate\":%.1f,\"errors\":%lu,\"retries\":%lu,\"lost\":%lu,\"late\":%lu,"
           "\"client_cpu\":%.3f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f",
           o.mode, o.addr, o.clients, o.size, o.depth, secs, st.done, (double)st.done / secs,
           st.errors, st.retries, st.lost, st.late, cpu / secs, percentile_us(.5),
           percentile_us(.9), percentile_us(.99), percentile_us(.999), (double)hist_max / 1000);
    if (!strcmp(o.mode, "slow"))
        printf(",\"slow_open\":%lu,\"slow_dropped\":%lu,\"slow_bytes\":%lu", st.open, st.dropped,
               st.dribbled);
    if (!strcmp(o.mode, "echo"))
        printf(",\"greeted\":%ld", greeted);
    if (o.gauge)
        printf(",\"gauge\":%lu", gauge);
    printf(",\"last_error\":\"%s\"}\n", last_error);
}

/* --- addresses --- */

static void
parse_address(const char *s)
{
    struct sockaddr_un *un = (void *)&peer.ss;
    struct sockaddr_in *in = (void *)&peer.ss;
    struct sockaddr_in6 *in6 = (void *)&peer.ss;
    char host[64];
    unsigned port;
    peer.type = !strncmp(s, "udp:", 4) || !strncmp(s, "unixgram:", 9) ? SOCK_DGRAM : SOCK_STREAM;
    const char *rest = strchr(s, ':');
    if (rest && !strncmp(s, "unix", 4)) {
        un->sun_family = AF_UNIX;
        if ((size_t)snprintf(un->sun_path, sizeof un->sun_path, "%s", rest + 1) >=
            sizeof un->sun_path)
            die("path too long: %s", s);
        peer.len = sizeof *un;
        return;
    }
    peer.inet = true;
    if (rest && sscanf(rest, ":[%63[^]]]:%u", host, &port) == 2 && port < 65536 &&
        inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        peer.len = sizeof *in6;
        if (!IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
            die("not a loopback address: %s", s);
    } else if (rest && sscanf(rest, ":%63[0-9.]:%u", host, &port) == 2 && port < 65536 &&
               inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        peer.len = sizeof *in;
        if (ntohl(in->sin_addr.s_addr) >> 24 != 127)
            die("not a loopback address: %s", s);
    } else {
        die("bad address: %s", s);
    }
}

static void
bind_source(int fd)
{
    static uint32_t turn;
    uint32_t i = turn++ % (uint32_t)o.sources;
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(0x7f000101u + (i / 250 << 8) + i % 250);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&a, sizeof a) < 0)
        die("bind source: %s", strerror(errno));
}

static int
dial(void)
{
    int fd = socket(peer.ss.ss_family, peer.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (peer.inet && o.sources > 0 && peer.ss.ss_family == AF_INET)
        bind_source(fd);
    if (peer.ss.ss_family == AF_UNIX && peer.type == SOCK_DGRAM) {
        static unsigned serial;
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (o.dir)
            snprintf(a.sun_path, sizeof a.sun_path, "%s/loadgen.%d.%u", o.dir, getpid(), serial++);
        if (bind(fd, (void *)&a, o.dir ? sizeof a : sizeof(sa_family_t)) < 0)
            die("bind: %s", strerror(errno));
    }
    if (connect(fd, (void *)&peer.ss, peer.len) < 0 && errno != EINPROGRESS) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    if (o.closing == CLOSE_RST)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    return fd;
}

static void
watch(int fd, int op, uint32_t events, void *p)
{
    struct epoll_event e = {.events = events, .data.ptr = p};
    if (epoll_ctl(ep, op, fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* --- stream clients --- */

struct conn {
    int fd;
    enum kind kind;
    bool watched, blocked, closing;
    uint64_t owed, sent, got; /* bytes allowed to be sent, sent, received */
    uint64_t *stamp;          /* when each message in flight was queued (ring of depth) */
};

static struct conn **retry;
static size_t n_retry;
static long opening, n_parked; /* IDLE and SLOW connections on their way; opened so far */

static void start(struct conn *c);

static void
shut(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

static void
again(struct conn *c)
{
    if (c->kind == ONESHOT || c->kind == PERSISTENT)
        start(c);
}

static void
broken(struct conn *c, const char *where, int err)
{
    shut(c);
    if (c->kind == SLOW && c->owed > 1) {
        st.dropped++;
        return;
    }
    failed(where, err);
    if (c->kind == IDLE || c->kind == SLOW)
        opening--;
    else
        retry[n_retry++] = c; /* not at once, so that a dead server costs no spin */
}

static void
parked(struct conn *c)
{
    (void)c;
    opening--;
    st.open++;
}

static void
flush(struct conn *c)
{
    while (c->sent < c->owed) {
        size_t at = c->sent % (uint64_t)o.size, n = c->owed - c->sent;
        ssize_t w = send(c->fd, out_bytes + at, n < CHUNK ? n : CHUNK, MSG_NOSIGNAL);
        if (w < 0 && errno != EAGAIN) {
            broken(c, "send", errno);
            return;
        }
        if (w < 0)
            break;
        c->sent += (uint64_t)w;
    }
    bool blocked = c->sent < c->owed;
    if (!c->watched || blocked != c->blocked) {
        uint32_t in = c->kind == SLOW ? EPOLLRDHUP : EPOLLIN;
        watch(c->fd, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, in | (blocked ? EPOLLOUT : 0), c);
        c->watched = true;
        c->blocked = blocked;
    }
    if (c->kind == SLOW && !blocked && c->owed == 1) {
        parked(c);
        c->owed = c->sent = 2; /* the dribble keeps no count of its own */
    }
}

static void
start(struct conn *c)
{
    bool counted = c->kind == ONESHOT;
    if (counted && o.total && st.started >= (uint64_t)o.total)
        return;
    uint64_t t = now();
    c->fd = dial();
    if (c->fd < 0 && errno == EAGAIN) { /* unix: the accept queue is full */
        st.retries++;
        retry[n_retry++] = c;
        return;
    }
    if (counted)
        st.started++;
    if (c->fd < 0) {
        int err = errno;
        failed("connect", err);
        if (c->kind == IDLE || c->kind == SLOW)
            opening--;
        else
            retry[n_retry++] = c;
        return;
    }
    if (c->kind == PERSISTENT && peer.inet)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->watched = c->blocked = c->closing = false;
    c->sent = c->got = 0;
    c->owed = c->kind == SLOW                      ? 1
              : c->kind == PERSISTENT && !greeting ? (uint64_t)(o.size * o.depth)
              : c->kind == IDLE && !o.echo_once    ? 0
                                                   : (uint64_t)o.size;
    if (o.read_only)
        c->owed = 0;
    for (long i = 0; i < (c->kind == PERSISTENT ? o.depth : 1); i++)
        c->stamp[i] = t;
    flush(c);
    if (c->kind == IDLE && !o.echo_once && c->fd >= 0)
        parked(c);
}

/* Account for n received bytes; false when the content is wrong. */
static bool
take(struct conn *c, const char *buf, size_t n)
{
    if (c->got + n > c->owed && !o.read_only)
        return false;
    if (o.check >= CHECK_SAME && memcmp(buf, in_bytes + c->got % (uint64_t)o.size, n))
        return false;
    uint64_t t = now(), first = c->got / (uint64_t)o.size;
    c->got += n;
    uint64_t complete = c->got / (uint64_t)o.size - first;
    if (c->kind == PERSISTENT && greeting) {
        greeted += (long)complete;
        return true;
    }
    for (uint64_t i = 0; i < complete && c->kind != IDLE; i++) {
        uint64_t *stamp = &c->stamp[c->kind == PERSISTENT ? (first + i) % (uint64_t)o.depth : 0];
        st.done++;
        record(t - *stamp);
        *stamp = t;
    }
    if (c->kind == PERSISTENT && (!o.total || st.done < (uint64_t)o.total))
        c->owed += complete * (uint64_t)o.size;
    return true;
}

static void
on_stream(struct conn *c, uint32_t events)
{
    static char buf[CHUNK];
    if (c->kind == SLOW && events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        broken(c, "slow", 0);
        return;
    }
    if (events & EPOLLOUT) {
        flush(c);
        if (c->fd < 0)
            return;
    }
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    ssize_t n = recv(c->fd, buf, sizeof buf, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 0 && c->closing) {
        shut(c);
        again(c);
        return;
    }
    if (n <= 0) {
        broken(c, "recv", n < 0 ? errno : 0);
        return;
    }
    if (!take(c, buf, (size_t)n)) {
        broken(c, "content", EPROTO);
        return;
    }
    if (c->kind == PERSISTENT) {
        if (c->owed > c->sent)
            flush(c);
    } else if (c->got >= (uint64_t)o.size) {
        if (c->kind == IDLE) {
            parked(c);
        } else if (o.closing == CLOSE_WAIT) {
            shutdown(c->fd, SHUT_WR);
            c->closing = true;
        } else {
            shut(c);
            again(c);
        }
    }
}

static void
retry_all(void)
{
    size_t n = n_retry;
    n_retry = 0;
    for (size_t i = 0; i < n; i++)
        start(retry[i]);
}

static void
step(uint64_t until)
{
    struct epoll_event ev[512];
    uint64_t t = now();
    int ms = t >= until ? 0 : (int)((until - t + MS - 1) / MS);
    if (n_retry && ms > 1)
        ms = 1;
    int n = epoll_wait(ep, ev, 512, ms);
    for (int i = 0; i < n; i++)
        on_stream(ev[i].data.ptr, ev[i].events);
    if (n_retry)
        retry_all();
}

static struct conn *
new_conns(long n, enum kind kind)
{
    struct conn *c = calloc((size_t)n + 1, sizeof *c);
    uint64_t *stamps = calloc((size_t)(n * o.depth) + 1, sizeof *stamps);
    if (!c || !stamps)
        die("out of memory");
    for (long i = 0; i < n; i++)
        c[i] = (struct conn){.fd = -1, .kind = kind, .stamp = stamps + i * o.depth};
    return c;
}

static void
park(struct conn *c, long n)
{
    uint64_t limit = now() + (uint64_t)(o.secs + 60) * 1000 * MS;
    while ((n_parked < n || opening > 0) && now() < limit) {
        while (n_parked < n && opening < 64 && !n_retry) {
            opening++;
            start(&c[n_parked++]);
        }
        step(now() + 10 * MS);
    }
}

static void
run_idle(void)
{
    t_begin = now();
    park(new_conns(o.parked, IDLE), o.parked);
    printf("{\"mode\":\"idle\",\"addr\":\"%s\",\"open\":%lu,\"errors\":%lu,\"open_secs\":%.3f,"
           "\"last_error\":\"%s\"}\n",
           o.addr, st.open, st.errors, (double)(now() - t_begin) / 1e9, last_error);
    fflush(stdout);
    struct pollfd p = {.fd = 0, .events = POLLIN};
    poll(&p, 1, (int)(o.secs * 1000));
}

static void
unleash(struct conn *c)
{
    for (long i = 0; i < o.depth; i++)
        c->stamp[i] = t_begin;
    c->owed += (uint64_t)(o.size * o.depth);
    flush(c);
}

static void
run_stream(enum kind kind)
{
    bool slow = !strcmp(o.mode, "slow");
    struct conn *dribblers = new_conns(slow ? o.parked : 0, SLOW);
    if (slow)
        park(dribblers, o.parked);
    struct conn *c = new_conns(o.clients, kind);
    greeting = kind == PERSISTENT;
    begin();
    for (long i = 0; i < o.clients; i++)
        start(&c[i]);
    if (greeting) {
        uint64_t limit = now() + 20000 * MS;
        while (greeted < o.clients && now() < limit)
            step(now() + 10 * MS);
        greeting = false;
        begin();
        for (long i = 0; i < o.clients; i++)
            if (c[i].got)
                unleash(&c[i]);
    }
    uint64_t t, turn = 0;
    while ((t = now()) < t_end && !(o.total && st.done + st.errors >= (uint64_t)o.total)) {
        uint64_t due = slow ? (uint64_t)((double)(t - t_begin) / 1e9 * (double)o.parked) : 0;
        for (; turn < due; turn++) {
            struct conn *d = &dribblers[turn % (uint64_t)o.parked];
            if (d->fd >= 0 && send(d->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
                st.dribbled++;
        }
        step(slow && t + 10 * MS < t_end ? t + 10 * MS : t_end);
    }
    report();
}

/* --- datagram clients --- */

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
dgram_fill(struct dsock *d)
{
    while (d->n_free > 0 && !(o.total && st.started >= (uint64_t)o.total)) {
        struct mmsghdr m[BATCH] = {0};
        struct iovec v[BATCH][2];
        int n = 0;
        uint64_t t = now();
        for (; n < BATCH && n < d->n_free; n++) {
            struct slot *s = &d->slot[d->free_slots[d->n_free - 1 - n]];
            char hex[SEQ + 1];
            snprintf(hex, sizeof hex, "%08X", s->seq);
            memcpy(s->head, hex, SEQ);
            v[n][0] = (struct iovec){s->head, SEQ};
            v[n][1] = (struct iovec){out_bytes + SEQ, (size_t)o.size - SEQ};
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
        st.started += w > 0 ? (uint64_t)w : 0;
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
    s->seq += (uint32_t)o.depth;
    d->free_slots[d->n_free++] = s - d->slot;
}

static void
dgram_drain(struct dsock *d)
{
    static char *buf;
    struct mmsghdr m[BATCH] = {0};
    struct iovec v[BATCH];
    size_t cap = (size_t)o.size + 1;
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
        char *p = v[i].iov_base, hex[SEQ + 1] = {0};
        memcpy(hex, p, SEQ);
        uint32_t seq = (uint32_t)strtoul(hex, NULL, 16);
        struct slot *s = &d->slot[seq % (uint32_t)o.depth];
        if (m[i].msg_len != (unsigned)o.size ||
            (o.check >= CHECK_SAME && memcmp(p + SEQ, in_bytes + SEQ, (size_t)o.size - SEQ))) {
            failed("content", EPROTO);
        } else if (s->t0 == 0 || s->seq != seq) {
            st.late++;
        } else {
            record(t - s->t0);
            st.done++;
            release(d, s);
        }
    }
}

static void
run_dgram(void)
{
    if (o.size < SEQ + 1)
        die("datagrams need -s %d or more", SEQ + 1);
    struct dsock *d = calloc((size_t)o.clients, sizeof *d);
    for (long i = 0; i < o.clients; i++) {
        if ((d[i].fd = dial()) < 0)
            die("connect: %s", strerror(errno));
        d[i].slot = calloc((size_t)o.depth, sizeof *d[i].slot);
        d[i].free_slots = calloc((size_t)o.depth, sizeof *d[i].free_slots);
        for (long j = 0; j < o.depth; j++) {
            d[i].slot[j].seq = (uint32_t)j;
            d[i].free_slots[d[i].n_free++] = j;
        }
        watch(d[i].fd, EPOLL_CTL_ADD, EPOLLIN, &d[i]);
    }
    begin();
    uint64_t t, timeout = (uint64_t)o.timeout_ms * MS, scan = t_begin + timeout / 4;
    for (long i = 0; i < o.clients; i++)
        dgram_fill(&d[i]);
    while ((t = now()) < t_end && !(o.total && st.done + st.lost >= (uint64_t)o.total)) {
        if (t >= scan) {
            for (long i = 0; i < o.clients; i++) {
                for (long j = 0; j < o.depth; j++)
                    if (d[i].slot[j].t0 && t - d[i].slot[j].t0 > timeout) {
                        st.lost++;
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
    for (long i = 0; i < o.clients && o.dir; i++) {
        struct sockaddr_un a;
        socklen_t len = sizeof a;
        if (getsockname(d[i].fd, (void *)&a, &len) == 0)
            unlink(a.sun_path);
    }
}

/* --- cold start --- */

/* One blocking exchange; true when the server answered within a second. */
static bool
answered(void)
{
    char buf[CHUNK];
    int fd = dial();
    if (fd < 0)
        return false;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    long got = 0;
    bool ok = poll(&p, 1, 1000) == 1 &&
              (o.read_only || send(fd, out_bytes, (size_t)o.size, MSG_NOSIGNAL) == o.size);
    p.events = POLLIN;
    while (ok && got < o.size) {
        ssize_t n = poll(&p, 1, 1000) == 1 ? recv(fd, buf, sizeof buf, 0) : -1;
        ok = n > 0;
        got += n;
    }
    close(fd);
    return ok;
}

static void
run_cold(char **command)
{
    if (!command[0])
        die("cold needs a command");
    t_begin = now();
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        cpu_set_t set;
        CPU_ZERO(&set);
        if (o.cpu >= 0) {
            CPU_SET(o.cpu, &set);
            sched_setaffinity(0, sizeof set, &set);
        }
        execvp(command[0], command);
        _exit(127);
    }
    long tries = 0;
    bool ok = false;
    while (now() < t_begin + (uint64_t)(o.secs * 1e9) && waitpid(pid, NULL, WNOHANG) == 0) {
        tries++;
        if ((ok = answered()))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    double ms = (double)(now() - t_begin) / 1e6;
    kill(-pid, SIGTERM);
    for (int i = 0; i < 200 && waitpid(pid, NULL, WNOHANG) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10 * (long)MS}, NULL);
    kill(-pid, SIGKILL);
    printf("{\"mode\":\"cold\",\"addr\":\"%s\",\"ok\":%s,\"ms\":%.3f,\"tries\":%ld}\n", o.addr,
           ok ? "true" : "false", ms, tries);
}

static int
choice(const char *arg, const char *words)
{
    char w[16];
    for (int i = 0, n; sscanf(words, "%15s%n", w, &n) == 1; words += n, i++)
        if (!strcmp(arg, w))
            return i;
    die("%s: none of: %s", arg, words);
    return -1;
}

int
main(int argc, char **argv)
{
    if (argc < 3)
        die("%s", usage);
    o.mode = argv[1];
    o.addr = argv[2];
    parse_address(o.addr);
    argc -= 2;
    argv += 2;
    for (int c; (c = getopt(argc, argv, "+k:n:t:s:d:c:S:x:N:o:B:P:G:Re")) != -1;)
        switch (c) {
        case 'k':
            o.clients = atol(optarg);
            break;
        case 'n':
            o.total = atol(optarg);
            break;
        case 't':
            o.secs = atof(optarg);
            break;
        case 's':
            o.size = atol(optarg);
            break;
        case 'd':
            o.depth = atol(optarg);
            break;
        case 'c':
            o.check = (enum check)choice(optarg, "none len same upper");
            break;
        case 'S':
            o.sources = atol(optarg);
            break;
        case 'x':
            o.closing = (enum closing)choice(optarg, "fin rst wait");
            break;
        case 'N':
            o.parked = atol(optarg);
            break;
        case 'o':
            o.timeout_ms = atol(optarg);
            break;
        case 'B':
            o.dir = optarg;
            break;
        case 'P':
            o.cpu = atoi(optarg);
            break;
        case 'G':
            o.gauge = optarg;
            break;
        case 'R':
            o.read_only = true;
            break;
        case 'e':
            o.echo_once = true;
            break;
        default:
            die("%s", usage);
        }
    if (o.clients < 1 || o.size < 1 || o.depth < 1 || o.secs <= 0 || o.parked < 0 || o.secs > 600)
        die("option out of range\n%s", usage);
    if (o.sources < 0)
        o.sources = !strcmp(o.mode, "conn") || !strcmp(o.mode, "slow") ? 64 : 0;

    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(EPOLL_CLOEXEC);

    out_bytes = malloc((size_t)o.size + CHUNK);
    in_bytes = malloc((size_t)o.size + CHUNK);
    retry = calloc((size_t)(o.clients + o.parked) + 1, sizeof *retry);
    for (long i = 0; i < o.size + CHUNK; i++) {
        long at = i % o.size;
        out_bytes[i] = at == o.size - 1 ? '\n' : (char)('a' + at % 26);
        in_bytes[i] =
            at < o.size - 1 && o.check == CHECK_UPPER ? (char)(out_bytes[i] - 32) : out_bytes[i];
    }

    enum { CONN, ECHO, DGRAM, IDLING, SLOWLY, COLD };
    int mode = choice(o.mode, "conn echo dgram idle slow cold");
    if (mode != COLD && (mode == DGRAM) != (peer.type == SOCK_DGRAM))
        die("%s does not go with %s", o.mode, o.addr);
    switch (mode) {
    case CONN:
    case SLOWLY:
        run_stream(ONESHOT);
        break;
    case ECHO:
        run_stream(PERSISTENT);
        break;
    case DGRAM:
        run_dgram();
        break;
    case IDLING:
        run_idle();
        break;
    case COLD:
        run_cold(argv + optind);
        break;
    }
    return 0;
}

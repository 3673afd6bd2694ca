/* SPDX-License-Identifier: MIT */
/*
 * libuv.c - echo with libuv
 *
 * usage: peer-libuv ADDRESS (tcp, udp or unix)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

union stream {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct out { /* a write or send with the buffer that it owns */
    union {
        uv_write_t write;
        uv_udp_send_t send;
    };
    char *data;
};

static uv_loop_t *loop;
static int is_pipe;

static void
on_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
    (void)h;
    *buf = uv_buf_init(malloc(want), (unsigned)want);
}

static void
on_closed(uv_handle_t *h)
{
    free(h);
}

static void
done(struct out *o)
{
    free(o->data);
    free(o);
}

static void
on_written(uv_write_t *w, int status)
{
    (void)status;
    done((struct out *)w);
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    if (n > 0) {
        struct out *o = malloc(sizeof *o);
        o->data = buf->base;
        uv_buf_t b = uv_buf_init(buf->base, (unsigned)n);
        uv_write(&o->write, s, &b, 1, on_written);
        return;
    }
    free(buf->base);
    if (n < 0)
        uv_close((uv_handle_t *)s, on_closed);
}

static void
init(union stream *s)
{
    if (is_pipe)
        uv_pipe_init(loop, &s->pipe, 0);
    else
        uv_tcp_init(loop, &s->tcp);
}

static void
on_connection(uv_stream_t *server, int status)
{
    union stream *s = malloc(sizeof *s);
    init(s);
    if (status == 0 && uv_accept(server, &s->stream) == 0)
        uv_read_start(&s->stream, on_alloc, on_read);
    else
        uv_close((uv_handle_t *)s, on_closed);
}

static void
on_sent(uv_udp_send_t *r, int status)
{
    (void)status;
    done((struct out *)r);
}

static void
on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
            unsigned flags)
{
    (void)flags;
    if (n <= 0 || !from) {
        free(buf->base);
        return;
    }
    struct out *o = malloc(sizeof *o);
    o->data = buf->base;
    uv_buf_t b = uv_buf_init(buf->base, (unsigned)n);
    uv_udp_send(&o->send, u, &b, 1, from, on_sent);
}

int
main(int argc, char **argv)
{
    char host[64], *rest = argc > 1 ? strchr(argv[1], ':') : NULL;
    int port = 0, udp = argc > 1 && !strncmp(argv[1], "udp:", 4);
    struct sockaddr_in in;
    union stream server;
    uv_udp_t u;
    if (!rest)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    loop = uv_default_loop();
    is_pipe = !strncmp(argv[1], "unix:", 5);
    if (!is_pipe &&
        (sscanf(rest, ":%63[0-9.]:%d", host, &port) != 2 || uv_ip4_addr(host, port, &in)))
        return 2;
    if (udp) {
        uv_udp_init(loop, &u);
        if (uv_udp_bind(&u, (void *)&in, 0) || uv_udp_recv_start(&u, on_alloc, on_datagram))
            return 1;
    } else {
        init(&server);
        if (is_pipe)
            unlink(rest + 1);
        if (is_pipe ? uv_pipe_bind(&server.pipe, rest + 1)
                    : uv_tcp_bind(&server.tcp, (void *)&in, 0))
            return 1;
        if (uv_listen(&server.stream, 4096, on_connection))
            return 1;
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}

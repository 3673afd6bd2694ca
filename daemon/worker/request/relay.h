/* SPDX-License-Identifier: MIT */
/*
 * relay.h - a relay's two ends and two flows, for relay.c and relay_pipes.c
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_RELAY_H
#define SOCKSERVERD_WORKER_REQUEST_RELAY_H

#include <sockserver/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct relay_end;

/* None of them waits: after -EAGAIN, end->wanted is to be waited for. */
struct relay_end_calls {
    ssize_t (*receive)(struct relay_end *end, void *buffer, size_t size);
    ssize_t (*send)(struct relay_end *end, const void *bytes, size_t size);
    int (*end_output)(struct relay_end *end);
};

/* The client, or the connection that it is joined with. */
struct relay_end {
    const struct relay_end_calls *calls;
    struct ss_request *request;     /* of the client; else NULL */
    const struct ss_stream *stream; /* of one that the plugin reads and writes itself; else NULL */
    int in, out;                    /* the same, unless standard input and output are the client */
    short wanted;
    bool sealed; /* it may hold bytes that have been received, where poll(2) does not see them */
    bool hung;   /* nobody is there any more */
    bool plain;  /* its descriptor was one that waits, and has been changed */
    int error;   /* its failure; 0: none */
};

/* One direction. */
struct relay_flow {
    struct relay *relay;
    struct ss_request *request;
    struct relay_end *from, *to;
    struct relay_end *waits_at; /* NULL: it can go on */
    short events;               /* that it waits for there */
    bool ended;                 /* nothing more comes from its sender */
    bool done;                  /* and its receiver has been told */
    bool unsplit;               /* nothing of it can go through a pipe */
    unsigned bulk;              /* blocks in a row that were full */
    char *held;                 /* held[start...end) has been received and not been sent */
    size_t start, end;
    int pipe[2];  /* or -1 */
    size_t piped; /* bytes in it */
};

struct relay {
    struct ss_request *request;
    double idle;
    int64_t until; /* of the wait; 0: not known yet */
    bool moved;    /* bytes have, since that was said */
    struct relay_end client, other;
    struct relay_flow flows[2]; /* from the client, and to it */
};

/* Its receiver takes nothing more: what it holds is dropped, and it is done. */
void relay_flow_give_up(struct relay_flow *flow);

/* ---- relay_ends.c ------------------------------------------------------------------------- */

extern const struct relay_end_calls relay_client;
extern const struct relay_end_calls relay_socket;
extern const struct relay_end_calls relay_stream;

/* ---- relay_pipes.c ------------------------------------------------------------------------ */

/* Moves bytes from the sender into the flow's pipe, which is taken if it has none, and from there
 * to the receiver. How many, 0 at the end of the stream, or a negative errno. */
ssize_t relay_pipe_fill(struct relay_flow *flow);
ssize_t relay_pipe_drain(struct relay_flow *flow);

/* Gives the flow's empty pipe to whoever needs one next; closes one that may hold bytes. */
void relay_pipe_give(struct relay_flow *flow);
void relay_pipe_drop(struct relay_flow *flow);

/* Descriptors wait again that did so before. */
void relay_ends_restore(struct relay *relay);

#endif

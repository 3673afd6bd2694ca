/* SPDX-License-Identifier: MIT */
/*
 * ask.h - what plugins that look into the daemon share: asking it, and its reply
 */
#ifndef SOCKSERVERD_PLUGINS_CONTROL_ASK_H
#define SOCKSERVERD_PLUGINS_CONTROL_ASK_H

#include <jansson.h>
#include <sockserver/plugin.h>
#include <stdint.h>

/* The methods' names begin with it. */
#define CONTROL "org.sockserver.Control."

/* A connection to the daemon's control socket, for one call after the other. */
struct talk {
    struct ss_request *request; /* the handler's, which waits; NULL: a thread of the plugin's own */
    struct ss_server *server;
    int stop;      /* without a request: can be read from when the talk must end */
    int64_t until; /* CLOCK_MONOTONIC, nanoseconds: all replies are there by then */
    int control;   /* -1: not connected */
};

/* Begins to talk; the daemon must answer all that is asked within so many seconds. */
void talk_begin(struct talk *talk, struct ss_request *request, double seconds);
/* The same without a request, in a thread of the plugin's own; stop is a descriptor that can be
 * read from as soon as the thread must end: the talk fails with -ECANCELED then. */
void talk_begin_alone(struct talk *talk, struct ss_server *server, int stop, double seconds);
void talk_end(struct talk *talk);

/*
 * Calls a method and waits for the reply without holding up other requests. While the daemon has no
 * place for another client it is asked again. parameters may be NULL, and are released in every
 * case. Returns 0 and the parameters of the reply, which the caller releases; -ENOENT: there is no
 * listener of that name; -EBADMSG: another error of the daemon's; -ETIMEDOUT; or another negative
 * errno.
 */
int talk_ask(struct talk *talk, const char *method, json_t *parameters, json_t **ret);

#endif

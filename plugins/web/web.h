/* SPDX-License-Identifier: MIT */
/*
 * web.h - what plugins that speak HTTP/1.1 share: connections, heads, and answers
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_WEB_H
#define SOCKSERVERD_PLUGINS_WEB_WEB_H

#include <sockserver/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "head.h"
#include "target.h"
#include "text.h"

struct exchange;

/* How connections are served. It lasts as long as the worker. */
struct web {
    double head_timeout; /* seconds in which a head and its body must come */
    double idle_timeout; /* longest wait for the next request */
    size_t max_head;
    uint64_t max_body;    /* longest body that is read, and thrown away, to keep the connection */
    uint64_t min_rate;    /* bytes per second at which a client must take an answer; 0: any */
    int64_t max_requests; /* of a connection */
    bool log_requests;    /* each, not only connections */
    const void *data;     /* the plugin's own */

    /* Answers a GET or HEAD of this target. 0, or a negative errno: the connection must end. */
    int (*serve)(struct exchange *exchange, const struct target *target);
};

/* One request and its answer. */
struct exchange {
    struct ss_request *request;
    const struct web *web;
    const struct head *head;
    bool without_body; /* HEAD */
    bool close;        /* the connection ends with this answer */
    int status;        /* of the answer */
};

/* ---- connection.c ------------------------------------------------------------------------- */

/* Serves the requests of a connection, and returns what handle() shall return. */
int web_serve(struct ss_request *request, const struct web *web);
/* What handle_error() shall do. */
void web_failed(struct ss_request *request, int error);

/* ---- response.c --------------------------------------------------------------------------- */

#define HEAD_ROOM 1024 /* of an answer's head, without what a client could make longer */

/* The status line, and what stands in every answer of this status. */
void response_begin(struct exchange *exchange, struct text *head, int status);
void response_field(struct text *head, const char *name, const char *value);
void response_number(struct text *head, const char *name, uint64_t value);

/* Ends the head and sends it, and the body unless it is not wanted. Content-Length is the caller's.
 * 0 or a negative errno. */
int response_send(struct exchange *exchange, struct text *head, const void *body, size_t size);

/* The same with a body that says only what the status means. */
int response_send_plain(struct exchange *exchange, struct text *head);

/* A whole answer of that kind. */
int response_plain(struct exchange *exchange, int status);

/* The client must take so many bytes in time. */
void response_allow(const struct exchange *exchange, uint64_t size);

#endif

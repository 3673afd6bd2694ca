/* SPDX-License-Identifier: MIT */
/*
 * http.h - what the files of the plugin share
 */
#ifndef SOCKSERVERD_PLUGINS_HTTP_HTTP_H
#define SOCKSERVERD_PLUGINS_HTTP_HTTP_H

#include <sockserver/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "../web/target.h"
#include "../web/text.h"
#include "../web/web.h"
#include "types.h"

/* The listener's options, as server_activate() has read them. It lasts as long as the worker. */
struct site {
    int root;          /* the folder; O_PATH */
    bool step_by_step; /* the kernel has no openat2(2) for us */
    const char *const *index;
    bool listing, gzip_static;
    struct types *types;
    struct web web;
};

/* ---- site.c ---------------------------------------------------------------------------------- */

/* Reads and judges the options. 0, or a negative errno after it has said what is wrong. */
int site_new(struct ss_server *server, struct site **ret);
void site_free(struct site *site);

/* ---- root.c ---------------------------------------------------------------------------------- */

/* Finds out how files can be opened. */
void root_probe(struct site *site);

/* Opens what the relative path names, "" being the root, if that is below the root: a descriptor
 * and what it is, or a negative errno. It never waits for a FIFO. */
int root_open(const struct site *site, const char *path, struct stat *ret);

/* ---- resource.c ------------------------------------------------------------------------------ */

/* What a target stands for. */
struct resource {
    int fd; /* a regular file or, to be listed, a folder; -1: none */
    struct stat status;
    const char *type;   /* of a file; NULL: it is a folder */
    const char *coding; /* of its bytes; NULL: none */
    bool varies;        /* who accepts another coding gets another file */
};

/* 200: *ret is filled in (the file in gzip's form, if there is one and gzip is wanted), and its fd
 * is the caller's to close. 301: it is a folder, and the target lacks the "/" at its end. Another
 * status: there is nothing for this client. A negative errno: there may be something, but it cannot
 * be opened. */
int resource_find(const struct site *site, const struct target *target, bool gzip,
                  struct resource *ret);

/* ---- listing.c ------------------------------------------------------------------------------- */

/* Makes a page of what the folder has, without hidden files. 0 or a negative errno. */
int listing_make(const struct site *site, const char *path, int folder, struct text *ret);

/* ---- content.c ------------------------------------------------------------------------------- */

/* Answers with the file, or with the parts of it that are asked for. 0 or a negative errno. */
int content_send(struct exchange *exchange, const struct resource *resource);

/* ---- serve.c --------------------------------------------------------------------------------- */

/* Answers with what the target stands for. 0, or a negative errno: the connection must end. */
int serve(struct exchange *exchange, const struct target *target);

/* Answers where a file or a folder could not be opened, read or listed; it is logged. -ENODATA:
 * the file has fewer bytes than it had when it was opened. */
int response_failed(struct exchange *exchange, const char *doing, int error);

#endif

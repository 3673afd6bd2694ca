/* SPDX-License-Identifier: MIT */
/*
 * varlink.h - messages of the control socket: JSON objects, each ended by a NUL byte
 *
 * Both ends use this: the supervisor for calls, sockserverctl for replies.
 * The protocol is Varlink's, https://varlink.org.
 */
#ifndef SOCKSERVERD_COMMON_VARLINK_H
#define SOCKSERVERD_COMMON_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Errors that the protocol itself knows. */
#define VARLINK_INTERFACE_NOT_FOUND    "org.varlink.service.InterfaceNotFound"
#define VARLINK_METHOD_NOT_FOUND       "org.varlink.service.MethodNotFound"
#define VARLINK_METHOD_NOT_IMPLEMENTED "org.varlink.service.MethodNotImplemented"
#define VARLINK_INVALID_PARAMETER      "org.varlink.service.InvalidParameter"

/* The bytes that have come in and are not yet a whole message. */
struct varlink_input {
    char *data;
    size_t size, room; /* used; allocated */
    size_t limit;      /* of one message, its NUL byte included */
    size_t searched;   /* no NUL byte before this */
};

void varlink_input_init(struct varlink_input *input, size_t limit);
void varlink_input_done(struct varlink_input *input);

/*
 * Reads once from a non-blocking socket. Returns the number of bytes, 0 at
 * the end of file, -EAGAIN, -EMSGSIZE when a message is longer than the
 * limit, or another negative errno. Before the call, take the messages that
 * are there.
 */
int varlink_input_read(struct varlink_input *input, int fd);
/* Takes the bytes from memory instead. Returns 0, -EMSGSIZE or -ENOMEM. */
int varlink_input_feed(struct varlink_input *input, const char *bytes, size_t size);

/* Takes the next whole message. Returns 1 and *ret, which the caller releases; 0 if there is
 * none yet; -EBADMSG if it is not a JSON object; -EMSGSIZE if it will be too long. */
int varlink_input_next(struct varlink_input *input, json_t **ret);

/* A call, taken apart. The strings belong to the message. */
struct varlink_call {
    const char *method;
    json_t *parameters; /* an object, or NULL */
    bool oneway, more;
};

/* Takes a call apart. Returns 0, or -EBADMSG: it has no method, or a member of the wrong type. */
int varlink_call_parse(const json_t *message, struct varlink_call *ret);

/*
 * Both put value in, and release it in every case. A reply that lacks a part
 * would be read as another reply: without memory for it, or if value is NULL,
 * the object or array is released and becomes NULL, and it stays NULL.
 */
void varlink_set(json_t **object, const char *name, json_t *value);
void varlink_append(json_t **array, json_t *value);

/*
 * Both return a message that is ready to be sent, with its NUL byte; the
 * caller frees it. NULL without memory. parameters are released in every case.
 * A call without parameters has NULL; a reply always has some, and NULL means
 * that there was no memory to make them.
 */
char *varlink_call_text(const char *method, json_t *parameters, size_t *ret_size);
char *varlink_reply_text(const char *error, json_t *parameters, size_t *ret_size);

/* The bytes of a message that is being made; zeroes to begin with. */
struct varlink_output {
    char *bytes; /* the caller frees them */
    size_t size, room;
    bool lacks; /* a part, for which there was no memory */
};

/* Appends bytes, unless something lacks already. Returns 0 or -1. A callback of
 * json_dump_callback(), too. */
int varlink_put(const char *bytes, size_t size, void *output);

/* Makes a string of any bytes: if they are not UTF-8, '?' replaces the non-ASCII ones. Returns
 * NULL without memory. */
json_t *varlink_string(const char *text, size_t size);
/* The same of a whole text; null for NULL. */
json_t *varlink_text(const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * varlink.c - messages of the control socket: JSON objects, each ended by a NUL byte
 *
 * A message must be an object. A NUL byte or invalid UTF-8 within a string, a
 * member that stands there twice, and bytes behind the object are not accepted.
 *
 * Runs in:  the supervisor and sockserverctl.
 * Owns:     the bytes of a message until they are one.
 * Failures: returned.
 */
#include "common/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define ROOM_FIRST 4096

void
varlink_input_init(struct varlink_input *input, size_t limit)
{
    *input = (struct varlink_input){.limit = limit};
}

void
varlink_input_done(struct varlink_input *input)
{
    free(input->data);
    *input = (struct varlink_input){0};
}

/* Makes room for at least one more byte, but never for more than the limit. */
static int
make_room(struct varlink_input *input)
{
    if (input->size < input->room)
        return 0;
    if (input->size >= input->limit)
        return -EMSGSIZE;
    size_t room = input->room == 0 ? ROOM_FIRST : input->room * 2;
    if (room > input->limit)
        room = input->limit;
    char *data = realloc(input->data, room);
    if (data == NULL)
        return -ENOMEM;
    input->data = data;
    input->room = room;
    return 0;
}

int
varlink_input_read(struct varlink_input *input, int fd)
{
    int r = make_room(input);

    if (r < 0)
        return r;
    ssize_t got =
        recv(fd, input->data + input->size, input->room - input->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    input->size += (size_t)got;
    return (int)got;
}

int
varlink_input_feed(struct varlink_input *input, const char *bytes, size_t size)
{
    while (size > 0) {
        int r = make_room(input);
        if (r < 0)
            return r;
        size_t part = input->room - input->size < size ? input->room - input->size : size;
        memcpy(input->data + input->size, bytes, part);
        input->size += part;
        bytes += part;
        size -= part;
    }
    return 0;
}

static json_t *
parse(const char *text, size_t size)
{
    json_t *message = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

    if (message != NULL && !json_is_object(message)) {
        json_decref(message);
        return NULL;
    }
    return message;
}

int
varlink_input_next(struct varlink_input *input, json_t **ret)
{
    if (input->size == 0)
        return 0;
    char *end = memchr(input->data + input->searched, '\0', input->size - input->searched);
    if (end == NULL) {
        input->searched = input->size;
        return input->size >= input->limit ? -EMSGSIZE : 0;
    }
    size_t size = (size_t)(end - input->data);
    json_t *message = parse(input->data, size);
    input->size -= size + 1;
    memmove(input->data, end + 1, input->size);
    input->searched = 0;
    if (message == NULL)
        return -EBADMSG;
    *ret = message;
    return 1;
}

/* Reads a boolean member, which may be missing or null. Returns false if it has another type. */
static bool
read_boolean(const json_t *message, const char *name, bool *ret)
{
    const json_t *value = json_object_get(message, name);
    json_type type = value == NULL ? JSON_NULL : json_typeof(value);

    *ret = type == JSON_TRUE;
    return type == JSON_TRUE || type == JSON_FALSE || type == JSON_NULL;
}

int
varlink_call_parse(const json_t *message, struct varlink_call *ret)
{
    struct varlink_call call = {.method = json_string_value(json_object_get(message, "method"))};
    json_t *parameters = json_object_get(message, "parameters");
    bool upgrade;

    if (call.method == NULL || !read_boolean(message, "oneway", &call.oneway) ||
        !read_boolean(message, "more", &call.more) || !read_boolean(message, "upgrade", &upgrade))
        return -EBADMSG;
    if (json_is_object(parameters))
        call.parameters = parameters;
    else if (parameters != NULL && json_typeof(parameters) != JSON_NULL)
        return -EBADMSG;
    *ret = call;
    return 0;
}

/* json_dump_callback() goes on after some failures: what is gone stays gone. */
int
varlink_put(const char *bytes, size_t size, void *output)
{
    struct varlink_output *text = output;

    if (text->room - text->size < size && !text->lacks) {
        size_t room = text->room * 2 + size + ROOM_FIRST;
        char *grown = realloc(text->bytes, room);
        text->lacks = grown == NULL;
        text->bytes = grown == NULL ? text->bytes : grown;
        text->room = grown == NULL ? text->room : room;
    }
    if (text->lacks)
        return -1;
    if (size > 0)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return 0;
}

/* Returns the bytes of a message, with the NUL byte that ends it. */
static char *
text_of(json_t *message, size_t *ret_size)
{
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(6);
    struct varlink_output text = {0};
    bool whole = message != NULL && json_dump_callback(message, varlink_put, &text, flags) == 0 &&
                 varlink_put("", 1, &text) == 0;

    json_decref(message);
    if (!whole) {
        free(text.bytes);
        return NULL;
    }
    *ret_size = text.size;
    return text.bytes;
}

void
varlink_set(json_t **object, const char *name, json_t *value)
{
    if (*object == NULL)
        json_decref(value);
    else if (json_object_set_new(*object, name, value) < 0)
        json_decref(take_pointer(*object));
}

void
varlink_append(json_t **array, json_t *value)
{
    if (*array == NULL)
        json_decref(value);
    else if (json_array_append_new(*array, value) < 0)
        json_decref(take_pointer(*array));
}

char *
varlink_call_text(const char *method, json_t *parameters, size_t *ret_size)
{
    json_t *message = json_object();

    varlink_set(&message, "method", json_string(method));
    if (parameters != NULL)
        varlink_set(&message, "parameters", parameters);
    return text_of(message, ret_size);
}

char *
varlink_reply_text(const char *error, json_t *parameters, size_t *ret_size)
{
    json_t *message = json_object();

    if (error != NULL)
        varlink_set(&message, "error", json_string(error));
    varlink_set(&message, "parameters", parameters);
    return text_of(message, ret_size);
}

json_t *
varlink_string(const char *text, size_t size)
{
    json_t *string = json_stringn(text, size);
    char *ascii = string == NULL ? strndup(text, size) : NULL;

    for (char *c = ascii; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    if (ascii != NULL)
        string = json_string(ascii);
    free(ascii);
    return string;
}

json_t *
varlink_text(const char *text)
{
    return text == NULL ? json_null() : varlink_string(text, strlen(text));
}

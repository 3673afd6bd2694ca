/* SPDX-License-Identifier: MIT */
/*
 * control.c - calls on the control socket, byte for byte
 *
 * Failures: fail the running test.
 */
#include "support/control.h"

#include "support/client.h"
#include "support/test.h"

int
control_connect(struct daemon *daemon)
{
    const char *address = text_of("unix://%s", daemon_control(daemon));
    int fd;

    WAIT_UNTIL(client_try_connect(address, true, &fd) == 0);
    return fd;
}

void
control_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text) + 1);
}

const char *
control_receive(int fd)
{
    size_t size = 0, room = 4096;
    char *text = malloc(room);

    for (;;) {
        if (size == room)
            text = realloc(text, room *= 2);
        if (text == NULL)
            abort();
        if (client_receive_bytes(fd, text + size, 1) == 0)
            text[size] = '\0';
        if (text[size] == '\0')
            return keep(text);
        size++;
    }
}

const char *
control_ask(int fd, const char *text)
{
    control_send(fd, text);
    return control_receive(fd);
}

json_t *
control_status_of(struct daemon *daemon, const char *name, const json_t **ret_listener)
{
    int fd = control_connect(daemon);
    const char *text = control_ask(fd, text_of("{\"method\":\"org.sockserver.Control.GetStatus\","
                                               "\"parameters\":{\"listener\":\"%s\"}}",
                                               name));
    json_t *reply = json_loads(text, 0, NULL);

    client_close(fd);
    *ret_listener =
        json_array_get(json_object_get(json_object_get(reply, "parameters"), "listeners"), 0);
    if (*ret_listener == NULL)
        fail_msg("no status of %s: %s", name, text);
    return reply;
}

long
control_figure(struct daemon *daemon, const char *name, const char *member)
{
    const char *dot = strchr(member, '.');
    const json_t *object;
    json_t *reply = control_status_of(daemon, name, &object);

    if (dot != NULL)
        object = json_object_get(object, text_of("%.*s", (int)(dot - member), member));
    const json_t *value = json_object_get(object, dot == NULL ? member : dot + 1);
    long figure = json_is_integer(value) ? (long)json_integer_value(value) : -1;
    json_decref(reply);
    return figure;
}

const char *
control_state(struct daemon *daemon, const char *name)
{
    const json_t *listener;
    json_t *reply = control_status_of(daemon, name, &listener);
    const char *state = text_of("%s", json_string_value(json_object_get(listener, "state")));

    json_decref(reply);
    return state;
}

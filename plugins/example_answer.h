/* SPDX-License-Identifier: MIT */
/*
 * example_answer.h - what three of the tutorial's handlers have in common
 *
 * In Python: data = data.strip(); print("{} wrote:".format(client_address[0]));
 * print(data); send(data.upper()).
 */
#ifndef EXAMPLE_ANSWER_H
#define EXAMPLE_ANSWER_H

#include <ctype.h>
#include <sockserver/plugin.h>
#include <string.h>

/* The client without its port: "127.0.0.1" of "127.0.0.1:51234". */
static inline int
example_host_length(const char *client)
{
    const char *colon = strrchr(client, ':');

    return (int)(colon ? (size_t)(colon - client) : strlen(client));
}

/* Takes white space off both ends, logs who wrote what, and sends it back in upper case. */
static inline int
example_answer(struct ss_request *request, char *data, size_t size)
{
    const char *client = ss_client_name(request);

    while (size > 0 && isspace((unsigned char)data[size - 1]))
        size--;
    for (; size > 0 && isspace((unsigned char)*data); size--)
        data++;
    ss_log(LOG_INFO, "%.*s wrote:", example_host_length(client), client);
    ss_log(LOG_INFO, "%.*s", (int)size, data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)toupper((unsigned char)data[i]);
    return ss_write(request, data, size);
}

#endif

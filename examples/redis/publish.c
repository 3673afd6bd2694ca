/* SPDX-License-Identifier: MIT */
/*
 * publish.c - from one client to all who listen to a channel
 *
 * A message is put into the memory of each listener, and the listener is woken: it writes, in its
 * own context. One that does not read ends when its messages are more than max_size.
 *
 * Runs in:  a handler, with the store's lock held: nothing here waits.
 * Owns:     nothing.
 * Failures: answered; of a listener: it is told to leave.
 */
#include "redis.h"

/* The answer to one channel that is listened to from now on, or no longer. */
static void
answer_channel(struct client *client, const char *what, const struct bytes *channel)
{
    answer(client, "*3");
    answer_text(client, what);
    if (channel != NULL)
        answer_bytes(client, channel->data, channel->size);
    else
        answer(client, "$-1");
    answer_integer(client, (int64_t)client->channels.count);
}

void
do_subscribe(struct client *client)
{
    if (client->waker == NULL) {
        client->waker = ss_waker(client->request);
        if (client->waker == NULL) {
            answer(client, "%s", no_memory);
            return;
        }
        TAILQ_INSERT_TAIL(&store.listeners, client, link);
    }
    for (size_t i = 1; i < client->count; i++) {
        const struct bytes *channel = &client->words[i];
        if (find(&client->channels, channel) == NULL &&
            make(&client->channels, channel, STRING) == NULL)
            answer(client, "%s", no_memory);
        else
            answer_channel(client, "subscribe", channel);
    }
}

void
do_unsubscribe(struct client *client)
{
    struct node *node;

    for (size_t i = 1; i < client->count; i++) {
        if ((node = find(&client->channels, &client->words[i])) != NULL)
            drop(&client->channels, node);
        answer_channel(client, "unsubscribe", &client->words[i]);
    }
    if (client->count > 1)
        return;
    if (client->channels.count == 0)
        answer_channel(client, "unsubscribe", NULL);
    while (client->channels.root != NULL) {
        node = *(struct node **)client->channels.root; /* as tsearch(3) says */
        client->channels.count--;
        answer_channel(client, "unsubscribe", &node->name);
        client->channels.count++;
        drop(&client->channels, node);
    }
}

void
do_publish(struct client *client)
{
    const struct bytes *channel = &client->words[1], *message = &client->words[2];
    struct client *listener;
    int64_t told = 0;

    answer(client, "*3");
    answer_text(client, "message");
    answer_bytes(client, channel->data, channel->size);
    answer_bytes(client, message->data, message->size);
    if (client->reply.failed)
        return;
    TAILQ_FOREACH(listener, &store.listeners, link)
    {
        if (find(&listener->channels, channel) == NULL)
            continue;
        text_add(&listener->mail, client->reply.data, client->reply.size);
        told += !listener->mail.failed;
        ss_wake(listener->waker);
    }
    client->reply.size = 0;
    answer_integer(client, told);
}

void
stop_listening(struct client *client)
{
    if (client->waker != NULL)
        TAILQ_REMOVE(&store.listeners, client, link);
    drop_all(&client->channels);
}

/* SPDX-License-Identifier: MIT */
/*
 * buffers.c - where buffers go while their request needs none
 *
 * Where contexts share a thread, a few buffers are kept for all of them: most
 * connections are idle most of the time, and hold none then.
 *
 * Runs in:  a serving context.
 * Owns:     the buffers that the calling thread keeps.
 * Failures: without memory for keeping them, buffers are freed.
 */
#include "worker/request/buffers.h"

#include <stdlib.h>

#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"

#define SHELF_SIZE 32

/* All of one capacity: a listener's have only one. */
struct shelf {
    char *buffers[SHELF_SIZE];
    unsigned count;
    size_t capacity;
};

/* It is allocated, as most threads have none: each pays for thread-local variables with its stack.
 */
static _Thread_local struct shelves {
    struct shelf inputs, outputs;
} * pool;

static char *
shelf_take(struct shelf *shelf, size_t capacity)
{
    if (shelf->count == 0 || shelf->capacity != capacity)
        return NULL;
    return shelf->buffers[--shelf->count];
}

/* shelf: NULL if the thread keeps none. */
static void
give_away(struct ss_server *server, struct shelf *shelf, char *buffer, size_t capacity,
          size_t usual)
{
    if (shelf == NULL || capacity != usual || shelf->count == SHELF_SIZE) {
        free(buffer);
        counter_set(server->freed, true);
        return;
    }
    shelf->capacity = capacity;
    shelf->buffers[shelf->count++] = buffer;
}

char *
buffers_reuse_input(size_t capacity)
{
    return pool != NULL ? shelf_take(&pool->inputs, capacity) : NULL;
}

char *
buffers_reuse_output(size_t capacity)
{
    return pool != NULL ? shelf_take(&pool->outputs, capacity) : NULL;
}

static void
shelf_clear(struct shelf *shelf)
{
    while (shelf->count > 0)
        free(shelf->buffers[--shelf->count]);
}

void
buffers_release(struct ss_request *request)
{
    struct ss_server *server = request->server;
    const struct settings *settings = &server->settings;
    struct input *input = &request->input;
    struct output *output = &request->output;

    if (pool == NULL && !server->mixin->blocking)
        pool = calloc(1, sizeof(*pool));
    if (input->data != NULL && input->start == input->end && !input->patched) {
        give_away(server, pool != NULL ? &pool->inputs : NULL, input->data, input->capacity,
                  (size_t)settings->read_buffer);
        *input = (struct input){0};
    }
    if (output->data != output->lent && output->used == 0) {
        give_away(server, pool != NULL ? &pool->outputs : NULL, output->data, output->capacity,
                  (size_t)settings->write_buffer);
        output_lend(output, output->lent, output->lent_size);
    }
}

void
buffers_shrink(struct ss_request *request)
{
    struct ss_server *server = request->server;
    struct input *input = &request->input;

    if (!server->transport->stream || input->capacity <= (size_t)server->settings.read_buffer)
        return;
    free(input->data);
    *input = (struct input){0};
    counter_set(server->freed, true);
}

void
buffers_done_thread(void)
{
    if (pool == NULL)
        return;
    shelf_clear(&pool->inputs);
    shelf_clear(&pool->outputs);
    free(pool);
    pool = NULL;
}

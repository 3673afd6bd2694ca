/* SPDX-License-Identifier: MIT */
/*
 * buffers.h - a request's input and output buffers
 *
 * Memory is taken at the first use, given back when the client is silent for
 * long, and otherwise kept for the context's next request.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_BUFFERS_H
#define SOCKSERVERD_WORKER_REQUEST_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ss_request;

/* data[start...end) has been received and not been read; one byte more is there for a NUL. */
struct input {
    char *data;
    size_t capacity;
    size_t start, end;
    bool patched; /* data[start] was overwritten by a line's NUL */
    char original;
};

/* data[0...used) has been written and not been sent. */
struct output {
    char *data;
    size_t capacity;
    size_t used;
    int error;  /* negative: everything fails with it from now on */
    char *lent; /* the context's own memory, used while it is enough; or NULL */
    size_t lent_size;
};

/* Makes room for so many bytes (and a NUL) from the buffer's start. 0 or -ENOMEM. */
int input_reserve(struct input *input, size_t capacity);
/*
 * Waits for input as a read does, and receives it. Returns 1 if there is some,
 * or the end of the stream, -ECANCELED when a drain begins, or a negative errno.
 */
int input_await(struct ss_request *request);
/*
 * Receives once more, behind what is in the buffer, which has room for capacity
 * bytes at least; waits as a read does. Returns how many bytes came, 0 at the end
 * of the stream, or a negative errno.
 */
ssize_t input_more(struct ss_request *request, size_t capacity);
/*
 * Waits until the monotonic time for bytes of the client, or the end of its
 * stream. Returns POLLIN or more, 0 when the time has come, -ECANCELED or another
 * negative errno.
 */
int input_wait(struct ss_request *request, int64_t until);
/* The same for any events of a connection that the kernel knows all of. */
int input_wait_events(struct ss_request *request, short events, int64_t until);
/*
 * A client that has just connected, and whose first bytes are on their way when a drain begins,
 * shall not lose them. Waits for them a little, at most until the monotonic time; whether they have
 * come.
 */
bool input_await_first(struct ss_request *request, int64_t until);
/* Undoes a line's NUL. Before anything looks at the data again. */
void input_restore(struct input *input);

/*
 * Lets go of those that are empty. What they held before is lost, a line or
 * packet read last included. Where contexts share a thread, it keeps a few for
 * them; buffers_done_thread() frees those at its end.
 */
void buffers_release(struct ss_request *request);
void buffers_done_thread(void);

/* One that the thread keeps, of this very capacity; the caller's from now on. NULL: none. */
char *buffers_reuse_input(size_t capacity);
char *buffers_reuse_output(size_t capacity);

/* Between two requests: lets go of an input buffer that a long line made larger than usual. */
void buffers_shrink(struct ss_request *request);

/* Sends what is gathered; at once for a stream, never (0) for a datagram. 0 or a negative errno. */
int output_flush(struct ss_request *request);
/* Notes a failure, so that everything after it fails, too; forgets what was gathered. Returns the
 * failure. */
int output_fail(struct ss_request *request, int error);
/* The same for what is written after ss_shutdown(): -EPIPE, but its client has not gone. */
int output_refuse(struct ss_request *request);
/* Memory that is there for as long as the context. Before the first use. */
void output_lend(struct output *output, char *memory, size_t size);
/* Makes room for so many bytes. 0 or -ENOMEM. */
int output_reserve(struct output *output, size_t capacity);
/* Forgets what was gathered and any error. */
void output_reset(struct output *output);
/* Frees its memory, except for what is lent. */
void output_free(struct output *output);

#endif

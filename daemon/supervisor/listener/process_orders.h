/* SPDX-License-Identifier: MIT */
/*
 * process_orders.h - orders about a single request of a worker
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_ORDERS_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_ORDERS_H

#include "supervisor/listener/process.h"

/* The slot in which a worker runs the request of that number, or NULL. */
struct slot *process_find_request(const struct process *process, uint64_t request);

/*
 * Cancels the request: its waits return -ECANCELED, and its connection is shut.
 * Another one that begins in its slot meanwhile is not touched. Returns 0,
 * -ENOENT if it does not run, or -EAGAIN if the worker takes no orders now.
 */
int process_cancel(const struct process *process, uint64_t request);

/*
 * Asks the worker where the handler of a request is. Returns 0 and *ret_serial,
 * for process_answer(); -ENOENT if it does not run; -EBUSY if another question
 * is open; -ENOTSUP if the request has become a program; or -EAGAIN. The asker
 * ends its question with process_ask_no_more().
 */
int process_ask(const struct process *process, uint64_t request, uint32_t *ret_serial);
/* Asks once more a worker whose event loop may not look. */
void process_ask_again(const struct process *process);
/* Copies the answer, of whatever bytes, with a NUL byte at the end. Returns 0, or -EAGAIN if there
 * is none yet. */
int process_answer(const struct process *process, uint32_t serial, char text[INQUIRY_TEXT]);
void process_ask_no_more(const struct process *process);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * command.h - what the files of good_command share
 */
#ifndef GOOD_COMMAND_COMMAND_H
#define GOOD_COMMAND_COMMAND_H

#include <sockserver/plugin.h>

/* Ends the request, with handle() returning 0. */
#define COMMAND_END 1

/* argument is the rest of the line, without its newline; "" if there is none. */
struct command {
    const char *name;
    int (*run)(struct ss_request *request, const char *argument); /* 0, COMMAND_END, or -errno */
};

/* Each ends with an empty row. */
extern const struct command who_commands[];
extern const struct command data_commands[];
extern const struct command stream_commands[];
extern const struct command process_commands[];
extern const struct command wait_commands[];
extern const struct command fault_commands[];

/* data.c: what setup and finish do, and server_activate. */
int data_setup(struct ss_request *request);
void data_finish(struct ss_request *request);
int data_activate(struct ss_server *server);
void data_close(struct ss_server *server);

/* The argument as a number; 0 if there is none. */
size_t argument_size(const char *argument);
double argument_seconds(const char *argument);

#endif

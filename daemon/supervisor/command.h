/* SPDX-License-Identifier: MIT */
/*
 * command.h - the command of --run: it runs while the listeners serve, and the daemon ends with it
 */
#ifndef SOCKSERVERD_SUPERVISOR_COMMAND_H
#define SOCKSERVERD_SUPERVISOR_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "supervisor/roster.h"

/* Zeroes, except for arguments: no command. The strings are the caller's. */
struct command {
    char *const *arguments; /* NULL at the end; NULL: there is no command */
    pid_t pid;              /* 0: it does not run */
    sd_event_source *source;
    int status; /* of the command once it has ended, as a shell has it */
    bool started;
    void (*ended)(void *userdata); /* called from the event loop */
    void *userdata;
};

/* Starts the command, with the listeners' addresses in its environment. Returns 0 or a negative
 * errno. One that cannot be executed ends with status 127 or 126, and says why. */
int command_start(struct command *command, sd_event *event, const struct roster *roster);
/* Sends it a signal, if it runs. */
void command_signal(const struct command *command, int number);
bool command_runs(const struct command *command);
/* Lets go of it, whether it runs or not. */
void command_done(struct command *command);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * command.c - the command of --run: it runs while the listeners serve, and the daemon ends with it
 *
 * It is told where they listen in its environment: SOCKSERVER_ADDRESS, and what
 * that consists of; with several listeners each has them under its name, too,
 * SOCKSERVER_ADDRESS_UPPER.
 *
 * Runs in:  the supervisor; what prepares the command, in its own process.
 * Owns:     the command's process, until it has ended.
 * Failures: of starting: returned, or said by the command's process.
 */
#include "supervisor/command.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/address.h"
#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/descriptors.h"
#include "common/leave.h"
#include "common/printable.h"
#include "supervisor/signals.h"

#define CANNOT_BE_FOUND    127 /* as a shell has it */
#define CANNOT_BE_EXECUTED 126
#define KILLED             128

/* ---- its environment --------------------------------------------------------------------- */

static const char *const words[] = {"ADDRESS", "PATH", "HOST", "PORT"};

/* Sets SOCKSERVER_WHAT, or SOCKSERVER_WHAT_NAME. value: NULL removes what there was. */
static int
set_one(const char *what, const char *name, const char *value)
{
    _cleanup_free_ char *variable = NULL;

    if (asprintf(&variable, "SOCKSERVER_%s%s%s", what, name == NULL ? "" : "_",
                 name == NULL ? "" : name) < 0)
        return -ENOMEM;
    return (value == NULL ? unsetenv(variable) : setenv(variable, value, 1)) < 0 ? -errno : 0;
}

/* What a client connects to where the server has all addresses. */
static const char *
reachable(const char *host)
{
    if (strcmp(host, "::") == 0 || strcmp(host, "*") == 0)
        return "::1";
    return strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : host;
}

/* A --run within another one's command has that one's words around it: those go first. */
static int
set_address(const char *name, const char *text)
{
    struct address address = {0};
    _cleanup_free_ char *problem = NULL;
    int r = address_parse(text, &address, &problem);

    for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
        r = set_one(words[i], name, NULL);
    if (r == 0)
        r = set_one("ADDRESS", name, text);
    if (r == 0 && address.path != NULL)
        r = set_one("PATH", name, address.path);
    if (r == 0 && address.host != NULL)
        r = set_one("HOST", name, reachable(address.host));
    if (r == 0 && address.port != NULL)
        r = set_one("PORT", name, address.port);
    address_done(&address);
    return r;
}

/* Returns the name as a variable may have it, to free: "my-echo" is MY_ECHO. */
static char *
variable_name(const char *name)
{
    char *copy = strdup(name);

    for (char *c = copy; c != NULL && *c != '\0'; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return copy;
}

static int
set_environment(const struct roster *roster)
{
    struct listener_status status;
    bool first = true;
    int r = 0;

    for (size_t i = 0; i < roster->count && r == 0; i++) {
        listener_status(roster->listeners[i], &status);
        if (status.fd < 0)
            continue;
        _cleanup_free_ char *name = variable_name(status.name);
        r = name == NULL ? -ENOMEM : set_address(name, status.address);
        if (r == 0 && first)
            r = set_address(NULL, status.address);
        first = false;
    }
    return r;
}

/* ---- the command ---------------------------------------------------------------------------- */

static _Noreturn void
become(const struct command *command, const struct roster *roster, pid_t parent)
{
    int r = set_environment(roster);

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGPIPE, SIG_DFL);
    signals_unblock();
    descriptors_restore_limit();
    if (getppid() != parent)
        leave(EXIT_FAILURE);
    if (r == 0) {
        (void)execvp(command->arguments[0], command->arguments);
        r = -errno;
    }
    (void)fputs("sockserverd: --run: cannot execute ", stderr);
    printable_put(stderr, command->arguments[0]);
    (void)fprintf(stderr, ": %s%s\n", strerror(-r),
                  r == -ENOENT ? "; give a path, or a program in $PATH" : "");
    (void)fflush(stderr);
    leave(r == -ENOENT ? CANNOT_BE_FOUND : CANNOT_BE_EXECUTED);
}

static int
on_end(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    struct command *command = userdata;

    (void)source;
    child_leave(command->pid); /* the loop would try to reap it only once */
    command->pid = 0;
    command->status = info->si_code == CLD_EXITED ? info->si_status : KILLED + info->si_status;
    (void)sd_event_source_set_enabled(command->source, SD_EVENT_OFF);
    command->ended(command->userdata);
    return 0;
}

int
command_start(struct command *command, sd_event *event, const struct roster *roster)
{
    pid_t parent = getpid();

    (void)fflush(NULL); /* the command's process would write it, too */
    command->pid = fork();
    if (command->pid == 0)
        become(command, roster, parent);
    if (command->pid < 0) {
        command->pid = 0;
        return -errno;
    }
    child_note(command->pid);
    command->started = true;
    int r = sd_event_add_child(event, &command->source, command->pid, WEXITED, on_end, command);
    if (r >= 0)
        return 0;
    (void)kill(command->pid, SIGKILL);
    child_leave(command->pid);
    command->pid = 0;
    return r;
}

void
command_signal(const struct command *command, int number)
{
    if (command->pid > 0)
        (void)kill(command->pid, number);
}

bool
command_runs(const struct command *command)
{
    return command->pid > 0;
}

void
command_done(struct command *command)
{
    command->source = sd_event_source_disable_unref(command->source);
    if (command->pid > 0)
        child_leave(command->pid);
    command->pid = 0;
}

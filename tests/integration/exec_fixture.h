/* SPDX-License-Identifier: MIT */
/*
 * exec_fixture.h - a listener whose plugin is `exec` and whose program is a shell's command
 */
#ifndef TESTS_INTEGRATION_EXEC_FIXTURE_H
#define TESTS_INTEGRATION_EXEC_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

/* The command as an item of a list, where it stands between quotation marks. */
static inline const char *
quoted(const char *command)
{
    char *text = keep(calloc(1, 2 * strlen(command) + 1));
    char *place = text;

    assert_non_null(text);
    for (const char *at = command; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            *place++ = '\\';
        *place++ = *at;
    }
    return text;
}

/* The text with each `what` replaced. */
static inline const char *
replaced(const char *text, const char *what, const char *by)
{
    for (const char *at; (at = strstr(text, what)) != NULL;)
        text = text_of("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
    return text;
}

/* The group of a listener that runs the command: more options, more of the listener. */
static inline const char *
shell_options(const char *command, const char *options, const char *more)
{
    return text_of("options = { command = \"/bin/sh\"; arguments = [ \"-c\", \"%s\" ]; %s };\n%s",
                   quoted(command), options, more);
}

/* A daemon that runs the command for each connection, and writes access lines. */
static inline struct daemon *
serve_shell(const struct server_case *server, const char *command, const char *options,
            const char *more)
{
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "exec",
                                   shell_options(command, options, more)));

    (void)daemon_address(daemon, "test");
    return daemon;
}

/* The `stderr` that decides how a program is started: only under forking is there a second way. */
static const char *const way_texts[] = {"log", "null"};

static inline size_t
ways_under(const struct server_case *server)
{
    return strcmp(server->mixin, "forking") == 0 ? 2 : 1;
}

static inline int
connect_to(struct daemon *daemon)
{
    return client_connect(daemon_address(daemon, "test"));
}

static inline const char *
ask(struct daemon *daemon, const char *text)
{
    return client_ask(daemon_address(daemon, "test"), text);
}

/* A program that tells its number first: what that is. */
static inline pid_t
told_pid(int client)
{
    pid_t pid = 0;

    assert_int_equal(sscanf(client_receive_line(client), "%d", &pid), 1);
    return pid;
}

#endif

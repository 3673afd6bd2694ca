/* SPDX-License-Identifier: MIT */
/*
 * service.c - the listener's options, read and judged once
 *
 * Runs in:  server_activate and server_close.
 * Owns:     the service.
 * Failures: logged here; the listener fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../regular_file.h"
#include "exec.h"

#define BANNER_MOST 65536

static enum errors_to
errors_to_of(const char *place)
{
    return strcmp(place, "client") == 0 ? ERRORS_CLIENT
           : strcmp(place, "null") == 0 ? ERRORS_NULL
                                        : ERRORS_LOG;
}

static int
complain(struct ss_server *server, const char *option, const char *path, int error,
         const char *remedy)
{
    ss_complain(server, option, "%s: %s; %s", path, strerror(error), remedy);
    return -error;
}

/* With this worker's user, who is the program's. */
static int
check_command(struct ss_server *server, const struct service *service)
{
    struct stat status;

    if (stat(service->command, &status) < 0)
        return complain(server, "command", service->command, errno,
                        "install the program, or correct the path");
    if (!S_ISREG(status.st_mode))
        return complain(server, "command", service->command,
                        S_ISDIR(status.st_mode) ? EISDIR : EACCES, "name a program's file");
    if (access(service->command, X_OK) < 0)
        return complain(server, "command", service->command, errno,
                        "let the listener's user execute it (chmod), or choose another `user`");
    if (service->directory != NULL && access(service->directory, X_OK) < 0)
        return complain(server, "directory", service->directory, errno,
                        "make it, and let the listener's user enter it");
    return 0;
}

static int
make_arguments(struct ss_server *server, struct service *service)
{
    const char *argv0 = ss_option_string(server, "argv0");
    size_t count;
    const char *const *list = ss_option_list(server, "arguments", &count);

    service->arguments = calloc(count + 2, sizeof(char *));
    if (service->arguments == NULL)
        return -ENOMEM;
    service->arguments[0] = (char *)(uintptr_t)(argv0[0] != '\0' ? argv0 : service->command);
    for (size_t i = 0; i < count; i++)
        service->arguments[i + 1] = (char *)(uintptr_t)list[i];
    return 0;
}

static int
read_banner(struct ss_server *server, const char *path, struct service *service)
{
    int fd = regular_file_open(path);

    if (fd < 0)
        return complain(server, "banner", path, -fd,
                        fd == -EINVAL || fd == -EISDIR ? "name a file with text"
                                                       : "let the listener's user read it");
    service->banner = malloc(BANNER_MOST + 1);
    ssize_t size = service->banner == NULL ? -1 : read(fd, service->banner, BANNER_MOST + 1);
    int error = errno;
    (void)close(fd);
    if (size < 0)
        return complain(server, "banner", path, error, "name a file with text");
    if (size > BANNER_MOST)
        return complain(server, "banner", path, EFBIG, "a banner has at most 65536 bytes");
    service->banner_size = (size_t)size;
    return 0;
}

static void
write_outcomes(struct service *service)
{
    for (int i = 0; i < 256; i++)
        (void)snprintf(service->exits[i], sizeof(service->exits[i]), "exited with status %d", i);
    for (int i = 0; i < OUTCOMES_SIGNALS; i++) {
        const char *name = sigabbrev_np(i);
        (void)snprintf(service->signals[i], sizeof(service->signals[i]),
                       "was killed by signal %d%s%s%s", i, name != NULL ? " (SIG" : "",
                       name != NULL ? name : "", name != NULL ? ")" : "");
    }
}

/* The program gets what has come, and not one client of those. */
static int
check_wait(struct ss_server *server, const struct service *service)
{
    if (!service->waits && ss_server_transport(server) == SS_DATAGRAM) {
        ss_complain(server, "wait", "a listener of datagrams takes wait = true; found false");
        return -EINVAL;
    }
    if (!service->waits)
        return 0;
    int error = ss_server_hand_over(server, "wait");
    if (ss_option_string(server, "banner")[0] != '\0') {
        ss_complain(server, "banner",
                    "a program with wait = true accepts its clients itself; "
                    "take the banner out");
        error = -EINVAL;
    }
    return error;
}

/* Keeps the first error, and lets all others be said. */
static void
note(int *error, int another)
{
    if (*error == 0)
        *error = another;
}

static int
fill_in(struct ss_server *server, struct service *service)
{
    const char *directory = ss_option_string(server, "directory");
    const char *banner = ss_option_string(server, "banner");
    int error = 0;

    service->worker = getpid();
    write_outcomes(service);
    service->command = ss_option_string(server, "command");
    service->directory = directory[0] != '\0' ? directory : NULL;
    service->kill_timeout = ss_option_duration(server, "kill_timeout");
    service->waits = ss_option_boolean(server, "wait");
    service->ucspi = strcmp(ss_option_string(server, "protocol"), "ucspi") == 0;
    service->errors_to = errors_to_of(ss_option_string(server, "stderr"));
    note(&error, check_wait(server, service));
    note(&error, check_command(server, service));
    note(&error, make_arguments(server, service));
    note(&error, environment_prepare(server, service));
    if (banner[0] != '\0')
        note(&error, read_banner(server, banner, service));
    if (error == 0 && (service->null = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0)
        error = complain(server, "stderr", "/dev/null", errno, "the program needs it");
    return error;
}

int
service_new(struct ss_server *server, struct service **ret)
{
    struct service *service = calloc(1, sizeof(*service));

    if (service == NULL)
        return -ENOMEM;
    service->null = -1;
    int error = fill_in(server, service);
    if (error < 0) {
        service_free(service);
        return error;
    }
    *ret = service;
    return 0;
}

void
service_free(struct service *service)
{
    if (service == NULL)
        return;
    for (size_t i = 0; i < service->variables; i++)
        free(service->environment[i]);
    free(service->environment);
    free(service->arguments);
    free(service->banner);
    if (service->null >= 0)
        (void)close(service->null);
    free(service);
}

/* SPDX-License-Identifier: MIT */
/*
 * names_fixture.h - a name service for tests: it takes getaddrinfo()'s place in the program
 *
 * "known.test" is 127.0.0.1, "late.test" too, but nobody knows the first time
 * (which a file in $TMPDIR remembers), "unknown.test" nobody knows,
 * "silent.test" never gets an answer, and "deadly.test" ends who asks. What is
 * no name is the C library's.
 */
#ifndef TESTS_UNIT_NAMES_FIXTURE_H
#define TESTS_UNIT_NAMES_FIXTURE_H

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_asked_again(void)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/was-asked", getenv("TMPDIR"));
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd < 0;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
            struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if ((hints->ai_flags & AI_NUMERICHOST) || strstr(node, ".test") == NULL)
        return real(node, service, hints, ret);
    if (strcmp(node, "silent.test") == 0)
        for (;;)
            (void)pause();
    if (strcmp(node, "deadly.test") == 0)
        _exit(0);
    if (strcmp(node, "unknown.test") == 0 || (strcmp(node, "late.test") == 0 && !is_asked_again()))
        return EAI_NONAME;
    return real("127.0.0.1", service, hints, ret);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tls_module.c - the file of the worker's module that speaks TLS
 *
 * It lies beside the worker's program. Workers load it from a descriptor, as
 * their user may be unable to reach the folder.
 *
 * Runs in:  the supervisor; the process that reads the configuration, which
 *           only asks whether it is there.
 * Owns:     the descriptor, for as long as the process lives.
 * Failures: returned.
 */
#include "common/tls_module.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* The path is relative to the folder of this program; it is the same in a build folder and where
 * the daemon is installed. */
#define MODULE "/../lib/sockserverd/tls.so"

static int module_fd = -1;

int
tls_module_use(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    if (module_fd >= 0)
        (void)close(module_fd);
    module_fd = fd;
    return 0;
}

int
tls_module_fd(void)
{
    char path[PATH_MAX + sizeof(MODULE)];

    if (module_fd >= 0)
        return module_fd;
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX);
    if (size < 0)
        return -errno;
    path[size] = '\0';
    (void)strcpy(strrchr(path, '/'), MODULE);
    int r = tls_module_use(path);
    return r < 0 ? r : module_fd;
}

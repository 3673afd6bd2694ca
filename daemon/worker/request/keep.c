/* SPDX-License-Identifier: MIT */
/*
 * keep.c - state that outlives a process: kept descriptors, and shared memory
 *
 * Runs in:  any thread or child of a worker; server_activate asks for memory.
 * Owns:     the mapping of the memory, for as long as the worker lives.
 * Failures: returned.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "worker/request/wish.h"

int
ss_server_keep(struct ss_server *server, const char *name, int fd)
{
    int unused;

    if (name == NULL || fd < -1)
        return name == NULL ? -EINVAL : -EBADF;
    return wish(server, fd < 0 ? MESSAGE_FORGET : MESSAGE_KEEP, 0, name, fd, &unused);
}

int
ss_server_kept(struct ss_server *server, const char *name)
{
    int fd, r = name == NULL ? -EINVAL : wish(server, MESSAGE_KEPT, 0, name, -1, &fd);

    if (r < 0)
        return r;
    return fd < 0 ? -EMFILE : fd; /* the answer came without it: there was no room here */
}

/* ---- memory ---------------------------------------------------------------------- */

/* One request in one process has nobody to share with. */
static void *
map_own(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static void *
map_area(struct ss_server *server, size_t size)
{
    _cleanup_close_ int fd = -1;
    int r = wish(server, MESSAGE_AREA, size, NULL, -1, &fd);

    if (r == 0 && fd < 0)
        r = -EMFILE;
    if (r < 0) {
        errno = -r;
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *
ss_server_shared(struct ss_server *server, size_t size)
{
    bool serves_alone = server->channel < 0 && server->wishes < 0; /* --stdio */

    if (server->shared != NULL && server->shared_size == size)
        return server->shared;
    if (size == 0 || server->shared != NULL) {
        errno = EINVAL;
        return NULL;
    }
    /* Later, a forked child would be alone with it. */
    if (server->complaints != NULL || (!serves_alone && server_phase(server) != PHASE_STARTING)) {
        errno = EPERM;
        return NULL;
    }
    server->shared = serves_alone ? map_own(size) : map_area(server, size);
    server->shared_size = size;
    return server->shared;
}

/* SPDX-License-Identifier: MIT */
/*
 * upgrade_receive.c - what the program that this process was before left for it
 *
 * The sockets are taken by the listeners (adopt.c), as at any start; here is
 * the rest: which listeners there are, and the workers that run.
 *
 * Runs in:  the supervisor, once at its start; a program that is only tried.
 * Owns:     nothing beyond a call.
 * Failures: returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/memfd.h"
#include "common/patience.h"
#include "supervisor/change/upgrade.h"

/* The memory file that the environment names, if it is one of ours; -1 if there is none. */
static int
find_state(void)
{
    const char *text = getenv(UPGRADE_VARIABLE);
    char *end;

    if (text == NULL)
        return -1;
    long fd = strtol(text, &end, 10);
    (void)unsetenv(UPGRADE_VARIABLE);
    if (*end != '\0' || fd < SD_LISTEN_FDS_START || fd > INT_MAX ||
        fcntl((int)fd, F_GET_SEALS) != MEMFD_SEALS || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return (int)fd;
}

static int
read_state(int fd, struct upgrade_state *ret)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size <= 0)
        return -EBADMSG;
    size_t size = (size_t)status.st_size;
    char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0); /* sealed: see access_list.c */
    if (bytes == MAP_FAILED)
        return -errno;
    int r = upgrade_state_unpack(bytes, size, ret);
    (void)munmap(bytes, size);
    return r < 0 ? r : 1;
}

int
upgrade_receive(struct upgrade_state *ret)
{
    _cleanup_close_ int fd = find_state();
    int r;

    if (fd < 0)
        return 0;
    do
        r = read_state(fd, ret);
    while (patience_allows(r));
    return r;
}

int
upgrade_answer(void)
{
    struct upgrade_state state = {0};
    int r = upgrade_receive(&state);

    if (r > 0)
        (void)puts(UPGRADE_ANSWER);
    upgrade_state_done(&state);
    return r < 0 ? r : 0;
}

/* ---- going on ------------------------------------------------------------------------------ */

static size_t
count_workers(const struct upgrade_listener *listener)
{
    size_t count = 0;

    for (size_t i = 0; i < listener->generation_count; i++)
        count += listener->generations[i].worker_count;
    return count;
}

static int
import_listener(struct roster *roster, const struct upgrade_listener *inherited)
{
    struct listener *listener;
    int r;

    do
        r = inherited->removed ? listener_new(&roster->host, inherited->settings, &listener)
                               : roster_add(roster, inherited->settings, &listener);
    while (patience_allows(r));
    if (r < 0)
        return r;
    if (inherited->removed)
        roster_retire(roster, listener);
    listener_import(listener, inherited);
    return 0;
}

int
upgrade_import(struct change *change, const struct upgrade_state *state)
{
    size_t workers = 0;

    supervisor_log_inherit_level(change->log, state->log_level);
    for (size_t i = 0; i < state->listener_count; i++) {
        int r = import_listener(change->roster, &state->listeners[i]);
        if (r < 0)
            return r;
        workers += count_workers(&state->listeners[i]);
    }
    log_notice("upgraded to sockserverd " SOCKSERVERD_VERSION
               ": %zu listener%s and %zu worker%s go on; reloading",
               change->roster->count, change->roster->count == 1 ? "" : "s", workers,
               workers == 1 ? "" : "s");
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * kept.c - what a listener's plugin has asked to be kept: descriptors, and shared memory
 *
 * It is kept while workers come and go: through a reload, a crash and an
 * upgrade. It belongs to one plugin of one listener: another plugin in its
 * place begins with nothing. Nothing in a descriptor is read here, and no memory mapped:
 * whatever a worker does with it, does not matter to the supervisor.
 *
 * Of memory the two sizes are kept that were asked for last, so that a
 * generation which fails with another size does not cost the present one its
 * state; kept_trim_areas() lets the one go that nobody uses.
 *
 * Runs in:  the supervisor.
 * Owns:     the descriptors.
 * Failures: returned.
 */
#include "supervisor/listener/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/descriptors.h"
#include "common/patience.h"

#define NAMES_MOST KEPT_MOST
#define ROOM_STEP  8 /* of which NAMES_MOST is a multiple */
#define AREAS_MOST KEPT_AREAS_MOST

/* A size is the same for 32 bits, and far beyond any memory. */
#define AREA_MOST (UINT64_C(1) << 46)

struct kept {
    unsigned holders;
    char *plugin_file;
    struct upgrade_kept_fd *fds; /* most listeners keep none */
    size_t count, room;
    struct upgrade_kept_area areas[AREAS_MOST]; /* what was asked for last is the first */
    size_t area_count;
};

/* ---- descriptors ----------------------------------------------------------------- */

static bool
is_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

    return size > 0 && size < KEPT_NAME_SIZE && name[size] == '\0';
}

/* Closing a terminal or a tape may wait until it has done its work. */
static bool
is_device(int fd)
{
    struct stat status;

    return fstat(fd, &status) < 0 || S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
}

static struct upgrade_kept_fd *
find(const struct kept *kept, const char *name)
{
    for (size_t i = 0; i < kept->count; i++)
        if (strcmp(kept->fds[i].name, name) == 0)
            return &kept->fds[i];
    return NULL;
}

/* Has room for one more. Returns 0, -ENOSPC or -ENOMEM. */
static int
make_room(struct kept *kept)
{
    if (kept->count < kept->room)
        return 0;
    if (kept->room == NAMES_MOST)
        return -ENOSPC;
    struct upgrade_kept_fd *fds = reallocarray(kept->fds, kept->room + ROOM_STEP, sizeof(*fds));
    if (fds == NULL)
        return -ENOMEM;
    kept->fds = fds;
    kept->room += ROOM_STEP;
    return 0;
}

int
kept_put(struct kept *kept, const char *name, int fd)
{
    struct upgrade_kept_fd *place = is_name(name) ? find(kept, name) : NULL;
    int r = is_name(name) && !is_device(fd) ? 0 : -EINVAL;

    if (r == 0 && place == NULL)
        r = make_room(kept);
    if (r < 0) {
        descriptor_close_foreign(fd);
        return r;
    }
    if (place != NULL) {
        descriptor_close_foreign(place->fd);
    } else {
        place = &kept->fds[kept->count++];
        (void)strcpy(place->name, name);
    }
    place->fd = fd;
    return 0;
}

int
kept_forget(struct kept *kept, const char *name)
{
    struct upgrade_kept_fd *place;

    if (!is_name(name))
        return -EINVAL;
    place = find(kept, name);
    if (place == NULL)
        return 0;
    descriptor_close_foreign(place->fd);
    *place = kept->fds[--kept->count];
    return 0;
}

int
kept_find(const struct kept *kept, const char *name)
{
    const struct upgrade_kept_fd *place;

    if (!is_name(name))
        return -EINVAL;
    place = find(kept, name);
    return place == NULL ? -ENOENT : place->fd;
}

/* ---- memory ------------------------------------------------------------------------ */

/* Of a size that no worker can change: others would be killed by SIGBUS. */
static int
make_area(uint64_t size)
{
    _cleanup_close_ int fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    return take_fd(fd);
}

/* Puts one at the beginning, instead of itself or of the last. */
static void
put_first(struct kept *kept, size_t old, struct upgrade_kept_area area)
{
    memmove(&kept->areas[1], &kept->areas[0], old * sizeof(area));
    kept->areas[0] = area;
}

int
kept_area(struct kept *kept, uint64_t size)
{
    size_t i = 0;

    if (size == 0 || size > AREA_MOST)
        return -EINVAL;
    while (i < kept->area_count && kept->areas[i].size != size)
        i++;
    if (i < kept->area_count) {
        put_first(kept, i, kept->areas[i]);
        return kept->areas[0].fd;
    }
    int fd = make_area(size);
    if (fd < 0)
        return fd;
    if (kept->area_count < AREAS_MOST)
        kept->area_count++;
    else
        (void)close(kept->areas[AREAS_MOST - 1].fd);
    put_first(kept, kept->area_count - 1, (struct upgrade_kept_area){.size = size, .fd = fd});
    return fd;
}

void
kept_trim_areas(struct kept *kept, bool (*is_used)(uint64_t size, void *userdata), void *userdata)
{
    size_t left = 0;

    for (size_t i = 0; i < kept->area_count; i++)
        if (is_used(kept->areas[i].size, userdata))
            kept->areas[left++] = kept->areas[i];
        else
            (void)close(kept->areas[i].fd);
    kept->area_count = left;
}

/* ---- upgrade ------------------------------------------------------------------------ */

int
kept_export(const struct kept *kept, struct upgrade_kept *ret)
{
    *ret = (struct upgrade_kept){0};
    if (kept == NULL || kept->count + kept->area_count == 0)
        return 0;
    ret->plugin_file = strdup(kept->plugin_file);
    if (ret->plugin_file == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < kept->count; i++)
        ret->fds[i] = kept->fds[i];
    memcpy(ret->areas, kept->areas, sizeof(ret->areas));
    ret->count = kept->count;
    ret->area_count = kept->area_count;
    return 0;
}

/* What is told here was kept by a program of ours, and yet each descriptor is looked at. */
static int
take_over(struct kept *kept, const struct upgrade_kept *inherited)
{
    int r = 0;

    for (size_t i = 0; i < inherited->count; i++)
        if (fcntl(inherited->fds[i].fd, F_SETFD, FD_CLOEXEC) < 0)
            r = -errno;
        else
            kept->fds[kept->count++] = inherited->fds[i];
    for (size_t i = 0; i < inherited->area_count; i++)
        if (fcntl(inherited->areas[i].fd, F_SETFD, FD_CLOEXEC) < 0)
            r = -errno;
        else
            kept->areas[kept->area_count++] = inherited->areas[i];
    return r;
}

/* With room for all that is inherited. Returns 0 or -ENOMEM. */
static int
new_with_room(const struct upgrade_kept *inherited, struct kept **ret)
{
    struct kept *kept;
    int r = kept_new(inherited->plugin_file, &kept);

    if (r < 0)
        return r;
    kept->room = (inherited->count + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    kept->fds = calloc(kept->room + 1, sizeof(*kept->fds));
    if (kept->fds == NULL) {
        kept_unref(kept);
        return -ENOMEM;
    }
    *ret = kept;
    return 0;
}

int
kept_import(const struct upgrade_kept *inherited, struct kept **ret)
{
    struct kept *kept;
    int r;

    do
        r = new_with_room(inherited, &kept);
    while (patience_allows(r));
    if (r < 0) {
        for (size_t i = 0; i < inherited->count; i++)
            descriptor_close_foreign(inherited->fds[i].fd);
        for (size_t i = 0; i < inherited->area_count; i++)
            (void)close(inherited->areas[i].fd);
        return r;
    }
    r = take_over(kept, inherited);
    if (r < 0) {
        kept_unref(kept);
        return r;
    }
    *ret = kept;
    return 0;
}

/* ---- beginning and end ----------------------------------------------------------------- */

int
kept_new(const char *plugin_file, struct kept **ret)
{
    struct kept *kept = calloc(1, sizeof(*kept));

    if (kept == NULL)
        return -ENOMEM;
    kept->plugin_file = strdup(plugin_file);
    if (kept->plugin_file == NULL) {
        free(kept);
        return -ENOMEM;
    }
    kept->holders = 1;
    *ret = kept;
    return 0;
}

struct kept *
kept_ref(struct kept *kept)
{
    if (kept != NULL)
        kept->holders++;
    return kept;
}

void
kept_unref(struct kept *kept)
{
    if (kept == NULL || --kept->holders > 0)
        return;
    for (size_t i = 0; i < kept->count; i++)
        descriptor_close_foreign(kept->fds[i].fd);
    for (size_t i = 0; i < kept->area_count; i++)
        (void)close(kept->areas[i].fd);
    free(kept->fds);
    free(kept->plugin_file);
    free(kept);
}

bool
kept_is_for(const struct kept *kept, const char *plugin_file)
{
    return kept != NULL && strcmp(kept->plugin_file, plugin_file) == 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * access_list.c - the table of `allow` and `deny` that several listeners may share
 *
 * Two hundred listeners that take a list of 10,000 networks from `defaults` have
 * one table in the supervisor, and one more in a memory file that all of their
 * workers map.
 *
 * Runs in:  the process that reads the configuration, the supervisor; a worker
 *           maps.
 * Owns:     the table and its memory file, until the last access_list_unref().
 * Failures: returned.
 */
#include "common/access_list.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memfd.h"

struct access_list {
    unsigned references;
    int fd; /* -1: no process was given it yet */
    struct networks *networks;
};

struct access_list *
access_list_new(struct networks *networks)
{
    struct access_list *list = malloc(sizeof(*list));

    if (list == NULL) {
        free(networks);
        return NULL;
    }
    *list = (struct access_list){.references = 1, .fd = -1, .networks = networks};
    return list;
}

int
access_list_copy(const void *bytes, size_t size, struct access_list **ret)
{
    struct networks *copy = malloc(size == 0 ? 1 : size);

    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, bytes, size);
    if (!networks_are_sound(copy, size)) {
        free(copy);
        return -EBADMSG;
    }
    *ret = access_list_new(copy);
    return *ret == NULL ? -ENOMEM : 0;
}

struct access_list *
access_list_ref(struct access_list *list)
{
    if (list != NULL)
        list->references++;
    return list;
}

void
access_list_unref(struct access_list *list)
{
    if (list == NULL)
        return;
    assert(list->references > 0);
    if (--list->references > 0)
        return;
    if (list->fd >= 0)
        (void)close(list->fd);
    free(list->networks);
    free(list);
}

const struct networks *
access_list_networks(const struct access_list *list)
{
    return list == NULL ? NULL : list->networks;
}

int
access_list_fd(struct access_list *list)
{
    if (list == NULL)
        return -1;
    if (list->fd < 0) {
        int fd =
            memfd_sealed("access", (const char *)list->networks, networks_size(list->networks));
        if (fd < 0)
            return fd;
        list->fd = fd;
    }
    return list->fd;
}

uint64_t
access_lists_number(const struct access_lists *lists, const struct access_list *list)
{
    for (uint64_t i = 0; list != NULL && i < lists->count; i++)
        if (lists->lists[i] == list)
            return i + 1;
    return 0;
}

int
access_lists_add(struct access_lists *lists, struct access_list *list)
{
    struct access_list **more;

    if (list == NULL || access_lists_number(lists, list) > 0)
        return 0;
    more = reallocarray(lists->lists, lists->count + 1, sizeof(struct access_list *));
    if (more == NULL)
        return -ENOMEM;
    lists->lists = more;
    more[lists->count++] = list;
    return 0;
}

int
access_list_map(int fd, const struct networks **ret)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size <= 0 || fcntl(fd, F_GET_SEALS) != MEMFD_SEALS)
        return -EBADMSG;
    /* Privately: before Linux 6.7 what is sealed cannot be shared, even for reading. Processes have
     * the same pages all the same. */
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    if (!networks_are_sound(bytes, (size_t)status.st_size)) {
        (void)munmap(bytes, (size_t)status.st_size);
        return -EBADMSG;
    }
    *ret = bytes;
    return 0;
}

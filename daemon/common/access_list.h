/* SPDX-License-Identifier: MIT */
/*
 * access_list.h - the table of `allow` and `deny` that several listeners may share
 */
#ifndef SOCKSERVERD_COMMON_ACCESS_LIST_H
#define SOCKSERVERD_COMMON_ACCESS_LIST_H

#include "common/networks.h"

/* It never changes; its holders are counted, in a process that has one thread. */
struct access_list;

/* Takes networks over, also on failure; they come from networks_build(). Returns the first
 * reference, or NULL without memory. */
struct access_list *access_list_new(struct networks *networks);
/* Copies bytes, which may be anybody's and need not be aligned. Returns 0, -EBADMSG if they are no
 * sound table, or -ENOMEM. */
int access_list_copy(const void *bytes, size_t size, struct access_list **ret);
/* NULL is fine in both. */
struct access_list *access_list_ref(struct access_list *list);
void access_list_unref(struct access_list *list);

/* NULL for NULL. */
const struct networks *access_list_networks(const struct access_list *list);

/*
 * Returns a sealed memory file with the table, for access_list_map() in other
 * processes, all of which share its memory. It is made at the first call, and
 * stays the list's. Returns -1 for NULL, or another negative errno.
 */
int access_list_fd(struct access_list *list);

/* Several lists, each once, with a number: 1 for the first. Begins as zeroes; the array is the
 * caller's to free, the references are somebody else's. */
struct access_lists {
    struct access_list **lists;
    uint64_t count;
};

/* Returns the list's number; 0: it is NULL, or not among them. */
uint64_t access_lists_number(const struct access_lists *lists, const struct access_list *list);
/* Adds the list, unless it is NULL or has a number. Returns 0 or -ENOMEM. */
int access_lists_add(struct access_lists *lists, struct access_list *list);

/* Maps a table from access_list_fd() for as long as the process lives. Returns 0 or a negative
 * errno; -EBADMSG: it is no such file. */
int access_list_map(int fd, const struct networks **ret);

#endif

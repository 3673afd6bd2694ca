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

/* Maps a table from access_list_fd() for as long as the process lives. Returns 0 or a negative
 * errno; -EBADMSG: it is no such file. */
int access_list_map(int fd, const struct networks **ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * peer_groups.h - the groups of whoever is at the other end of a Unix stream socket
 */
#ifndef SOCKSERVERD_COMMON_PEER_GROUPS_H
#define SOCKSERVERD_COMMON_PEER_GROUPS_H

#include <stddef.h>
#include <sys/types.h>

/* Returns the peer's supplementary groups in memory that the caller frees, which has room for one
 * more; NULL without memory, or if the kernel does not know them. */
gid_t *peer_groups(int fd, size_t *ret_count);

#endif

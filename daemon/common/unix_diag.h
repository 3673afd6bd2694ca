/* SPDX-License-Identifier: MIT */
/*
 * unix_diag.h - what the kernel tells of Unix sockets
 */
#ifndef SOCKSERVERD_COMMON_UNIX_DIAG_H
#define SOCKSERVERD_COMMON_UNIX_DIAG_H

#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Asks for one socket by the inode of its descriptor, or for all of this
 * network namespace (inode 0). show: UDIAG_SHOW_* flags. Returns a descriptor
 * to receive the answer from, which the caller closes, or a negative errno. The
 * kernel answers within the call, so nobody waits.
 */
int unix_diag_ask(ino_t inode, uint32_t show);

/* Returns the attribute of one message, which begins at a multiple of four, and its size; or NULL
 * if the message has none of that type, or one smaller than `least`. */
const void *unix_diag_attribute(const struct nlmsghdr *message, unsigned type, size_t least,
                                size_t *ret_size);

#endif

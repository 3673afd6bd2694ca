/* SPDX-License-Identifier: MIT */
/*
 * close_from.h - closing every descriptor from a number on
 */
#ifndef SOCKSERVERD_COMMON_CLOSE_FROM_H
#define SOCKSERVERD_COMMON_CLOSE_FROM_H

/* Closes all descriptors from first on. close_range(2) came with Linux 5.9, and filters of older
 * containers forbid it; then /proc says which there are, or else all are tried. */
void close_from(int first);
/* Marks them instead: they are closed when the process becomes another program. */
void mark_from(int first);

#endif

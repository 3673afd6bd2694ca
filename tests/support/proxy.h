/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - PROXY headers of version 2, as a balancer would send them
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stddef.h>

#define PROXY_LOCAL    "\x20"
#define PROXY_ANNOUNCE "\x21"
#define PROXY_NOBODY   "\x00"
#define PROXY_TCP4     "\x11"
#define PROXY_TCP6     "\x21"
#define PROXY_UNIX     "\x31"

/* Writes a header with this block behind its first 16 bytes. Returns its size. buffer has 16 bytes
 * more than the block. */
size_t proxy_header(char *buffer, const char *command, const char *family, const void *block,
                    size_t size);

#endif

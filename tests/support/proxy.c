/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - PROXY headers of version 2, as a balancer would send them
 *
 * It is written from the specification, without the daemon's code.
 */
#include "support/proxy.h"

#include <string.h>

size_t
proxy_header(char *buffer, const char *command, const char *family, const void *block, size_t size)
{
    memcpy(buffer, "\r\n\r\n\0\r\nQUIT\n", 12);
    buffer[12] = command[0];
    buffer[13] = family[0];
    buffer[14] = (char)(size >> 8);
    buffer[15] = (char)size;
    memcpy(buffer + 16, block, size);
    return size + 16;
}

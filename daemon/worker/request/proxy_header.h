/* SPDX-License-Identifier: MIT */
/*
 * proxy_header.h - the PROXY header that a balancer sends before its client's bytes
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_PROXY_HEADER_H
#define SOCKSERVERD_WORKER_REQUEST_PROXY_HEADER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PROXY_HEADER_V1_MOST   107u  /* bytes of a text header, its CRLF included */
#define PROXY_HEADER_BODY_MOST 2048u /* bytes of a binary header behind its first 16 */
#define PROXY_HEADER_MOST      (16u + PROXY_HEADER_BODY_MOST)
#define PROXY_MISTAKE_SIZE     160

struct proxy_header {
    size_t size;           /* what follows these bytes is the client's */
    socklen_t client_size; /* 0: LOCAL or UNKNOWN announced nobody */
    struct sockaddr_storage client;
};

/*
 * Reads a header of version 1 or 2 from the bytes that have come so far.
 * Returns 1 and *ret; 0: the header is not all there; -ENOMSG: this is no PROXY
 * header; -EBADMSG: it is one, but malformed. A failure is told in ret_mistake,
 * which has PROXY_MISTAKE_SIZE bytes: what was found, and what was expected.
 *
 * The result does not depend on how many bytes have come, once it is not 0. At
 * the latest, it is not 0 of PROXY_HEADER_MOST bytes.
 */
int proxy_header_parse(const void *bytes, size_t size, struct proxy_header *ret, char *ret_mistake);

/* CRC-32C (Castagnoli) of more bytes behind those of which it is crc; at first crc is 0. */
uint32_t proxy_header_crc32c(uint32_t crc, const void *bytes, size_t size);

#endif

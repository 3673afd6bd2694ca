/* SPDX-License-Identifier: MIT */
/*
 * ancillary.h - what comes and goes beside a datagram's bytes
 */
#ifndef SOCKSERVERD_WORKER_TRANSPORT_ANCILLARY_H
#define SOCKSERVERD_WORKER_TRANSPORT_ANCILLARY_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* Room for the datagram's other address, or for its sender's credentials. */
union ancillary {
    size_t alignment; /* as struct cmsghdr has */
    char space[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo)) +
               CMSG_SPACE(sizeof(struct ucred))];
};

#endif

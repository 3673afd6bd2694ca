/* SPDX-License-Identifier: MIT */
/*
 * reflectors.h - whom a service that answers every datagram must not answer
 *
 * Two services that answer whatever they get answer each other for ever, once
 * somebody sends one of them a datagram that names the other as its source. So
 * none of these plugins answers a port on which such a service is known to
 * listen. Those of a client are chosen by its kernel, above 1023.
 */
#ifndef REFLECTORS_H
#define REFLECTORS_H

#include <netinet/in.h>
#include <sockserver/plugin.h>

static inline bool
is_reflecting_port(in_port_t port)
{
    switch (port) {
    case 7:  /* echo */
    case 11: /* systat */
    case 13: /* daytime */
    case 17: /* quote of the day */
    case 19: /* chargen */
    case 37: /* time */
    case 53: /* DNS, TFTP and NTP: some servers answer nonsense with an error, and an error, too */
    case 69:
    case 123:
        return true;
    default:
        return false;
    }
}

/* Whether the request is a datagram that seems to come from such a service. */
static inline bool
is_from_reflector(struct ss_request *request)
{
    size_t size;
    socklen_t length;

    if (!ss_packet(request, &size))
        return false;
    const struct sockaddr *client = ss_client_address(request, &length);
    if (client->sa_family == AF_INET)
        return is_reflecting_port(ntohs(((const struct sockaddr_in *)client)->sin_port));
    return client->sa_family == AF_INET6 &&
           is_reflecting_port(ntohs(((const struct sockaddr_in6 *)client)->sin6_port));
}

#endif

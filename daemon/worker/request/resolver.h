/* SPDX-License-Identifier: MIT */
/*
 * resolver.h - names of hosts and services, looked up without holding up other requests
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_RESOLVER_H
#define SOCKSERVERD_WORKER_REQUEST_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/address.h"

struct ss_request;

#define RESOLVER_MOST 8 /* addresses of one name that are tried */

/*
 * Finds the socket addresses of a tcp or udp address, in the order in which they are to be tried.
 * Waits until the monotonic time, as the request's mixin does. Returns how many there are, or a
 * negative errno: -EADDRNOTAVAIL for a name that does not exist, -EAGAIN where no name server
 * answers, -ETIMEDOUT, -ECANCELED.
 */
int resolver_find(struct ss_request *request, const struct address *address, int64_t until,
                  struct resolved ret[RESOLVER_MOST]);

#endif

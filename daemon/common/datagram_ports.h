/* SPDX-License-Identifier: MIT */
/*
 * datagram_ports.h - on which UDP ports this daemon listens
 *
 * One map for all listeners of the daemon. The supervisor changes it, the
 * workers of UDP listeners read it while they serve, and nobody else can write
 * it. So a worker sees at once that another listener was added.
 */
#ifndef SOCKSERVERD_COMMON_DATAGRAM_PORTS_H
#define SOCKSERVERD_COMMON_DATAGRAM_PORTS_H

#include <stdbool.h>
#include <stdint.h>

/* ---- in the supervisor --------------------------------------------------------- */

/*
 * Notes that the socket is bound, if it is a UDP socket. Returns its port, which
 * goes to datagram_ports_remove() when the socket is closed, or 0.
 */
uint16_t datagram_ports_add(int socket);
void datagram_ports_remove(uint16_t port);

/* Returns the map's descriptor, which stays ours, for the worker of a UDP socket; -1: the socket is
 * another one, or there is no map. */
int datagram_ports_for(int socket);

/* ---- in a worker ---------------------------------------------------------------- */

/* Maps and closes the descriptor that was inherited. Without it every port is a stranger's. */
void datagram_ports_attach(int fd);
bool datagram_ports_has(uint16_t port);

/* Returns the port of a UDP socket, or 0. */
uint16_t datagram_port_of(int socket);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * gate.h - what a request passes before any plugin code runs for it
 *
 * A gate decides whether a client may come in: by its address, by how many
 * there are of it, by a header that it must send first. Gates stand in one
 * constant array (gates.c). Each worker asks every gate once whether it applies
 * to its listener. A request then enters those that do, in their order, after
 * it was accepted and before verify_request; at its end it leaves those that it
 * entered, in reverse, when its connection is closed. A listener to which no
 * gate applies pays for one comparison.
 *
 * What the transport has to say first (open_request, a TLS handshake) is entered
 * as the last gate: whoever was turned away by an address costs no handshake,
 * and the handshake follows a PROXY header, as it does on the wire. A decision
 * that depends on a header stands in the array twice, before and behind the
 * gate that reads it; prepare() of the second one says whether there will be a
 * header.
 *
 * enter() runs in the request's own context and may wait there like a handler:
 * with wait_io(), or with ss_read() and its kin, which leave to the plugin what
 * they have not taken out of the buffer. gate_limit() bounds all of its waits
 * together. A datagram's gate can wait for nothing but the time, as the socket
 * is every client's. Until the gates are passed nobody is told who the client
 * is, so that gate_set_client() may still change it.
 *
 * A process that ends in the midst of a request (killed, or by exit()) leaves no
 * gate. What a gate keeps where its process cannot take it along must be found
 * by the process's slot.
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_GATE_H
#define SOCKSERVERD_WORKER_REQUEST_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define GATES_MAX 16 /* for one listener, the transport's included */

struct errors;
struct ss_request;
struct ss_server;
struct turned_away;

/* Why a request is turned away: a constant of the gate. */
struct refusal {
    const char *reason; /* the access line says "refused: REASON" */
    size_t counter;     /* its own, offsetof(struct slot, denied); 0: only slot.refused counts it */
    struct turned_away *const *warnings; /* that tell of it, if it has a counter; else NULL */
    const char *because; /* in warnings: "was turned away BECAUSE"; NULL: "by REASON" */
    bool polite;         /* waits until the client has what was sent, as after a handler; else the
                            connection is closed at once */
    bool aside;          /* it was no client, but a health check: counted and logged nowhere */
};

struct gate {
    const char *name;
    struct refusal failed; /* if enter() fails and does not say why: its time is up, for example */

    /*
     * Once per worker, before it serves. 1: applies to this listener; 0: does not;
     * a negative errno, with a message in errors: the worker cannot start.
     */
    int (*prepare)(struct ss_server *server, struct errors *errors);

    /*
     * 0: the request may pass, and leave() will be called. gate_refuse(): it may
     * not. Another negative errno: a wait failed. Then the request ends as cut, as
     * over request_timeout, or, after -ECONNRESET and -EPIPE, as one whose client
     * went away; if it is none of these it is refused because of `failed`.
     */
    int (*enter)(struct ss_request *request);

    /*
     * May be NULL. False if the peer's address alone keeps enter() from letting the
     * request pass; it neither waits nor keeps anything. Where a request costs a
     * process, it is asked before there is one.
     */
    bool (*would_pass)(const struct ss_request *request);

    /* May be NULL. Must not wait. */
    void (*leave)(struct ss_request *request);
};

/* The production's, in their order; NULL ends them. */
extern const struct gate *const all_gates[];

/*
 * Finds out which of these gates apply to the listener; its transport must be
 * known. 0, or a negative errno with a message in errors.
 */
int gates_prepare(struct ss_server *server, const struct gate *const *from, struct errors *errors);

/*
 * Enters them all. 0, or a negative errno of the gate that did not let it pass:
 * request->refusal then says why, unless a wait failed for want of a client, of
 * time or of a future (see judge() in request.c).
 */
int gates_enter(struct ss_request *request);

/* Whether one of the first gates will refuse the request, as far as these can be asked (see
 * would_pass). Its socket and client are known, no more. If so, gates_enter() refuses it, whatever
 * has changed meanwhile. */
bool gates_will_refuse(struct ss_request *request);

/* Leaves those that were entered. Nothing happens if there are none. */
void gates_leave(struct ss_request *request);

/* ---- for enter() --------------------------------------------------------------- */

/* Notes why, and returns what enter() returns. */
int gate_refuse(struct ss_request *request, const struct refusal *refusal);
/* The same; the access line and the warning say the detail, too, which is a constant. */
int gate_refuse_for(struct ss_request *request, const struct refusal *refusal, const char *detail);

/* Every wait of this enter() ends in so many seconds, with -ETIMEDOUT. */
void gate_limit(struct ss_request *request, double seconds);

/* The client is another one than the peer, which ss_peer_address() tells from now on. Returns 0 or
 * -ENOMEM. */
int gate_set_client(struct ss_request *request, const struct sockaddr *address, socklen_t size);

#endif

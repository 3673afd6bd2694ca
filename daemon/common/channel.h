/* SPDX-License-Identifier: MIT */
/*
 * channel.h - the socketpair between the supervisor and one worker
 *
 * It carries sequenced packets; one message is one packet. End of file means
 * "the other side is dead", in both directions. Messages are small and neither
 * side waits to send, except in channel_send_patiently(): a full channel is the
 * peer's fault and is reported.
 */
#ifndef SOCKSERVERD_COMMON_CHANNEL_H
#define SOCKSERVERD_COMMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/errors.h"

enum message_type {
    /* worker -> supervisor */
    MESSAGE_READY = 1,   /* plugin loaded and activated; text: plugin's file name */
    MESSAGE_FAILED,      /* cannot start; value: enum failure; why was said by MESSAGE_MISTAKE */
    MESSAGE_STOPPED,     /* accepts no more (answer to MESSAGE_DRAIN) */
    MESSAGE_PONG,        /* value: the ping's */
    MESSAGE_STOP,        /* ss_server_stop(): please drain me for good; or --once is done */
    MESSAGE_MISTAKE,     /* text: one of the reasons why it cannot start */
    MESSAGE_REPLACE,     /* a handler spins: start another worker, then drain me */
    MESSAGE_CERTIFICATE, /* before MESSAGE_READY: when the first certificate ends; value: seconds
                            since 1970, text: its path */
    MESSAGE_TLS,         /* before MESSAGE_READY: value: TLS_HAS_KTLS, or 0 */
    MESSAGE_FILE,        /* text: a file that the plugin was made of */
    /* worker -> supervisor, through INHERITED_WISHES */
    MESSAGE_CONTROL = 32, /* serve the attached socket; read-only */
    MESSAGE_WISH,         /* the attached end of a channel has one of the next in it, and gets the
                             answer */
    MESSAGE_KEEP,         /* text: a name; attached: the descriptor to keep under it */
    MESSAGE_FORGET,       /* text: a name */
    MESSAGE_KEPT,         /* text: a name, whose descriptor the answer has */
    MESSAGE_AREA,         /* value: a size; the answer has a memory file of it */
    MESSAGE_ANSWER,       /* supervisor -> worker; value: 0 or an errno */
    /* supervisor -> worker */
    MESSAGE_SERVE = 64, /* begin to accept */
    MESSAGE_PING,
    MESSAGE_DRAIN, /* stop accepting, finish what runs; value: milliseconds allowed */
    MESSAGE_CUT,   /* shut down what still runs and end */
    MESSAGE_LOG_LEVEL = MESSAGE_SERVE + 5, /* value: the level; the number between means nothing */
    MESSAGE_EMPTY, /* as MESSAGE_DRAIN, but accept first what is already in the socket's queue */
    MESSAGE_ORDER, /* the counters say which request must end, or is asked where it is */
};

/* MESSAGE_FAILED says with this why a worker could not start. */
enum failure {
    FAILURE_RUNTIME,       /* may go away: retried with back-off */
    FAILURE_CONFIGURATION, /* the file is wrong, and each mistake says where */
};

/* The bits of MESSAGE_TLS. */
#define TLS_HAS_KTLS 1u /* the kernel encrypts */

#define MESSAGE_TEXT_SIZE 8000

struct message {
    uint32_t type;
    uint32_t reserved;
    uint64_t value;
    char text[MESSAGE_TEXT_SIZE]; /* NUL-terminated; only as much as needed is sent */
};

/* Makes both ends close-on-exec and non-blocking. Returns 0 or a negative errno. */
int channel_create(int ret_ends[2]);

/*
 * Sends a message without waiting. text may be NULL, and is cut if it is too
 * long; fd is -1 or a descriptor to attach, which stays the caller's. Returns
 * 0 or a negative errno; -EAGAIN: the channel is full, -EPIPE: the peer is
 * dead.
 */
int channel_send(int channel, enum message_type type, uint64_t value, const char *text, int fd);

/* The same without a descriptor, but it waits: seconds for room, one second for memory. For those
 * with whom nobody else has to wait. */
int channel_send_patiently(int channel, enum message_type type, uint64_t value, const char *text);

/* True if the kernel had no room or memory for a message: the same call may work a little later. */
bool channel_is_short(int error);

/*
 * Says why a worker cannot start: every mistake in a message of its own, and
 * then MESSAGE_FAILED, with the same patience. 0 or a negative errno.
 */
int channel_send_failure(int channel, enum failure kind, const struct errors *mistakes);

/*
 * Takes the next message without waiting. Returns 1 and *ret, and *ret_fd:
 * the attached descriptor, which the caller closes, or -1. Returns 0 at end
 * of file, -EAGAIN if there is no message, -EBADMSG if it has the wrong
 * shape, or another negative errno.
 */
int channel_receive(int channel, struct message *ret, int *ret_fd);

/* The numbers of the descriptors that a worker inherits. */
enum inherited_fd {
    INHERITED_BRIEF = 3, /* memfd, brief_to_fd() */
    INHERITED_CHANNEL,
    INHERITED_COUNTERS,
    INHERITED_SOCKET,     /* the listening socket; absent for a check */
    INHERITED_PLUGIN,     /* the plugin's file, if the worker may be unable to open it itself */
    INHERITED_PORTS,      /* datagram_ports.h; of a UDP listener's worker */
    INHERITED_ACCESS,     /* access_list.h; of a listener with `allow` or `deny` */
    INHERITED_TLS,        /* tls_bundle.h; of a listener with `tls`, as is the module */
    INHERITED_TICKETS,    /* ticket_keys.h; of one with `tls.tickets` */
    INHERITED_TLS_MODULE, /* the module's file: tls_module.h */
    INHERITED_SOURCES,    /* sources.h; of a listener that limits its sources */
    INHERITED_WISHES,     /* a channel to ask for the control socket, and to have things kept;
                             absent for a check */
    INHERITED_END
};

#endif

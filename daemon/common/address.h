/* SPDX-License-Identifier: MIT */
/*
 * address.h - listener addresses and client names as text
 */
#ifndef SOCKSERVERD_COMMON_ADDRESS_H
#define SOCKSERVERD_COMMON_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum address_scheme { ADDRESS_TCP, ADDRESS_UDP, ADDRESS_UNIX, ADDRESS_UNIXGRAM, ADDRESS_SYSTEMD };

/* "tcp", "unixgram", ... */
const char *address_scheme_name(enum address_scheme scheme);

struct address {
    enum address_scheme scheme;
    char *text; /* as written */
    char *host; /* tcp, udp: name, number, or "*"; brackets removed */
    char *port; /* tcp, udp: digits or a service name */
    char *path; /* unix: a path, "@name" for an abstract one; systemd: the socket's name */
};

/* What a socket of this scheme is. systemd: not known before it is passed. */
bool address_is_unix(const struct address *address);
bool address_is_stream(const struct address *address);

/*
 * Reads "tcp://host:port", "udp://host:port", "unix:///path", "unix:@name",
 * "unixgram:///path", "unixgram:@name" or "systemd:NAME". Returns 0 and fills
 * *ret (address_done() releases it), or -EINVAL and *ret_problem: what was
 * found and what is expected, for the caller to free.
 */
int address_parse(const char *text, struct address *ret, char **ret_problem);
int address_copy(const struct address *address, struct address *ret);
void address_done(struct address *address);

/* What to bind. any: it was written as "*"; without IPv6, 0.0.0.0 will do. */
struct resolved {
    struct sockaddr_storage address;
    socklen_t size;
    bool any;
};

/* Whether its host or port is a name, which others must be asked about. An address that was never
 * given has none. */
bool address_is_name(const struct address *address);

/*
 * The socket address to bind. That of a name may take as long as its servers
 * like, so the supervisor leaves names to lookup.h. A name with several
 * addresses gives its first IPv4 one, else the first. "*" gives [::]. 0, or a
 * negative errno and *ret_problem.
 */
int address_resolve(const struct address *address, struct resolved *ret, char **ret_problem);

/*
 * A bound socket's address in the notation above: "tcp://127.0.0.1:9999",
 * "tcp://[::]:80", "unix:///run/x", "unix:@x". stream tells tcp from udp.
 * buffer of at least ADDRESS_TEXT_SIZE; returns it.
 */
#define ADDRESS_TEXT_SIZE 160
char *address_format(const struct sockaddr *address, socklen_t size, bool stream, char *buffer);

/* "127.0.0.1:51234", "[::1]:51234", a Unix path, "@name", or "" when unnamed. */
char *address_format_peer(const struct sockaddr *address, socklen_t size, char *buffer);

/* Turns ::ffff:a.b.c.d into the IPv4 address it stands for. */
void address_unmap(struct sockaddr_storage *address, socklen_t *size);

#endif

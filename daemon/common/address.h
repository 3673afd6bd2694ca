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

/* Returns a constant: "tcp", "unixgram", ... */
const char *address_scheme_name(enum address_scheme scheme);

struct address {
    enum address_scheme scheme;
    char *text; /* as written */
    char *host; /* tcp, udp: name, number, or "*"; brackets removed */
    char *port; /* tcp, udp: digits or a service name */
    char *path; /* unix: a path, "@name" for an abstract one; systemd: the socket's name */
};

/* Both say what the scheme makes of the socket; for systemd both are false, as it is not passed
 * yet. */
bool address_is_unix(const struct address *address);
bool address_is_stream(const struct address *address);

/*
 * Reads "tcp://host:port", "udp://host:port", "unix:///path", "unix:@name",
 * "unixgram:///path", "unixgram:@name" or "systemd:NAME". Returns 0 and fills
 * *ret, which address_done() releases. Returns -ENOMEM, or -EINVAL and
 * *ret_problem, which says what was found and what is expected; the caller
 * frees it.
 */
int address_parse(const char *text, struct address *ret, char **ret_problem);
int address_copy(const struct address *address, struct address *ret);
void address_done(struct address *address);

/* The socket address to bind. any: it was written as "*"; where there is no IPv6, 0.0.0.0 will
 * do. */
struct resolved {
    struct sockaddr_storage address;
    socklen_t size;
    bool any;
};

/* True if the host or port of the address is a name, so that a name server must be asked. An
 * address that was never given has no name. */
bool address_is_name(const struct address *address);

/*
 * Finds the socket address to bind. A name may take as long as its servers
 * like, so the supervisor leaves names to lookup.h. If a name has several
 * addresses, the first IPv4 address is taken, or else the first of all. "*"
 * gives [::]. Returns 0, or a negative errno and *ret_problem, which the
 * caller frees.
 */
int address_resolve(const struct address *address, struct resolved *ret, char **ret_problem);

/*
 * Writes a bound socket's address in the notation above:
 * "tcp://127.0.0.1:9999", "tcp://[::]:80", "unix:///run/x", "unix:@x". stream
 * tells tcp from udp. buffer has at least ADDRESS_TEXT_SIZE bytes, and is
 * returned.
 */
#define ADDRESS_TEXT_SIZE 160
char *address_format(const struct sockaddr *address, socklen_t size, bool stream, char *buffer);

/* Writes "127.0.0.1:51234", "[::1]:51234", a Unix path, "@name", or "" if the client has no
 * name. buffer has at least ADDRESS_TEXT_SIZE bytes, and is returned. */
char *address_format_peer(const struct sockaddr *address, socklen_t size, char *buffer);

/* The same of a client of which only the beginning of its address was kept, as slots do; whatever
 * the bytes are. "" unless it is an Internet address. */
char *address_format_client(const unsigned char *beginning, size_t size, char *buffer);

/* Turns ::ffff:a.b.c.d into the IPv4 address it stands for. */
void address_unmap(struct sockaddr_storage *address, socklen_t *size);
/* The other way: how an IPv6 socket writes this address of IPv4. */
struct sockaddr_in6 address_map(const struct sockaddr_in *address);

#endif

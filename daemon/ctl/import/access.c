/* SPDX-License-Identifier: MIT */
/*
 * access.c - only_from, no_access and bind: addresses as xinetd writes them
 *
 * What is said of names is looked up once, here: the daemon itself looks up no
 * client. A word that cannot be carried over never makes a service more open
 * than it was: in only_from it is left out, and in no_access it disables the
 * listener.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: returned as a reason, which becomes a note.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/network.h"
#include "ctl/import/import.h"

#define OCTETS        4
#define FACTORS_MOST  64
#define NETWORKS_MOST 1000 /* items of `allow` or `deny` */

/* ---- numbers -------------------------------------------------------------------------------- */

/* The numbers that may stand in each of the four places of an address. */
struct octets {
    unsigned char numbers[OCTETS][FACTORS_MOST];
    size_t counts[OCTETS];
    size_t given;
};

/* Reads "12" at *at. */
static bool
read_octet(const char **at, unsigned char *ret)
{
    unsigned number = 0;
    const char *digit = *at;

    while (isdigit((unsigned char)*digit) && digit - *at < 3)
        number = number * 10 + (unsigned)(*digit++ - '0');
    if (digit == *at || number > 255 || isdigit((unsigned char)*digit))
        return false;
    *ret = (unsigned char)number;
    *at = digit;
    return true;
}

/* Reads "12" or "{12,13}" at *at. */
static bool
read_place(const char **at, struct octets *octets)
{
    unsigned char *numbers = octets->numbers[octets->given];
    size_t *count = &octets->counts[octets->given];
    bool factorised = **at == '{';

    *at += factorised;
    do {
        if (*count == FACTORS_MOST || !read_octet(at, &numbers[(*count)++]))
            return false;
    } while (factorised && *(*at)++ == ',');
    octets->given++;
    return !factorised || (*at)[-1] == '}';
}

static bool
read_octets(const char *word, struct octets *ret)
{
    const char *at = word;

    *ret = (struct octets){0};
    for (;;) {
        if (ret->given == OCTETS || !read_place(&at, ret))
            return false;
        if (*at == '\0')
            return true;
        if (*at++ != '.')
            return false;
    }
}

/* Adds an address. Zeroes at its end, and what is missing there, stand for every number. */
static void
add_ipv4(struct import *import, const unsigned char octet[OCTETS], size_t given,
         struct words *networks)
{
    size_t bits = given;

    while (bits > 0 && octet[bits - 1] == 0)
        bits--;
    const char *text = import_text(import, "%u.%u.%u.%u", octet[0], octet[1], octet[2], octet[3]);
    words_add(import, networks,
              bits == OCTETS ? text : import_text(import, "%s/%zu", text, bits * 8));
}

/* Adds each combination of numbers, as if each were written out. */
static const char *
add_octets(struct import *import, const struct octets *octets, struct words *networks)
{
    size_t total = 1;

    for (size_t i = 0; i < octets->given; i++)
        total *= octets->counts[i];
    if (total > NETWORKS_MOST)
        return "it stands for more than 1000 addresses; name networks instead";
    for (size_t n = 0; n < total; n++) {
        unsigned char octet[OCTETS] = {0};
        size_t rest = n;
        for (size_t i = octets->given; i-- > 0; rest /= octets->counts[i])
            octet[i] = octets->numbers[i][rest % octets->counts[i]];
        add_ipv4(import, octet, octets->given, networks);
    }
    return NULL;
}

/* ---- names ---------------------------------------------------------------------------------- */

static const char *
add_network_name(struct import *import, const struct netent *network, struct words *networks)
{
    uint32_t number = network->n_net;

    if (network->n_addrtype != AF_INET || number == 0)
        return "its network in /etc/networks is not one of IPv4";
    while ((number & 0xff000000u) == 0)
        number <<= 8;
    const unsigned char octet[OCTETS] = {(unsigned char)(number >> 24),
                                         (unsigned char)(number >> 16),
                                         (unsigned char)(number >> 8), (unsigned char)number};
    add_ipv4(import, octet, OCTETS, networks);
    return NULL;
}

static const char *
add_host_name(struct import *import, const char *word, struct words *networks)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char text[INET6_ADDRSTRLEN];

    if (getaddrinfo(word, NULL, &hints, &found) != 0)
        return "no such host is known here now; write its address";
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
                0 &&
            strchr(text, '%') == NULL)
            words_add(import, networks, import_copy(import, text, strlen(text)));
    }
    freeaddrinfo(found);
    return NULL;
}

/* ---- a word --------------------------------------------------------------------------------- */

static bool
is_network(const char *word)
{
    struct network network;
    _cleanup_free_ char *problem = NULL;

    return (strchr(word, ':') != NULL || strchr(word, '/') != NULL) &&
           network_parse(word, network_id_number, &network, &problem) == 0;
}

/* Clears the bits behind the prefix, which xinetd does not look at. */
static const char *
masked(struct import *import, const char *word)
{
    const char *slash = strchr(word, '/');
    unsigned char bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    int family = strchr(word, ':') == NULL ? AF_INET : AF_INET6;
    unsigned total = family == AF_INET ? 32 : 128;

    if (slash == NULL || strspn(slash + 1, "0123456789") != strlen(slash + 1))
        return word;
    unsigned long bits = strtoul(slash + 1, NULL, 10);
    const char *address = import_copy(import, word, (size_t)(slash - word));
    if (slash[1] == '\0' || bits > total || inet_pton(family, address, bytes) != 1)
        return word;
    for (unsigned i = (unsigned)bits; i < total; i++)
        bytes[i / 8] &= (unsigned char)~(0x80u >> (i % 8));
    return import_text(import, "%s/%lu", inet_ntop(family, bytes, text, sizeof(text)), bits);
}

const char *
access_read(struct import *import, const char *word, struct words *networks, bool *ret_names)
{
    struct octets octets;
    const struct netent *network;

    if (read_octets(word, &octets))
        return add_octets(import, &octets, networks);
    word = masked(import, word);
    if (is_network(word)) {
        words_add(import, networks, word);
        return NULL;
    }
    if (strpbrk(word, ":/{},") != NULL)
        return "it is no address, network or name";
    *ret_names = true;
    if (word[0] == '.')
        return "clients are not looked up, so that a domain cannot be compared; name its networks";
    network = getnetbyname(word);
    return network != NULL ? add_network_name(import, network, networks)
                           : add_host_name(import, word, networks);
}

/* ---- attributes ----------------------------------------------------------------------------- */

/* Xinetd does not look at a client that it does not accept itself. */
static bool
is_unchecked(struct service *service)
{
    if (!service->waits || !service->stream)
        return false;
    service_note(service, FATE_DROPPED,
                 "the program accepts its clients itself; xinetd did not check them, either");
    return true;
}

static size_t
read_words(struct service *service, struct words *networks)
{
    const struct words *words = &service->value.words;
    size_t dropped = 0;

    for (size_t i = 0; i < words->count; i++) {
        bool names = false;
        const char *why = access_read(service->import, words->all[i], networks, &names);
        if (why != NULL)
            dropped++;
        if (why != NULL)
            service_note(service, FATE_DROPPED, "\"%s\": %s", words->all[i], why);
        else if (names)
            service_note(service, FATE_APPROXIMATED,
                         "\"%s\": the addresses that it has now; the daemon looks up no clients",
                         words->all[i]);
    }
    if (networks->count <= NETWORKS_MOST)
        return dropped;
    service_note(service, FATE_DROPPED,
                 "it has %zu items, and a list at most %d; the listener is disabled: write them "
                 "into a file and name it, \"@/path\"",
                 networks->count, NETWORKS_MOST);
    networks->count = 0;
    service->closed = true;
    return dropped;
}

static void
note_list(struct service *service, const char *key)
{
    service_note(service, service->waits ? FATE_APPROXIMATED : FATE_MAPPED,
                 service->waits ? "to `%s`, which looks at the first datagram alone, as xinetd did"
                                : "to `%s`",
                 key);
}

void
map_only_from(struct service *service)
{
    static const char *const everybody[] = {"0.0.0.0/0", "::/0", "local"};
    struct words networks = {0}, all = {0};

    if (is_unchecked(service))
        return;
    size_t dropped = read_words(service, &networks);
    if (networks.count > 0) {
        service_set_list(service, KEY_ALLOW, &networks);
        note_list(service, "allow");
        return;
    }
    for (size_t i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++)
        words_add(service->import, &all, everybody[i]);
    service_set_list(service, KEY_DENY, &all);
    service_note(service, FATE_MAPPED, "to `deny`: %s is let in",
                 dropped > 0 ? "nobody of what is left" : "nobody");
}

void
map_no_access(struct service *service)
{
    struct words networks = {0};

    if (is_unchecked(service))
        return;
    if (read_words(service, &networks) > 0) {
        service->closed = true;
        service_note(service, FATE_APPROXIMATED,
                     "the listener is disabled, lest those come in who were shut out");
    }
    if (networks.count == 0)
        return;
    if (service->listener->values[KEY_DENY] == NULL)
        service_set_list(service, KEY_DENY, &networks);
    note_list(service, "deny");
}

const char *
host_text(struct import *import, const char *host)
{
    return strchr(host, ':') != NULL ? import_text(import, "[%s]", host) : host;
}

void
map_bind(struct service *service)
{
    if (service->path == NULL)
        service_note(service, FATE_MAPPED, "to the host of `address`");
    else
        service_note(service, FATE_DROPPED, "a Unix socket has a path");
}

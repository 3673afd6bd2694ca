/* SPDX-License-Identifier: MIT */
/*
 * turned_away.c - the warnings about clients that gates turn away
 *
 * Which source came most often is estimated in a few places, however many there
 * are: a source without a place takes that of the one counted least, with its
 * count. Whoever sends more than an eighth of all keeps a place. All processes of
 * a worker write there, and two at the same moment may lose a count.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     its memory, as long as the worker lives.
 * Failures: of making it: returned; there are no others.
 */
#include "worker/request/turned_away.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/network.h"
#include "worker/request/gate.h"
#include "worker/request/request.h"

#define SOURCE_SIZE     64
#define BUSIEST_SOURCES 8

struct turned_away {
    _Atomic int64_t silent_until; /* till then no warning tells of it */
    _Atomic uint64_t count;
    struct {
        _Atomic uint64_t source, count; /* source 0: the place is empty */
    } busiest[BUSIEST_SOURCES];
};

int
turned_away_new(struct turned_away **ret)
{
    void *memory = mmap(NULL, sizeof(struct turned_away), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return -errno;
    *ret = memory;
    return 0;
}

/* A source is one number: an IPv4 address, the network of 64 bits that an IPv6 address is in, or a
 * user. The first two halves are those of networks that nobody has. */
#define IPV4_SOURCE (UINT64_C(0xffff) << 32)
#define USER_SOURCE (UINT64_C(0xfffe) << 32)
#define ZERO_SOURCE UINT64_C(1) /* the network of "::1"; 0 is an empty place */

static uint64_t
source_of(struct ss_request *request)
{
    const struct sockaddr *client = (const struct sockaddr *)&request->client.address;
    struct network_key key = network_key_of(client);
    struct ss_credentials peer = {.uid = (uid_t)-1}; /* unless it is known */

    if (client->sa_family == AF_INET)
        return IPV4_SOURCE | (key.low & UINT32_MAX);
    if (client->sa_family == AF_INET6)
        return key.high == 0 ? ZERO_SOURCE : key.high;
    (void)ss_client_credentials(request, &peer);
    return USER_SOURCE | peer.uid;
}

static const char *
format_source(uint64_t source, char buffer[SOURCE_SIZE])
{
    struct in_addr in = {.s_addr = htonl((uint32_t)source)};
    struct in6_addr in6 = {0};
    char text[INET6_ADDRSTRLEN];

    if (source >> 32 == IPV4_SOURCE >> 32)
        return inet_ntop(AF_INET, &in, buffer, SOURCE_SIZE);
    if (source == (USER_SOURCE | (uid_t)-1))
        return "unknown users";
    if (source >> 32 == USER_SOURCE >> 32) {
        (void)snprintf(buffer, SOURCE_SIZE, "uid %" PRIu32, (uint32_t)source);
        return buffer;
    }
    for (size_t i = 0; i < 8 && source != ZERO_SOURCE; i++)
        in6.s6_addr[i] = (uint8_t)(source >> (56 - 8 * i));
    (void)snprintf(buffer, SOURCE_SIZE, "%s/64", inet_ntop(AF_INET6, &in6, text, sizeof(text)));
    return buffer;
}

static void
note_source(struct turned_away *away, uint64_t source)
{
    size_t least = 0;

    for (size_t i = 0; i < BUSIEST_SOURCES; i++) {
        if (counter_get(away->busiest[i].source) == source) {
            counter_add(away->busiest[i].count, 1);
            return;
        }
        if (counter_get(away->busiest[i].count) < counter_get(away->busiest[least].count))
            least = i;
    }
    counter_set(away->busiest[least].source, source);
    counter_add(away->busiest[least].count, 1);
}

/* Returns the busiest source, and forgets all. */
static uint64_t
take_busiest(struct turned_away *away)
{
    uint64_t busiest = 0, most = 0;

    for (size_t i = 0; i < BUSIEST_SOURCES; i++) {
        uint64_t count = counter_get(away->busiest[i].count);

        if (count > most) {
            most = count;
            busiest = counter_get(away->busiest[i].source);
        }
        counter_set(away->busiest[i].count, 0);
        counter_set(away->busiest[i].source, 0);
    }
    return busiest;
}

void
turned_away_note(struct ss_request *request)
{
    const struct refusal *refusal = request->refusal;
    struct turned_away *away = *refusal->warnings;
    const char *by = refusal->because == NULL ? "by " : "";
    const char *cause = refusal->because == NULL ? refusal->reason : refusal->because;
    const char *detail = request->refusal_detail == NULL ? "" : request->refusal_detail;
    const char *colon = *detail == '\0' ? "" : ": ";
    char source[SOURCE_SIZE];

    counter_add(away->count, 1);
    note_source(away, source_of(request));
    if (!server_may_warn(&away->silent_until))
        return;
    uint64_t count = atomic_exchange(&away->count, 0), busiest = take_busiest(away);
    if (count <= 1)
        log_warning("%s was turned away %s%s%s%s", ss_client_name(request), by, cause, colon,
                    detail);
    else
        log_warning("%" PRIu64 " clients were turned away %s%s since the last such warning, most "
                    "often %s; the last is %s%s%s",
                    count, by, cause, format_source(busiest, source), ss_client_name(request),
                    colon, detail);
}

/* SPDX-License-Identifier: MIT */
/*
 * sources_shown.c - the memory of sources: made, mapped, and told of; and how a source is named
 *
 * Runs in:  the supervisor; a worker maps, and names its clients' sources.
 * Owns:     the mapping, until sources_detach().
 * Failures: of making and mapping: returned; there are no others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/network.h"
#include "common/sources_private.h"

/* ---- the memory ---------------------------------------------------------------- */

static int
map(int fd, struct sources **ret)
{
    void *mapping = mmap(NULL, sizeof(struct sources), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapping == MAP_FAILED)
        return -errno;
    *ret = mapping;
    return 0;
}

int
sources_create(struct sources **ret, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create("sockserverd-sources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct sources *sources = NULL;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)sizeof(struct sources)) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    int r = map(fd, &sources);
    if (r < 0)
        return r;
    if (getrandom(sources->key, sizeof(sources->key), GRND_NONBLOCK) < 0)
        sources->key[0] = (uint64_t)(uintptr_t)sources ^ (uint64_t)getpid() << 40;
    *ret = sources;
    *ret_fd = take_fd(fd);
    return 0;
}

int
sources_attach(int fd, struct sources **ret)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return status.st_size == (off_t)sizeof(struct sources) ? map(fd, ret) : -EBADMSG;
}

void
sources_detach(struct sources *sources)
{
    if (sources != NULL)
        (void)munmap(sources, sizeof(*sources));
}
/* ---- who ----------------------------------------------------------------------- */

/* Networks that nobody has: ff00::/8 is for groups. "::1" stands for the network of zeroes. */
#define USERS      UINT64_MAX
#define IPV4_HALF  (UINT64_C(0xffff) << 32)
#define ZERO_STAND UINT64_C(1)

static uint64_t
first_bits(uint64_t half, unsigned bits)
{
    return bits == 0 ? 0 : bits >= 64 ? half : half & ~(UINT64_MAX >> bits);
}

struct source_key
source_key_of(const struct sockaddr *address, struct source_prefix prefix)
{
    struct network_key key = network_key_of(address);
    bool ipv4 = key.high == 0 && key.low >> 32 == IPV4_HALF >> 32;
    unsigned bits = ipv4 ? NETWORK_IPV4_BITS + prefix.ipv4 : prefix.ipv6;
    struct source_key source = {first_bits(key.high, bits),
                                bits > 64 ? first_bits(key.low, bits - 64) : 0};

    if ((source.high | source.low) == 0)
        source.low = ZERO_STAND;
    return source;
}

struct source_key
source_key_of_user(uid_t uid)
{
    return (struct source_key){USERS, uid};
}

static char *
format_ipv6(struct source_key key, unsigned bits, char buffer[SOURCE_TEXT_SIZE])
{
    char text[INET6_ADDRSTRLEN], length[8] = "";
    struct in6_addr in6;

    if (key.high == 0 && key.low == ZERO_STAND && bits < 128)
        key.low = 0;
    for (size_t i = 0; i < 8; i++) {
        in6.s6_addr[i] = (uint8_t)(key.high >> (56 - 8 * i));
        in6.s6_addr[8 + i] = (uint8_t)(key.low >> (56 - 8 * i));
    }
    if (bits < 128)
        (void)snprintf(length, sizeof(length), "/%u", bits % 128);
    (void)snprintf(buffer, SOURCE_TEXT_SIZE, "%s%s", inet_ntop(AF_INET6, &in6, text, sizeof(text)),
                   length);
    return buffer;
}

char *
source_format(struct source_key key, struct source_prefix prefix, char buffer[SOURCE_TEXT_SIZE])
{
    struct in_addr in = {.s_addr = htonl((uint32_t)key.low)};
    char text[INET_ADDRSTRLEN], length[8] = "";

    if (key.high == USERS && (uint32_t)key.low == (uint32_t)-1)
        return strcpy(buffer, "unknown users");
    if (key.high == USERS) {
        (void)snprintf(buffer, SOURCE_TEXT_SIZE, "uid %" PRIu32, (uint32_t)key.low);
        return buffer;
    }
    if (key.high != 0 || key.low >> 32 != IPV4_HALF >> 32)
        return format_ipv6(key, prefix.ipv6, buffer);
    if (prefix.ipv4 < 32)
        (void)snprintf(length, sizeof(length), "/%u", prefix.ipv4 % 32);
    (void)snprintf(buffer, SOURCE_TEXT_SIZE, "%s%s", inet_ntop(AF_INET, &in, text, sizeof(text)),
                   length);
    return buffer;
}

/* ---- what is shown ------------------------------------------------------------- */

static double
shown_rate(const struct place *place, int64_t now)
{
    uint64_t window = window_at(atomic_load(&place->window), now);
    double seconds = 10 + (double)(now % SOURCE_WINDOW_NS) / 1e9;

    return (double)((window & WINDOW_MASK) + (window >> WINDOW_BITS & WINDOW_MASK)) / seconds;
}

bool
sources_read(const struct sources *sources, uint32_t place, int64_t now, struct source_state *ret)
{
    const struct place *at = &sources->places[place % SOURCES_MOST];
    struct source_state state = {
        .key = {atomic_load(&at->high), atomic_load(&at->low)},
        .active = count_of(atomic_load(&at->word)),
        .rate = shown_rate(at, now),
        .refused = atomic_load(&at->refused),
        .kind = atomic_load(&at->kind),
    };
    int64_t until = atomic_load(&at->penalised_until);
    uint64_t words[REASON_WORDS];

    if ((state.key.high | state.key.low) == 0)
        return false;
    state.penalty_left = until > now ? until - now : 0;
    for (size_t i = 0; i < REASON_WORDS; i++)
        words[i] = atomic_load_explicit(&at->reason[i], memory_order_relaxed);
    memcpy(state.reason, words, sizeof(state.reason));
    state.reason[sizeof(state.reason) - 1] = '\0';
    *ret = state;
    return true;
}

int64_t
sources_next(int fd, uint32_t place)
{
    off_t first = (off_t)offsetof(struct sources, places);
    off_t wanted = first + (off_t)place * (off_t)sizeof(struct place);
    off_t found = place >= SOURCES_MOST ? -1 : lseek(fd, wanted, SEEK_DATA);
    int64_t next = (found - first) / (off_t)sizeof(struct place);

    return found < 0 || next >= SOURCES_MOST ? -1 : next;
}

bool
sources_find(const struct sources *sources, struct source_key key, int64_t now,
             struct source_state *ret)
{
    int64_t index = sources_place(sources, key);

    return index >= 0 && sources_read(sources, (uint32_t)index, now, ret);
}

uint64_t
sources_uncounted(const struct sources *sources)
{
    return atomic_load(&sources->uncounted);
}

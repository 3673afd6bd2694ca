/* SPDX-License-Identifier: MIT */
/*
 * sources.h - how many requests each source has, how fast they come, and whom nobody serves now
 *
 * A listener has one table, in shared memory of a fixed size that the supervisor
 * makes: all of its processes read and write it, of every generation. There are
 * no locks. A source without requests gives its place to a new one; one that has
 * requests, or a penalty, keeps it. If all the places where a source could stand
 * are kept, it is counted nowhere, and let in.
 *
 * A process may die at any instruction. So every serving context has a claim in
 * the same memory, which says what it is about to do, and every count names the
 * claim that changed it last. Whoever changes it next first notes in that claim
 * that its step took effect. When a context is dead, its claim therefore tells
 * whether its request is counted, and sources_repair() takes back what is left.
 *
 * The memory is hostile input to the supervisor: a number in it is checked
 * before it is an index. Whoever spoils it harms the limits of its own listener.
 *
 * All times are of CLOCK_MONOTONIC, in nanoseconds.
 */
#ifndef SOCKSERVERD_COMMON_SOURCES_H
#define SOCKSERVERD_COMMON_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sockaddr;
struct sources;

#define SOURCES_MOST  65536u
#define SOURCE_CLAIMS (1u << 20)
#define NO_CLAIM                                                                                   \
    UINT32_MAX /* of a context for which there was none left: it is counted nowhere                \
                */

#define SOURCE_REASON_SIZE 64 /* of the text that a plugin gives for a penalty */
#define SOURCE_TEXT_SIZE   64

/* Makes the memory and maps it. Returns 0 or a negative errno; the caller closes *ret_fd, and
 * sources_detach() releases the mapping. */
int sources_create(struct sources **ret, int *ret_fd);
/* Maps an inherited memory, and checks its size. Returns 0 or a negative errno. */
int sources_attach(int fd, struct sources **ret);
/* NULL is fine. */
void sources_detach(struct sources *sources);

/* ---- who ----------------------------------------------------------------------- */

/* A network of an IPv6 address, one of an IPv4 address (mapped), or a user. Never zeroes. */
struct source_key {
    uint64_t high, low;
};

/* How many bits of an address make a source. */
struct source_prefix {
    unsigned ipv4, ipv6;
};

struct source_key source_key_of(const struct sockaddr *address, struct source_prefix prefix);
/* (uid_t)-1: nobody knows which. */
struct source_key source_key_of_user(uid_t uid);
/* Writes "192.0.2.1", "2001:db8::/64", "uid 1000" or "unknown users"; returns buffer. */
char *source_format(struct source_key key, struct source_prefix prefix,
                    char buffer[SOURCE_TEXT_SIZE]);

/* ---- what is allowed ----------------------------------------------------------- */

/* So many in `period`, of which `burst` may come at once. */
struct source_rate {
    int64_t interval;  /* between two that come evenly; 0: no limit */
    int64_t tolerance; /* how much earlier than evenly one may come */
};

struct source_rate source_rate(uint32_t count, double period, uint32_t burst);

struct source_limits {
    uint32_t most; /* requests at a time; 0: no limit */
    struct source_rate rate;
};

enum source_verdict {
    SOURCE_ADMITTED, /* and counted, unless there was no place for it */
    SOURCE_PENALISED,
    SOURCE_BUSY, /* it has as many requests as it may */
    SOURCE_FAST  /* they come too fast */
};

/*
 * A request of the source begins in the context that has the claim. If it is
 * admitted, sources_leave() follows when it ends; that does nothing if the
 * request was not counted.
 */
enum source_verdict sources_enter(struct sources *sources, uint32_t claim, struct source_key key,
                                  const struct source_limits *limits, int64_t now);
void sources_leave(struct sources *sources, uint32_t claim);

/* What a request that is over as soon as it is there needs: only the rate is looked at. */
enum source_verdict sources_pass(struct sources *sources, uint32_t claim, struct source_key key,
                                 const struct source_limits *limits, int64_t now);

/* What sources_enter() would say now; changes nothing. */
enum source_verdict sources_foresee(const struct sources *sources, struct source_key key,
                                    const struct source_limits *limits, int64_t now);

/* One request of the whole listener. Returns 0 if it may begin now, else when it may. */
int64_t sources_take_turn(struct sources *sources, const struct source_rate *rate, int64_t now);
/* The same without taking the turn. */
int64_t sources_next_turn(const struct sources *sources, const struct source_rate *rate,
                          int64_t now);

/* ---- penalties ----------------------------------------------------------------- */

enum source_penalty {
    PENALTY_NONE,
    PENALTY_CRASH,
    PENALTY_HANDSHAKE,
    PENALTY_SLOW,
    PENALTY_HANDLER,
    PENALTY_KINDS
};

struct source_penalties {
    enum source_penalty kind;
    int64_t seconds, most; /* ns: added to what is left, but to no more than `most` from now */
    const char *reason;    /* a plugin's; NULL: none */
};

/* "crash", "handshake", "slow", "handler"; "none" for all other numbers. */
const char *source_penalty_name(uint32_t kind);

/* True if any source may be under a penalty: without it a look-up can be spared. */
bool sources_any_penalised(const struct sources *sources, int64_t now);
/* Adds a penalty. The claim is the context's own: it may hold this source, or nothing. Returns
 * false if there was no place for it. */
bool sources_penalise(struct sources *sources, uint32_t claim, struct source_key key,
                      const struct source_penalties *penalty, int64_t now);
/* The same for the source whose request a dead context ran. Returns false if there is none. */
bool sources_penalise_held(struct sources *sources, uint32_t claim,
                           const struct source_penalties *penalty, int64_t now);
/* Forgets the source's penalty. Returns false if it had none. */
bool sources_pardon(struct sources *sources, struct source_key key, int64_t now);

/* ---- the dead ------------------------------------------------------------------ */

/* Says that all contexts here are of this process, which need not be asked for its number then at
 * each request. */
void sources_note_process(void);
/* Takes back what a context has counted that has ended without sources_leave(): nobody uses its
 * claim any more. */
void sources_repair(struct sources *sources, uint32_t claim);
/* Does so for each of `count` claims whose process is dead. Returns how many others still hold
 * something. */
uint32_t sources_sweep(struct sources *sources, uint32_t first, uint32_t count);
/* How many claims, from the first, were ever used. */
uint32_t sources_claims_used(const struct sources *sources);

/* ---- what is shown ------------------------------------------------------------- */

struct source_state {
    struct source_key key;
    uint32_t active;
    double rate; /* requests in a second, in the last ten to twenty seconds */
    uint32_t refused;
    int64_t penalty_left; /* ns; 0: none */
    uint32_t kind;        /* enum source_penalty, or anything */
    char reason[SOURCE_REASON_SIZE];
};

/* Reads one of SOURCES_MOST places. Returns false if no source is there. */
bool sources_read(const struct sources *sources, uint32_t place, int64_t now,
                  struct source_state *ret);
/* Finds the first place, from this one on, whose memory has ever been used; -1: there is none. fd
 * is the memory's. */
int64_t sources_next(int fd, uint32_t place);
/* Finds a source. Returns false if it has no place. */
bool sources_find(const struct sources *sources, struct source_key key, int64_t now,
                  struct source_state *ret);
/* How many requests were let in uncounted, as there was no place for their source. */
uint64_t sources_uncounted(const struct sources *sources);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * counters.h - what a worker shares with the supervisor: a slot per serving context
 *
 * Both map one memfd. Every slot belongs to one serving context (thread,
 * child, coroutine) of the worker and has one writer; everything is a relaxed
 * atomic, there are no locks and no pointers, so a writer that dies between
 * two steps leaves nothing behind that anyone waits for. The supervisor treats
 * the memfd as hostile input: it checks a number that it uses as an index.
 */
#ifndef SOCKSERVERD_COMMON_COUNTERS_H
#define SOCKSERVERD_COMMON_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/histogram.h"

/* More contexts than this share histograms, so additions to a histogram are atomic. */
#define COUNTERS_HISTOGRAMS 16

enum slot_state {
    SLOT_FREE,     /* no context uses it; its sums stand */
    SLOT_STARTING, /* given to a context that is not there yet */
    SLOT_IDLE,     /* waits for a request */
    SLOT_BUSY      /* runs one */
};

enum slot_stage { STAGE_NONE, STAGE_READING, STAGE_HANDLING, STAGE_WRITING, STAGE_WAITING };

struct slot {
    /* now */
    _Atomic uint32_t state;     /* enum slot_state */
    _Atomic uint32_t stage;     /* enum slot_stage */
    _Atomic int32_t context;    /* thread id or child pid; 0: none */
    _Atomic uint32_t moves;     /* grows when bytes have come or gone, and when the handler slept */
    _Atomic uint64_t request;   /* number of the running (last) request */
    _Atomic int64_t started;    /* when it began, CLOCK_MONOTONIC ns */
    _Atomic uint64_t cancelled; /* set by others: this request must end; see slot_is_cancelled() */
    _Atomic int64_t since;      /* when its stage began, roughly; see request_enter() */
    _Atomic uint64_t received, sent; /* bytes of the request, as of its last move or stage */
    _Atomic int64_t ended;           /* when the last one ended */
    _Atomic int64_t asked_at;        /* when an operator cancelled a request here; 0: never */
    _Atomic uint32_t program; /* the request has become a program: see exec.c; 0: it has not */
    unsigned char client[32]; /* its address: the beginning of a sockaddr, or zeroes */
    _Atomic uint32_t leaves;  /* the request waits for input, and leaves when a drain begins */
    /* sums since the worker started; each has its row in counter_table, which says what it counts
     */
    _Atomic uint64_t accepted;
    _Atomic uint64_t refused;
    _Atomic uint64_t failed;
    _Atomic uint64_t vanished;
    _Atomic uint64_t cut;
    _Atomic uint64_t truncated;
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t idle_ended;
    _Atomic uint64_t unsent;
    _Atomic uint64_t denied;
    _Atomic uint64_t unannounced;
    _Atomic uint64_t slow_ended;
    _Atomic uint64_t handshakes_failed;
    _Atomic uint64_t limited;
    _Atomic uint64_t penalised;
    _Atomic uint64_t full;
    _Atomic uint64_t done;
    _Atomic uint64_t rejected;
} __attribute__((aligned(64)));

/*
 * Where a thread was when it was asked, or when it crashed: written in a signal
 * handler. Whoever makes an entry its own owns it until somebody else, who must
 * know that its thread or process has ended or has answered, makes it free.
 */
enum sighting_state { SIGHTING_EMPTY, SIGHTING_WRITTEN };

struct sighting {
    _Atomic int32_t owner;  /* the thread that is asked, the process that crashes; 0: free */
    _Atomic uint32_t state; /* enum sighting_state */
    int32_t signal;         /* of a crash; 0: it was asked */
    uint32_t has_address;
    uint64_t address; /* that could not be read or written, or run */
    uint64_t request; /* that the thread ran; 0: none */
    char place[240];  /* place_describe() */
};

#define SIGHTINGS      8
#define SIGHTING_TAKEN (-1) /* as owner: it is being prepared for one */

/*
 * A question of the supervisor's: where is the handler of this request? Whoever
 * runs the request answers, in a signal handler or on the waiting coroutine's
 * own stack. A new question has a new serial number; each is answered once.
 */
#define INQUIRY_TEXT 4096
struct inquiry {
    _Atomic uint64_t request;                /* 0: nobody asks */
    _Atomic uint32_t asked, taken, answered; /* serial numbers: the last ones of each kind */
    char text[INQUIRY_TEXT];                 /* a line for each frame, the innermost first */
};

struct counters {
    uint32_t slot_count;
    _Atomic uint32_t used;           /* slots from here on were never given out; never falls */
    _Atomic uint64_t requests;       /* numbers given out */
    _Atomic uint64_t log_lost;       /* as cpu_ns below */
    _Atomic int32_t phase;           /* enum server_phase of the worker, for its children */
    _Atomic int32_t retire;          /* so many idle contexts may end */
    uint32_t claims;                 /* one above its first claim of sources.h; 0: it has none */
    _Atomic uint32_t starved;        /* accepting is paused for want of descriptors or memory */
    _Atomic uint32_t stop_asked;     /* a handler called ss_server_stop() */
    _Atomic int32_t surplus;         /* forking: idle children beyond the spare ones */
    _Atomic int64_t impatient_until; /* till then no receiver of a datagram is waited for */
    _Atomic int64_t unread_silent_until; /* till then no warning says that one does not read */
    _Atomic uint32_t emptying; /* a drain that first accepts what is in the socket's queue */
    _Atomic uint32_t orders; /* grows when the supervisor cancels a request, or asks where one is */
    _Atomic int64_t source_silent_until; /* till then no warning tells of a datagram's source or a
                                            connection's PROXY header */
    /* sums of the worker as a whole; with log_lost, they have rows in counter_table, too */
    _Atomic uint64_t cpu_ns;
    /* what the worker occupies, in bytes, as it has told last (0: it has not), and until when
     * somebody wants to know */
    _Atomic uint64_t memory;
    _Atomic int64_t memory_wanted;
    /* how long requests took, by context modulo COUNTERS_HISTOGRAMS */
    struct {
        _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
    } handling[COUNTERS_HISTOGRAMS] __attribute__((aligned(64)));
    struct sighting sightings[SIGHTINGS];
    struct inquiry inquiry;
    struct slot slots[] __attribute__((aligned(64)));
};

/*
 * Makes a memfd of a fixed size for so many slots (a listener's
 * max_connections) and maps it. Returns 0 or a negative errno. The caller
 * closes *ret_fd, and counters_detach() releases the mapping.
 */
int counters_create(uint32_t slots, struct counters **ret_counters, int *ret_fd);
/* Maps an inherited memfd, and checks its size against its slot_count. Returns 0 or a negative
 * errno. */
int counters_attach(int fd, struct counters **ret_counters);
/* Maps a memfd from counters_create(), with so many slots, and checks only its size. Returns the
 * same. */
int counters_attach_own(int fd, uint32_t slots, struct counters **ret_counters);
/* Unmaps the counters; NULL is fine. slots is the creator's own count, not the mapped one. */
void counters_detach(struct counters *counters, uint32_t slots);

struct counter_sums {
    uint64_t active, idle; /* slots that run a request now, and that wait for one */
    uint64_t accepted, refused, failed, vanished, cut, truncated, bytes_in, bytes_out, busy_ns;
    uint64_t idle_ended, unsent;
    struct histogram handling; /* times of the requests that have ended */
    /* What is above has the places in which 0.1.0 hands it over: later counters stand here. */
    uint64_t denied, unannounced, slow_ended, handshakes_failed, limited, penalised, full;
    uint64_t done, rejected, cpu_ns, log_lost;
};

enum counter_unit {
    COUNTER_REQUESTS,
    COUNTER_BYTES,
    COUNTER_NANOSECONDS, /* of requests */
    COUNTER_CPU,         /* nanoseconds of processors */
    COUNTER_LINES
};

/*
 * One sum of a slot, or of the worker as a whole. All code that adds, hands over or shows sums goes
 * by the table, so a new counter needs a field in both structs, a row, and a line in the control
 * socket's interface, which a test compares with the row.
 */
struct counter {
    const char *name; /* as it is shown: in microseconds what is counted in nanoseconds */
    enum counter_unit unit;
    size_t in_slot, in_sums; /* offsets of its fields */
    size_t in_worker;        /* in struct counters, if in_slot is 0; else 0 */
    const char *help;        /* what it counts */
};

#define COUNTER_COUNT  22
#define COUNTERS_FIRST 11 /* rows that every program knows which hands over or takes over */
/* An upgrade hands the sums over in the order of the rows, so new rows go to the end. */
extern const struct counter counter_table[COUNTER_COUNT];

static inline uint64_t *
counter_in_sums(struct counter_sums *sums, const struct counter *counter)
{
    return (uint64_t *)(void *)((char *)sums + counter->in_sums);
}

static inline uint64_t
counter_of_sums(const struct counter_sums *sums, const struct counter *counter)
{
    return *(const uint64_t *)(const void *)((const char *)sums + counter->in_sums);
}

/* Returns the figure that belongs to the counter's name. */
static inline uint64_t
counter_shown(const struct counter_sums *sums, const struct counter *counter)
{
    bool time = counter->unit == COUNTER_NANOSECONDS || counter->unit == COUNTER_CPU;

    return counter_of_sums(sums, counter) / (time ? 1000 : 1);
}

/* Adds up the counters of all slots; slots is the creator's own count, not the mapped one. */
void counters_sum(const struct counters *counters, uint32_t slots, struct counter_sums *ret);
/* Adds one worker's sums to those that other workers gave. */
void counter_sums_add(struct counter_sums *sums, const struct counter_sums *more);
/* Adds the sums of a worker that has ended: nothing is active or idle there any more. */
void counter_sums_add_past(struct counter_sums *sums, const struct counter_sums *more);

#define counter_add(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)
/* This is for a counter with one writer, and is cheaper than an atomic addition. */
#define counter_bump(counter, n)                                                                   \
    atomic_store_explicit(&(counter),                                                              \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (n),            \
                          memory_order_relaxed)
#define counter_set(counter, n) atomic_store_explicit(&(counter), (n), memory_order_relaxed)
#define counter_get(counter)    atomic_load_explicit(&(counter), memory_order_relaxed)

/* Returns how many slots, from the first, a reader looks at: reading a slot that was never given
 * out would allocate its memory. slots is as in counters_sum(). */
static inline uint32_t
counters_used(const struct counters *counters, uint32_t slots)
{
    uint32_t used = atomic_load(&counters->used);

    return used < slots ? used : slots;
}

/*
 * Notes that a slot is given out. The store is sequentially consistent, as
 * are the stores of the slot's state where it matters: a reader of an older
 * `used` reads it before the slot had a state.
 */
static inline void
counters_use(struct counters *counters, const struct slot *slot)
{
    uint32_t wanted = (uint32_t)(slot - counters->slots) + 1;
    uint32_t used = atomic_load(&counters->used);

    while (used < wanted && !atomic_compare_exchange_weak(&counters->used, &used, wanted))
        ;
}

/* Notes how long the request of a slot took. */
static inline void
counters_note_time(struct counters *counters, const struct slot *slot, uint64_t nanoseconds)
{
    size_t place = (size_t)(slot - counters->slots) % COUNTERS_HISTOGRAMS;

    counter_add(counters->handling[place].buckets[histogram_bucket(nanoseconds)], 1);
}

/* In slot.cancelled, beside the request's number: why. */
#define SLOT_SPINS   (1ull << 63)
#define SLOT_ASKED   (1ull << 62)
#define SLOT_REASONS (SLOT_SPINS | SLOT_ASKED)

/* Whether the slot's request must end, because request_timeout is over, because it spins, or
 * because an operator has cancelled it. The next request in the slot has another number. */
static inline bool
slot_is_cancelled(const struct slot *slot)
{
    uint64_t cancelled = counter_get(slot->cancelled) & ~SLOT_REASONS;

    return cancelled != 0 && cancelled == counter_get(slot->request);
}

/* Whether it must end because it has used spin_limit. */
static inline bool
slot_spins(const struct slot *slot)
{
    return (counter_get(slot->cancelled) & SLOT_SPINS) != 0 && slot_is_cancelled(slot);
}

/* Whether it must end because an operator wants it to. */
static inline bool
slot_is_unwanted(const struct slot *slot)
{
    return (counter_get(slot->cancelled) & SLOT_ASKED) != 0 && slot_is_cancelled(slot);
}

/* An entry for the owner, empty and without a signal; NULL: all are in use. Async-signal-safe. */
struct sighting *sighting_take(struct counters *counters, int32_t owner);
/* Frees the entries of an owner that can write no more. */
void sightings_forget(struct counters *counters, int32_t owner);
/* The entry that a process wrote when it crashed, or NULL. */
const struct sighting *sighting_of_crash(const struct counters *counters, int32_t process);
/* Writes " at crash.so+0x1139 (handle+0x9), address 0x0", whatever the entry holds; "" for NULL. */
void sighting_describe(const struct sighting *sighting, char *buffer, size_t size);

#endif

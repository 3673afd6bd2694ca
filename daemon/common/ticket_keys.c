/* SPDX-License-Identifier: MIT */
/*
 * ticket_keys.c - the keys that TLS session tickets are sealed with
 *
 * The page is a memory file. The supervisor maps it before it is sealed against
 * all who come later (kernels before 5.1 lack that seal: workers have a
 * descriptor for reading only, and the file's mode keeps other users from
 * another). It holds words, which are written and read one by one; a sequence
 * number that is odd while they are written tells a reader to try again. A
 * writer that dies in the middle costs tickets, and nothing else: readers try a
 * bounded number of times.
 *
 * Runs in:  the supervisor (writes), workers (read).
 * Owns:     the page, until ticket_keys_free(); a worker's mapping is for good.
 * Failures: returned.
 */
#include "common/ticket_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define MAGIC     UINT64_C(0x314b5454534b4353) /* "SCKSTTK1" */
#define TRIES     1000u
#define KEPT_SEC  (TICKET_KEY_TURN_SEC + TICKET_LIFE_SEC) /* the age at which a key is no use */
#define GRACE_SEC UINT64_C(600)                           /* the supervisor may be late */

#define WORDS (sizeof(struct ticket_keys_state) / sizeof(uint64_t))
_Static_assert(sizeof(struct ticket_keys_state) % sizeof(uint64_t) == 0, "it is read by words");

struct ticket_page {
    uint64_t magic;
    _Atomic uint64_t sequence; /* odd: being written */
    _Atomic uint64_t words[WORDS];
};

struct ticket_keys {
    struct ticket_page *page;
    int fd; /* for reading */
};

static uint64_t
now_sec(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec;
}

/* ---- the page --------------------------------------------------------------------------- */

static void
write_page(struct ticket_page *page, const struct ticket_keys_state *state)
{
    uint64_t words[WORDS], sequence = atomic_load_explicit(&page->sequence, memory_order_relaxed);

    memcpy(words, state, sizeof(words));
    atomic_store_explicit(&page->sequence, sequence | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&page->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&page->sequence, (sequence | 1) + 1, memory_order_release);
    explicit_bzero(words, sizeof(words));
}

/* Copies the whole page. Returns false if it is being written. The caller wipes *ret. */
static bool
try_read(const struct ticket_page *page, struct ticket_keys_state *ret)
{
    uint64_t words[WORDS], sequence = atomic_load_explicit(&page->sequence, memory_order_acquire);

    if (sequence % 2 != 0)
        return false;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&page->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    bool same = atomic_load_explicit(&page->sequence, memory_order_relaxed) == sequence;
    memcpy(ret, words, sizeof(words));
    explicit_bzero(words, sizeof(words));
    return same && ret->count <= TICKET_KEYS_MOST;
}

static int
read_page(const struct ticket_page *page, struct ticket_keys_state *ret)
{
    for (unsigned i = 0; i < TRIES; i++)
        if (try_read(page, ret))
            return 0;
    explicit_bzero(ret, sizeof(*ret));
    return -EAGAIN;
}

static bool
is_younger(uint64_t made_sec, uint64_t age_sec, uint64_t now)
{
    return made_sec <= now && now - made_sec < age_sec;
}

/* ---- the supervisor's side -------------------------------------------------------------- */

/* Puts a new key before the others if the newest is due, and takes out what is too old. */
static int
turn(struct ticket_keys_state *state)
{
    uint64_t now = now_sec(), kept = 0;
    struct ticket_key key;

    while (kept < state->count && is_younger(state->keys[kept].made_sec, KEPT_SEC, now))
        kept++;
    if (kept > 0 && is_younger(state->keys[0].made_sec, TICKET_KEY_TURN_SEC, now)) {
        explicit_bzero(&state->keys[kept], (TICKET_KEYS_MOST - kept) * sizeof(state->keys[0]));
        state->count = kept;
        return 0;
    }
    if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key))
        return -errno;
    kept = kept < TICKET_KEYS_MOST - 1 ? kept : TICKET_KEYS_MOST - 1;
    memmove(&state->keys[1], &state->keys[0], kept * sizeof(state->keys[0]));
    state->keys[0].key = key;
    state->keys[0].made_sec = now;
    state->count = kept + 1;
    explicit_bzero(&state->keys[state->count],
                   (TICKET_KEYS_MOST - state->count) * sizeof(state->keys[0]));
    explicit_bzero(&key, sizeof(key));
    return 0;
}

/* Makes the file, maps it for writing, and then closes it to writers. */
static int
make_page(struct ticket_keys *keys)
{
    _cleanup_close_ int fd = memfd_create("tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[64];

    if (fd < 0 || ftruncate(fd, sizeof(*keys->page)) < 0 || fchmod(fd, S_IRUSR) < 0)
        return -errno;
    void *page = mmap(NULL, sizeof(*keys->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    keys->page = page;
    (void)madvise(page, sizeof(*keys->page), MADV_DONTDUMP);
    (void)madvise(page, sizeof(*keys->page), MADV_DONTFORK);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    keys->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (keys->fd < 0)
        return -errno;
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE); /* Linux 5.1 */
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int
ticket_keys_new(const struct ticket_keys_state *state, struct ticket_keys **ret)
{
    struct ticket_keys *keys = calloc(1, sizeof(*keys));
    struct ticket_keys_state first = {0};

    if (keys == NULL)
        return -ENOMEM;
    keys->fd = -1;
    if (state != NULL && state->count <= TICKET_KEYS_MOST)
        first = *state;
    int r = make_page(keys);
    if (r == 0)
        r = turn(&first);
    if (r == 0) {
        keys->page->magic = MAGIC;
        write_page(keys->page, &first);
        *ret = keys;
    } else {
        ticket_keys_free(keys);
    }
    explicit_bzero(&first, sizeof(first));
    return r;
}

void
ticket_keys_free(struct ticket_keys *keys)
{
    static const struct ticket_keys_state none;

    if (keys == NULL)
        return;
    if (keys->page != NULL) {
        write_page(keys->page, &none);
        (void)munmap(keys->page, sizeof(*keys->page));
    }
    if (keys->fd >= 0)
        (void)close(keys->fd);
    free(keys);
}

int
ticket_keys_fd(const struct ticket_keys *keys)
{
    return keys == NULL ? -1 : keys->fd;
}

void
ticket_keys_save(const struct ticket_keys *keys, struct ticket_keys_state *ret)
{
    if (read_page(keys->page, ret) < 0) /* nobody else writes */
        *ret = (struct ticket_keys_state){0};
}

int
ticket_keys_turn(struct ticket_keys *keys)
{
    struct ticket_keys_state state;

    ticket_keys_save(keys, &state);
    int r = turn(&state);
    if (r == 0)
        write_page(keys->page, &state);
    explicit_bzero(&state, sizeof(state));
    return r;
}

uint64_t
ticket_keys_due_sec(const struct ticket_keys *keys)
{
    struct ticket_keys_state state;
    uint64_t now = now_sec(), due = 0;

    ticket_keys_save(keys, &state);
    if (state.count > 0 && is_younger(state.keys[0].made_sec, TICKET_KEY_TURN_SEC, now))
        due = state.keys[0].made_sec + TICKET_KEY_TURN_SEC - now;
    for (uint64_t i = 1; i < state.count; i++)
        if (state.keys[i].made_sec + KEPT_SEC < now + due)
            due = state.keys[i].made_sec + KEPT_SEC > now ? state.keys[i].made_sec + KEPT_SEC - now
                                                          : 0;
    explicit_bzero(&state, sizeof(state));
    return due;
}

/* ---- a worker's side -------------------------------------------------------------------- */

int
ticket_keys_map(int fd, const struct ticket_page **ret)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size != (off_t)sizeof(struct ticket_page))
        return -EBADMSG;
    struct ticket_page *page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    (void)madvise(page, sizeof(*page), MADV_DONTDUMP);
    if (page->magic != MAGIC) {
        (void)munmap(page, sizeof(*page));
        return -EBADMSG;
    }
    *ret = page;
    return 0;
}

int
ticket_keys_current(const struct ticket_page *page, struct ticket_key *ret)
{
    struct ticket_keys_state state;
    int r = read_page(page, &state);

    if (r < 0)
        return r;
    if (state.count == 0 ||
        !is_younger(state.keys[0].made_sec, TICKET_KEY_TURN_SEC + GRACE_SEC, now_sec()))
        r = -ENOENT;
    else
        *ret = state.keys[0].key;
    explicit_bzero(&state, sizeof(state));
    return r;
}

bool
ticket_keys_find(const struct ticket_page *page, const unsigned char name[16],
                 struct ticket_key *ret, bool *ret_renew)
{
    struct ticket_keys_state state;
    uint64_t now = now_sec();
    bool found = false;

    if (read_page(page, &state) < 0)
        return false;
    for (uint64_t i = 0; i < state.count && !found; i++) {
        found = memcmp(state.keys[i].key.name, name, sizeof(ret->name)) == 0 &&
                is_younger(state.keys[i].made_sec, KEPT_SEC, now);
        if (found) {
            *ret = state.keys[i].key;
            *ret_renew = i > 0;
        }
    }
    explicit_bzero(&state, sizeof(state));
    return found;
}

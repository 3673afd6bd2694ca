/* SPDX-License-Identifier: MIT */
/*
 * load.c - clients that ask all the while, and remember what became of it
 *
 * The threads use no assertion: a failure is an entry of the history.
 */
#include "support/load.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/test.h"

#define HISTORY_SIZE (1u << 18)
#define CLIENTS_MAX  8
#define PAUSE_USEC   2000

struct load {
    struct load *next;
    struct sockaddr_storage address;
    socklen_t address_size;
    int type;
    const char *prefix;
    pthread_t threads[CLIENTS_MAX];
    size_t clients;
    bool joined;
    _Atomic bool ending;
    _Atomic unsigned number;
    _Atomic size_t ended;
    struct load_entry *history;
};

static struct load *loads;

/* ---- one exchange, in a thread --------------------------------------------------- */

/* Connected: a datagram socket with an address of its own. */
static int
open_client(const struct load *load)
{
    int fd = socket(load->address.ss_family, load->type | SOCK_CLOEXEC, 0);
    struct sockaddr_un own = {.sun_family = AF_UNIX};

    if (fd < 0)
        return -errno;
    /* Only the family: the kernel gives it an abstract name. */
    if ((load->address.ss_family == AF_UNIX && load->type == SOCK_DGRAM &&
         bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) < 0) ||
        connect(fd, (const struct sockaddr *)&load->address, load->address_size) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Reads up to the wanted end. The bytes, 0 at the end of the stream, or a negative errno. */
static ssize_t
read_answer(int fd, const char *wanted, char *buffer, size_t size)
{
    double give_up = clock_now() + DEADLINE;
    size_t used = 0;

    do {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, clock_left(give_up)) <= 0)
            return used > 0 ? (ssize_t)used : -ETIMEDOUT;
        ssize_t got = recv(fd, buffer + used, size - 1 - used, 0);
        if (got <= 0)
            return got < 0 ? -errno : 0;
        used += (size_t)got;
        buffer[used] = '\0';
    } while (!ends_with(buffer, wanted));
    return (ssize_t)used;
}

static void
ask(const struct load *load, int fd, unsigned number, struct load_entry *entry)
{
    char question[128], wanted[32], answer[256];
    int size = snprintf(question, sizeof question, "%s%u\n", load->prefix, number);

    (void)snprintf(wanted, sizeof wanted, "%u\n", number);
    if (send(fd, question, (size_t)size, MSG_NOSIGNAL) != size) {
        entry->error = errno;
        entry->result = errno == ECONNRESET || errno == EPIPE ? LOAD_LOST : LOAD_REFUSED;
        return;
    }
    ssize_t got = read_answer(fd, wanted, answer, sizeof answer);
    if (got > 0) {
        entry->result = ends_with(answer, wanted) ? LOAD_ANSWERED : LOAD_WRONG;
        entry->build = answer[0];
        return;
    }
    entry->error = (int)-got;
    entry->result = got == -ETIMEDOUT ? LOAD_LATE : LOAD_LOST;
}

static struct load_entry
exchange(struct load *load)
{
    struct load_entry entry = {.began = clock_now()};
    int fd = open_client(load);

    if (fd < 0) {
        entry.error = -fd;
        entry.result = LOAD_REFUSED;
    } else {
        ask(load, fd, atomic_fetch_add(&load->number, 1) + 1, &entry);
        (void)close(fd);
    }
    entry.ended = clock_now();
    return entry;
}

static void *
client_main(void *argument)
{
    struct load *load = argument;

    while (!load->ending) {
        struct load_entry entry = exchange(load);
        size_t place = atomic_fetch_add(&load->ended, 1);
        if (place >= HISTORY_SIZE)
            break;
        load->history[place] = entry;
        (void)usleep(PAUSE_USEC); /* the daemon needs the processor, too */
    }
    return NULL;
}

/* ---- in the test --------------------------------------------------------------------- */

struct load *
load_start(const char *address, size_t clients, const char *prefix)
{
    struct load *load = keep(calloc(1, sizeof *load));

    load->history = keep(calloc(HISTORY_SIZE, sizeof *load->history));
    load->address_size = client_resolve(address, &load->address);
    load->type = strncmp(address, "udp", 3) == 0 || strncmp(address, "unixgram", 8) == 0
                     ? SOCK_DGRAM
                     : SOCK_STREAM;
    load->prefix = prefix;
    load->next = loads;
    loads = load;
    for (size_t i = 0; i < clients && i < CLIENTS_MAX; i++) {
        if (pthread_create(&load->threads[i], NULL, client_main, load) != 0)
            fail_msg("cannot start a client's thread");
        load->clients++;
    }
    return load;
}

void
load_stop(struct load *load)
{
    load->ending = true;
    for (size_t i = 0; i < load->clients && !load->joined; i++)
        (void)pthread_join(load->threads[i], NULL);
    load->joined = true;
}

void
load_stop_all(void)
{
    for (struct load *load = loads; load != NULL; load = load->next)
        load->ending = true;
    for (; loads != NULL; loads = loads->next)
        load_stop(loads);
}

size_t
load_history(const struct load *load, const struct load_entry **ret)
{
    *ret = load->history;
    return load->ended < HISTORY_SIZE ? load->ended : HISTORY_SIZE;
}

size_t
load_count(const struct load *load, enum load_result result)
{
    const struct load_entry *history;
    size_t size = load_history(load, &history), count = 0;

    for (size_t i = 0; i < size; i++)
        count += history[i].result == result;
    return count;
}

void
load_expect_answered(const struct load *load, size_t least)
{
    static const char *const names[] = {"answered", "refused", "lost", "late", "wrong"};
    const struct load_entry *history;
    size_t size = load_history(load, &history);

    for (size_t i = 0; i < size; i++)
        if (history[i].result != LOAD_ANSWERED)
            fail_msg("of %zu exchanges %zu were answered; one was %s (%s), begun %.3f s after the "
                     "first",
                     size, load_count(load, LOAD_ANSWERED), names[history[i].result],
                     strerror(history[i].error), history[i].began - history[0].began);
    if (size < least)
        fail_msg("only %zu exchanges, wanted at least %zu", size, least);
}

void
load_wait_more(const struct load *load, size_t more)
{
    size_t until = load->ended + more;

    WAIT_UNTIL(load->ended >= until);
}

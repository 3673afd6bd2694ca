/* SPDX-License-Identifier: MIT */
/*
 * resolver.c - names looked up by a few threads, while those who asked wait as their mixin does
 *
 * getaddrinfo(3) may take as long as its name servers like, and cannot be interrupted. So it runs
 * in a thread of its own, and whoever gives up leaves it alone. Those who ask for the same name at
 * the same time share one answer, which is good for a second. A forked child may have such a
 * thread, as it forks nobody.
 *
 * Runs in:  a serving context; look_up() in threads of the process, which block all signals.
 * Owns:     the look-ups; the lock guards all of them.
 * Failures: returned.
 */
#include "worker/request/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"

#define THREADS_MOST 4
#define STACK_SIZE   (512 * 1024)
#define GOOD_FOR     1000000000 /* ns */

struct lookup {
    struct lookup *next;
    unsigned users; /* who wait for it, and the thread that runs it */
    bool queued;    /* no thread has begun with it */
    bool done;
    int event;    /* eventfd: readable once it is done */
    int64_t when; /* it was done */
    int socktype;
    char *host, *port;
    int count; /* of found, or a negative errno */
    struct resolved found[RESOLVER_MOST];
};

static struct {
    pthread_mutex_t lock;
    struct lookup *all; /* the latest is the first */
    unsigned threads;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- one answer ----------------------------------------------------------------------------- */

static int
error_of(int error)
{
    switch (error) {
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SYSTEM:
        return errno > 0 ? -errno : -EIO;
    default:
        return -EADDRNOTAVAIL;
    }
}

/* The first of this family (or not of it) behind *place; NULL: there is no more. */
static const struct addrinfo *
next_of(const struct addrinfo **place, int family, bool same)
{
    const struct addrinfo *info = *place;

    while (info != NULL && (info->ai_family == family) != same)
        info = info->ai_next;
    *place = info == NULL ? NULL : info->ai_next;
    return info;
}

/* The families take turns, so that one that does not work costs one attempt (RFC 8305, 4). */
static int
take_in_turns(const struct addrinfo *list, struct resolved found[RESOLVER_MOST])
{
    const struct addrinfo *places[2] = {list, list};
    int count = 0;

    for (unsigned turn = 0; count < RESOLVER_MOST; turn++) {
        const struct addrinfo *info = next_of(&places[turn % 2], list->ai_family, turn % 2 == 0);
        if (info == NULL && places[(turn + 1) % 2] == NULL)
            break;
        if (info == NULL || info->ai_addrlen > sizeof(found[0].address))
            continue;
        found[count] = (struct resolved){.size = info->ai_addrlen};
        memcpy(&found[count].address, info->ai_addr, info->ai_addrlen);
        count++;
    }
    return count;
}

/* Addresses, or a negative errno. */
static int
ask(const char *host, const char *port, int socktype, int flags,
    struct resolved found[RESOLVER_MOST])
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = socktype, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, port, &hints, &list);

    if (error != 0)
        return error_of(error);
    int count = take_in_turns(list, found);
    freeaddrinfo(list);
    return count > 0 ? count : -EADDRNOTAVAIL;
}

/* ---- the look-ups --------------------------------------------------------------------------- */

static void
lookup_free(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    if (lookup->event >= 0)
        (void)close(lookup->event);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static struct lookup *
lookup_new(const struct address *address, int socktype)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return NULL;
    lookup->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lookup->host = strdup(address->host);
    lookup->port = strdup(address->port);
    lookup->socktype = socktype;
    if (lookup->event >= 0 && lookup->host != NULL && lookup->port != NULL)
        return lookup;
    int error = lookup->event < 0 ? errno : ENOMEM;
    lookup_free(lookup);
    errno = error;
    return NULL;
}

static bool
is_stale(const struct lookup *lookup, int64_t now)
{
    return lookup->done && (lookup->count < 0 || now - lookup->when > GOOD_FOR);
}

/* With the lock: forgets answers that nobody may use any more. */
static void
forget_stale(void)
{
    int64_t now = monotonic_now();

    for (struct lookup **place = &resolver.all; *place != NULL;) {
        struct lookup *lookup = *place;
        if (lookup->users > 0 || !is_stale(lookup, now)) {
            place = &lookup->next;
            continue;
        }
        *place = lookup->next;
        lookup_free(lookup);
    }
}

/* With the lock. One that waits for a thread, the oldest; NULL: none. */
static struct lookup *
next_queued(void)
{
    struct lookup *oldest = NULL;

    for (struct lookup *lookup = resolver.all; lookup != NULL; lookup = lookup->next)
        if (lookup->queued)
            oldest = lookup;
    return oldest;
}

/* Whoever waits for a name that nobody wants any more would hold up the others. */
static void *
look_up(void *argument)
{
    struct resolved found[RESOLVER_MOST];
    struct lookup *lookup;

    (void)pthread_mutex_lock(&resolver.lock);
    while ((lookup = next_queued()) != NULL) {
        lookup->queued = false;
        lookup->users++;
        (void)pthread_mutex_unlock(&resolver.lock);
        int count = ask(lookup->host, lookup->port, lookup->socktype, 0, found);
        (void)pthread_mutex_lock(&resolver.lock);
        lookup->count = count;
        memcpy(lookup->found, found, sizeof(found));
        lookup->when = monotonic_now();
        lookup->done = true;
        lookup->users--;
        (void)!write(lookup->event, &(uint64_t){1}, sizeof(uint64_t));
    }
    resolver.threads--;
    (void)pthread_mutex_unlock(&resolver.lock);
    return argument;
}

/* With the lock. 0 or a negative errno. */
static int
start_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    if (resolver.threads == THREADS_MOST)
        return 0;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, look_up, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (error == 0)
        resolver.threads++;
    return resolver.threads > 0 ? 0 : -error;
}

static bool
is_for(const struct lookup *lookup, const struct address *address, int socktype)
{
    return lookup->socktype == socktype && strcmp(lookup->host, address->host) == 0 &&
           strcmp(lookup->port, address->port) == 0;
}

/* With the lock. One that somebody asks for already, or whose answer is still good; else a new
 * one. The caller is one of its users from now on. */
static int
join(const struct address *address, int socktype, struct lookup **ret)
{
    struct lookup *lookup;

    forget_stale();
    for (lookup = resolver.all; lookup != NULL; lookup = lookup->next)
        if (is_for(lookup, address, socktype) && !is_stale(lookup, monotonic_now()))
            break;
    if (lookup == NULL) {
        lookup = lookup_new(address, socktype);
        if (lookup == NULL)
            return -errno;
        lookup->queued = true;
        lookup->next = resolver.all;
        resolver.all = lookup;
        int error = start_thread();
        if (error < 0) {
            resolver.all = lookup->next;
            lookup_free(lookup);
            return error;
        }
    }
    lookup->users++;
    *ret = lookup;
    return 0;
}

/* Gives up, or takes the answer: nobody need look a name up that nobody waits for. */
static int
leave(struct lookup *lookup, struct resolved ret[RESOLVER_MOST])
{
    (void)pthread_mutex_lock(&resolver.lock);
    int count = lookup->done ? lookup->count : -ETIMEDOUT;
    if (count > 0)
        memcpy(ret, lookup->found, sizeof(lookup->found));
    if (--lookup->users == 0 && lookup->queued) {
        lookup->queued = false;
        lookup->done = true;
        lookup->count = -ETIMEDOUT;
    }
    (void)pthread_mutex_unlock(&resolver.lock);
    return count;
}

int
resolver_find(struct ss_request *request, const struct address *address, int64_t until,
              struct resolved ret[RESOLVER_MOST])
{
    int socktype = address->scheme == ADDRESS_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int count = ask(address->host, address->port, socktype, AI_NUMERICHOST | AI_NUMERICSERV, ret);
    struct lookup *lookup = NULL;

    if (count > 0)
        return count;
    (void)pthread_mutex_lock(&resolver.lock);
    int error = join(address, socktype, &lookup);
    (void)pthread_mutex_unlock(&resolver.lock);
    if (error < 0)
        return error;
    int event = request->server->mixin->wait(request, lookup->event, POLLIN, until);
    count = leave(lookup, ret);
    return event < 0 ? event : count;
}

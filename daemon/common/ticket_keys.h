/* SPDX-License-Identifier: MIT */
/*
 * ticket_keys.h - the keys that TLS session tickets are sealed with
 *
 * A listener has one page of them, which the supervisor writes and its workers
 * read: so a ticket means something to another worker, and to the one after a
 * restart, a reload or an upgrade. A new key comes every six hours. The newest
 * one seals; older ones open what they have sealed, until the last of these
 * tickets is twelve hours old. In TLS 1.2 a ticket's key opens the session itself,
 * so no key is kept longer than that.
 */
#ifndef SOCKSERVERD_COMMON_TICKET_KEYS_H
#define SOCKSERVERD_COMMON_TICKET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TICKET_KEY_TURN_SEC UINT64_C(21600) /* a key seals for so long */
#define TICKET_LIFE_SEC     UINT64_C(43200) /* how long a ticket may be used */

#define TICKET_KEYS_MOST 4

/* It is secret: whoever has copied one wipes the copy. */
struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};

/* ---- the supervisor's side -------------------------------------------------------------- */

struct ticket_keys;

/* Keys as they are handed over, the newest first. */
struct ticket_keys_state {
    uint64_t count;
    struct {
        struct ticket_key key;
        uint64_t made_sec; /* CLOCK_BOOTTIME */
    } keys[TICKET_KEYS_MOST];
};

/* Makes a page. state: the keys of an earlier process, which may be NULL; if none of them is still
 * good for sealing, a new one is made. Returns 0 and *ret, or a negative errno. */
int ticket_keys_new(const struct ticket_keys_state *state, struct ticket_keys **ret);
/* Wipes the page, for workers too. NULL is fine. */
void ticket_keys_free(struct ticket_keys *keys);

/* Returns a descriptor with which workers can only read, and which stays the page's; -1 for NULL.
 */
int ticket_keys_fd(const struct ticket_keys *keys);

/* Makes a new key if the newest is due, and forgets what is too old. Returns 0 or a negative errno:
 * then the page is as it was. */
int ticket_keys_turn(struct ticket_keys *keys);
/* Returns after how many seconds ticket_keys_turn() has something to do. */
uint64_t ticket_keys_due_sec(const struct ticket_keys *keys);

/* Copies the keys, for ticket_keys_new() in the next process of the daemon. */
void ticket_keys_save(const struct ticket_keys *keys, struct ticket_keys_state *ret);

/* ---- a worker's side -------------------------------------------------------------------- */

struct ticket_page;

/* Maps the page that ticket_keys_fd() is about, for as long as the process lives. Returns 0 or a
 * negative errno; -EBADMSG: it is no such page. */
int ticket_keys_map(int fd, const struct ticket_page **ret);

/* These are safe in every thread, and never wait. */

/* Finds the key that seals. Returns 0; -ENOENT if there is none, or it is too old as the supervisor
 * has made no other; or -EAGAIN if the page is being written all the time. */
int ticket_keys_current(const struct ticket_page *page, struct ticket_key *ret);
/* Finds the key that opens a ticket. *ret_renew: a newer one seals, so the client should get
 * another ticket. */
bool ticket_keys_find(const struct ticket_page *page, const unsigned char name[16],
                      struct ticket_key *ret, bool *ret_renew);

#endif

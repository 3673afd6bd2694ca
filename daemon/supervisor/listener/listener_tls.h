/* SPDX-License-Identifier: MIT */
/*
 * listener_tls.h - what a listener with `tls` has beside its workers
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_TLS_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_TLS_H

#include "common/ticket_keys.h"
#include "supervisor/listener/generation.h"

/* It is part of a listener, and begins as zeroes with the name. */
struct listener_tls {
    const char *name;            /* of the listener, and the listener's */
    struct ticket_keys *tickets; /* NULL: none yet */
    sd_event_source *turn;       /* of the ticket keys; NULL: none yet */
    sd_event_source *reminder;   /* of the certificate's end; NULL: none yet */
    bool known;                  /* a generation has said the rest */
    bool ktls;
    uint64_t ends; /* when the first certificate does, seconds since 1970; 0: none was told */
    char *path;    /* of that certificate; NULL: none was told */
};

/*
 * Gets ready what workers with these settings inherit: the ticket keys, which
 * stay the listener's, and are made once. Returns 0 and *ret (NULL: the settings
 * want none), or a negative errno.
 */
int listener_tls_prepare(struct listener_tls *tls, sd_event *event, const struct settings *settings,
                         const struct ticket_keys **ret);

/* Notes what a generation that begins to serve has said, warns of what needs attention, and once a
 * day again while a certificate is about to end. */
void listener_tls_note(struct listener_tls *tls, sd_event *event,
                       const struct generation *generation, const struct settings *settings);

/* Warns again, as a reload does, if the certificate is about to end. */
void listener_tls_remind(const struct listener_tls *tls);

/* Tells the next process of this daemon what it must know, and takes over what an earlier one knew.
 * The first returns 0 or -ENOMEM; upgrade_listener_done() releases *ret with its listener. */
int listener_tls_export(const struct listener_tls *tls, struct upgrade_tls *ret);
void listener_tls_import(struct listener_tls *tls, sd_event *event,
                         const struct upgrade_tls *inherited);

/* Wipes the keys. */
void listener_tls_done(struct listener_tls *tls);

#endif

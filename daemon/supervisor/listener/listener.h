/* SPDX-License-Identifier: MIT */
/*
 * listener.h - one entry of the configuration and what becomes of it
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_LISTENER_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/channel.h"
#include "common/counters.h"
#include "common/errors.h"
#include "common/settings.h"
#include "supervisor/listener/hand_over.h"
#include "supervisor/listener/spawn.h"
#include "supervisor/socket/socket.h"

struct listener;

enum listener_state {
    LISTENER_STOPPED,  /* disabled, or stopped for good */
    LISTENER_STARTING, /* its workers load the plugin */
    LISTENER_SERVING,
    LISTENER_FAILED,   /* could not start; is tried again later */
    LISTENER_BACKING,  /* its worker died; a new one starts later, clients wait in the queue */
    LISTENER_DRAINING, /* accepts no more, requests still run */
    LISTENER_DRAINED   /* accepts no more until it is resumed; the socket is open */
};

/* What the listeners of a daemon have in common. Must outlive them. */
struct listener_host {
    sd_event *event;
    struct spawn_options spawn;
    bool keep_trying; /* failed listeners are tried again; false: the first failure is final */
    /* Where mistakes found by workers are gathered, for good; NULL: logged, and tried again. */
    struct errors *configuration_errors;
    /* Called when a listener entered another state, from the event loop. */
    void (*changed)(struct listener *listener, void *userdata);
    void *userdata;
};

/* A stopped listener, which holds a reference to settings. 0 or -ENOMEM. */
int listener_new(const struct listener_host *host, const struct settings *settings,
                 struct listener **ret);
/* Lets go of what still runs: it drains and ends by itself. */
void listener_free(struct listener *listener);

/* ---- orders; each is fine in any state ------------------------------------------- */

/* Opens the socket and starts the workers; one that failed is tried at once. Failures are logged
 * here. */
void listener_start(struct listener *listener);
/* Forgets earlier failures: what waits for a back-off is tried at once. */
void listener_heal(struct listener *listener);
/* Accept no more, finish what runs within drain_timeout; the socket stays open. */
void listener_drain(struct listener *listener);
/* Accept again after listener_drain(). */
void listener_resume(struct listener *listener);
/*
 * Finish what runs within drain_timeout, close the socket, stay stopped.
 * answer_queue: clients that wait in the queue are answered first; false:
 * nothing more is accepted.
 */
void listener_stop(struct listener *listener, bool answer_queue);
/* The daemon ends: what the service manager keeps of its sockets is for the next process. */
void listener_keep_sockets(struct listener *listener);
/* Whatever runs ends at once. */
void listener_cut(struct listener *listener);
/* Sends every worker a message; fd -1: none. */
void listener_tell(struct listener *listener, enum message_type type, uint64_t value, int fd);

/* ---- another generation ------------------------------------------------------------ */

/* From the event loop. error 0: its workers are ready and wait for listener_commit(); else text
 * says why not. */
typedef void (*listener_prepared)(struct listener *listener, int error, struct errors *why,
                                  void *userdata);

struct listener_preparation {
    const struct settings *settings; /* copied */
    const struct spawn_options *spawn;
    listener_prepared prepared; /* called once, unless listener_discard() comes first */
    void *userdata;
};

/*
 * Starts the workers of a new generation beside what serves, on *socket
 * (taken over) or, if that is NULL, on the listener's own. 0, or a negative
 * errno, and then prepared is not called: -EBUSY if one is being prepared.
 */
int listener_prepare(struct listener *listener, const struct listener_preparation *preparation,
                     struct listening_socket *socket);
/* The old generation stops accepting, then the prepared one serves. */
void listener_commit(struct listener *listener);
/* Throws the prepared generation away; what served goes on untouched. */
void listener_discard(struct listener *listener);

/* The socket at this real address that it gives up as soon as the queue has been answered; NULL:
 * none. Somebody else may take it back (socket_change.h), and then the queue with it: */
struct listening_socket *listener_leaving_socket(struct listener *listener, const char *address);
void listener_leave_queues(struct listener *listener);

/* Settings that run the same, but stand elsewhere in the file; or any, for one that is stopped. */
void listener_adopt_settings(struct listener *listener, const struct settings *settings);
/* Whether its plugin's file is another than the one its workers were started with. */
bool listener_plugin_changed(const struct listener *listener);

/* ---- upgrade ------------------------------------------------------------------------- */

/* Whether it is in no state that only this process can bring to an end. */
bool listener_can_be_exported(const struct listener *listener);
/* A name that is being looked up will be later. */
void listener_put_off(struct listener *listener);
/* What the next process must know to go on with it. 0 or -ENOMEM; *ret is for
 * upgrade_listener_done() in either case. */
int listener_export(const struct listener *listener, struct upgrade_listener *ret);
/* Of a new one: goes on where an earlier process of this daemon was. */
void listener_import(struct listener *listener, const struct upgrade_listener *inherited);

/* ---- what others ask ----------------------------------------------------------------- */

enum listener_state listener_state(const struct listener *listener);
const char *listener_state_name(enum listener_state state);
const struct settings *listener_settings(const struct listener *listener);
/* Whether any of its processes still runs. */
bool listener_has_processes(const struct listener *listener);
/* Whether any of its workers may still accept something. */
bool listener_accepts(const struct listener *listener);
/* Whether the generation that shall serve does, and no other is about to. */
bool listener_is_settled(const struct listener *listener);
/* Whether its first start has succeeded or failed. */
bool listener_was_tried(const struct listener *listener);
/* Whether it was told to serve, and not to drain or stop since. */
bool listener_is_wanted(const struct listener *listener);
/* Why it is failed, or ended badly under --once; NULL: it is or did not. */
const char *listener_problem(const struct listener *listener);
struct listening_socket *listener_socket(struct listener *listener);
/* Of the generation that is being prepared; fd -1: the present one stays. */
struct listening_socket *listener_next_socket(struct listener *listener);

#define LISTENER_PIDS 64

struct listener_status {
    const char *name, *state; /* texts are valid until the loop goes on */
    const char *address;      /* the real one; as configured while there is no socket */
    const char *plugin;       /* its file */
    const char *mixin;
    const char *problem; /* the last one; NULL: none */
    uint32_t max_connections;
    unsigned generation;       /* number of the present one; 0: none yet */
    unsigned draining;         /* older generations that still run requests */
    pid_t pids[LISTENER_PIDS]; /* of the present generation */
    size_t pid_count;
    struct counter_sums sums; /* of all its workers, dead ones and older generations included */
    uint64_t restarts;        /* workers that died and were replaced */
    uint64_t since;           /* when it entered its state: CLOCK_MONOTONIC, microseconds */
    int fd;                   /* its listening socket; -1: none */
    bool stream;
};

void listener_status(const struct listener *listener, struct listener_status *ret);

/* One worker that runs, of any generation. slots: ours, not what the mapping says. */
struct listener_worker {
    pid_t pid;
    unsigned generation;
    bool draining;
    const struct counters *counters;
    uint32_t slots;
};

void listener_visit_workers(const struct listener *listener,
                            void (*visit)(const struct listener_worker *worker, void *userdata),
                            void *userdata);

#endif

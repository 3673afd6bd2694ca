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
    LISTENER_FAILED,   /* could not start; will be tried again later */
    LISTENER_BACKING,  /* its worker died; a new one starts later, clients wait in the queue */
    LISTENER_DRAINING, /* accepts no more, requests still run */
    LISTENER_DRAINED   /* accepts no more until it is resumed; the socket is open */
};

/* What the listeners of a daemon have in common. It must outlive them. */
struct listener_host {
    sd_event *event;
    struct spawn_options spawn;
    bool keep_trying; /* failed listeners are tried again; false: the first failure is final */
    /* Gathers the mistakes that workers find, and no listener with a mistake is tried again. NULL:
     * mistakes are logged, and the listener is tried again. */
    struct errors *configuration_errors;
    /* Called from the event loop when something about a listener has changed. */
    void (*changed)(struct listener *listener, void *userdata);
    void *userdata;
};

/* Makes a stopped listener, which takes a reference to settings. Returns 0 and *ret, or -ENOMEM. */
int listener_new(const struct listener_host *host, const struct settings *settings,
                 struct listener **ret);
/* Lets go of the workers that still run: they drain and end by themselves. */
void listener_free(struct listener *listener);

/* ---- orders; each is fine in any state ------------------------------------------- */

/* Opens the socket and starts the workers; a failed listener is tried at once. The function logs
 * failures. */
void listener_start(struct listener *listener);
/* Forgets earlier failures. If the listener waits for the end of a back-off, it is tried at once.
 */
void listener_heal(struct listener *listener);
/* The workers accept no more and finish what runs within drain_timeout; the socket stays open. */
void listener_drain(struct listener *listener);
/* The listener accepts again after listener_drain(). */
void listener_resume(struct listener *listener);
/*
 * The workers finish what runs within drain_timeout, the socket is closed, and
 * the listener stays stopped. answer_queue: clients that wait in the queue are
 * answered first; false: nothing more is accepted.
 */
void listener_stop(struct listener *listener, bool answer_queue);
/* Leaves the sockets that the service manager keeps to the next process, as the daemon ends. */
void listener_keep_sockets(struct listener *listener);
/* Ends everything that runs at once. */
void listener_cut(struct listener *listener);
/* Sends every worker a message; fd is attached, -1: none. */
void listener_tell(struct listener *listener, enum message_type type, uint64_t value, int fd);

/* ---- another generation ------------------------------------------------------------ */

/* It is called from the event loop. error 0: the new workers are ready and wait for
 * listener_commit(); else why says what went wrong. -EINTR: nothing did, the listener was told to
 * stop or to drain meanwhile. */
typedef void (*listener_prepared)(struct listener *listener, int error, struct errors *why,
                                  void *userdata);

struct listener_preparation {
    const struct settings *settings; /* copied */
    const struct spawn_options *spawn;
    listener_prepared prepared; /* called once, and once more if they end after all, unless
                                   listener_discard() comes first */
    void *userdata;
};

/*
 * Starts the workers of a new generation beside what serves. They use *socket,
 * which is taken over, or the listener's own socket if it is NULL. Returns 0,
 * or a negative errno, and then prepared is not called: -EBUSY if a generation
 * is being prepared already.
 */
int listener_prepare(struct listener *listener, const struct listener_preparation *preparation,
                     struct listening_socket *socket);
/* The old generation stops accepting, then the prepared one serves. */
void listener_commit(struct listener *listener);
/* Throws the prepared generation away; what served goes on untouched. */
void listener_discard(struct listener *listener);

/* Returns the socket at this real address that the listener will close as soon as the queue has
 * been answered, or NULL. Another listener may take it over with its queue (socket_take_back()). */
struct listening_socket *listener_leaving_socket(struct listener *listener, const char *address);
/* Tells the leaving workers to leave the queue alone if another listener has taken it over. */
void listener_leave_queues(struct listener *listener);

/* Replaces the settings by others under which the workers would run the same; by any others if the
 * listener is stopped or drained. */
void listener_adopt_settings(struct listener *listener, const struct settings *settings);
/* Whether the plugin's file has changed since the workers were started. */
bool listener_plugin_changed(const struct listener *listener);

/* ---- upgrade ------------------------------------------------------------------------- */

/* Whether another process could go on with the listener: it prepares nothing and moves no socket.
 */
bool listener_can_be_exported(const struct listener *listener);
/* Ends a look-up that runs; the name is looked up again later. */
void listener_put_off(struct listener *listener);
/* Tells what the next process must know to go on with the listener. Returns 0 or -ENOMEM; in
 * either case the caller releases *ret with upgrade_listener_done(). */
int listener_export(const struct listener *listener, struct upgrade_listener *ret);
/* Makes a new listener go on where an earlier process of this daemon was with it. */
void listener_import(struct listener *listener, const struct upgrade_listener *inherited);

/* ---- what others ask ----------------------------------------------------------------- */

enum listener_state listener_state(const struct listener *listener);
const char *listener_state_name(enum listener_state state);
const struct settings *listener_settings(const struct listener *listener);
/* Whether any process of the listener still runs. */
bool listener_has_processes(const struct listener *listener);
/* Whether any worker of the listener may still accept something. */
bool listener_accepts(const struct listener *listener);
/* Whether the listener is neither starting nor preparing a generation, and its workers serve if it
 * does. */
bool listener_is_settled(const struct listener *listener);
/* Whether the listener's first start has succeeded or failed. */
bool listener_was_tried(const struct listener *listener);
/* Whether the listener was told to serve, and has not been told to drain or stop since. */
bool listener_is_wanted(const struct listener *listener);
/* Returns why the listener has failed, or has ended badly under --once; NULL: neither is the case.
 */
const char *listener_problem(const struct listener *listener);
struct listening_socket *listener_socket(struct listener *listener);
/* Returns the socket of the generation that is being prepared; its fd is -1 if the present one
 * stays. */
struct listening_socket *listener_next_socket(struct listener *listener);

#define LISTENER_PIDS 64

struct listener_status {
    const char *name, *state; /* texts are valid until the loop goes on */
    const char *address;      /* the real one; the configured one while there is no socket */
    const char *plugin;       /* its file */
    const char *mixin;
    const char *control_access;
    const char *problem; /* the last one; NULL: none */
    uint32_t max_connections;
    unsigned generation;       /* number of the present one; 0: none yet */
    unsigned draining;         /* older generations that still run requests */
    pid_t pids[LISTENER_PIDS]; /* of the present generation */
    size_t pid_count;
    uint64_t accepting_active; /* requests that run in workers which accept */
    struct counter_sums sums;  /* of all its workers, dead ones and older generations included */
    uint64_t restarts;         /* workers that died and were replaced */
    uint64_t since;            /* when it entered its state: CLOCK_MONOTONIC, microseconds */
    int fd;                    /* its listening socket; -1: none */
    bool stream;
    bool tls;                /* it has `tls`: */
    bool tls_known, ktls;    /* a worker has said whether the kernel encrypts */
    const char *certificate; /* the file of that which expires first; NULL: no worker has said */
    uint64_t expires;        /* seconds since 1970 */
};

void listener_status(const struct listener *listener, struct listener_status *ret);

/* One worker that runs, of any generation. slots is the number that we made, not what the mapping
 * says. */
struct listener_worker {
    pid_t pid;
    unsigned generation;
    bool draining;
    const struct counters *counters;
    uint32_t slots;
    const struct process *process;
};

/* The table of the listener's sources, or NULL; its memory's descriptor, if ret_fd is not NULL. */
struct sources *listener_sources(const struct listener *listener, int *ret_fd);

void listener_visit_workers(const struct listener *listener,
                            void (*visit)(const struct listener_worker *worker, void *userdata),
                            void *userdata);

#endif

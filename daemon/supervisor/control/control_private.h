/* SPDX-License-Identifier: MIT */
/*
 * control_private.h - what the files of the control socket share
 */
#ifndef SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_CONTROL_CONTROL_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/control_interface.h"
#include "common/sources.h"
#include "common/varlink.h"
#include "supervisor/control/control.h"
#include "supervisor/control/samples.h"
#include "supervisor/socket/unix_path.h"

#define CONTROL_CLASS    8  /* places for clients of one class */
#define CONTROL_WAITERS  64 /* of one class, who wait for an operation; they take no place */
#define CONTROL_CLIENTS  (CLASSES * (CONTROL_CLASS + CONTROL_WAITERS))
#define CONTROL_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10) /* workers, children and signals first */

/* The interface's own errors. */
#define CONTROL_UNKNOWN_LISTENER CONTROL_INTERFACE ".UnknownListener"
#define CONTROL_DENIED           CONTROL_INTERFACE ".PermissionDenied"
#define CONTROL_BUSY             CONTROL_INTERFACE ".Busy"
#define CONTROL_FAILED           CONTROL_INTERFACE ".Failed"
#define CONTROL_UNKNOWN_REQUEST  CONTROL_INTERFACE ".UnknownRequest"

/* Each class has places of its own, so nobody is kept out by those who may do less. */
enum control_class {
    CLASS_PLUGIN, /* workers with control_access */
    CLASS_READER,
    CLASS_GROUP, /* members of control.group */
    CLASS_OWNER, /* root and the daemon's user */
    CLASSES
};

struct control {
    sd_event *event;
    struct control_host host;
    uint64_t instance; /* when this program began, realtime microseconds */
    uint64_t started;  /* the same, monotonic */

    int fd; /* the listening socket; -1: none */
    sd_event_source *source;
    struct unix_path path;
    int inherited, inherited_path; /* control_inherit(); -1: none */
    const struct config *config;   /* the present one; NULL: not configured yet */
    char *configured;              /* the path asked for; NULL: none */
    uint32_t mode;
    gid_t group; /* its members may change things, too; (gid_t)-1: none */
    char *file;  /* the configuration's name */

    struct control_client *clients[CONTROL_CLIENTS]; /* NULL: a free place */
    uint64_t arrivals;
    int problem;            /* why the socket could not be made; 0: none */
    bool starved;           /* accepting failed the last time */
    sd_event_source *retry; /* accepts again, or makes the socket that could not be made */
    struct control_samples samples;
    uint64_t memory;   /* bytes that the supervisor occupied when it looked last */
    uint64_t weigh_at; /* then it looks again, CLOCK_MONOTONIC, microseconds */
    sd_event_source *sampler;
};

struct control_client {
    struct control *control;
    size_t place;
    int fd;
    sd_event_source *io, *timer;
    uint64_t arrival; /* who came first */
    pid_t pid;
    uid_t uid;
    bool may_change;
    enum control_class class;

    struct varlink_input input;
    bool ended;        /* it will send nothing more */
    bool oneway;       /* the present call wants no reply */
    bool patient;      /* it has waited, and has not taken the reply yet: it takes no place */
    const char *waits; /* the operation whose end it waits for; NULL: none */
    struct question *question; /* where a request is: what it waits for then; else NULL */
    char *output;
    size_t output_size, output_sent;
};

/* access.c: fills in pid, uid and may_change. Returns 0 or a negative errno. */
int control_identify(struct control_client *client);

/* commands.c: runs one call, which is replied to at once or when its operation is done. */
void control_call(struct control_client *client, const struct varlink_call *call);

/* client.c: begins to watch a client whose descriptor and place are known. Returns 0 or a negative
 * errno. */
int control_client_begin(struct control_client *client);
/* Does whatever can be done now; the client may be freed afterwards. */
void control_client_proceed(struct control_client *client, bool readable);
/* Whether it takes none of the places of its class. */
bool control_client_waits(const struct control_client *client);
bool control_client_is_busy(const struct control_client *client);
void control_client_close(struct control_client *client);

/* Sends the reply to the present call, and releases parameters. If they are NULL there was no
 * memory to make them: the client is hung up on. */
void control_reply(struct control_client *client, json_t *parameters);
/* The same of a whole message, with its NUL byte, which is the client's from then on. NULL: as
 * above.
 */
void control_reply_message(struct control_client *client, char *message, size_t size);
void control_reply_error(struct control_client *client, const char *error, json_t *parameters);

/* status.c: describes the listener of that name (NULL: all). Returns NULL without memory. */
json_t *control_status(const struct control *control, const char *name);
/* The daemon as a whole. */
json_t *control_daemon(const struct control *control);
/* Makes a JSON integer. It has a sign, and what a worker counted may be anything. */
json_t *control_integer(uint64_t value);
/* metrics.c: what all listeners have counted, as a whole message; recent: with what happened in the
 * last minute. NULL without memory. */
char *control_metrics(struct control *control, bool recent, size_t *ret_size);
/* health.c: whether that listener (NULL: each that is enabled) can take clients now. */
json_t *control_health(const struct control *control, const char *name);

#define HEALTH_REASON_SIZE 256

struct health {
    uint64_t active; /* requests in workers that accept */
    uint64_t places; /* how many may run */
    bool ready;
    bool drains; /* an operator or a stop wants no more clients here */
    char reason[HEALTH_REASON_SIZE];
};

/* How one listener is; active: requests that run in those of its workers that accept. */
void control_look_at(const struct control_host *host, const struct listener *listener,
                     uint64_t active, struct health *ret);
/* Whether the daemon has started, and is not about to stop. */
bool control_is_up(const struct roster *roster);
/* requests.c */
json_t *control_requests(const struct control *control, const char *name, size_t limit);
/* Those of that listener with the lowest numbers above `after`. */
json_t *control_list_requests(const struct control *control, const char *name, uint64_t after,
                              size_t limit);
/* One of them; NULL: it does not run, or there is no memory. */
json_t *control_request(const struct listener *listener, uint64_t number);

/* orders.c; both reply, the second when the worker has answered */
void control_cancel(struct control_client *client, const struct listener *listener,
                    uint64_t request);
void control_backtrace(struct control_client *client, const struct listener *listener,
                       uint64_t request);
/* Forgets the client's question, if it has one. */
void control_ask_no_more(struct control_client *client);

/* explain.c: what would become of a client, or NULL: without memory, or, if *ret_expected is set,
 * because the text names no client of such a listener. */
json_t *control_explain(const struct listener *listener, const char *client,
                        const char **ret_expected);
/* The source that such a client is. False: as above. */
bool control_source_of(const struct settings *settings, const char *client, struct source_key *ret,
                       const char **ret_expected);

/* sources.c: the busiest sources of that listener (NULL: of all), at most SOURCES_SHOWN of them. */
#define SOURCES_SHOWN 100
json_t *control_sources(const struct control *control, const char *name, size_t limit);
/* What limits a source, and how much of that it uses: one text each. */
json_t *control_source_lines(const struct listener *listener, struct source_key key, bool local);
/* Returns false if it has no penalty. */
bool control_pardon(const struct listener *listener, struct source_key key);

/* control_interface.c, made from org.sockserver.Control.varlink */
extern const char control_interface[];

#endif

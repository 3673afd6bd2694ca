/* SPDX-License-Identifier: MIT */
/*
 * process_private.h - what process.c and process_watch.c share
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_PRIVATE_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_PRIVATE_H

#include "supervisor/listener/kept.h"
#include "supervisor/listener/process.h"
#include "supervisor/listener/source_table.h"
#include "supervisor/listener/tally.h"
#include "supervisor/listener/used_files.h"

#define SECOND UINT64_C(1000000)

#define START_USEC       (30 * SECOND) /* to load the plugin and become ready */
#define PING_USEC        (2 * SECOND)
#define PONG_USEC        (10 * SECOND) /* no answer for so long: it hangs */
#define ABORT_USEC       (2 * SECOND)  /* from SIGABRT, which leaves a core, to SIGKILL */
#define CUT_USEC         (1 * SECOND)  /* from an order to end at once to SIGKILL */
#define DRAIN_GRACE_USEC (5 * SECOND)  /* a worker so late hangs */

#define WEIGHED_USEC (150 * SECOND) /* somebody who has asked for its memory asks again */

#define RETRY_USEC (SECOND / 20) /* after the kernel had no memory for a message */

#define FATE_SIZE 512

struct process {
    enum process_state state;
    const struct settings *settings;
    process_handler handler;
    void *userdata;

    pid_t pid;
    int channel;
    int wishes; /* the worker asks through it for what process_wishes.c has; -1: it may not */
    void (*control_asked)(int fd, void *userdata);
    void *control_userdata;
    sd_event_source *wishes_source;
    struct kept *kept; /* of its generation; NULL: none */
    uint64_t area;     /* the size of the shared memory that it asked for; 0: none */
    int log;           /* reads what the worker prints; -1: there is no more */
    struct counters *counters;
    int counters_fd; /* of that memory; for an upgrade */
    uint32_t slots;
    struct tally *tally; /* of the counters */
    struct source_table *sources;
    uint32_t claim; /* the first that the worker has in it, or NO_CLAIM */
    sd_event_source *child_source, *channel_source, *log_source, *timer;
    char *log_text; /* of a line whose end has not come */
    size_t log_size;

    uint64_t start_usec; /* allowed to become ready */
    uint64_t deadline;   /* of the present state; UINT64_MAX: none */
    uint64_t next_ping, serving_since;
    uint64_t unanswered_since; /* when the first ping without an answer was sent; 0: none */
    uint64_t pings;
    uint64_t retry_at; /* then sends what is owed and reads again; UINT64_MAX: never */
    unsigned owed;     /* the last order (enum message_type), if it could not be sent; 0: none */
    uint64_t owed_value;
    bool stopped, failed, stop_asked, misbehaved, asked_to_end;
    int64_t budget;        /* for its messages, in microseconds (process_watch.c) */
    uint64_t budget_at;    /* when that was so */
    uint64_t floods_since; /* when the budget was first used up; 0: it is not */
    bool traced;           /* it did not answer because of a debugger, which was logged */
    bool deaf;             /* its channel is not watched until retry_at */
    bool hung_up; /* the worker's end of the channel is closed: the worker ends, or has ended */

    bool told_tls; /* the next was said */
    struct process_tls tls;

    struct used_files files; /* that it was made of */

    enum failure failure;
    struct errors mistakes; /* why the worker cannot start, as it says */
    char fate[FATE_SIZE];
    bool ended_well;
};

/* Enters the state. After allowed_usec the worker is ended by force; UINT64_MAX: never. */
void process_enter(struct process *process, enum process_state state, uint64_t allowed_usec);

/* Notes an order that must be sent again soon; 0: there is none any more. */
void process_owe(struct process *process, unsigned order, uint64_t value);

/* Concludes that the worker has ended, and reaps it. The handler may free the process in this
 * call. */
void process_end(struct process *process, const siginfo_t *info);

/* Watches the worker's log pipe. Returns 0 or a negative errno. */
int process_watch_log(struct process *process, sd_event *event);
/* Watches for the worker's wishes. Returns 0 or a negative errno. */
int process_watch_wishes(struct process *process, sd_event *event);
/* Grants a few of them. Returns 0 at the end of the channel, as channel_receive() does. */
int process_take_wishes(struct process *process);
/* Logs what the worker has written so far; with last, also a line without an end. */
void process_read_log(struct process *process, bool last);

/* The first two are callbacks of the event loop; the third reads what the worker has sent so far,
 * and returns how many messages that were.
 */
int process_on_timer(sd_event_source *source, uint64_t when, void *userdata);
int process_on_channel(sd_event_source *source, int fd, uint32_t events, void *userdata);
unsigned process_receive(struct process *process);

#endif

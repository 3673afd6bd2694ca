/* SPDX-License-Identifier: MIT */
/*
 * rig.h - a plugin under test, its clients and its requests
 */
#ifndef SOCKSERVERD_TESTING_RIG_H
#define SOCKSERVERD_TESTING_RIG_H

#include <pthread.h>
#include <sockserver/test.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "testing/stage.h"
#include "worker/plugin/plugin.h"
#include "worker/request/request.h"
#include "worker/request/server.h"

/* One request, from its connection or datagram until nobody asks for it any more. */
struct play {
    struct play *next; /* in the rig's list, oldest first */
    struct rig *rig;
    struct ss_test *client;     /* whose it is; NULL: nobody's any more */
    struct stage *stage;        /* NULL: it waits for its turn */
    struct ss_request *request; /* until its context has it */
    int fd;                     /* the connection, until its context has it; else -1 */
    bool threaded;
    int64_t asleep_since; /* real time: its context sleeps in a call of its own; 0: it does not */
    bool blocked;         /* it has done so for long: nothing more will happen by itself */
    pthread_t thread;
    pid_t child; /* 0: none */
    char *fate;  /* how the child ended, if not well; allocated; or NULL */
    bool let_go; /* no client asks for it */
};

/* A client: struct ss_test is what the test calls it. */
struct ss_test {
    struct ss_test *next; /* in the rig's list */
    struct rig *rig;
    int fd;            /* its end of the connection, or its datagram socket; -1: none */
    struct play *play; /* its latest request, or NULL */
    size_t pieces, portion;
    uint64_t break_after;
    bool held;
    size_t room;     /* so much more it takes until the test does something */
    bool ended;      /* it found the end of the stream */
    char *came;      /* what it was sent */
    size_t size;     /* so much of it */
    size_t taken;    /* of which so much was expected */
    size_t *packets; /* datagrams: the sizes of those that came */
    size_t packet_count, packets_taken;
    char *shown; /* what the last call handed out; allocated */
};

struct rig {
    struct ss_server server;
    struct plugin_hooks hooks; /* the plugin's own: those in server are wrapped */
    struct ss_test_hooks linked;
    bool stream, started, loaded;
    struct ss_test *clients;
    struct play *plays;
    int bell;
    char *mistakes; /* as ss_test_expect_refused() has last read them, or NULL */
    char *problem;  /* with the first request that is not here any more and had one; or NULL */
    char *log;
    size_t log_size, log_taken;
    int64_t next_service, last_activity;
    unsigned requests;
    bool keeps;            /* descriptors: they are not looked for */
    unsigned char *before; /* descriptors that were open: see descriptors_note() */
    const char *file;      /* where the test is */
    int line;
    const char *call; /* and what it does there */
    struct errors errors;
};

/* ---- rig.c ------------------------------------------------------------------------ */

struct rig *rig_new(const char *plugin, const struct ss_test_hooks *linked);
/* Loads the plugin, if that was not done yet; checks the configuration and starts it. 0, or
 * negative with rig->errors. */
int rig_load(struct rig *rig);
int rig_start(struct rig *rig);
/* Ends the plugin and frees all, except for the clients. Returns what was left, or NULL; the caller
 * frees it. */
char *rig_stop(struct rig *rig);
void rig_free(struct rig *rig);

/* Which descriptors are open; what has come to them since, in words. Both are the caller's to free;
 * NULL: nothing, or no memory. */
void descriptors_note(unsigned char **before);
char *descriptors_left(const unsigned char *before);
/* This one is the library's, and stays open. */
void descriptor_is_ours(int fd);
bool descriptor_was_ours(int fd);
/* That it was left open, in words; the caller frees it. */
char *descriptor_was_left(int fd);

/* ---- play.c ----------------------------------------------------------------------- */

/* A request that is to come: by a connection, of which fd is the server's end, or a datagram (-1).
 * NULL: no memory. */
struct play *play_new(struct rig *rig, int fd);
/* Starts those that may run now. Returns whether there were any; negative errno. */
int plays_start(struct rig *rig);
/* What is wrong with a request that has ended, whatever the test was about; NULL: nothing. The
 * caller frees it. */
char *play_problem(const struct rig *rig, const struct play *play);
/* Frees those that have ended and that nobody asks for, and notes the first one's problem. */
void plays_sweep(struct rig *rig);
/* Runs one in the test's own thread, from its beginning to its end. 0 or a negative errno. */
int play_perform(struct play *play, stage_director *director);
/* Interrupts the system call that its context is in. */
void play_interrupt(const struct play *play);
bool play_has_ended(const struct play *play);
/* Its process has become a program by ss_exec(), which still runs. */
bool play_is_program(const struct play *play);
unsigned plays_active(const struct rig *rig);
/* Notes children that have ended without saying so. */
void plays_reap(struct rig *rig);
/* From now on the hooks count their calls. */
void hooks_wrap(struct rig *rig);

/* ---- settle.c --------------------------------------------------------------------- */

/* Lets all requests run until they wait. What the clients are sent is taken. */
void settle(struct rig *rig);
/* Waits in real time for something outside of the test. False: there is nothing to wait for, or it
 * took too long. */
bool settle_outside(struct rig *rig, int64_t deadline);
int64_t patience_end(void);
void advance(struct rig *rig, double seconds);
/* What is due now: hooks of the server, the end of request_timeout. */
void run_due(struct rig *rig);
/* Takes what a client was sent, as long as it has room. Whether there was anything. */
bool client_receive(struct ss_test *client);

/* ---- report.c --------------------------------------------------------------------- */

/* A text that is needed until the test has failed: it is freed some texts later. "" for NULL. */
const char *keep_text(char *text);
/* Ends the test: does not return. */
_Noreturn void fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes as a string of C, cut if they are many; the caller frees it. */
char *show_bytes(const void *bytes, size_t size);
void log_collect(struct rig *rig);
/* What the request does, in words. */
const char *play_state(const struct play *play, char *buffer, size_t size);

/* Whatever the caller cannot do without. */
void *must(struct rig *rig, void *memory);

#endif

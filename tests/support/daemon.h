/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - the real daemon, started for a test and watched through its log
 *
 * Each daemon runs in a process group of its own with its standard error on a
 * pipe. What is still running at the end of the test is killed, whole group.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon;

/* Where the tests find things. */
#define DAEMON_PROGRAM  BUILD_DIR "/bin/sockserverd"
#define CTL_PROGRAM     BUILD_DIR "/bin/sockserverctl"
#define SHIPPED_PLUGINS BUILD_DIR "/plugins"
#define FIXTURES        BUILD_DIR "/tests/plugins"

/*
 * Serves a configuration. plugin_path (shipped plugins and fixtures) and the
 * control socket's place are given; the text is the rest of the file, "log ="
 * included if the test wants other than info without access lines, "control ="
 * if it wants more of the control socket, which is then "control" in the test's folder.
 */
struct daemon *daemon_start(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The whole text of such a configuration, and the file that holds it. */
const char *daemon_configuration(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Of a daemon of daemon_start(): where its control socket is unless the text says otherwise, and
 * its configuration. */
const char *daemon_control(struct daemon *daemon);
const char *daemon_file(struct daemon *daemon);

/* The daemons of this test are another program: one that lies beside another worker, for example.
 */
void daemon_use_program(const char *path);

/* Starts the program with these arguments; NULL at the end. */
struct daemon *daemon_run(const char *const *arguments);
/* The same; its process calls prepare before it becomes the program. */
struct daemon *daemon_run_prepared(const char *const *arguments, void (*prepare)(void *userdata),
                                   void *userdata);
#define DAEMON_RUN(...) daemon_run((const char *const[]){__VA_ARGS__, NULL})

/*
 * One listener called "test" on a free port or a path of its own, with more
 * lines for its group ("" for none). Has been seen listening when this returns.
 */
struct daemon *daemon_serve(const char *scheme, const char *mixin, const char *plugin,
                            const char *more);
/* The same listener as text, for a configuration with several. */
const char *listener_text(const char *name, const char *scheme, const char *mixin,
                          const char *plugin, const char *more);
/* An address to bind: a free port, or the path NAME.sock in the test's folder. */
const char *address_for(const char *scheme, const char *name);

/* The address a listener says it listens on; waits for that line. */
const char *daemon_address(struct daemon *daemon, const char *listener);

/* Waits until the log contains the text (so many times); returns the last such line. */
const char *daemon_wait_log(struct daemon *daemon, const char *text);
const char *daemon_wait_log_times(struct daemon *daemon, const char *text, size_t times);
/* The whole log so far; how often it contains the text. */
const char *daemon_log(struct daemon *daemon);
size_t daemon_count_log(struct daemon *daemon, const char *text);

pid_t daemon_pid(struct daemon *daemon);
/* The process of the only listener; waits until there is exactly one. */
pid_t daemon_worker(struct daemon *daemon);

void daemon_signal(struct daemon *daemon, int number);
/* Waits until it has ended and its log is complete: every process that held the log is gone too.
 * Returns the exit status, or minus the signal that ended it. */
int daemon_wait_exit(struct daemon *daemon);
/* SIGTERM, then daemon_wait_exit(). */
int daemon_stop(struct daemon *daemon);
/* Waits until it has ended by itself, with this status; shows the log if not. */
void daemon_expect_exit(struct daemon *daemon, int status);
/* The usual end of a test: a stop with status 0 and a log without a sanitizer's report. */
void daemon_expect_stop(struct daemon *daemon);
/* The same after a handler that did not return: what it held is lost with it, and a leak checker
 * may say so. */
void daemon_expect_stop_after_fault(struct daemon *daemon);

/* For the teardown: kills what is left. 0, or -1 if something would not go. */
int daemon_end_all(void);

#endif

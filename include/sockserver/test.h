/* SPDX-License-Identifier: MIT */
/*
 * test.h - tests a sockserverd plugin against a client that follows a script, in one process
 *
 * The plugin's hooks run as under the daemon: its own buffers, limits, options and errors serve
 * them. Only the clock is the test's, so that a read_timeout of 60 s takes no time. The manual is
 * sockserver-test(3).
 *
 *     #include <sockserver/test.h>
 *
 *     int main(void)
 *     {
 *         struct ss_test *test = ss_test_new();
 *
 *         ss_test_send(test, "hello\n");
 *         ss_test_expect(test, "HELLO\n");
 *         ss_test_pause(test, 60);
 *         ss_test_expect_end(test);
 *         ss_test_expect_outcome(test, "idle for too long");
 *         ss_test_done(test);
 *         return 0;
 *     }
 *
 * Build it, with the plugin's source, and run it:
 *
 *     cc -g -o test_upper test_upper.c upper.c $(pkg-config --cflags --libs sockserver-test)
 *
 * What is not as expected is told with file and line, what came, what was expected, and the log;
 * then cmocka's test fails, if the program is linked with cmocka, or the process aborts.
 *
 * Everything here is for one thread, the test's. Times are in seconds, sizes in bytes. Texts end
 * with a NUL, which is not sent.
 */
#ifndef SOCKSERVER_TEST_H
#define SOCKSERVER_TEST_H

#include <sockserver/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ss_test; /* one client, and by it the plugin that all clients of the test talk to */

/* ---- beginning and end ------------------------------------------------------------ */

/*
 * A first client of the plugin whose source is linked with the test: ss_test_new(). Or of a shared
 * object: ss_test_load("./upper.so"). The plugin is started, and the client connects, at the
 * first call that needs it.
 */
struct ss_test *ss_test_load(const char *plugin);

/* Another client of the same plugin. ss_test_done() of any of them ends the test. */
struct ss_test *ss_test_another(struct ss_test *test);

/*
 * Closes what is open, lets requests and plugin end, and fails if a request does not end, if the
 * process of one, also of an earlier one, ended before its hooks did, or if the plugin leaves a
 * descriptor open that it has not had before the test. Under the address sanitizer it fails, too,
 * if memory was left. The pointers to all clients are invalid afterwards.
 */
void ss_test_done(struct ss_test *test);

/* ---- the configuration: before the plugin is started ------------------------------ */

/*
 * A listener key, written as in sockserverd.conf(5) but without quotes: "mixin", "coroutine";
 * "read_timeout", "5s". The default mixin is "none", the address is "unix:@test", or
 * "unixgram:@test" for a plugin that serves datagrams only, and for one that serves both it can be
 * either.
 */
void ss_test_set(struct ss_test *test, const char *key, const char *value);

/* The plugin keeps some descriptors for as long as its process lives: none is looked for. */
void ss_test_keeps_descriptors(struct ss_test *test);

/* An option of the plugin. A list gets one item at each call. */
void ss_test_option(struct ss_test *test, const char *name, const char *value);

/* Starts the plugin: check_options and server_activate. Mistakes are those of sockserverd --check,
 * with the test's file and line. */
void ss_test_start(struct ss_test *test);

/* The record of the plugin, which need not have been started. */
const struct ss_plugin *ss_test_plugin(struct ss_test *test);

/* The plugin does not start, and one of the mistakes has this text in it. */
void ss_test_expect_refused(struct ss_test *test, const char *text);

/* ---- what the client does --------------------------------------------------------- */

/* Connects, also once more after an earlier request has ended. */
void ss_test_connect(struct ss_test *test);

/*
 * Sends text or bytes, and lets the handler work until it waits. To a listener of datagrams each
 * call sends one, and so begins a request of its own. Under "threading" it does not wait, so
 * that what is sent to two requests is worked on in two threads at once.
 */
void ss_test_send(struct ss_test *test, const char *text);
void ss_test_send_bytes(struct ss_test *test, const void *data, size_t size);

/* From now on, what is sent arrives in pieces of so many bytes, and the handler sees each before
 * the next one is there. 0: in one piece. */
void ss_test_pieces(struct ss_test *test, size_t size);

/* Says that nothing more will be sent (half-close); closes; or resets the connection. */
void ss_test_shutdown(struct ss_test *test);
void ss_test_close(struct ss_test *test);
void ss_test_reset(struct ss_test *test);

/* Takes nothing more of what is sent to it, until it shall again. */
void ss_test_hold(struct ss_test *test, bool held);

/* From now on, no send takes more than so many bytes at once. 0: as many as there are. */
void ss_test_short_writes(struct ss_test *test, size_t size);

/* The connection is reset as soon as so many more bytes have been sent to the client. */
void ss_test_break_after(struct ss_test *test, size_t size);

/* ---- what happens meanwhile ------------------------------------------------------- */

/* So many seconds go by: waits end, service_actions and handle_timeout run as they are due. */
void ss_test_pause(struct ss_test *test, double seconds);

/* A drain begins; and its end comes, which cuts what still runs. */
void ss_test_drain(struct ss_test *test);
void ss_test_cut(struct ss_test *test);

/* A signal interrupts whatever system call the request is in: EINTR. */
void ss_test_interrupt(struct ss_test *test);

/* Somebody calls ss_wake() for the request, if it has asked for its ss_waker(). */
void ss_test_wake(struct ss_test *test);

/* ---- what is expected ------------------------------------------------------------- */

/* Exactly this comes next; more may follow. Of datagrams, this is the whole of the next one. */
void ss_test_expect(struct ss_test *test, const char *text);
void ss_test_expect_bytes(struct ss_test *test, const void *data, size_t size);

/* The next line comes, and fits a pattern of fnmatch(3): "220 * ready". Its end, "\n" or "\r\n",
 * is not part of it. Returns the line, which is valid until the next call. A datagram may have
 * several, each of them whole. */
const char *ss_test_expect_line(struct ss_test *test, const char *pattern);

/* Nothing more has come, and the request goes on. */
void ss_test_expect_nothing(struct ss_test *test);

/* Nothing more comes but the end of the stream; of datagrams, nothing more. */
void ss_test_expect_end(struct ss_test *test);

/* What has come and was not expected yet, with a NUL behind it; it counts as expected. */
const char *ss_test_take(struct ss_test *test, size_t *size);

/*
 * The request ends, as its line in the access log says, without the counts: "done", "refused",
 * "client went away", "handle failed: Protocol error", ... A pattern of fnmatch(3).
 */
void ss_test_expect_outcome(struct ss_test *test, const char *pattern);

/* The request ends, and setup or handle has returned this: 0 or a negative errno. */
void ss_test_expect_error(struct ss_test *test, int error);

/* The request ends, and has called this hook so many times: "verify_request", "setup", "handle",
 * "finish" or "handle_error". */
void ss_test_expect_calls(struct ss_test *test, const char *hook, unsigned count);

/* A line was logged, since this was expected last, that has this text in it. */
void ss_test_expect_log(struct ss_test *test, const char *text);

/* Anything else: ss_test_check(test, value == 1). */
#define ss_test_check(test, condition)                                                             \
    ((condition) ? (void)0 : (ss_test_fail)(SS_TEST_AT(test), "expected " #condition))
void ss_test_fail(struct ss_test *test, const char *message);

/* ---- fuzzing ---------------------------------------------------------------------- */

/*
 * Any bytes as one conversation from its beginning to its end, or as one datagram: what
 * sockserverd-fuzz(1) does with each input. How a conversation is cut into pieces, how much time
 * goes by between them, and how the client leaves, follows from a hash of the bytes. It fails if
 * the request hangs, or leaves a descriptor open.
 * After ss_test_pieces(test, SIZE_MAX), all bytes and the end are there before the request begins.
 */
void ss_test_fuzz(struct ss_test *test, const void *data, size_t size);

/* ---- how it works ----------------------------------------------------------------- */

/* Called with the whole message instead of what is usual. It must not return; it may throw. */
void ss_test_on_failure(void (*function)(const char *message));

/* The hooks of a plugin that is linked with the test; those that it lacks are NULL. */
struct ss_test_hooks {
    size_t size; /* sizeof(struct ss_test_hooks): it may grow at its end */
    const struct ss_plugin *record;
    bool (*verify_request)(struct ss_request *);
    int (*setup)(struct ss_request *);
    int (*handle)(struct ss_request *);
    void (*finish)(struct ss_request *);
    void (*handle_error)(struct ss_request *, int);
    int (*check_options)(struct ss_server *);
    int (*server_activate)(struct ss_server *);
    void (*server_close)(struct ss_server *);
    void (*service_actions)(struct ss_server *);
    void (*handle_timeout)(struct ss_server *);
};
struct ss_test *ss_test_new_linked(const struct ss_test_hooks *hooks);

/* Notes where the test is, and returns it. */
struct ss_test *ss_test_at(struct ss_test *test, const char *file, int line);

/* clang-format off */
#pragma weak ss_plugin_record
#pragma weak verify_request
#pragma weak setup
#pragma weak handle
#pragma weak finish
#pragma weak handle_error
#pragma weak check_options
#pragma weak server_activate
#pragma weak server_close
#pragma weak service_actions
#pragma weak handle_timeout
/* clang-format on */

static inline struct ss_test *
ss_test_new_here(const char *file, int line)
{
    const struct ss_test_hooks hooks = {
        sizeof(struct ss_test_hooks),
        &ss_plugin_record,
        verify_request,
        setup,
        handle,
        finish,
        handle_error,
        check_options,
        server_activate,
        server_close,
        service_actions,
        handle_timeout,
    };

    return ss_test_at(ss_test_new_linked(&hooks), file, line);
}

#define SS_TEST_AT(test) ss_test_at(test, __FILE__, __LINE__)

#define ss_test_new()                          ss_test_new_here(__FILE__, __LINE__)
#define ss_test_load(plugin)                   ss_test_at((ss_test_load)(plugin), __FILE__, __LINE__)
#define ss_test_another(test)                  (ss_test_another)(SS_TEST_AT(test))
#define ss_test_done(test)                     (ss_test_done)(SS_TEST_AT(test))
#define ss_test_set(test, key, value)          (ss_test_set)(SS_TEST_AT(test), key, value)
#define ss_test_option(test, name, value)      (ss_test_option)(SS_TEST_AT(test), name, value)
#define ss_test_plugin(test)                   (ss_test_plugin)(SS_TEST_AT(test))
#define ss_test_start(test)                    (ss_test_start)(SS_TEST_AT(test))
#define ss_test_expect_refused(test, text)     (ss_test_expect_refused)(SS_TEST_AT(test), text)
#define ss_test_connect(test)                  (ss_test_connect)(SS_TEST_AT(test))
#define ss_test_send(test, text)               (ss_test_send)(SS_TEST_AT(test), text)
#define ss_test_send_bytes(test, data, size)   (ss_test_send_bytes)(SS_TEST_AT(test), data, size)
#define ss_test_shutdown(test)                 (ss_test_shutdown)(SS_TEST_AT(test))
#define ss_test_close(test)                    (ss_test_close)(SS_TEST_AT(test))
#define ss_test_reset(test)                    (ss_test_reset)(SS_TEST_AT(test))
#define ss_test_hold(test, held)               (ss_test_hold)(SS_TEST_AT(test), held)
#define ss_test_pause(test, seconds)           (ss_test_pause)(SS_TEST_AT(test), seconds)
#define ss_test_drain(test)                    (ss_test_drain)(SS_TEST_AT(test))
#define ss_test_cut(test)                      (ss_test_cut)(SS_TEST_AT(test))
#define ss_test_wake(test)                     (ss_test_wake)(SS_TEST_AT(test))
#define ss_test_interrupt(test)                (ss_test_interrupt)(SS_TEST_AT(test))
#define ss_test_expect(test, text)             (ss_test_expect)(SS_TEST_AT(test), text)
#define ss_test_expect_bytes(test, data, size) (ss_test_expect_bytes)(SS_TEST_AT(test), data, size)
#define ss_test_expect_line(test, pattern)     (ss_test_expect_line)(SS_TEST_AT(test), pattern)
#define ss_test_expect_nothing(test)           (ss_test_expect_nothing)(SS_TEST_AT(test))
#define ss_test_expect_end(test)               (ss_test_expect_end)(SS_TEST_AT(test))
#define ss_test_take(test, size)               (ss_test_take)(SS_TEST_AT(test), size)
#define ss_test_expect_outcome(test, pattern)  (ss_test_expect_outcome)(SS_TEST_AT(test), pattern)
#define ss_test_expect_error(test, error)      (ss_test_expect_error)(SS_TEST_AT(test), error)
#define ss_test_expect_calls(test, hook, count)                                                    \
    (ss_test_expect_calls)(SS_TEST_AT(test), hook, count)
#define ss_test_expect_log(test, text) (ss_test_expect_log)(SS_TEST_AT(test), text)
#define ss_test_fuzz(test, data, size) (ss_test_fuzz)(SS_TEST_AT(test), data, size)

#ifdef __cplusplus
}
#endif

#endif

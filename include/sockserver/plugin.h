/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - what a sockserverd plugin may define and call
 *
 * A plugin is a shared object with a function handle(), a record written by
 * SS_PLUGIN(), and any of the other hooks below. The daemon loads it into a
 * worker process of its own for each listener and calls the hooks for every
 * request: one accepted connection, or one datagram. The manual is
 * sockserver-plugin(3); plugins/template in the source is a place to start.
 *
 *     #include <ctype.h>
 *     #include <sockserver/plugin.h>
 *
 *     SS_PLUGIN(.name = "upper", .summary = "sends each line back in upper case",
 *               .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)
 *
 *     int handle(struct ss_request *request)
 *     {
 *         char *line;
 *         ssize_t size;
 *
 *         while ((size = ss_wait_input(request, -1)) > 0 &&
 *                (size = ss_readline(request, &line)) > 0) {
 *             for (ssize_t i = 0; i < size; i++)
 *                 line[i] = toupper((unsigned char)line[i]);
 *             ss_write(request, line, size);
 *         }
 *         return size;
 *     }
 *
 * Build it with:  cc -shared -fPIC $(pkg-config --cflags sockserver) -o upper.so upper.c
 * Try it with:    sockserverd --listen tcp://127.0.0.1:9999 ./upper.so
 *
 * Errors are negative errno values throughout. Durations are in seconds, as
 * double; sizes in bytes. A request may be used only by the thread, process
 * or coroutine its hooks run in, and only until finish() has returned.
 *
 * ABI history. It only grows: calls, types and fields are added behind those
 * that exist, and none is changed or taken away, so that a plugin built against
 * any earlier header keeps loading. A daemon refuses a later number than its own.
 *   1  the first
 *   2  SS_LIST and ss_option_list(); ss_wait_input(); ss_peer_address(); more is added until it is
 *      released
 */
#ifndef SOCKSERVER_PLUGIN_H
#define SOCKSERVER_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <syslog.h> /* LOG_ERR, LOG_INFO, ... for ss_log() */

#ifdef __cplusplus
extern "C" {
#endif

#define SS_ABI 2

#define SS_EXPORT __attribute__((visibility("default")))

struct ss_server;  /* a listener, as its worker process sees it */
struct ss_request; /* one accepted connection, or one datagram */

/* ---- the record: what this plugin is ---------------------------------- */

/* Transports, for .transports. */
#define SS_STREAM   1u /* tcp://, unix:// */
#define SS_DATAGRAM 2u /* udp://, unixgram:// */

/*
 * Mixins under which the plugin is safe, for .mixins. The mixins "none" and
 * "forking" run one request at a time in a process and are always allowed.
 */
#define SS_THREADING 1u /* hooks run in several threads at once */
#define SS_COROUTINE 2u /* all waiting is done through ss_*() calls */

enum ss_type {
    SS_STRING = 1, /* any text */
    SS_BOOLEAN,    /* true, false */
    SS_INTEGER,    /* whole number, 64 bits */
    SS_NUMBER,     /* number with a fraction */
    SS_SIZE,       /* bytes: 4096, "64K", "1M", "2G" */
    SS_DURATION,   /* seconds: 1.5, "250ms", "30s", "5m", "2h" */
    SS_LIST        /* strings: [ "a", "b" ]; "a" is a list of one. Since ABI 2 */
};

/*
 * One option of the plugin, set in the listener's `options` group. A value
 * of the wrong type or outside min...max is refused with file and line before
 * the plugin sees it; min and max both 0 mean any. For SS_STRING they bound
 * the length, for SS_LIST the number of items.
 */
struct ss_option {
    const char *name;
    enum ss_type type;
    const char *fallback; /* the default, as in the file; NULL: "", false, 0 or no items.
                             A list's has one item in each line: "a\nb" */
    double min, max;
    const char *help; /* one line, for --describe */
    bool required;    /* the file must give a value; fallback is not used */
};

struct ss_plugin {
    uint32_t abi;         /* SS_ABI, filled in by SS_PLUGIN() */
    uint32_t size;        /* sizeof (struct ss_plugin) */
    uint32_t option_size; /* sizeof (struct ss_option) */
    uint32_t reserved;
    const char *name;                /* short, like the file without .so */
    const char *summary;             /* one line, for --describe */
    uint32_t transports;             /* SS_STREAM | SS_DATAGRAM */
    uint32_t mixins;                 /* SS_THREADING | SS_COROUTINE, or 0 */
    const struct ss_option *options; /* ends with an empty row; or NULL */
};

extern SS_EXPORT const struct ss_plugin ss_plugin_record;

/* Defines the record. Stands once in a plugin, at file level, without a semicolon. */
/* clang-format off */
#define SS_PLUGIN(...)                                                                             \
    const struct ss_plugin ss_plugin_record = {                                                    \
        .abi = SS_ABI,                                                                             \
        .size = (uint32_t)sizeof(struct ss_plugin),                                                \
        .option_size = (uint32_t)sizeof(struct ss_option),                                         \
        .reserved = 0,                                                                             \
        __VA_ARGS__};
/* clang-format on */

/* ---- hooks: what the plugin defines ------------------------------------ */

/*
 * For each request, in this order, in its own thread, child or coroutine:
 *
 * verify_request  false refuses the client: nothing else is called.
 * setup           prepares; a negative return refuses the request: handle and
 *                 finish do not run, handle_error does.
 * handle          does the work; 0, or a negative errno for handle_error.
 *                 The only hook that is required.
 * finish          cleans up what setup made. Runs if and only if setup
 *                 succeeded, however handle ended.
 * handle_error    is told of a failed setup or handle, once. A client that
 *                 went away is no error, nor is a request cut by the daemon.
 */
SS_EXPORT bool verify_request(struct ss_request *request);
SS_EXPORT int setup(struct ss_request *request);
SS_EXPORT int handle(struct ss_request *request);
SS_EXPORT void finish(struct ss_request *request);
SS_EXPORT void handle_error(struct ss_request *request, int error);

/*
 * For each worker process, in its main thread:
 *
 * server_activate  once, before the first request and with the worker's final
 *                  user and limits. A negative return: the listener fails and
 *                  is tried again later. Under "forking" it must not start a
 *                  thread.
 * server_close     once, after the last request (of this process: a forked
 *                  child does not call it).
 * service_actions  every `service_interval`; under "threading" while requests
 *                  run in other threads, under "none" between requests, under
 *                  "coroutine" while they wait.
 * handle_timeout   when no request has come for `timeout`.
 */
SS_EXPORT int server_activate(struct ss_server *server);
SS_EXPORT void server_close(struct ss_server *server);
SS_EXPORT void service_actions(struct ss_server *server);
SS_EXPORT void handle_timeout(struct ss_server *server);

/* ---- reading: from setup, handle, finish -------------------------------- */

/*
 * Reads what there is, at least one byte, at most size. Waits up to
 * `read_timeout`. Returns the number of bytes, 0 at the end of the stream (or
 * of the datagram), or -ETIMEDOUT, -ECANCELED (the daemon cuts this request),
 * -ECONNRESET, or an earlier ss_write()'s error.
 */
SS_EXPORT ssize_t ss_read(struct ss_request *request, void *buffer, size_t size);

/* Reads size bytes; returns fewer only at the end of the stream. Errors as ss_read(). */
SS_EXPORT ssize_t ss_read_full(struct ss_request *request, void *buffer, size_t size);

/*
 * Reads one line. *line then points to it, with its newline (which only the
 * last line of a stream may lack) and a NUL behind it, in the request's own
 * buffer: it may be written to, and is valid until the next read. Returns its
 * length, 0 at the end of the stream, -EMSGSIZE for a line longer than
 * `max_line` (nothing is consumed), or an error as ss_read().
 */
SS_EXPORT ssize_t ss_readline(struct ss_request *request, char **line);

/* The datagram as received, in the request's own buffer; NULL and size 0 for a stream. From
 * verify_request, too. */
SS_EXPORT const void *ss_packet(struct ss_request *request, size_t *size);

/* Whether the datagram was longer than `max_packet_size` and was cut. */
SS_EXPORT bool ss_truncated(struct ss_request *request);

/* ---- writing: from setup, handle, finish, handle_error -------------------- */

/*
 * Writes all of it or fails: returns 0 or a negative errno (-EPIPE,
 * -ECONNRESET, -ETIMEDOUT after `write_timeout`, -ECANCELED). Output is
 * gathered and goes out when `write_buffer` is full, when the request is about
 * to wait for input, at ss_flush() and at the end. An error sticks: later
 * writes and reads return it too, so a simple handler may ignore it here.
 *
 * To a datagram, what is written becomes the one reply, sent after finish()
 * if nothing failed; -EMSGSIZE if it grows beyond 65535 bytes.
 */
SS_EXPORT int ss_write(struct ss_request *request, const void *data, size_t size);
SS_EXPORT int ss_printf(struct ss_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
SS_EXPORT int ss_flush(struct ss_request *request);

/*
 * Sends size bytes of the regular file fd from offset on, behind what was
 * written before, without copying them where the transport can. The file must
 * hold that many: -EIO if it ends early. Otherwise as ss_write().
 */
SS_EXPORT int ss_sendfile(struct ss_request *request, int fd, off_t offset, size_t size);

/*
 * The connection's descriptor (of a datagram: the listening socket), or
 * -ENOTSUP where raw bytes would go around the encryption. It is the
 * request's: read and write it behind the buffers' back only after
 * ss_flush(). A handler may close it itself; the daemon notices.
 */
SS_EXPORT int ss_fd(struct ss_request *request);

/* ---- waiting and ending: from any request hook ---------------------------- */

/* Turns true when a drain begins, or `request_timeout` or `spin_limit` is over: say goodbye. */
SS_EXPORT bool ss_cancelled(struct ss_request *request);

/*
 * Waits under every mixin without holding up other requests. Negative seconds:
 * for ever. Returns 0, or -ECANCELED when the request must end now.
 */
SS_EXPORT int ss_sleep(struct ss_request *request, double seconds);

/*
 * Waits until fd is ready for events (poll(2)'s POLLIN, POLLOUT). Returns the
 * events that came, 0 when the time is up, -ECANCELED, or another error.
 */
SS_EXPORT int ss_wait(struct ss_request *request, int fd, short events, double seconds);

/*
 * Waits for input: the way to wait for the client's next request. Returns 1 if
 * there is input, or the end of the stream; 0 when the time is up; -ECANCELED
 * as soon as a drain begins, or when the request must end now. After a drain's
 * -ECANCELED, output still goes out: say goodbye and return. Negative seconds:
 * as long as a read may wait, then -ETIMEDOUT; other errors are those of a
 * read. It counts as a read: ss_readline()'s line before it is gone. ABI 2.
 */
SS_EXPORT int ss_wait_input(struct ss_request *request, double seconds);

/* ---- who: from any request hook ------------------------------------------- */

/*
 * The client's address; *size becomes its length. IPv4 clients of an IPv6
 * socket show their IPv4 address. Valid as long as the request.
 */
SS_EXPORT const struct sockaddr *ss_client_address(struct ss_request *request, socklen_t *size);

/*
 * The address of whoever is connected: the balancer where a PROXY header
 * announced the client, else the same as ss_client_address(). ABI 2.
 */
SS_EXPORT const struct sockaddr *ss_peer_address(struct ss_request *request, socklen_t *size);

/*
 * The client as text: "127.0.0.1:51234", "[::1]:51234", or "pid 812 uid 1000"
 * for a Unix peer. Valid as long as the request.
 */
SS_EXPORT const char *ss_client_name(struct ss_request *request);

struct ss_credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* Who a Unix peer is, by the kernel's word. 0, -ENOTSUP for TCP and UDP, -ENODATA if not known. */
SS_EXPORT int ss_client_credentials(struct ss_request *request, struct ss_credentials *credentials);

/* What runs it: "upper-thread-3", "upper-child-812", "upper-coroutine-7" or "upper-main". */
SS_EXPORT const char *ss_worker_name(struct ss_request *request);

/* ---- the plugin's own data: from any hook ---------------------------------- */

/* A pointer per request, NULL at its start. The plugin owns what it points to. */
SS_EXPORT void *ss_data(struct ss_request *request);
SS_EXPORT void ss_set_data(struct ss_request *request, void *data);

/*
 * A pointer per worker process, NULL before server_activate. Under
 * "threading" all requests share it; a forked child has a copy.
 */
SS_EXPORT void *ss_server_data(struct ss_server *server);
SS_EXPORT void ss_server_set_data(struct ss_server *server, void *data);

/* ---- the listener: from any hook -------------------------------------------- */

SS_EXPORT struct ss_server *ss_server(struct ss_request *request);

/* Its name in the configuration file. */
SS_EXPORT const char *ss_server_name(struct ss_server *server);

/* Its real address, as in the file but with port 0 resolved: "tcp://127.0.0.1:41235". */
SS_EXPORT const char *ss_server_address(struct ss_server *server);

/*
 * Option values, checked against the plugin's table; strings live as long as
 * the worker. Asking for a name or type that is not in the table is a mistake
 * in the plugin: it is logged, and NULL, 0 or false returned.
 */
SS_EXPORT const char *ss_option_string(struct ss_server *server, const char *name);
SS_EXPORT int64_t ss_option_integer(struct ss_server *server, const char *name);
SS_EXPORT double ss_option_number(struct ss_server *server, const char *name);
SS_EXPORT bool ss_option_boolean(struct ss_server *server, const char *name);
SS_EXPORT uint64_t ss_option_size(struct ss_server *server, const char *name);   /* bytes */
SS_EXPORT double ss_option_duration(struct ss_server *server, const char *name); /* seconds */

/*
 * The items of a list, in their order, with NULL behind the last, so that an
 * empty list is a pointer to NULL. *count becomes their number; count may be
 * NULL. Array and strings belong to the daemon and live as long as the worker.
 * A mistake as above returns NULL, and 0 as the number.
 */
SS_EXPORT const char *const *ss_option_list(struct ss_server *server, const char *name,
                                            size_t *count);

/* Asks for a graceful stop of this listener; returns at once, never deadlocks. */
SS_EXPORT void ss_server_stop(struct ss_server *server);

/* ---- logging: from anywhere in the plugin ------------------------------------ */

/*
 * Logs one line at a syslog level (LOG_ERR ... LOG_DEBUG). Listener and
 * request are added; no newline is needed; %m is understood; errno is kept.
 * Never blocks.
 */
SS_EXPORT void ss_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif

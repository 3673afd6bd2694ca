/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - what a sockserverd plugin may define and call
 *
 * A plugin is a shared object with a function handle(), a record written by
 * SS_PLUGIN(), and any of the other hooks below. The daemon loads it into a
 * worker process of its own for each listener and calls the hooks for every
 * request: one accepted connection, or one datagram. The manual is
 * sockserver-plugin(3), with a page for each call, such as ss_read(3);
 * `sockserverd --new NAME` makes a plugin to begin with.
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
 *   2  SS_LIST and ss_option_list(); ss_wait_input(); ss_poll(); ss_set_deadline();
 *      ss_peer_address(); ss_local_address(); ss_tls(); ss_penalise(); ss_buffered();
 *      ss_set_outcome(); ss_shutdown(); ss_exec(); ss_connect(); ss_relay();
 *      ss_relay_stream(); ss_send(); ss_server_concurrency(); ss_server_transport();
 *      ss_server_mixin(); ss_server_fd(); ss_server_hand_over(); ss_server_uses();
 *      ss_draining(); ss_control() and .needs; check_options() and ss_complain(); SS_CLIENT;
 *      ss_set_timeouts(); ss_waker() and ss_wake(); ss_server_shared(), ss_shared_lock() and
 *      ss_shared_unlock(); ss_server_keep() and ss_server_kept(); SS_ONE_PROCESS; SS_CHOICE,
 *      SS_PATH, SS_ADDRESS and .choices; a range that is open at one end; more is added until it
 *      is released
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

struct pollfd;     /* <poll.h> */
struct ss_server;  /* a listener, as its worker process sees it */
struct ss_request; /* one accepted connection, or one datagram */
struct ss_waker;   /* ends the waits of one request: see ss_waker() */

/* ---- the record: what this plugin is ---------------------------------- */

/* Transports, for .transports. */
#define SS_STREAM   1u /* tcp://, unix:// */
#define SS_DATAGRAM 2u /* udp://, unixgram:// */

/*
 * Mixins under which the plugin is safe, for .mixins. The mixins "none" and
 * "forking" run one request at a time in a process, so every plugin is safe
 * under them; but what such a process writes to its memory, no other sees. A
 * plugin whose requests share something in plain memory states SS_ONE_PROCESS,
 * and a listener that would have several processes is then refused, with
 * "forking" and with `cpus` above 1; or it takes ss_server_shared(), which works
 * everywhere.
 */
#define SS_THREADING 1u /* hooks run in several threads at once */
#define SS_COROUTINE 2u /* all waiting is done through ss_*() calls */
/* State is in plain memory: one process, and under "coroutine" one thread, serves all requests.
 * ABI 2. */
#define SS_ONE_PROCESS 4u

/* For .needs: the plugin calls ss_control(), and the listener must let it: a configuration without
 * `control_access` is refused with file and line. */
#define SS_CONTROL 1u

enum ss_type {
    SS_STRING = 1, /* any text */
    SS_BOOLEAN,    /* true, false */
    SS_INTEGER,    /* whole number, 64 bits */
    SS_NUMBER,     /* number with a fraction */
    SS_SIZE,       /* bytes: 4096, "64K", "1M", "2G" */
    SS_DURATION,   /* seconds: 1.5, "250ms", "30s", "5m", "2h" */
    SS_LIST,       /* strings: [ "a", "b" ]; "a" is a list of one. Since ABI 2 */
    SS_CHOICE,     /* one of the words in .choices. Since ABI 2 */
    SS_PATH,       /* an absolute path, whether or not there is such a file. Since ABI 2 */
    SS_ADDRESS     /* what ss_connect() takes: "tcp://HOST:PORT", "unix:///PATH". Since ABI 2 */
};

/*
 * One option of the plugin, set in the listener's `options` group. A value
 * of the wrong type or outside min...max is refused with file and line before
 * the plugin sees it; min and max both 0 mean any, and INFINITY (of math.h) or
 * -INFINITY leaves one end open. For SS_STRING and SS_PATH they bound the length,
 * for SS_LIST the number of items; SS_BOOLEAN, SS_CHOICE and SS_ADDRESS have none.
 */
struct ss_option {
    const char *name; /* a letter, then letters, digits, '_' and '-' */
    enum ss_type type;
    const char *fallback; /* the default, as in the file; NULL: "", false, 0 or no items; a
                             choice must have one. A list's has one item in each line: "a\nb".
                             A path or an address that is "" is none; where that is not the
                             default, the file may not say "" */
    double min, max;
    const char *help; /* one line, for --describe */
    bool required;    /* the file must give a value; fallback is not used */
#ifdef __cplusplus
    const char *choices = nullptr; /* as below */
#else
    const char *choices; /* of SS_CHOICE: its words, with a space between: "none v1 v2". ABI 2 */
#endif
};

struct ss_plugin {
    uint32_t abi;         /* SS_ABI, filled in by SS_PLUGIN() */
    uint32_t size;        /* sizeof (struct ss_plugin) */
    uint32_t option_size; /* sizeof (struct ss_option) */
    uint32_t reserved;
    const char *name;                /* short, like the file without .so */
    const char *summary;             /* one line, for --describe */
    uint32_t transports;             /* SS_STREAM | SS_DATAGRAM */
    uint32_t mixins;                 /* SS_THREADING | SS_COROUTINE | SS_ONE_PROCESS, or 0 */
    const struct ss_option *options; /* ends with an empty row; or NULL */
#ifdef __cplusplus
    uint32_t needs = 0; /* not missed by compilers where it is not given */
#else
    uint32_t needs;      /* SS_CONTROL, or 0. ABI 2 */
#endif
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
 *                 went away is no error if a call here has told of it, nor is
 *                 a request cut by the daemon.
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

/*
 * check_options    the plugin's own judgement of its options, in a process that serves nobody and
 *                  ends then: under --check and at a reload, with the worker's user and limits,
 *                  after what the table says of them. It says what is wrong by ss_complain(), and
 *                  goes on to the next option; its return value counts for nothing. What it cannot
 *                  know yet, such as the listener's real address, is "". ABI 2.
 */
SS_EXPORT int check_options(struct ss_server *server);

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

/* How many bytes of the client's have been received and not read: who is given ss_fd() would miss
 * them. ABI 2. */
SS_EXPORT size_t ss_buffered(struct ss_request *request);

/* The datagram as received, in the request's own buffer; NULL and size 0 for a stream. From
 * verify_request, too. */
SS_EXPORT const void *ss_packet(struct ss_request *request, size_t *size);

/* Whether the input was cut short: the datagram was longer than `max_packet_size`, or the end of a
 * TLS connection came without the client having said that it is the end (close_notify). */
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
 * Sends what is gathered, and lets the client find the end behind it, over TLS as close_notify. The
 * request goes on: it may read, and not write. 0 or a negative errno; -ENOTSUP for a datagram.
 * ABI 2.
 */
SS_EXPORT int ss_shutdown(struct ss_request *request);

/*
 * Sends size bytes of the regular file fd from offset on, behind what was
 * written before, without copying them where the transport can. The file must
 * hold that many: -EIO if it ends early. Otherwise as ss_write().
 */
SS_EXPORT int ss_sendfile(struct ss_request *request, int fd, off_t offset, size_t size);

/*
 * Sends one more datagram to the sender of this one, now: a reply may be several.
 * It is sent once; -EAGAIN says that its receiver has no room. -EDESTADDRREQ: the
 * sender has no address. -ENOTSUP for a stream. ABI 2.
 */
SS_EXPORT int ss_send(struct ss_request *request, const void *data, size_t size);

/*
 * The connection's descriptor (of a datagram: the listening socket), or
 * -ENOTSUP where raw bytes would go around the encryption; ss_wait() and
 * ss_poll() take that, as SS_CLIENT, for the client. It is the request's: read
 * and write it behind the buffers' back only after ss_flush(). A handler may
 * close a connection itself; the daemon notices. Under --stdio it is standard
 * input.
 */
SS_EXPORT int ss_fd(struct ss_request *request);

/* ---- waiting and ending: from any request hook ---------------------------- */

/* Turns true when a drain begins, or `max_connection_age`, `request_timeout` or `spin_limit` is
 * over: say goodbye. */
SS_EXPORT bool ss_cancelled(struct ss_request *request);

/*
 * How long, in seconds, a read of this request waits for the client to send, and a write for it to
 * take something; the request begins with `read_timeout` and `write_timeout`. 0: for ever;
 * negative: as it is. A protocol may so wait long for a login and short for its next line. Returns
 * 0, or -EINVAL for what is no number, and nothing has changed. ABI 2.
 */
SS_EXPORT int ss_set_timeouts(struct ss_request *request, double read, double write);

/*
 * What follows must be done in so many seconds from now: when they are over,
 * reads, writes and waits return -ETIMEDOUT, until the next call sets another
 * deadline. 0 seconds: no deadline. It holds beside read_timeout, write_timeout
 * and request_timeout, whichever is over first. Returns 0, or -EINVAL for a
 * negative number or none. ABI 2.
 */
SS_EXPORT int ss_set_deadline(struct ss_request *request, double seconds);

/*
 * Waits under every mixin without holding up other requests. Negative seconds:
 * for ever. Returns 0, -ETIMEDOUT at the deadline, -EINTR: ss_wake(), or -ECANCELED
 * when the request must end now.
 */
SS_EXPORT int ss_sleep(struct ss_request *request, double seconds);

/*
 * Waits until fd is ready for events (poll(2)'s POLLIN, POLLOUT). Returns the
 * events that came (of those, and POLLERR and POLLHUP), 0 when the time is up,
 * -ETIMEDOUT at the deadline, -EINTR: ss_wake(), -ECANCELED, or another error.
 * For the client, as SS_CLIENT or ss_fd(), what its buffer holds counts.
 */
SS_EXPORT int ss_wait(struct ss_request *request, int fd, short events, double seconds);

/* As a descriptor of ss_poll() and ss_wait(): the client, with all that was received from it and
 * not read, under TLS, too. ABI 2. */
#define SS_CLIENT (-2)

/*
 * Waits for several descriptors: as poll(2), it fills in their revents, and returns how many of
 * them have some; 0 when the time is up (negative seconds: never). -ECANCELED as soon as a drain
 * begins or the connection is older than `max_connection_age`, unless something has come already:
 * told once, a later call waits on; and when the request must end now: told each time. -EINTR:
 * ss_wake(). -ETIMEDOUT at the deadline, -EBADF for a descriptor that is not open, or another
 * negative errno. Output is sent first. Entries with another negative descriptor than SS_CLIENT are
 * skipped. The descriptors remain the plugin's. ABI 2.
 */
SS_EXPORT int ss_poll(struct ss_request *request, struct pollfd *fds, size_t count, double seconds);

/*
 * Waits for input: the way to wait for the client's next request. Returns 1 if
 * there is input, or the end of the stream; 0 when the time is up; -ECANCELED
 * as soon as a drain begins or the connection is older than `max_connection_age` (told once, here
 * or by ss_poll()), or when the request must end now. After the former's -ECANCELED, output still
 * goes out: say goodbye and return. -EINTR: ss_wake(). Negative seconds: as long as a read may
 * wait, then -ETIMEDOUT; other errors are those of a read. It counts as a read: ss_readline()'s
 * line before it is gone. ABI 2.
 */
SS_EXPORT int ss_wait_input(struct ss_request *request, double seconds);

/*
 * A handle by which others end a wait of this request: it is always the same one. It needs no
 * release, and may be kept and used when the request has ended: it does nothing then. It is no
 * address; only its being equal to another means something. NULL: no memory or descriptor is left.
 * From the request's own hooks. ABI 2.
 */
SS_EXPORT struct ss_waker *ss_waker(struct ss_request *request);

/*
 * The wait in which that request is now, or its next one, returns -EINTR, once: several calls
 * before that are one. What a thread has done before it calls this is seen by the request then. A
 * wait is ss_sleep(), ss_wait(), ss_poll() and ss_wait_input(); reads, writes and connections are
 * not disturbed. From any thread and request of the same process, which under "forking" is the
 * request's own child; never blocks, and keeps errno. Not from a signal handler. NULL: does
 * nothing. ABI 2.
 */
SS_EXPORT void ss_wake(struct ss_waker *waker);

/* What the access line says of a request that ended well, instead of "done". The text is copied;
 * NULL: "done", after all. No character of it may end a line. ABI 2. */
SS_EXPORT void ss_set_outcome(struct ss_request *request, const char *text);

/*
 * What becomes of a request's process. The memory that is pointed to stays the plugin's.
 */
struct ss_program {
    size_t size;              /* sizeof(struct ss_program), set by the plugin */
    const char *path;         /* absolute; there is no search */
    char *const *arguments;   /* argv[0] and on, NULL behind the last */
    char *const *environment; /* NAME=VALUE, NULL behind the last */
    const char *directory;    /* where it runs; NULL: where the worker does */
    int errors;               /* its standard error; negative: the client's connection */
    double kill_timeout;      /* seconds from SIGTERM to SIGKILL, when it must end */
};

/*
 * The process of this request becomes another program, with the client's
 * connection as its standard input and output, no descriptor above 2, all signals as
 * by default, and a process group of its own. finish() does not run: the rest is the
 * daemon's, the SIGTERM when the request must end and the access line included.
 *
 * Returns only if it fails: -ENOTSUP where the process runs other requests, too (every
 * mixin except for "forking"), where the socket's bytes are not the client's (ss_fd()),
 * or where some of them have been read (ss_buffered()); or another negative errno, as
 * of execve(2). The request goes on then as if nothing had been. From handle. ABI 2.
 */
SS_EXPORT int ss_exec(struct ss_request *request, const struct ss_program *program);

/* ---- other connections: from setup, handle, finish ------------------------ */

/*
 * Connects to an address in the notation of listeners: "tcp://HOST:PORT",
 * "udp://HOST:PORT", "unix:///PATH", "unixgram:///PATH". Waits up to so many
 * seconds (negative: for ever) without holding up other requests, also while a
 * name is looked up. Of the addresses of a name the first that answers is taken.
 *
 * Returns a connected descriptor, which is the caller's to close; it is
 * non-blocking under every mixin (ss_wait() waits for it) and close-on-exec. Or
 * -ECONNREFUSED and the like of connect(2), of the last address that was tried;
 * -EADDRNOTAVAIL: there is no such name; -EAGAIN: no name server answers;
 * -EINVAL: this is no such address; -ETIMEDOUT; -ECANCELED when the request must
 * end now. ABI 2.
 */
SS_EXPORT int ss_connect(struct ss_request *request, const char *address, double seconds);

/*
 * Passes bytes between the client and the stream socket fd in both directions, and
 * the end of each direction, until both have ended. What was read ahead goes
 * first, and what was written. Nobody is sent more than it takes: the other side
 * waits meanwhile. Where nothing stands between, bytes are not copied.
 *
 * Returns 0 when both directions have ended; also when the other side has closed
 * its connection and the client's bytes have nowhere to go. -ETIMEDOUT: nothing
 * has moved for so many seconds (negative: for ever), or the deadline is over.
 * -EREMOTEIO: the other side has failed, and errno says how. -ECANCELED: the
 * request must end now. Any other error is the client's connection's. fd stays
 * the caller's. Nothing can be read from the client after 0. ABI 2.
 */
SS_EXPORT int ss_relay(struct ss_request *request, int fd, double idle);

/*
 * A stream that the plugin reads and writes itself, such as one with encryption.
 * None of the calls waits: instead it returns -EAGAIN, and *wanted is POLLIN or
 * POLLOUT, which fd is then waited for. After that, a write gets the same bytes
 * again, perhaps elsewhere. read() returns 0 at the end of the stream, and end()
 * says that no write will follow.
 */
struct ss_stream {
    size_t size; /* sizeof(struct ss_stream), set by the plugin */
    int fd;
    ssize_t (*read)(void *userdata, void *buffer, size_t size, short *wanted);
    ssize_t (*write)(void *userdata, const void *data, size_t size, short *wanted);
    int (*end)(void *userdata, short *wanted);
    void *userdata;
};

/* As ss_relay(), with such a stream. ABI 2. */
SS_EXPORT int ss_relay_stream(struct ss_request *request, const struct ss_stream *stream,
                              double idle);

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
 * The address that the client has connected to, as getsockname(2) tells it: *size is the room
 * for it, and becomes its length. IPv4 as above. Returns 0 or a negative errno. ABI 2.
 */
SS_EXPORT int ss_local_address(struct ss_request *request, struct sockaddr *address,
                               socklen_t *size);

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

/* How a connection is encrypted; the texts live as long as the request. ABI 2. */
struct ss_tls {
    size_t size;             /* sizeof(struct ss_tls), set by the plugin: it may grow at its end */
    const char *version;     /* "TLSv1.3" */
    const char *cipher;      /* "TLS_AES_256_GCM_SHA384" */
    const char *server_name; /* that the client asked for; or NULL */
    const char *alpn;        /* the protocol within TLS that both chose; or NULL */
    bool resumed;            /* an earlier session goes on */
    /* The client's certificate, which has been verified; all NULL if it showed none. */
    const char *subject, *issuer; /* "CN=alice,O=Example" (RFC 2253) */
    const char *const *names;     /* "DNS:host.example.org", "email:...", "URI:...", "IP
                                     Address:..."; NULL behind the last */
    const char *fingerprint;      /* SHA-256, as 64 hexadecimal digits */
};

/* Fills in *tls, whose size must be set: struct ss_tls tls = {.size = sizeof(tls)}. False if the
 * request is not encrypted. ABI 2. */
SS_EXPORT bool ss_tls(struct ss_request *request, struct ss_tls *tls);
/*
 * Turns the client's source (see max_per_source in sockserverd.conf(5)) away for
 * so many seconds, from its next request on; 0 or less: for penalty.handler.
 * Penalties add up to penalty.max; whoever is in penalty.exempt gets none. The
 * reason, at most 63 bytes or NULL, is what sockserverctl(1) shows. ABI 2.
 */
SS_EXPORT void ss_penalise(struct ss_request *request, double seconds, const char *reason);

/* What runs it: "upper-thread-3", "upper-child-812", "upper-coroutine-7", "upper-main", or
 * "upper-stdio". */
SS_EXPORT const char *ss_worker_name(struct ss_request *request);

/*
 * Whether a drain has begun: nothing new is accepted, and what runs has until `drain_timeout` to
 * end. Whoever works until somebody says stop looks here now and then. ABI 2.
 */
SS_EXPORT bool ss_draining(struct ss_request *request);

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

/* ---- state that outlives a process: from any hook, except for check_options ------------ */

/*
 * Memory that all processes of the listener share: forked children, the workers
 * of `cpus`, and those that come later, after a reload, a crash or an upgrade of
 * the daemon. It is all zeros when nobody has used it yet, begins at a page, is
 * readable and writable, stays where it is as long as the worker lives, and is
 * never released. Size is in bytes, from 1 to 2^46; only what is touched costs
 * memory, which counts for the service.
 *
 * A listener has one such area, which server_activate asks for; later calls with
 * the same size return it again, from any hook. Who asks for another size than
 * the generation before gets a new one of zeros, while that one goes on with its
 * own; so does another plugin in its place. It is gone when the listener is
 * stopped, taken out of the configuration or renamed, and when the daemon ends.
 * Whoever changes what is in it between two versions of a plugin takes another
 * size, or begins with a version. Under --stdio nobody shares it.
 *
 * NULL, and errno: EINVAL for such a size, or if this worker has one of another
 * size; EPERM from check_options, or for the first time after server_activate;
 * ENOMEM (see `limits.as`), EMFILE, or an error of ss_server_keep(). ABI 2.
 */
SS_EXPORT void *ss_server_shared(struct ss_server *server, size_t size);

/* A lock in that memory, 64 bytes at a multiple of 8. Zeros are an unlocked one; it needs no other
 * beginning, and no end. */
struct ss_shared_lock {
    uint64_t opaque[8];
};

/*
 * Locks it, for one thread of one process at a time; waits as long as another
 * has it. Returns 0. -EOWNERDEAD: it is locked, too, but whoever had it has died
 * with it, so what it guards may be half done: put that right and go on. This is
 * said once. -EDEADLK: this thread has it already.
 *
 * Hold it for a few memory accesses only, and never across a call that may wait,
 * ss_write() and ss_read() included: under "coroutine" other requests run in the
 * same thread meanwhile, and get -EDEADLK. Unlocking returns 0, or -EPERM if this
 * thread does not have the lock. ABI 2.
 */
SS_EXPORT int ss_shared_lock(struct ss_shared_lock *lock);
SS_EXPORT int ss_shared_unlock(struct ss_shared_lock *lock);

/*
 * Has the supervisor keep a duplicate of fd for the listener, under this name,
 * instead of what was kept under it before; fd -1: nothing any more. It is kept
 * as long as ss_server_shared()'s memory, and for all processes of the listener.
 * A name has 1 to 63 letters, digits, '.', '_' and '-'. fd remains the caller's;
 * it is a socket, a pipe, a file or the like, not a device. What is kept stays
 * open: the other side of a connection does not find its end before it is
 * forgotten, too.
 *
 * Returns 0 or a negative errno: -EINVAL for the name or a device, -EBADF,
 * -ENOSPC for more than 32 names, -EMFILE or -EAGAIN if the daemon has no
 * descriptors or memory left, -ENOTSUP in check_options and under --stdio,
 * -EPIPE if the worker or its supervisor is gone, -ETIMEDOUT if the supervisor
 * does not answer for five seconds, or twenty in server_activate. The call waits
 * for that answer, which comes at once, but holds its thread up, under "coroutine"
 * other requests, too; who asks more than some hundred times a second has to wait
 * longer. ABI 2.
 */
SS_EXPORT int ss_server_keep(struct ss_server *server, const char *name, int fd);

/*
 * A duplicate of what is kept under this name: a new descriptor, which is
 * close-on-exec and the caller's to close. All duplicates are one open file: they
 * have one position and one O_NONBLOCK. -ENOENT: nothing is kept under it; other
 * errors as above. ABI 2.
 */
SS_EXPORT int ss_server_kept(struct ss_server *server, const char *name);

/* ---- the listener: from any hook -------------------------------------------- */

SS_EXPORT struct ss_server *ss_server(struct ss_request *request);

/* Its name in the configuration file. */
SS_EXPORT const char *ss_server_name(struct ss_server *server);

/* Its real address, as in the file but with port 0 resolved: "tcp://127.0.0.1:41235". */
SS_EXPORT const char *ss_server_address(struct ss_server *server);

/* SS_STREAM or SS_DATAGRAM; 0 in check_options, where a socket that systemd passes could be either.
 * ABI 2. */
SS_EXPORT unsigned ss_server_transport(struct ss_server *server);

/*
 * From check_options and server_activate: the requests of this listener are not connections or
 * datagrams, but the listening socket itself. As soon as something has come to it, setup, handle
 * and finish run once, with it as ss_fd(); until they have returned, nothing else does. What has
 * come is theirs to accept or receive; ss_read() and ss_write() return -ENOTSUP. This is for
 * programs that inetd calls "wait". It takes the mixin "none". Returns 0, or -EINVAL after it has
 * complained, at the option that asks for this, of every setting that cannot hold then, such as
 * `tls`. ABI 2.
 */
SS_EXPORT int ss_server_hand_over(struct ss_server *server, const char *option);

/*
 * From check_options and server_activate: says that an option is wrong: what was found, what is
 * expected, and what helps. In check_options it becomes a mistake of the configuration, with
 * FILE:LINE of the option, or of the listener if the option was not given; in server_activate it
 * is logged. ABI 2.
 */
SS_EXPORT void ss_complain(struct ss_server *server, const char *option, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Its mixin: "none", "threading", "forking" or "coroutine". ABI 2. */
SS_EXPORT const char *ss_server_mixin(struct ss_server *server);

/*
 * Its socket, which listens or receives datagrams: to ask for its name or its options. It is the
 * daemon's, and others wait at it, too: do not close it or change its mode. ABI 2.
 */
SS_EXPORT int ss_server_fd(struct ss_server *server);

/*
 * Names a file that the plugin has read, a program or a table: where it has changed at a reload,
 * the listener has. Under the mixin "forking" from server_activate only, else -EPERM. Returns 0 or
 * a negative errno. ABI 2.
 */
SS_EXPORT int ss_server_uses(struct ss_server *server, const char *path);

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

/* How many requests one of its processes runs at a time, at most: max_connections, or 1 under
 * "none" and "forking". ABI 2. */
SS_EXPORT unsigned ss_server_concurrency(struct ss_server *server);

/*
 * Connects to the daemon's control socket, whose clients speak Varlink: the interface is
 * org.sockserver.Control, and what changes something is refused. Returns a non-blocking descriptor
 * that the caller closes; wait for it with ss_wait(). Negative: -EACCES without
 * `control_access = "read"`, -ENOTSUP where there is no such socket (--stdio), -EAGAIN while too
 * many ask at once, -EPIPE when the supervisor is gone. An end of file instead of a reply: ask
 * later. From any thread or child of the worker. ABI 2.
 */
SS_EXPORT int ss_control(struct ss_server *server);

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

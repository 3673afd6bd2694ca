/* SPDX-License-Identifier: MIT */
/*
 * good_abi2.c - a plugin built against the header of ABI 2, which uses everything that it has
 *
 * Must load and be served by every later daemon. It makes each call once, and
 * names those that did not do what this header says; a client that sends
 * "hello\n" and its end reads "hello all is well", and what was relayed. A
 * datagram is answered by two.
 */
#include "plugin.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct ss_option options[] = {
    {"greeting", SS_STRING, .fallback = "hello", .min = 1, .max = 100, .help = "begins an answer"},
    {"flag", SS_BOOLEAN, .fallback = "true", .help = "a switch"},
    {"count", SS_INTEGER, .fallback = "3", .min = 1, .max = INFINITY, .help = "an open end"},
    {"ratio", SS_NUMBER, .fallback = "0.5", .help = "a fraction"},
    {"limit", SS_SIZE, .fallback = "64K", .help = "a size"},
    {"pause", SS_DURATION, .fallback = "1ms", .help = "a duration"},
    {"names", SS_LIST, .fallback = "one\ntwo", .help = "a list"},
    {"word", SS_CHOICE, .fallback = "b", .choices = "a b c", .help = "a choice"},
    {"file", SS_PATH, .fallback = "/dev/null", .help = "a path"},
    {"target", SS_ADDRESS, .fallback = "unix:@nobody", .help = "an address"},
    {.name = "hand", .type = SS_BOOLEAN, .help = "asks for the listening socket"},
    {0},
};

SS_PLUGIN(.name = "good_abi2", .summary = "built against the second header",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options, .needs = 0)

static struct area {
    struct ss_shared_lock lock;
    uint64_t count;
} * area;

static char data[] = "data";

/* ---- hooks of the worker --------------------------------------------------------- */

int
check_options(struct ss_server *server)
{
    if (ss_option_integer(server, "count") == 13)
        ss_complain(server, "count", "%d brings bad luck", 13);
    return ss_option_boolean(server, "hand") ? ss_server_hand_over(server, "hand") : 0;
}

static const char *
judge_options(struct ss_server *server)
{
    size_t count;
    const char *const *names = ss_option_list(server, "names", &count);

    if (strcmp(ss_option_string(server, "word"), "b") != 0 ||
        strcmp(ss_option_string(server, "file"), "/dev/null") != 0 ||
        strcmp(ss_option_string(server, "target"), "unix:@nobody") != 0)
        return "ss_option_string";
    if (!ss_option_boolean(server, "flag") || ss_option_integer(server, "count") != 3 ||
        ss_option_number(server, "ratio") != 0.5 || ss_option_size(server, "limit") != 65536 ||
        ss_option_duration(server, "pause") != 0.001)
        return "ss_option_";
    return count == 2 && strcmp(names[1], "two") == 0 ? NULL : "ss_option_list";
}

static const char *
judge_listener(struct ss_server *server)
{
    bool stream = ss_server_transport(server) == SS_STREAM;
    int type = 0;
    socklen_t size = sizeof(type);

    if (strcmp(ss_server_name(server), "test") != 0)
        return "ss_server_name";
    if (strchr(ss_server_address(server), ':') == NULL)
        return "ss_server_address";
    if (strlen(ss_server_mixin(server)) < 4 || ss_server_concurrency(server) < 1)
        return "ss_server_mixin";
    if (getsockopt(ss_server_fd(server), SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        (type == SOCK_STREAM) != stream)
        return "ss_server_fd";
    return ss_server_uses(server, "/dev/null") < 0 ? "ss_server_uses" : NULL;
}

static const char *
judge_state(struct ss_server *server)
{
    int kept = ss_server_kept(server, "kept");
    int memory = kept < 0 ? memfd_create("kept", MFD_CLOEXEC) : kept;

    area = ss_server_shared(server, sizeof(*area));
    if (area == NULL)
        return "ss_server_shared";
    if (ftruncate(memory, 1) < 0 || ss_server_keep(server, "kept", memory) < 0)
        return "ss_server_keep";
    return close(memory) < 0 ? "close" : NULL;
}

int
server_activate(struct ss_server *server)
{
    const char *wrong = judge_options(server);

    if (wrong == NULL)
        wrong = judge_listener(server);
    if (wrong == NULL)
        wrong = judge_state(server);
    ss_server_set_data(server, data);
    if (wrong != NULL)
        ss_log(LOG_ERR, "%s does not do what it did", wrong);
    return wrong != NULL ? -EPROTO : 0;
}

void
server_close(struct ss_server *server)
{
    ss_server_set_data(server, NULL);
}

void
service_actions(struct ss_server *server)
{
    (void)server;
}

void
handle_timeout(struct ss_server *server)
{
    ss_server_stop(server);
}

/* ---- hooks of a request ------------------------------------------------------------- */

bool
verify_request(struct ss_request *request)
{
    size_t size;

    (void)ss_packet(request, &size);
    return ss_client_name(request) != NULL;
}

int
setup(struct ss_request *request)
{
    ss_set_data(request, data);
    return 0;
}

void
finish(struct ss_request *request)
{
    ss_set_data(request, NULL);
}

void
handle_error(struct ss_request *request, int error)
{
    (void)request;
    ss_log(LOG_WARNING, "it failed: %s", strerror(-error));
}

/* ---- a request: each returns the name of what went wrong, or NULL ---------------------- */

static const char *
judge_client(struct ss_request *request)
{
    struct sockaddr_storage local;
    struct ss_credentials credentials;
    struct ss_tls tls = {.size = sizeof(tls)};
    socklen_t size, room = sizeof(local);
    const struct sockaddr *client = ss_client_address(request, &size);
    bool local_client = client->sa_family == AF_UNIX;

    if (ss_peer_address(request, &size)->sa_family != client->sa_family)
        return "ss_peer_address";
    if (ss_local_address(request, (struct sockaddr *)&local, &room) < 0 ||
        local.ss_family != client->sa_family)
        return "ss_local_address";
    if ((ss_client_credentials(request, &credentials) == -ENOTSUP) == local_client)
        return "ss_client_credentials";
    if (ss_tls(request, &tls))
        return "ss_tls";
    if (ss_worker_name(request) == NULL || strchr(ss_worker_name(request), '-') == NULL)
        return "ss_worker_name";
    return strcmp(ss_data(request), data) == 0 &&
                   strcmp(ss_server_data(ss_server(request)), data) == 0
               ? NULL
               : "ss_data";
}

/* "ello\n" is left of "hello\n". */
static const char *
judge_reading(struct ss_request *request)
{
    char byte[2], *line;

    if (ss_wait_input(request, 10) != 1)
        return "ss_wait_input";
    if (ss_read(request, byte, 1) != 1 || byte[0] != 'h')
        return "ss_read";
    if (ss_buffered(request) > 5)
        return "ss_buffered";
    if (ss_read_full(request, byte, 2) != 2 || byte[1] != 'l')
        return "ss_read_full";
    if (ss_readline(request, &line) != 3 || strcmp(line, "lo\n") != 0)
        return "ss_readline";
    return ss_truncated(request) ? "ss_truncated" : NULL;
}

static const char *
judge_waiting(struct ss_request *request)
{
    struct ss_waker *waker = ss_waker(request);
    int ends[2];

    if (pipe(ends) < 0 || write(ends[1], "x", 1) != 1)
        return "pipe";
    struct pollfd fds[] = {{.fd = ends[0], .events = POLLIN}, {.fd = -1}, {.fd = SS_CLIENT}};
    int found = ss_poll(request, fds, 3, 10);
    int event = ss_wait(request, ends[0], POLLIN, 10);
    (void)close(ends[0]);
    (void)close(ends[1]);
    if (found < 1 || fds[0].revents != POLLIN)
        return "ss_poll";
    if (event != POLLIN)
        return "ss_wait";
    if (ss_set_timeouts(request, 20, 20) < 0 || ss_set_deadline(request, 30) < 0)
        return "ss_set_deadline";
    ss_wake(waker);
    if (ss_sleep(request, 10) != -EINTR || ss_sleep(request, 0.001) != 0)
        return "ss_sleep";
    return ss_cancelled(request) || ss_draining(request) ? "ss_cancelled" : NULL;
}

static const char *
judge_shared(void)
{
    if (ss_shared_lock(&area->lock) < 0)
        return "ss_shared_lock";
    area->count++;
    return ss_shared_unlock(&area->lock) < 0 ? "ss_shared_unlock" : NULL;
}

static const char *
judge_elsewhere(struct ss_request *request)
{
    struct ss_server *server = ss_server(request);
    char *const none[] = {NULL};
    const struct ss_program program = {.size = sizeof(program),
                                       .path = "/nobody/has/this",
                                       .arguments = none,
                                       .environment = none,
                                       .errors = -1};

    if (ss_connect(request, ss_option_string(server, "target"), 1) != -ECONNREFUSED)
        return "ss_connect";
    if (ss_exec(request, &program) >= 0)
        return "ss_exec";
    if (ss_control(server) != -EACCES)
        return "ss_control";
    if (ss_send(request, "x", 1) != -ENOTSUP)
        return "ss_send";
    return ss_fd(request) < 0 && ss_fd(request) != -ENOTSUP ? "ss_fd" : NULL;
}

static const char *
judge_writing(struct ss_request *request)
{
    int kept = ss_server_kept(ss_server(request), "kept");
    const char *greeting = ss_option_string(ss_server(request), "greeting");

    if (kept < 0 || pwrite(kept, " ", 1, 0) != 1)
        return "ss_server_kept";
    if (ss_write(request, greeting, strlen(greeting)) < 0)
        return "ss_write";
    int error = ss_sendfile(request, kept, 0, 1);
    (void)close(kept);
    if (error < 0)
        return "ss_sendfile";
    if (ss_printf(request, "%s is", "all") < 0 || ss_flush(request) < 0)
        return "ss_printf";
    ss_set_outcome(request, "well done");
    return NULL;
}

/* ---- relays ----------------------------------------------------------------------------- */

static ssize_t
stream_read(void *userdata, void *buffer, size_t size, short *wanted)
{
    (void)userdata;
    (void)buffer;
    (void)size;
    *wanted = 0;
    return 0;
}

static ssize_t
stream_write(void *userdata, const void *bytes, size_t size, short *wanted)
{
    (void)userdata;
    (void)bytes;
    *wanted = 0;
    return (ssize_t)size;
}

static int
stream_end(void *userdata, short *wanted)
{
    (void)userdata;
    *wanted = 0;
    return 0;
}

/* The client has sent its end; the other side says a word, and ends, too. */
static const char *
relay(struct ss_request *request)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 || write(ends[1], "relayed\n", 8) != 8 ||
        shutdown(ends[1], SHUT_WR) < 0)
        return "socketpair";
    int error = ss_relay(request, ends[0], 10);
    const struct ss_stream stream = {.size = sizeof(stream),
                                     .fd = ends[0],
                                     .read = stream_read,
                                     .write = stream_write,
                                     .end = stream_end};
    (void)ss_relay_stream(request, &stream, 10); /* nothing is left for it */
    (void)ss_shutdown(request);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return error < 0 ? "ss_relay" : NULL;
}

static const char *
judge(struct ss_request *request)
{
    const char *wrong = judge_client(request);

    if (wrong == NULL)
        wrong = judge_reading(request);
    if (wrong == NULL)
        wrong = judge_waiting(request);
    if (wrong == NULL)
        wrong = judge_shared();
    if (wrong == NULL)
        wrong = judge_elsewhere(request);
    return wrong != NULL ? wrong : judge_writing(request);
}

static int
answer_packet(struct ss_request *request)
{
    ss_penalise(request, 0.001, "it was asked for"); /* nobody is limited: it does nothing */
    if (ss_send(request, "one", 3) < 0)
        return -EPROTO;
    return ss_printf(request, "two");
}

int
handle(struct ss_request *request)
{
    size_t size;

    if (ss_packet(request, &size) != NULL)
        return answer_packet(request);
    const char *wrong = judge(request);
    (void)ss_printf(request, " %s\n", wrong == NULL ? "well" : wrong);
    wrong = relay(request);
    if (wrong != NULL)
        ss_log(LOG_ERR, "%s does not do what it did", wrong);
    return wrong != NULL ? -EPROTO : 0;
}

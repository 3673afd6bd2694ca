/* SPDX-License-Identifier: MIT */
/*
 * api.c - the calls of <sockserver/plugin.h> that are not reading and writing
 *
 * Runs in:  any hook of the plugin.
 * Owns:     nothing.
 * Failures: returned to the plugin. A plugin's own mistake (an option that is
 *           not in its table) is logged.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/address.h"
#include "common/channel.h"
#include "common/clock.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"
#include "worker/request/wake.h"

/* ---- waiting and ending ---------------------------------------------------- */

bool
ss_cancelled(struct ss_request *request)
{
    const struct ss_server *server = request->server;

    if (server_ends(server) || slot_is_cancelled(request->slot) || request_is_aged(request))
        return true;
    return request->overtime != FOREVER && monotonic_now() >= request->overtime;
}

int
ss_set_deadline(struct ss_request *request, double seconds)
{
    if (!(seconds >= 0)) /* not a number, either */
        return -EINVAL;
    request->due = seconds == 0 ? FOREVER : monotonic_after(seconds);
    request->deadline = request->due < request->overtime ? request->due : request->overtime;
    return 0;
}

int
ss_set_timeouts(struct ss_request *request, double read, double write)
{
    if (read != read || write != write) /* not a number */
        return -EINVAL;
    if (read >= 0)
        request->read_timeout = read;
    if (write >= 0)
        request->write_timeout = write;
    return 0;
}

/* There is nothing to wait for; what was written goes out all the same. */
static int
was_woken(struct ss_request *request)
{
    (void)output_flush(request);
    return -EINTR;
}

int
ss_sleep(struct ss_request *request, double seconds)
{
    int64_t until = wait_until(request, seconds);

    (void)output_flush(request); /* the client need not wait with us */
    request_enter(request, STAGE_WAITING);
    int error = wake_begins(request);
    if (error == 0)
        error = wake_ends(request, request->server->mixin->wait(request, -1, 0, until));
    request_enter(request, STAGE_HANDLING);
    if (seconds != 0)
        request_moved(request);
    return error == 0 ? wait_over(request, until) : error;
}

/* Of what the kernel has said: what was asked for, and what poll(2) tells unasked. The end of the
 * stream, which some mixins are told of besides, can be read. */
static int
events_told(int events, short asked)
{
    if (events <= 0)
        return events;
    if ((events & POLLRDHUP) != 0)
        events |= POLLIN;
    return events & ((unsigned short)asked | POLLERR | POLLHUP);
}

/* The client's bytes, of which the kernel does not know all; or room for some. */
static int
wait_for_client(struct ss_request *request, short events, int64_t until)
{
    const struct transport *transport = request->server->transport;
    struct pollfd client = {.fd = SS_CLIENT, .events = events};

    if (events == POLLIN && transport->stream) {
        int result = input_wait(request, until);
        return result > 0 && transport->ready != NULL ? POLLIN : events_told(result, events);
    }
    if (transport->ready == NULL && request->output_fd == request->fd && transport->stream)
        return events_told(input_wait_events(request, events, until), events);
    int ready = wait_any(request, &client, 1, until);
    return ready > 0 ? client.revents : ready;
}

int
ss_wait(struct ss_request *request, int fd, short events, double seconds)
{
    int64_t until = wait_until(request, seconds);
    bool client = wait_is_for_client(request, fd);

    if (fd < 0 && !client)
        return -EBADF;
    if (request_is_cut(request))
        return -ECANCELED;
    if (wake_take(request))
        return was_woken(request);
    /* What is in our buffer is readable too, whatever the kernel says. */
    if (client && (events & POLLIN) && request_has_input(request))
        return POLLIN;
    (void)output_flush(request);
    request_enter(request, STAGE_WAITING);
    int result = wake_begins(request);
    if (result == 0 && client)
        result = wake_ends(request, wait_for_client(request, events, until));
    else if (result == 0)
        result = wake_ends(request, request->server->mixin->wait(request, fd, events, until));
    request_enter(request, STAGE_HANDLING);
    return result == 0 ? wait_over(request, until) : result;
}

/* As input_await(), but for a time of its own, or in a way that a wake can end: it only waits. */
static int
wait_for_input(struct ss_request *request, int64_t until)
{
    int64_t end = until;

    input_restore(&request->input);
    if (request->drained)
        buffers_release(request);
    leave_begins(request, &end);
    int result = wake_begins(request);
    if (result == 0)
        result = wake_ends(request, input_wait(request, end));
    result = leave_ends(request, result);
    if (result == -ECANCELED && input_await_first(request, until))
        return 1;
    return leave_told(request, result);
}

/* The end of a wait that lasts as long as a read may. */
static int
read_timed_out(struct ss_request *request)
{
    request->idle = true;
    return wait_timed_out(request);
}

int
ss_wait_input(struct ss_request *request, double seconds)
{
    bool as_read = seconds < 0;
    double limit = as_read && request->read_timeout > 0 ? request->read_timeout : seconds;
    int64_t until = wait_until(request, limit);

    if (request->waker == NULL && as_read)
        return input_await(request);
    if (!request_is_cut(request) && wake_take(request))
        return was_woken(request);
    if (request_has_input(request))
        return 1;
    int error = output_flush(request);
    if (error < 0 && as_read)
        return error;
    request_enter(request, STAGE_READING);
    int result = wait_for_input(request, until);
    request_enter(request, STAGE_HANDLING);
    if (result == 0)
        return as_read ? read_timed_out(request) : wait_over(request, until);
    return result > 0 ? 1 : result;
}

static int
credentials(struct ss_request *request)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (request->client.address.ss_family != AF_UNIX)
        return -ENOTSUP;
    if (request->client.credentials_state == 0) {
        request->client.credentials_state = -ENODATA;
        if (getsockopt(request->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) {
            request->client.credentials =
                (struct ss_credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
            request->client.credentials_state = 1;
        }
    }
    return request->client.credentials_state < 0 ? request->client.credentials_state : 0;
}

int
ss_fd(struct ss_request *request)
{
    struct stat status;

    if (request->server->transport->sealed)
        return -ENOTSUP;
    if (request->fd < 0)
        return -EBADF;
    if (request->inode == 0 && fstat(request->fd, &status) == 0) {
        request->device = status.st_dev;
        request->inode = status.st_ino;
        (void)credentials(request); /* later the plugin may have closed it */
    }
    return request->fd;
}

int
ss_send(struct ss_request *request, const void *data, size_t size)
{
    const struct transport *transport = request->server->transport;

    if (transport->send_datagram == NULL)
        return -ENOTSUP;
    int error = transport->send_datagram(request, data, size);
    if (error == 0)
        request_moved(request);
    return error;
}

void
ss_set_outcome(struct ss_request *request, const char *text)
{
    free(request->outcome);
    request->outcome = text != NULL && request->server->access ? strdup(text) : NULL;
}

/* ---- who ---------------------------------------------------------------------- */

const struct sockaddr *
ss_client_address(struct ss_request *request, socklen_t *size)
{
    *size = request->client.size;
    return (const struct sockaddr *)&request->client.address;
}

const struct sockaddr *
ss_peer_address(struct ss_request *request, socklen_t *size)
{
    const struct announcer *announcer = request->announcer;

    if (announcer == NULL)
        return ss_client_address(request, size);
    *size = announcer->size;
    return (const struct sockaddr *)&announcer->address;
}

int
ss_local_address(struct ss_request *request, struct sockaddr *address, socklen_t *size)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof(local);

    if (request->fd < 0)
        return -EBADF;
    if (getsockname(request->fd, (struct sockaddr *)&local, &length) < 0)
        return -errno;
    if (request->server->ipv6)
        address_unmap(&local, &length);
    memcpy(address, &local, length < *size ? length : *size);
    *size = length;
    return 0;
}

int
ss_client_credentials(struct ss_request *request, struct ss_credentials *ret)
{
    int error = credentials(request);

    if (error == 0)
        *ret = request->client.credentials;
    return error;
}

const char *
ss_client_name(struct ss_request *request)
{
    char *name = request->client.name;
    char text[ADDRESS_TEXT_SIZE];

    if (name[0] != '\0')
        return name;
    if (request->client.address.ss_family == AF_UNIX) {
        if (credentials(request) == 0)
            (void)snprintf(name, sizeof(request->client.name), "pid %d uid %u",
                           (int)request->client.credentials.pid, request->client.credentials.uid);
        else
            (void)snprintf(name, sizeof(request->client.name), "unknown process");
    } else if (request->client.address.ss_family == AF_UNSPEC) {
        (void)snprintf(name, sizeof(request->client.name), "%s",
                       request->server->hands_over ? "whoever came" : "standard input");
    } else {
        (void)snprintf(name, sizeof(request->client.name), "%s",
                       address_format_peer((const struct sockaddr *)&request->client.address,
                                           request->client.size, text));
    }
    request->log.client = name;
    return name;
}

const char *
ss_worker_name(struct ss_request *request)
{
    char *name = request->worker_name;
    const size_t size = sizeof(request->worker_name);
    const char *listener = request->server->settings.name;
    int number = request->server->mixin->processes ? getpid() : request->context_number;

    if (name[0] == '\0' && number > 0)
        (void)snprintf(name, size, "%s-%s-%d", listener, request->kind, number);
    else if (name[0] == '\0')
        (void)snprintf(name, size, "%s-%s", listener, request->kind);
    return name;
}

bool
ss_tls(struct ss_request *request, struct ss_tls *ret)
{
    const struct transport *transport = request->server->transport;
    struct ss_tls all = {0};
    size_t size = ret->size < sizeof(all) ? ret->size : sizeof(all);

    if (request->tls == NULL || transport->describe == NULL || !transport->describe(request, &all))
        return false;
    all.size = ret->size;
    memcpy(ret, &all, size);
    return true;
}

/* ---- the plugin's own data ------------------------------------------------------ */

void *
ss_data(struct ss_request *request)
{
    return request->data;
}

void
ss_set_data(struct ss_request *request, void *data)
{
    request->data = data;
}

void *
ss_server_data(struct ss_server *server)
{
    return server->data;
}

void
ss_server_set_data(struct ss_server *server, void *data)
{
    server->data = data;
}

/* ---- the listener ----------------------------------------------------------------- */

struct ss_server *
ss_server(struct ss_request *request)
{
    return request->server;
}

const char *
ss_server_name(struct ss_server *server)
{
    return server->settings.name;
}

const char *
ss_server_address(struct ss_server *server)
{
    return server->address;
}

unsigned
ss_server_concurrency(struct ss_server *server)
{
    const struct mixin *mixin = server->mixin;

    if (mixin->processes || mixin->hooks_between || server->once)
        return 1;
    return (unsigned)server->settings.max_connections;
}

const char *
ss_server_mixin(struct ss_server *server)
{
    return mixin_names[server->settings.mixin];
}

int
ss_server_fd(struct ss_server *server)
{
    return server->socket;
}

int
ss_server_uses(struct ss_server *server, const char *path)
{
    if (server->mixin->processes && server_phase(server) > PHASE_STARTING)
        return -EPERM;                 /* a child has no channel, and what it reads ends with it */
    char *real = realpath(path, NULL); /* the supervisor may have another working folder */
    int error = real == NULL ? -errno : 0;

    if (error == 0 && strlen(real) >= MESSAGE_TEXT_SIZE)
        error = -ENAMETOOLONG;
    if (error == 0 && server->channel >= 0)
        error = channel_send_patiently(server->channel, MESSAGE_FILE, 0, real);
    free(real);
    return error;
}

void
ss_server_stop(struct ss_server *server)
{
    server_ask_stop(server);
}

/* Whether a row's value can be asked for as one of the type. */
static bool
is_read_as(enum ss_type row, enum ss_type type)
{
    bool text = row == SS_CHOICE || row == SS_PATH || row == SS_ADDRESS;

    return row == type || (type == SS_STRING && text);
}

/* The value of a row of this type; a mistake in the plugin otherwise. */
static const struct option_value *
find_option(const struct ss_server *server, const char *name, enum ss_type type)
{
    const struct plugin *plugin = &server->plugin;

    for (size_t i = 0; i < plugin->option_count; i++)
        if (strcmp(plugin->options[i].name, name) == 0 && is_read_as(plugin->options[i].type, type))
            return &server->options[i];
    log_error("plugin %s asks for its %s option \"%s\", which its table does not have",
              plugin->record.name, option_type_name(type), name);
    return NULL;
}

const char *
ss_option_string(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_STRING);

    return value == NULL ? NULL : value->string;
}

int64_t
ss_option_integer(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_INTEGER);

    return value == NULL ? 0 : value->integer;
}

double
ss_option_number(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_NUMBER);

    return value == NULL ? 0 : value->number;
}

bool
ss_option_boolean(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_BOOLEAN);

    return value != NULL && value->boolean;
}

uint64_t
ss_option_size(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_SIZE);

    return value == NULL ? 0 : value->size;
}

double
ss_option_duration(struct ss_server *server, const char *name)
{
    const struct option_value *value = find_option(server, name, SS_DURATION);

    return value == NULL ? 0 : value->number;
}

const char *const *
ss_option_list(struct ss_server *server, const char *name, size_t *count)
{
    const struct option_value *value = find_option(server, name, SS_LIST);

    if (count != NULL)
        *count = value == NULL ? 0 : value->count;
    return value == NULL ? NULL : (const char *const *)value->list;
}

/* ---- logging ------------------------------------------------------------------------ */

void
ss_log(int level, const char *format, ...)
{
    int saved = errno;
    va_list arguments;

    if (!log_enabled(level))
        return;
    if (request_current != NULL)
        (void)ss_client_name(request_current); /* for the journal's field */
    errno = saved;
    va_start(arguments, format);
    log_message_v(level, format, arguments);
    va_end(arguments);
    errno = saved;
}

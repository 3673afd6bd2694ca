/* SPDX-License-Identifier: MIT */
/*
 * connection.c - a connection to the daemon's control socket
 *
 * Runs in:  sockserverctl.
 * Owns:     its descriptor and what came in.
 * Failures: of the connection: returned; complain_...() and reply_parameters() say them.
 */
#include "ctl/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/printable.h"
#include "ctl/text.h"

#define REPLY_LIMIT ((size_t)64 << 20)

int
connection_open(const char *path, struct connection *ret)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    varlink_input_init(&ret->input, REPLY_LIMIT);
    ret->fd = take_fd(fd);
    return 0;
}

void
connection_close(struct connection *connection)
{
    if (connection->fd >= 0)
        (void)close(connection->fd);
    varlink_input_done(&connection->input);
    *connection = CONNECTION_CLOSED;
}

static int
send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return -errno;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

/* Returns 0 when something can be read, or a negative errno. */
static int
wait_readable(int fd, int64_t deadline)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    int64_t left = deadline < 0 ? -1 : deadline - monotonic_now() / 1000000;

    if (deadline >= 0 && left <= 0)
        return -ETIMEDOUT;
    int r = poll(&wanted, 1, (int)left);
    if (r == 0)
        return -ETIMEDOUT;
    return r < 0 && errno != EINTR ? -errno : 0;
}

int
connection_call(struct connection *connection, const char *method, json_t *parameters,
                int milliseconds, json_t **ret)
{
    size_t size = 0;
    _cleanup_free_ char *text = varlink_call_text(method, parameters, &size);
    int64_t deadline = milliseconds < 0 ? -1 : monotonic_now() / 1000000 + milliseconds;

    if (text == NULL)
        return -ENOMEM;
    /* A daemon that hung up may have said why before: so look for a reply even if this fails. */
    int unsent = send_all(connection->fd, text, size);
    for (;;) {
        int r = varlink_input_next(&connection->input, ret);
        if (r != 0)
            return r < 0 ? r : 0;
        r = wait_readable(connection->fd, deadline);
        if (r == 0)
            r = varlink_input_read(&connection->input, connection->fd);
        if (r == 0)
            return unsent < 0 ? unsent : -ECONNRESET;
        if (r < 0 && r != -EAGAIN)
            return r;
    }
}

/* ---- what went wrong --------------------------------------------------------------------- */

enum ctl_result
complain_unreachable(const char *path, int error)
{
    static const struct {
        int error;
        const char *remedy;
    } remedies[] = {
        {-ENOENT, "no daemon runs, or its control socket is elsewhere (--socket PATH)"},
        {-ECONNREFUSED, "its daemon does not run any more (systemctl start sockserverd)"},
        {-EACCES, "only root and the socket's group may look (sudo, or control.group)"},
        {-ETIMEDOUT, "the daemon does not answer"},
        {-ECONNRESET, "the daemon hung up"},
        {-EPIPE, "the daemon hung up"},
    };
    const char *remedy = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
        if (remedies[i].error == error)
            remedy = remedies[i].remedy;
    (void)fputs("sockserverctl: ", stderr);
    printable_put(stderr, path);
    (void)fprintf(stderr, ": %s%s%s\n", strerror(-error), remedy == NULL ? "" : "; ",
                  remedy == NULL ? "" : remedy);
    return CTL_UNREACHABLE;
}

/* Mistakes of a file stand alone, so that editors find their way: FILE:LINE: ... */
static void
complain_mistakes(const json_t *parameters)
{
    const json_t *mistakes = json_object_get(parameters, "mistakes"), *mistake;
    size_t i;

    json_array_foreach(mistakes, i, mistake)
    {
        const char *line = json_string_value(mistake);
        if (line != NULL)
            print_clean(stderr, line);
        (void)fputc('\n', stderr);
    }
}

static const char *
member(const json_t *parameters, const char *name)
{
    const char *text = json_string_value(json_object_get(parameters, name));

    return text == NULL ? "" : text;
}

static void
complain_error(const char *error, const json_t *parameters, const struct ctl_arguments *arguments)
{
    const char *name = strrchr(error, '.') == NULL ? error : strrchr(error, '.') + 1;

    if (strcmp(name, "Failed") == 0) {
        complain_mistakes(parameters);
        (void)fprintf(stderr, "sockserverctl: %s failed\n", arguments->command->name);
        return;
    }
    (void)fputs("sockserverctl: ", stderr);
    if (strcmp(name, "UnknownListener") == 0) {
        (void)fputs("there is no listener \"", stderr);
        print_clean(stderr, member(parameters, "listener"));
        (void)fputc('"', stderr);
        if (*member(parameters, "suggestion") != '\0')
            (void)fprintf(stderr, "; did you mean \"%s\"?", member(parameters, "suggestion"));
    } else if (strcmp(name, "UnknownRequest") == 0) {
        (void)fprintf(stderr, "no request %lld runs in \"",
                      (long long)json_integer_value(json_object_get(parameters, "number")));
        print_clean(stderr, member(parameters, "listener"));
        (void)fputs("\": it has ended, or never was; sockserverctl requests ", stderr);
        print_clean(stderr, member(parameters, "listener"));
        (void)fputs(" shows those that run", stderr);
    } else if (strcmp(name, "PermissionDenied") == 0) {
        (void)fprintf(stderr, "%s: only root, the daemon's user and members of control.group may",
                      arguments->command->name);
    } else if (strcmp(name, "Busy") == 0) {
        (void)fprintf(stderr, "%s: all places of the control socket are taken; try again",
                      arguments->command->name);
    } else if (strcmp(name, "InvalidParameter") == 0) {
        (void)fprintf(stderr, "%s: the daemon does not accept this %s", arguments->command->name,
                      member(parameters, "parameter"));
    } else if (strcmp(name, "MethodNotFound") == 0 || strcmp(name, "MethodNotImplemented") == 0) {
        (void)fprintf(stderr, "%s: this daemon cannot", arguments->command->name);
    } else {
        print_clean(stderr, error);
    }
    (void)fputc('\n', stderr);
}

const json_t *
reply_parameters(const json_t *reply, const struct ctl_arguments *arguments,
                 enum ctl_result *ret_result)
{
    const json_t *parameters = json_object_get(reply, "parameters");
    const char *error = json_string_value(json_object_get(reply, "error"));

    if (error == NULL)
        return parameters;
    complain_error(error, parameters, arguments);
    *ret_result = CTL_FAILED;
    return NULL;
}

enum ctl_result
call_once(const struct ctl_arguments *arguments, const char *method, json_t *parameters,
          int milliseconds, json_t **ret)
{
    struct connection connection = CONNECTION_CLOSED;
    enum ctl_result result = CTL_FINE;
    json_t *reply = NULL;
    int r = connection_open(arguments->socket, &connection);

    if (r < 0)
        json_decref(parameters);
    else
        r = connection_call(&connection, method, parameters, milliseconds, &reply);
    connection_close(&connection);
    if (r < 0)
        return complain_unreachable(arguments->socket, r);
    if (reply_parameters(reply, arguments, &result) != NULL)
        *ret = json_incref(json_object_get(reply, "parameters"));
    json_decref(reply);
    return result;
}

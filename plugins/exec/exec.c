/* SPDX-License-Identifier: MIT */
/*
 * exec.c - runs a program for each connection, as inetd and UCSPI servers do
 *
 * With the option `wait`, the program gets the listening socket, and nothing
 * happens until it has ended (waiting.c).
 *
 * The program gets the client's own socket. Where its bytes are not the client's (TLS), or where
 * some of them have been read already (behind a PROXY header), it gets one end of a socket pair
 * and this plugin passes the bytes on. The manual is sockserverd-exec(7).
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the pipe of the program's standard error, and the socket pair.
 * Failures: logged here, once, and returned: the connection is closed.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const struct ss_option options[] = {
    {.name = "command",
     .type = SS_PATH,
     .required = true,
     .min = 2,
     .max = 4095,
     .help = "the program, by its absolute path"},
    {.name = "arguments", .type = SS_LIST, .help = "its arguments, argv[1] and on"},
    {.name = "argv0", .type = SS_STRING, .help = "its argv[0]; default: the command"},
    {.name = "environment", .type = SS_LIST, .help = "NAME=VALUE, in its environment"},
    {.name = "pass_environment",
     .type = SS_LIST,
     .help = "names of the daemon's own variables that it gets, too"},
    {.name = "directory", .type = SS_STRING, .help = "where it runs; default: the worker's"},
    {.name = "protocol",
     .type = SS_CHOICE,
     .fallback = "inetd",
     .choices = "inetd ucspi",
     .help = "\"ucspi\": with PROTO, TCPREMOTEIP, ... in its environment"},
    {.name = "stderr",
     .type = SS_CHOICE,
     .fallback = "log",
     .choices = "log client null",
     .help = "where its standard error goes"},
    {.name = "kill_timeout",
     .type = SS_DURATION,
     .fallback = "5s",
     .max = 3600,
     .help = "from SIGTERM to SIGKILL when it must end"},
    {.name = "banner", .type = SS_STRING, .help = "a file that is sent to each client first"},
    {.name = "wait",
     .type = SS_BOOLEAN,
     .help = "true: the program gets the listening socket, and runs alone until it ends"},
    {0},
};

SS_PLUGIN(.name = "exec", .summary = "runs a program for each connection (inetd, UCSPI)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options)

int
check_options(struct ss_server *server)
{
    struct service *service;
    int error = service_new(server, &service);

    if (error == 0)
        service_free(service);
    return error;
}

int
server_activate(struct ss_server *server)
{
    struct service *service;
    int error = service_new(server, &service);

    if (error == 0)
        ss_server_set_data(server, service);
    return error;
}

void
server_close(struct ss_server *server)
{
    service_free(ss_server_data(server));
    ss_server_set_data(server, NULL);
}

/* What a program runs with. */
struct descriptors {
    int socket; /* the program's 0 and 1 */
    int errors; /* its 2 */
    int relay;  /* our end of the pair; -1: socket is the client's own */
    int log;    /* our end of the pipe; -1: none */
};

static void
close_unless(int fd, int other)
{
    if (fd >= 0 && fd != other)
        (void)close(fd);
}

/* What only the program needs any more. */
static void
descriptors_given(struct descriptors *descriptors)
{
    if (descriptors->log >= 0)
        close_unless(descriptors->errors, descriptors->socket);
    if (descriptors->relay >= 0)
        close_unless(descriptors->socket, -1);
}

static void
descriptors_done(struct descriptors *descriptors)
{
    close_unless(descriptors->relay, -1);
    close_unless(descriptors->log, -1);
}

/*
 * The client's own socket as a program expects it, or -ENOTSUP: something must stand between. A
 * worker's coroutines let it not wait, and its threads let it wait for a while only.
 */
static int
plain_socket(struct ss_request *request)
{
    static const struct timeval for_ever = {0};
    socklen_t size;
    int fd = ss_fd(request);

    /* Standard input and output are two descriptors. */
    if (fd < 0 || ss_buffered(request) > 0 || ss_client_address(request, &size)->sa_family == 0)
        return -ENOTSUP;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0))
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever)) < 0)
        return -errno;
    return fd;
}

/* The client's socket, or one end of a pair, as the program's. */
static int
give_socket(struct ss_request *request, const struct service *service,
            struct descriptors *descriptors)
{
    int pair[2];

    descriptors->socket = service->waits ? ss_fd(request) : plain_socket(request);
    if (descriptors->socket != -ENOTSUP)
        return descriptors->socket < 0 ? descriptors->socket : 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    descriptors->relay = pair[0];
    descriptors->socket = pair[1];
    return 0;
}

static int
give_errors(const struct service *service, struct descriptors *descriptors)
{
    int ends[2];

    descriptors->errors = service->errors_to == ERRORS_CLIENT ? descriptors->socket : service->null;
    if (service->errors_to != ERRORS_LOG)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    descriptors->log = ends[0];
    descriptors->errors = ends[1];
    return 0;
}

/* Starts the program and stays with it. */
static int
run(struct ss_request *request, struct service *service, char **environment)
{
    struct descriptors descriptors = {.socket = -1, .errors = -1, .relay = -1, .log = -1};
    struct program program;

    int error = give_socket(request, service, &descriptors);
    if (error == 0)
        error = give_errors(service, &descriptors);
    if (error < 0)
        ss_log(LOG_ERR, "cannot start %s: %s", service->command, strerror(-error));
    else
        error =
            program_start(&program, service, environment, descriptors.socket, descriptors.errors);
    descriptors_given(&descriptors);
    if (error == 0 && service->waits)
        service->last = program.pid;
    if (error == 0)
        error = attend(request, service, &program, descriptors.log, descriptors.relay);
    descriptors_done(&descriptors);
    return error;
}

/*
 * The child of a forking worker becomes the program. -ENOTSUP: it cannot, or somebody must read
 * what the program has to complain about.
 */
static int
become(struct ss_request *request, const struct service *service, char **environment)
{
    const struct ss_program program = {
        .size = sizeof(program),
        .path = service->command,
        .arguments = service->arguments,
        .environment = environment,
        .directory = service->directory,
        .errors = service->errors_to == ERRORS_CLIENT ? -1 : service->null,
        .kill_timeout = service->kill_timeout,
    };
    int error = service->errors_to == ERRORS_LOG ? -ENOTSUP : ss_exec(request, &program);

    return error == -ENOTSUP ? error : program_report_failure(service, -error);
}

int
handle(struct ss_request *request)
{
    struct service *service = ss_server_data(ss_server(request));
    struct environment environment = {0};
    struct arrival before;
    int error = 0;

    if (service->waits)
        arrival_look(ss_fd(request), &before);
    if (service->banner != NULL)
        error = ss_write(request, service->banner, service->banner_size);
    if (error == 0)
        error = ss_flush(request);
    if (error == 0)
        error = environment_init(&environment, request, service);
    if (error < 0)
        return error;
    error = become(request, service, environment.all);
    if (error == -ENOTSUP)
        error = run(request, service, environment.all);
    environment_done(&environment);
    return service->waits ? waiting_over(request, service, &before, error) : error;
}

/* handle() has said what it was, in words that name the program. */
void
handle_error(struct ss_request *request, int error)
{
    (void)request, (void)error;
}

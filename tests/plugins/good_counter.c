/* SPDX-License-Identifier: MIT */
/*
 * good_counter.c - counts its visits in shared memory, and keeps what its client tells it
 *
 *     visit           how many visits there were, this one included
 *     repairs         how often a lock was found whose holder had died
 *     die             nothing: kills its process while it has the lock
 *     twice           what locking twice says, then unlocking twice
 *     area SIZE       "same", or what ss_server_shared() fails with
 *     keep NAME TEXT  what ss_server_keep() says; a memory file with the text
 *     forget NAME     the same, with no descriptor
 *     kept NAME       the text, or what ss_server_kept() says
 *     device NAME     what keeping /dev/null says
 *     many N          how many of so many names could be kept, and what the first refusal said
 *     slow NAME       keeps a connection that would hold up whoever closes it
 *     ask N           "asked": looks for what is kept so many times
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct area {
    struct ss_shared_lock lock;
    uint64_t visits, repairs;
};

static const struct ss_option options[] = {
    {.name = "size", .type = SS_SIZE, .fallback = "4096", .help = "of the memory"},
    {.name = "first", .type = SS_STRING, .help = "kept at the start, if it is not yet"},
    {0},
};

SS_PLUGIN(.name = "good_counter", .summary = "counts visits", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE, .options = options)

static struct area *area;

static void
lock(void)
{
    if (ss_shared_lock(&area->lock) == -EOWNERDEAD)
        area->repairs++;
}

/* Somebody else has a chance to read what is not written yet. */
static int
visit(struct ss_request *request, const char *argument)
{
    (void)argument;
    lock();
    uint64_t visits = area->visits;
    (void)sched_yield();
    area->visits = ++visits;
    (void)ss_shared_unlock(&area->lock);
    return ss_printf(request, "%lu\n", (unsigned long)visits);
}

static int
repairs(struct ss_request *request, const char *argument)
{
    (void)argument;
    lock();
    uint64_t count = area->repairs;
    (void)ss_shared_unlock(&area->lock);
    return ss_printf(request, "%lu\n", (unsigned long)count);
}

static int
die(struct ss_request *request, const char *argument)
{
    (void)request;
    (void)argument;
    lock();
    return raise(SIGKILL);
}

static int
twice(struct ss_request *request, const char *argument)
{
    int locks[2], unlocks[2];

    (void)argument;
    for (size_t i = 0; i < 2; i++)
        locks[i] = ss_shared_lock(&area->lock);
    for (size_t i = 0; i < 2; i++)
        unlocks[i] = ss_shared_unlock(&area->lock);
    return ss_printf(request, "%d %d %d %d\n", locks[0], locks[1], unlocks[0], unlocks[1]);
}

static int
tell_area(struct ss_request *request, const char *argument)
{
    const void *memory = ss_server_shared(ss_server(request), strtoul(argument, NULL, 10));

    if (memory == NULL)
        return ss_printf(request, "%s\n", strerrorname_np(errno));
    return ss_printf(request, "%s\n", memory == area ? "same" : "another");
}

/* ---- what is kept ------------------------------------------------------------------ */

static int
keep_text(struct ss_server *server, const char *name, const char *text)
{
    int fd = memfd_create("kept", MFD_CLOEXEC);

    (void)!write(fd, text, strlen(text));
    int r = ss_server_keep(server, name, fd);
    (void)close(fd);
    return r;
}

static int
keep(struct ss_request *request, const char *argument)
{
    char name[100] = "";
    int end = 0;

    (void)sscanf(argument, "%99s %n", name, &end);
    return ss_printf(request, "%d\n", keep_text(ss_server(request), name, argument + end));
}

static int
forget(struct ss_request *request, const char *argument)
{
    return ss_printf(request, "%d\n", ss_server_keep(ss_server(request), argument, -1));
}

static int
kept(struct ss_request *request, const char *argument)
{
    int fd = ss_server_kept(ss_server(request), argument);
    char text[100] = "";

    if (fd < 0)
        return ss_printf(request, "%s\n", strerrorname_np(-fd));
    if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
        return ss_printf(request, "inherited\n");
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    (void)close(fd);
    return ss_printf(request, "%.*s\n", (int)size, text);
}

static int
device(struct ss_request *request, const char *argument)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int r = ss_server_keep(ss_server(request), argument, fd);

    (void)close(fd);
    return ss_printf(request, "%s\n", strerrorname_np(-r));
}

static int
many(struct ss_request *request, const char *argument)
{
    int count = atoi(argument), done = 0, r = 0;
    char name[32];

    while (done < count && r == 0) {
        (void)snprintf(name, sizeof(name), "n%d", done);
        r = keep_text(ss_server(request), name, name);
        done += r == 0;
    }
    return ss_printf(request, "%d %s\n", done, r == 0 ? "0" : strerrorname_np(-r));
}

/* A connection whose other end reads nothing, with bytes on their way and SO_LINGER. */
static int
slow(struct ss_request *request, const char *argument)
{
    static char bytes[1 << 20];
    struct linger linger = {.l_onoff = 1, .l_linger = 60};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)listen(listening, 1);
    (void)getsockname(listening, (struct sockaddr *)&address, &size);
    (void)connect(client, (struct sockaddr *)&address, size);
    (void)fcntl(client, F_SETFL, O_NONBLOCK);
    while (write(client, bytes, sizeof(bytes)) > 0)
        ;
    (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    int r = ss_server_keep(ss_server(request), argument, client);
    (void)ss_server_keep(ss_server(request), "listening", listening);
    return ss_printf(request, "%d\n", r); /* both stay open */
}

static int
ask(struct ss_request *request, const char *argument)
{
    for (int left = atoi(argument); left > 0; left--) {
        int fd = ss_server_kept(ss_server(request), "first");
        if (fd < 0)
            return ss_printf(request, "%s\n", strerrorname_np(-fd));
        (void)close(fd);
    }
    return ss_printf(request, "asked\n");
}

static const struct {
    const char *name;
    int (*run)(struct ss_request *request, const char *argument);
} commands[] = {
    {"visit", visit},    {"repairs", repairs}, {"die", die},       {"twice", twice},
    {"area", tell_area}, {"keep", keep},       {"forget", forget}, {"kept", kept},
    {"device", device},  {"many", many},       {"slow", slow},     {"ask", ask},
};

/* ---- hooks --------------------------------------------------------------------------- */

int
server_activate(struct ss_server *server)
{
    const char *first = ss_option_string(server, "first");
    int fd;

    area = ss_server_shared(server, ss_option_size(server, "size"));
    if (area == NULL)
        return -errno;
    if (*first == '\0')
        return 0;
    fd = ss_server_kept(server, "first");
    if (fd >= 0)
        return close(fd);
    return fd == -ENOENT ? keep_text(server, "first", first) : fd;
}

int
handle(struct ss_request *request)
{
    char *line;
    int r = 0;

    while (r == 0 && ss_readline(request, &line) > 0) {
        char *argument = line + strcspn(line, " \n");

        line[strcspn(line, "\n")] = '\0';
        if (*argument == ' ')
            *argument++ = '\0';
        for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
            if (strcmp(line, commands[i].name) == 0)
                r = commands[i].run(request, argument);
    }
    return r;
}

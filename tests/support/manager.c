/* SPDX-License-Identifier: MIT */
/*
 * manager.c - a service manager for a test: passes sockets, hears what is notified
 *
 * A thread hears the notifications, so that the daemon never waits for the
 * test to read them.
 *
 * Owns:     its notification socket and what was stored, until the teardown.
 * Failures: fail the running test, from the test's own thread.
 */
#include "support/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "support/test.h"

#define FDS_MAX   64
#define HEARD_MAX 65536
#define FIRST_FD  3
#define HIGH_FD   200

struct named {
    char name[256];
    int fd;
};

struct manager {
    int socket;
    const char *path;
    pthread_t thread;
    pthread_mutex_t lock; /* for all below */
    char heard[HEARD_MAX];
    size_t heard_size;
    struct named passed[FDS_MAX], stored[FDS_MAX];
    size_t passed_count, stored_count;
};

static struct manager *present;

/* ---- the store ------------------------------------------------------------ */

static void
forget(struct manager *manager, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < manager->stored_count; i++) {
        if (name == NULL || strcmp(manager->stored[i].name, name) == 0)
            (void)close(manager->stored[i].fd);
        else
            manager->stored[kept++] = manager->stored[i];
    }
    manager->stored_count = kept;
}

/* The same open file, not only the same socket or path. */
static bool
same_file(int one, int other)
{
    return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, one, other) == 0;
}

/* As systemd does: a file that is there already keeps its name. */
static void
keep_fd(struct manager *manager, const char *name, int fd)
{
    bool known = manager->stored_count == FDS_MAX;

    for (size_t i = 0; i < manager->stored_count; i++)
        known |= same_file(manager->stored[i].fd, fd);
    if (known) {
        (void)close(fd);
        return;
    }
    struct named *item = &manager->stored[manager->stored_count++];
    item->fd = fd;
    (void)snprintf(item->name, sizeof(item->name), "%s", name);
}

/* ---- hearing ---------------------------------------------------------------- */

static const char *
value_of(const char *text, const char *key, char *buffer, size_t size)
{
    const char *place = strstr(text, key);

    if (place == NULL)
        return NULL;
    place += strlen(key);
    (void)snprintf(buffer, size, "%.*s", (int)strcspn(place, "\n"), place);
    return buffer;
}

static void
take(struct manager *manager, const char *text, int fd)
{
    char name[256];
    int written;

    (void)pthread_mutex_lock(&manager->lock);
    written = snprintf(manager->heard + manager->heard_size, HEARD_MAX - manager->heard_size,
                       "%s\n", text);
    if (written > 0 && (size_t)written < HEARD_MAX - manager->heard_size)
        manager->heard_size += (size_t)written;
    if (value_of(text, "FDNAME=", name, sizeof(name)) != NULL) {
        if (strstr(text, "FDSTOREREMOVE=1") != NULL)
            forget(manager, name);
        else if (fd >= 0)
            keep_fd(manager, name, take_fd(fd));
    }
    if (fd >= 0)
        (void)close(fd);
    (void)pthread_mutex_unlock(&manager->lock);
}

static void *
hear(void *userdata)
{
    struct manager *manager = userdata;

    for (;;) {
        char text[4096], control[CMSG_SPACE(sizeof(int))];
        struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        ssize_t size = recvmsg(manager->socket, &message, MSG_CMSG_CLOEXEC);
        struct cmsghdr *attached = CMSG_FIRSTHDR(&message);
        int fd = -1;

        if (size <= 0)
            return NULL;
        text[size] = '\0';
        if (attached != NULL && attached->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(attached), sizeof(fd));
        take(manager, text, fd);
    }
}

struct manager *
manager_new(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct manager *manager = keep(calloc(1, sizeof(*manager)));

    manager->path = test_path("notify");
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", manager->path);
    manager->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(manager->socket, (struct sockaddr *)&address, sizeof(address)), errno);
    (void)pthread_mutex_init(&manager->lock, NULL);
    assert_int_equal(pthread_create(&manager->thread, NULL, hear, manager), 0);
    present = manager;
    return manager;
}

void
manager_end(void)
{
    if (present == NULL)
        return;
    (void)shutdown(present->socket, SHUT_RDWR); /* ends the thread */
    (void)pthread_join(present->thread, NULL);
    (void)close(present->socket);
    forget(present, NULL);
    for (size_t i = 0; i < present->passed_count; i++)
        (void)close(present->passed[i].fd);
    present = NULL;
}

/* ---- starting ------------------------------------------------------------------ */

void
manager_pass(struct manager *manager, const char *name, int fd)
{
    struct named *item = &manager->passed[manager->passed_count++];

    item->fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    (void)snprintf(item->name, sizeof(item->name), "%s", name);
}

struct inheritance {
    int fds[2 * FDS_MAX];
    size_t count;
    char names[2 * FDS_MAX * 256];
    const char *notify_socket;
    void (*prepare)(void *userdata); /* or NULL */
    void *userdata;
};

static void
inherit(struct inheritance *inheritance, const struct named *item)
{
    char *end = inheritance->names + strlen(inheritance->names);

    (void)sprintf(end, "%s%s", inheritance->count == 0 ? "" : ":", item->name);
    inheritance->fds[inheritance->count++] = item->fd;
}

static void
announce(const struct inheritance *inheritance)
{
    char number[32];

    (void)snprintf(number, sizeof(number), "%zu", inheritance->count);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)setenv("LISTEN_FDNAMES", inheritance->names, 1);
}

/* In the child: puts the descriptors into their places and says so. */
static void
prepare(void *userdata)
{
    struct inheritance *inheritance = userdata;

    for (size_t i = 0; i < inheritance->count; i++)
        inheritance->fds[i] = fcntl(inheritance->fds[i], F_DUPFD_CLOEXEC, HIGH_FD);
    for (size_t i = 0; i < inheritance->count; i++)
        (void)dup2(inheritance->fds[i], FIRST_FD + (int)i);
    (void)setenv("NOTIFY_SOCKET", inheritance->notify_socket, 1);
    if (inheritance->count > 0)
        announce(inheritance);
    if (inheritance->prepare != NULL)
        inheritance->prepare(inheritance->userdata);
}

struct daemon *
manager_start(struct manager *manager, const char *configuration)
{
    return manager_start_program(manager, configuration, NULL, NULL);
}

struct daemon *
manager_start_program(struct manager *manager, const char *configuration,
                      void (*program)(void *userdata), void *userdata)
{
    struct inheritance *inheritance = keep(calloc(1, sizeof(*inheritance)));
    const char *const arguments[] = {"-c", configuration, NULL};

    (void)pthread_mutex_lock(&manager->lock);
    manager->heard_size = 0;
    manager->heard[0] = '\0';
    inheritance->notify_socket = manager->path;
    inheritance->prepare = program;
    inheritance->userdata = userdata;
    for (size_t i = 0; i < manager->passed_count; i++)
        inherit(inheritance, &manager->passed[i]);
    for (size_t i = manager->stored_count; i > 0; i--)
        inherit(inheritance, &manager->stored[i - 1]);
    struct daemon *daemon = daemon_run_prepared(arguments, prepare, inheritance);
    (void)pthread_mutex_unlock(&manager->lock);
    return daemon;
}

/* ---- asking ----------------------------------------------------------------------- */

const char *
manager_heard(struct manager *manager)
{
    (void)pthread_mutex_lock(&manager->lock);
    const char *heard = text_of("%s", manager->heard);
    (void)pthread_mutex_unlock(&manager->lock);
    return heard;
}

void
manager_wait(struct manager *manager, const char *text)
{
    double give_up = clock_now() + DEADLINE;

    while (strstr(manager_heard(manager), text) == NULL) {
        if (clock_now() > give_up)
            fail_msg("waited in vain for the notification \"%s\"; heard:\n%s", text,
                     manager_heard(manager));
        clock_pause();
    }
}

size_t
manager_stored(struct manager *manager, const char *name)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&manager->lock);
    for (size_t i = 0; i < manager->stored_count; i++)
        count += name == NULL || strcmp(manager->stored[i].name, name) == 0;
    (void)pthread_mutex_unlock(&manager->lock);
    return count;
}

size_t
manager_stored_count(struct manager *manager)
{
    return manager_stored(manager, NULL);
}

void
manager_empty_store(struct manager *manager)
{
    (void)pthread_mutex_lock(&manager->lock);
    forget(manager, NULL);
    (void)pthread_mutex_unlock(&manager->lock);
}

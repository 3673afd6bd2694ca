/* SPDX-License-Identifier: MIT */
/*
 * log_sinks.c - standard error and the journal, without ever waiting for either
 *
 * Standard error is usually shared with others (a shell, the supervisor), so
 * O_NONBLOCK must not be set on it. /proc/self/fd/2 gives us the same pipe,
 * file or terminal with a file description of our own. A socket cannot be
 * opened that way, but takes MSG_DONTWAIT. Where neither works (a pipe that
 * belongs to another user) we write only when poll(2) says that there is room.
 *
 * The journal's protocol is written directly: sd_journal_send() waits when the
 * journal's queue is full. The socket is not connected; each datagram names
 * its destination, so there is nothing to repair when journald has restarted.
 *
 * Runs in:  every thread of every process; no locks, one system call a line.
 * Owns:     its descriptors. They stand above those handed to a worker.
 * Failures: returned to log.c. SIGPIPE is ignored by every process of ours.
 */
#include "common/log_sinks.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_json.h"
#include "common/log_record.h"
#include "common/printable.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* Our descriptors have at least this number: a new worker's descriptors are moved to lower ones. */
#define LOWEST_FD 32

enum way {
    WAY_PLAIN,   /* before sink_stderr_open(): fd 2, may wait */
    WAY_PRIVATE, /* our own description, non-blocking */
    WAY_SOCKET,  /* fd 2 with MSG_DONTWAIT */
    WAY_POLLED,  /* fd 2 if poll(2) says so */
};

/* The private descriptor keeps its number when it is reopened: other threads may be writing to
 * it. */
static _Atomic int stderr_fd = -1;
static _Atomic int stderr_way = WAY_PLAIN;
/* The last write stopped half-way (full disk, terminal), so the next one begins on a new line. */
static _Atomic bool stderr_torn;
static bool stderr_takes_records; /* set before there are threads */
static bool stderr_takes_fields;  /* of records; likewise */
static bool stderr_takes_dates;   /* likewise */
static _Atomic bool stderr_takes_json;

static _Atomic int journal_fd = -1;
static struct sockaddr_un journal_address;

/* ---- standard error ------------------------------------------------------- */

static bool
is_socket(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* What plugins print to fd 1 and 2 must land behind our lines, not on top of them. */
static void
append_to_file(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        (void)fcntl(fd, F_SETFL, flags | O_APPEND);
}

/* Moves fd to the number in *slot, or to a new one from LOWEST_FD on if *slot has none. fd is
 * closed in every case. Returns the number or a negative errno. */
static int
keep_fd(int fd, _Atomic int *slot)
{
    int number = atomic_load(slot);
    int kept = number >= 0 ? dup3(fd, number, O_CLOEXEC) : fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);

    if (kept < 0)
        kept = -errno;
    else
        atomic_store(slot, kept);
    (void)close(fd);
    return kept;
}

void
sink_stderr_open(void)
{
    int fd, way = WAY_POLLED;

    append_to_file(STDERR_FILENO);
    if (is_socket(STDERR_FILENO)) {
        way = WAY_SOCKET;
    } else {
        fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && keep_fd(fd, &stderr_fd) >= 0)
            way = WAY_PRIVATE;
    }
    atomic_store(&stderr_way, way);
}

void
sink_stderr_close(void)
{
    int fd = atomic_exchange(&stderr_fd, -1);

    atomic_store(&stderr_way, WAY_PLAIN);
    atomic_store(&stderr_torn, false);
    stderr_takes_dates = false;
    atomic_store(&stderr_takes_json, false);
    if (fd >= 0)
        (void)close(fd);
}

void
sink_stderr_use_records(bool fields)
{
    stderr_takes_records = true;
    stderr_takes_fields = fields;
}

void
sink_stderr_use_json(bool json)
{
    atomic_store_explicit(&stderr_takes_json, json, memory_order_relaxed);
}

void
sink_stderr_use_dates(void)
{
    stderr_takes_dates = true;
}

static ssize_t
write_polled(const char *data, size_t size)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&room, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(STDERR_FILENO, data, size);
}

static ssize_t
write_somehow(const char *data, size_t size)
{
    switch ((enum way)atomic_load_explicit(&stderr_way, memory_order_relaxed)) {
    case WAY_PRIVATE:
        return write(atomic_load_explicit(&stderr_fd, memory_order_relaxed), data, size);
    case WAY_SOCKET:
        return send(STDERR_FILENO, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    case WAY_POLLED:
        return write_polled(data, size);
    case WAY_PLAIN:
    default:
        return write(STDERR_FILENO, data, size);
    }
}

static void
format_date(char *data, size_t size, int level)
{
    char time[LOG_TIME_SIZE];

    log_format_time(time);
    (void)snprintf(data, size, "%s %s ", time, log_level_names[level]);
}

/* Returns the size of what it has written to data. */
static int
format_line(const struct log_line *line, bool torn, char *data, size_t size)
{
    bool named = line->who[0] != '\0';
    char date[64] = "";

    if (stderr_takes_records)
        return snprintf(data, size, LOG_RECORD_FORMAT, LOG_RECORD_MARK, line->level,
                        (unsigned long long)line->request, line->text);
    if (stderr_takes_dates)
        format_date(date, sizeof(date), line->level);
    return snprintf(data, size, "%s%ssockserverd%s%s%s: %s\n", torn ? "\n" : "", date,
                    named ? "[" : "", line->who, named ? "]" : "", line->text);
}

/* Writes what begins on a new line if the last line was torn. */
static int
write_whole(const char *data, size_t size, bool torn)
{
    ssize_t written;

    do {
        written = write_somehow(data, size);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)size)
        return 0;
    if (written < 0) {
        int error = errno;

        if (torn)
            atomic_store(&stderr_torn, true);
        return -error;
    }
    atomic_store(&stderr_torn, true);
    return -EAGAIN;
}

/* Appends KEY=value to the record, and cuts the value where there is no more room. */
static void
append_to_record(char *record, size_t *size, const char *key, const char *value)
{
    size_t room = LOG_RECORD_SIZE - *size, key_size = strlen(key);
    char *at = record + *size;

    if (key_size + 8 > room)
        return;
    at[0] = LOG_RECORD_FIELD;
    memcpy(at + 1, key, key_size);
    printable_copy(at + 1 + key_size, room - key_size - 2, value, true);
    *size += strlen(at);
}

/* Writes the record with the line's fields. Returns its size. */
static size_t
format_record(const struct log_line *line, char record[LOG_RECORD_SIZE + 1])
{
    int head = snprintf(record, LOG_RECORD_SIZE, LOG_RECORD_FORMAT, LOG_RECORD_MARK, line->level,
                        (unsigned long long)line->request, line->text);
    size_t size = (size_t)head - 1; /* the newline is put behind the fields */

    if (line->client != NULL)
        append_to_record(record, &size, "SOCKSERVERD_CLIENT=", line->client);
    for (const char *const *field = line->fields; field != NULL && *field != NULL; field++)
        append_to_record(record, &size, "", *field);
    record[size++] = '\n';
    return size;
}

/* For lines with fields. It is a function of its own so that other lines need less stack. */
static int __attribute__((noinline)) write_with_fields(const struct log_line *line, bool torn)
{
    char data[LOG_RECORD_SIZE + 1];
    size_t size;

    _Static_assert(LOG_RECORD_SIZE >= LOG_JSON_SIZE, "both fit");
    if (stderr_takes_records) {
        size = format_record(line, data);
    } else {
        data[0] = '\n';
        size = (size_t)torn + log_json_format(line, data + torn);
    }
    return write_whole(data, size, torn);
}

int
sink_stderr_write(const struct log_line *line)
{
    bool torn = atomic_exchange(&stderr_torn, false);
    bool json = atomic_load_explicit(&stderr_takes_json, memory_order_relaxed);
    char data[LOG_LINE_SIZE + 128];

    if (stderr_takes_records ? stderr_takes_fields : json)
        return write_with_fields(line, torn);
    int size = format_line(line, torn, data, sizeof(data));
    return write_whole(data, (size_t)size, torn);
}

/* ---- the journal ---------------------------------------------------------- */

struct datagram {
    size_t size;
    char data[3 * LOG_LINE_SIZE];
};

int
sink_journal_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (path == NULL)
        path = JOURNAL_SOCKET;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    journal_address = address;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    fd = keep_fd(fd, &journal_fd);
    if (fd < 0)
        return fd;
    return access(path, W_OK) < 0 ? -errno : 0;
}

void
sink_journal_close(void)
{
    int fd = atomic_exchange(&journal_fd, -1);

    if (fd >= 0)
        (void)close(fd);
}

static bool
append(struct datagram *datagram, const void *data, size_t size)
{
    if (size > sizeof(datagram->data) - datagram->size)
        return false;
    memcpy(datagram->data + datagram->size, data, size);
    datagram->size += size;
    return true;
}

/* Appends one field. A value with a newline is written with its length: "KEY\n", 64 bits
 * little-endian, the value, "\n". A field that does not fit is left out whole. */
static void
append_field(struct datagram *datagram, const char *key, size_t key_size, const char *value)
{
    size_t before = datagram->size, size = strlen(value);
    uint64_t length = htole64(size);
    bool fits;

    if (strchr(value, '\n') == NULL)
        fits = append(datagram, key, key_size) && append(datagram, "=", 1);
    else
        fits = append(datagram, key, key_size) && append(datagram, "\n", 1) &&
               append(datagram, &length, sizeof(length));
    if (!fits || !append(datagram, value, size) || !append(datagram, "\n", 1))
        datagram->size = before;
}

static void
append_text(struct datagram *datagram, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        append_field(datagram, key, strlen(key), value);
}

static void
append_number(struct datagram *datagram, const char *key, uint64_t number)
{
    char value[24];

    (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)number);
    append_field(datagram, key, strlen(key), value);
}

/* journalctl shows MESSAGE alone, so the listener and request stand in it, too. */
static void
append_message(struct datagram *datagram, const struct log_line *line)
{
    char message[LOG_LINE_SIZE + sizeof(line->who) + 2];

    (void)snprintf(message, sizeof(message), "%s%s%s", line->who, line->who[0] ? ": " : "",
                   line->text);
    append_field(datagram, "MESSAGE", strlen("MESSAGE"), message);
}

static void
append_line(struct datagram *datagram, const struct log_line *line)
{
    append_message(datagram, line);
    append_number(datagram, "PRIORITY", (uint64_t)line->level);
    append_text(datagram, "SYSLOG_IDENTIFIER", "sockserverd");
    append_text(datagram, "SOCKSERVERD_LISTENER", line->listener);
    if (line->request > 0)
        append_number(datagram, "SOCKSERVERD_REQUEST", line->request);
    append_text(datagram, "SOCKSERVERD_CLIENT", line->client);
    for (const char *const *field = line->fields; field != NULL && *field != NULL; field++) {
        const char *value = strchr(*field, '=');

        if (value != NULL)
            append_field(datagram, *field, (size_t)(value - *field), value + 1);
    }
}

int
sink_journal_write(const struct log_line *line)
{
    struct datagram datagram = {.size = 0};
    int fd = atomic_load_explicit(&journal_fd, memory_order_relaxed);
    ssize_t sent;

    if (fd < 0)
        return -ENOTCONN;
    append_line(&datagram, line);
    do {
        sent = sendto(fd, datagram.data, datagram.size, MSG_NOSIGNAL,
                      (const struct sockaddr *)&journal_address, sizeof(journal_address));
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
        return -EAGAIN;
    return -ENOTCONN;
}

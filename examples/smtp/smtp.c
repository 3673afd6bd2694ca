/* SPDX-License-Identifier: MIT */
/*
 * smtp.c - a mail sink: takes every message and stores it in a maildir
 *
 * RFC 5321 as a receiver speaks it, with PIPELINING, 8BITMIME and SIZE. A message is written to
 * MAILDIR/tmp while it comes, its envelope first, so that it costs no memory; once all of it is on
 * the disk it moves to MAILDIR/new, and only then the client hears "250". A line without CR LF does
 * not end a message, and spoils it: what two servers could read in two ways is not taken.
 *
 * Runs in:  a handler thread or child. Not in a coroutine: fsync() would hold up its loop.
 * Owns:     the session, and the file of a message that is on its way.
 * Failures: of the disk, told to the client (451, 452), which tries again later. Of a client that
 *           goes away or is too slow nothing is kept but what it has heard "250" for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sockserver/plugin.h>

#define LONGEST_COMMAND 1000 /* RFC 5321 asks for 512, and more for the parameters of MAIL */
#define LONGEST_PATH    256  /* an address in its brackets */
#define MISTAKES        10   /* of one client: then it has to go */

enum { GO_ON = 0, GOODBYE = 1 }; /* what a command returns, or a negative errno */

/* clang-format off */
static const struct ss_option options[] = {
    {"maildir", SS_PATH, .required = true,
     .help = "the folder where messages go; it is made if need be"},
    {"hostname", SS_STRING, .fallback = "localhost", .min = 1, .max = 200,
     .help = "what the server calls itself"},
    {"max_size", SS_SIZE, .fallback = "10M", .min = 1000, .max = 1e12,
     .help = "bytes of the largest message"},
    {"max_recipients", SS_INTEGER, .fallback = "100", .min = 1, .max = 10000,
     .help = "recipients of one message"},
    {0},
};

SS_PLUGIN(.name = "smtp", .summary = "a mail sink that stores messages in a maildir",
          .transports = SS_STREAM, .mixins = SS_THREADING, .options = options)
/* clang-format on */

static struct {
    const char *hostname;
    size_t max_size;
    int max_recipients;
    int maildir, new; /* open folders */
} settings;

struct session {
    struct ss_request *request;
    char name[LONGEST_COMMAND]; /* what the client calls itself; "" before HELO or EHLO */
    int mistakes;
    FILE *file;    /* the message that is on its way, from MAIL on; else NULL */
    char path[80]; /* where it is, in the maildir */
    char sender[LONGEST_PATH + 1];
    int recipients;
};

/* ---- the maildir --------------------------------------------------------------------------- */

static void
forget_message(struct session *session)
{
    if (session->file == NULL)
        return;
    (void)fclose(session->file);
    (void)unlinkat(settings.maildir, session->path, 0);
    session->file = NULL;
}

/* A file with a name that nobody else has, now or later. */
static int
open_message(struct session *session)
{
    static atomic_uint number;
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(session->path, sizeof(session->path), "tmp/%lld.M%06ldP%dQ%u.%.20s",
                   (long long)now.tv_sec, now.tv_nsec / 1000, getpid(),
                   atomic_fetch_add(&number, 1u), settings.hostname);
    int fd = openat(settings.maildir, session->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    session->file = fdopen(fd, "w");
    if (session->file != NULL)
        return 0;
    (void)close(fd);
    (void)unlinkat(settings.maildir, session->path, 0);
    return -ENOMEM;
}

/* After this a crash of the machine does not lose it. */
static int
deliver_message(struct session *session)
{
    char path[sizeof(session->path)];

    (void)snprintf(path, sizeof(path), "new/%s", session->path + strlen("tmp/"));
    if (ferror(session->file)) /* part of it is lost, even if there is room again */
        return -EIO;
    if (fflush(session->file) != 0 || fsync(fileno(session->file)) < 0 ||
        renameat(settings.maildir, session->path, settings.maildir, path) < 0)
        return -errno;
    (void)strcpy(session->path,
                 path); /* where forget_message() finds it if it is not on the disk */
    if (fsync(settings.new) < 0)
        return -errno;
    (void)fclose(session->file);
    session->file = NULL;
    return 0;
}

/* ---- what the client says ------------------------------------------------------------------ */

static int
reply(struct session *session, const char *text)
{
    session->mistakes += text[0] == '5';
    return ss_printf(session->request, "%s\r\n", text);
}

static int
disk_failed(struct session *session, int error)
{
    errno = -error;
    ss_log(LOG_ERR, "cannot store %s: %m", session->path);
    forget_message(session);
    return reply(session, error == -ENOSPC || error == -EDQUOT ? "452 4.3.1 no room; try later"
                                                               : "451 4.3.0 try later");
}

/* The size of the "<address>" that the text begins with; 0 if it does with none. A ">" within
 * quotes does not end it, and a route before it ("<@a,@b:c@d>") is a part of it. */
static size_t
path_size(const char *text)
{
    bool quoted = false;

    for (size_t i = 1; text[0] == '<' && text[i] != '\0' && i < LONGEST_PATH; i++) {
        if (text[i] == '\\' && text[i + 1] != '\0')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == '>' && !quoted)
            return text[i + 1] == '\0' || text[i + 1] == ' ' ? i + 1 : 0;
        else if ((text[i] == ' ' || text[i] == '<') && !quoted)
            return 0;
    }
    return 0;
}

/* What is wrong with the parameters of MAIL; NULL: nothing. */
static const char *
check_parameters(const char *text)
{
    while (*(text += strspn(text, " ")) != '\0') {
        size_t size = strcspn(text, " ");
        if (strncasecmp(text, "SIZE=", 5) == 0) {
            if (size == 5 || size > 5 + 20 || strspn(text + 5, "0123456789") != size - 5)
                return "501 5.5.4 SIZE=BYTES";
            if (strtoull(text + 5, NULL, 10) > settings.max_size) /* ULLONG_MAX if it is huge */
                return "552 5.3.4 the message is too large";
        } else if (!(size == 9 && strncasecmp(text, "BODY=7BIT", size) == 0) &&
                   !(size == 13 && strncasecmp(text, "BODY=8BITMIME", size) == 0)) {
            return "555 5.5.4 unknown parameter";
        }
        text += size;
    }
    return NULL;
}

/* HELO and EHLO: a message that has been begun is forgotten. */
static bool
meet(struct session *session, const char *text)
{
    if (*text == '\0') {
        (void)reply(session, "501 5.5.4 and who are you?");
        return false;
    }
    forget_message(session);
    (void)snprintf(session->name, sizeof(session->name), "%s", text);
    return true;
}

static int
on_helo(struct session *session, const char *text)
{
    if (!meet(session, text))
        return GO_ON;
    return ss_printf(session->request, "250 %s\r\n", settings.hostname);
}

static int
on_ehlo(struct session *session, const char *text)
{
    if (!meet(session, text))
        return GO_ON;
    return ss_printf(session->request,
                     "250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
                     "250 SIZE %zu\r\n",
                     settings.hostname, settings.max_size);
}

static int
on_mail(struct session *session, const char *text)
{
    if (session->name[0] == '\0')
        return reply(session, "503 5.5.1 say EHLO first");
    if (session->file != NULL)
        return reply(session, "503 5.5.1 there is a sender already");
    if (strncasecmp(text, "FROM:", 5) != 0)
        return reply(session, "501 5.5.4 MAIL FROM:<address>");
    text += 5 + strspn(text + 5, " ");
    size_t size = path_size(text);
    const char *wrong = size == 0 ? "501 5.1.7 MAIL FROM:<address>" : check_parameters(text + size);
    if (wrong != NULL)
        return reply(session, wrong);
    int error = open_message(session);
    if (error < 0)
        return disk_failed(session, error);
    (void)snprintf(session->sender, sizeof(session->sender), "%.*s", (int)size, text);
    session->recipients = 0;
    (void)fprintf(session->file, "Return-Path: %s\n", session->sender);
    return reply(session, "250 2.1.0 ok");
}

static int
on_rcpt(struct session *session, const char *text)
{
    if (session->file == NULL)
        return reply(session, "503 5.5.1 say MAIL first");
    if (strncasecmp(text, "TO:", 3) != 0)
        return reply(session, "501 5.5.4 RCPT TO:<address>");
    text += 3 + strspn(text + 3, " ");
    size_t size = path_size(text);
    if (size <= strlen("<>"))
        return reply(session, "501 5.1.3 RCPT TO:<address>");
    if (text[size + strspn(text + size, " ")] != '\0')
        return reply(session, "555 5.5.4 unknown parameter");
    if (session->recipients == settings.max_recipients)
        return reply(session, "452 4.5.3 too many recipients");
    session->recipients++;
    (void)fprintf(session->file, "Delivered-To: %.*s\n", (int)size - 2, text + 1);
    return reply(session, "250 2.1.5 ok");
}

static int
on_rset(struct session *session, const char *text)
{
    (void)text;
    forget_message(session);
    return reply(session, "250 2.0.0 ok");
}

static int
on_noop(struct session *session, const char *text)
{
    (void)text;
    return reply(session, "250 2.0.0 ok");
}

static int
on_vrfy(struct session *session, const char *text)
{
    return reply(session, *text == '\0' ? "501 5.5.4 VRFY address" : "252 2.1.5 send it and see");
}

static int
on_quit(struct session *session, const char *text)
{
    (void)text;
    (void)reply(session, "221 2.0.0 goodbye");
    return GOODBYE;
}

/* ---- a message ----------------------------------------------------------------------------- */

/* The rest of a line that was too long for ss_readline(), and none of the next one, which could be
 * a command. *ret_whole: it ended with CR LF. */
static ssize_t
skip_line(struct ss_request *request, bool *ret_whole)
{
    char last = '\0', before;
    ssize_t size;

    do {
        before = last;
        size = ss_read(request, &last, 1);
    } while (size > 0 && last != '\n');
    *ret_whole = before == '\r';
    return size;
}

/* What is wrong with a line that is to be stored; NULL: nothing, and it has been written. */
static const char *
take_line(struct session *session, char *line, size_t size, size_t *total)
{
    size_t text = size - 2, stuffed = line[0] == '.';

    if (size < 2 || memcmp(line + text, "\r\n", 2) != 0 || memchr(line, '\r', text) != NULL)
        return "550 5.6.0 lines end with CR LF, and nothing else does";
    *total += size - stuffed;
    if (*total > settings.max_size)
        return "552 5.3.4 the message is too large";
    line[text] = '\n';
    (void)fwrite(line + stuffed, 1, text + 1 - stuffed, session->file);
    return NULL;
}

/* Reads up to the line with a dot; 0 or a negative errno. What is wrong with it is in *ret_wrong.
 */
static int
receive_message(struct session *session, const char **ret_wrong, size_t *ret_total)
{
    const char *wrong = NULL;
    size_t total = 0;
    bool whole = true; /* the line before ended with CR LF: LF . CR LF is not the end */
    char *line;

    for (;;) {
        ssize_t size = ss_readline(session->request, &line);
        if (size == -EMSGSIZE) {
            wrong = "550 5.6.0 a line is too long";
            size = skip_line(session->request, &whole);
        } else if (whole && size == 3 && memcmp(line, ".\r\n", 3) == 0) {
            break;
        } else if (size > 0) {
            whole = size > 1 && line[size - 2] == '\r';
            wrong = wrong != NULL ? wrong : take_line(session, line, (size_t)size, &total);
        }
        if (size <= 0)
            return size == 0 ? GOODBYE : (int)size;
    }
    *ret_wrong = wrong;
    *ret_total = total;
    return 0;
}

static void
write_trace(struct session *session)
{
    time_t now = time(NULL);
    struct tm utc;
    char date[64];

    (void)strftime(date, sizeof(date), "%a, %d %b %Y %T +0000", gmtime_r(&now, &utc));
    (void)fprintf(session->file, "Received: from %s\n (%s)\n by %s with SMTP; %s\n", session->name,
                  ss_client_name(session->request), settings.hostname, date);
}

static int
on_data(struct session *session, const char *text)
{
    const char *wrong = NULL;
    size_t total = 0;

    if (*text != '\0')
        return reply(session, "501 5.5.4 DATA stands alone");
    if (session->file == NULL || session->recipients == 0)
        return reply(session, "503 5.5.1 say RCPT first");
    write_trace(session);
    (void)reply(session, "354 end with a dot");
    int error = receive_message(session, &wrong, &total);
    if (error != 0)
        return error;
    if (wrong != NULL) {
        forget_message(session);
        return reply(session, wrong);
    }
    error = deliver_message(session);
    if (error < 0)
        return disk_failed(session, error);
    ss_log(LOG_INFO, "stored %s: %zu bytes from %s, recipients: %d", session->path, total,
           session->sender, session->recipients);
    return reply(session, "250 2.0.0 stored");
}

/* ---- a session ----------------------------------------------------------------------------- */

static const struct {
    const char *verb;
    int (*run)(struct session *session, const char *text);
} commands[] = {
    {"EHLO", on_ehlo}, {"HELO", on_helo}, {"MAIL", on_mail}, {"RCPT", on_rcpt}, {"DATA", on_data},
    {"RSET", on_rset}, {"NOOP", on_noop}, {"VRFY", on_vrfy}, {"QUIT", on_quit},
};

/* A command of so many bytes. Behind its verb stand spaces, then what it is about. */
static int
run_command(struct session *session, char *line, size_t size)
{
    while (size > 0 && strchr(" \t\r\n", line[size - 1]) != NULL)
        line[--size] = '\0';
    for (size_t i = 0; i < size; i++)
        if (line[i] < ' ' || line[i] > '~')
            return reply(session, "500 5.5.2 commands are plain ASCII");
    if (size >= LONGEST_COMMAND)
        return reply(session, "500 5.5.2 the line is too long");
    size_t verb = strcspn(line, " ");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (verb == 4 && strncasecmp(line, commands[i].verb, verb) == 0)
            return commands[i].run(session, line + verb + strspn(line + verb, " "));
    return reply(session, "500 5.5.1 unknown command");
}

static int
next_command(struct session *session)
{
    char *line;
    bool whole;
    ssize_t size = ss_wait_input(session->request, -1);

    if (size == -ECANCELED) /* between commands a stop need not wait */
        (void)reply(session, "421 4.3.2 the server is stopping; come back soon");
    if (size < 0)
        return (int)size;
    size = ss_readline(session->request, &line);
    if (size == -EMSGSIZE) {
        size = skip_line(session->request, &whole);
        return size <= 0 ? (int)size : reply(session, "500 5.5.2 the line is too long");
    }
    if (size <= 0)
        return size == 0 ? GOODBYE : (int)size;
    return run_command(session, line, (size_t)size);
}

int
setup(struct ss_request *request)
{
    struct session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return -ENOMEM;
    session->request = request;
    ss_set_data(request, session);
    return 0;
}

int
handle(struct ss_request *request)
{
    struct session *session = ss_data(request);
    int result = ss_printf(request, "220 %s ESMTP\r\n", settings.hostname);

    while (result == GO_ON && session->mistakes < MISTAKES)
        result = next_command(session);
    if (result == GO_ON)
        (void)reply(session, "421 4.7.0 too many mistakes");
    else if (result == -ETIMEDOUT)
        (void)reply(session, "421 4.4.2 too slow");
    return result;
}

void
finish(struct ss_request *request)
{
    struct session *session = ss_data(request);

    forget_message(session);
    free(session);
}

/* ---- the server ---------------------------------------------------------------------------- */

/* The name is a part of lines, and of the names of files. */
int
check_options(struct ss_server *server)
{
    const char *name = ss_option_string(server, "hostname");

    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
        strlen(name))
        return 0;
    ss_complain(server, "hostname", "\"%s\": a host's name has letters, digits, \"-\" and \".\"",
                name);
    return -EINVAL;
}

/* The folder and what a maildir has, opened as settings.maildir and settings.new. */
static int
open_maildir(const char *path)
{
    static const char *const parts[] = {"tmp", "cur", "new"};

    (void)mkdir(path, 0700); /* if it fails the next call does, unless it is there */
    settings.maildir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (settings.maildir < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (mkdirat(settings.maildir, parts[i], 0700) < 0 && errno != EEXIST)
            return -errno;
    settings.new = openat(settings.maildir, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return settings.new < 0 ? -errno : 0;
}

int
server_activate(struct ss_server *server)
{
    const char *path = ss_option_string(server, "maildir");
    int error = check_options(server);

    if (error < 0)
        return error;
    settings.hostname = ss_option_string(server, "hostname");
    settings.max_size = (size_t)ss_option_size(server, "max_size");
    settings.max_recipients = (int)ss_option_integer(server, "max_recipients");
    error = open_maildir(path);
    if (error < 0) {
        errno = -error;
        ss_complain(server, "maildir", "\"%s\": %s; it must be a folder that this user may write",
                    path, strerror(errno));
    }
    return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * inetd.c - reads inetd.conf(5)
 *
 * A line becomes an entry with the assignments that xinetd would have for it, so
 * that one table says what becomes of both. The forms of several inetds are
 * known: an address in front of the service, a group behind the user, a limit
 * behind "wait" or "nowait", the sizes of the socket's buffers behind the
 * protocol.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: all is the import's.
 * Failures: import->problem.
 */
#include <errno.h>
#include <string.h>

#include "common/array.h"
#include "ctl/import/import.h"

#define SPACE " \t"

/* The fields of a line; behind them stand the program's arguments. */
enum field { SERVICE, SOCKET_TYPE, PROTOCOL, WAIT, USER, SERVER, ARGUMENTS };

struct line {
    struct import *import;
    struct place place;
    struct words fields;
    const char *host; /* that stands in front of the service, or in a line of its own before */
    struct entry *entry;
};

/* ---- words ---------------------------------------------------------------------------------- */

/* Splits a line; a word, or a part of it, may stand in quotes. */
static int
split(struct import *import, struct place place, const char *text, struct words *ret)
{
    char *word = import_alloc(import, strlen(text) + 1);
    size_t size = 0;
    bool begun = false;
    char quote = '\0';

    for (; word != NULL && *text != '\0'; text++) {
        bool space = strchr(SPACE, *text) != NULL;
        if (quote == '\0' && space && begun)
            words_add(import, ret, import_copy(import, word, size));
        if (quote == '\0' && space) {
            begun = false;
            size = 0;
        } else if (quote == '\0' && (*text == '"' || *text == '\'')) {
            quote = *text;
            begun = true;
        } else if (*text == quote) {
            quote = '\0';
        } else {
            word[size++] = *text;
            begun = true;
        }
    }
    if (quote != '\0')
        return import_fail(import, place, "found no second %c; expected one before the line's end",
                           quote);
    if (begun && word != NULL)
        words_add(import, ret, import_copy(import, word, size));
    return 0;
}

static void
assign(struct line *line, const char *name, const char *value)
{
    struct assignment *assignment =
        entry_assign(line->import, line->entry, line->place, name, OPERATION_SET);

    if (assignment != NULL)
        words_add(line->import, &assignment->values, value);
}

/* ---- fields --------------------------------------------------------------------------------- */

/* "tcp", "udp6", "tcp46", "unix", "rpc/udp", "tcp,sndbuf=16k". */
static int
read_protocol(struct line *line)
{
    static const struct {
        const char *word, *protocol, *flag;
    } forms[] = {{"tcp", "tcp", "IPv4"}, {"tcp4", "tcp", "IPv4"}, {"tcp6", "tcp", "IPV6ONLY"},
                 {"udp", "udp", "IPv4"}, {"udp4", "udp", "IPv4"}, {"udp6", "udp", "IPV6ONLY"},
                 {"tcp46", "tcp", NULL}, {"udp46", "udp", NULL},  {"tcp6only", "tcp", "IPV6ONLY"},
                 {"unix", "unix", NULL}};
    const char *text = line->fields.all[PROTOCOL];
    size_t size = strcspn(text, ",");

    if (strncmp(text, "rpc/", 4) == 0) {
        assign(line, "type", "RPC");
        assign(line, "protocol", text);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (strlen(forms[i].word) != size || strncmp(forms[i].word, text, size) != 0)
            continue;
        assign(line, "protocol", forms[i].protocol);
        if (forms[i].flag != NULL)
            assign(line, "flags", forms[i].flag);
        return 0;
    }
    return import_fail(line->import, line->place,
                       "found the protocol \"%.40s\"; expected tcp, tcp6, tcp46, udp, udp6, udp46, "
                       "unix or rpc/...",
                       text);
}

/* What stands behind the protocol. */
static int
read_buffers(struct line *line)
{
    const char *at = strchr(line->fields.all[PROTOCOL], ',');

    while (at != NULL && *at == ',') {
        size_t size = strcspn(at + 1, ",");
        const char *word = import_copy(line->import, at + 1, size);
        if (strncmp(word, "sndbuf=", 7) == 0)
            assign(line, "sndbuf", word + 7);
        else if (strncmp(word, "rcvbuf=", 7) == 0)
            assign(line, "rcvbuf", word + 7);
        else
            return import_fail(line->import, line->place,
                               "found \"%.40s\" behind the protocol; expected sndbuf=SIZE or "
                               "rcvbuf=SIZE",
                               word);
        at += size + 1;
    }
    return 0;
}

/* "wait", "nowait", "nowait.400", "nowait/10/3/2". */
static int
read_wait(struct line *line)
{
    const char *text = line->fields.all[WAIT];
    size_t size = strcspn(text, "./:");
    bool waits = strncmp(text, "wait", size) == 0 && size == 4;
    const char *at = text + size;
    static const char *const behind_slash[] = {"instances", "cpm_source", "per_source"};

    if (!waits && (strncmp(text, "nowait", size) != 0 || size != 6))
        return import_fail(line->import, line->place, "found \"%.40s\"; expected wait or nowait",
                           text);
    assign(line, "wait", waits ? "yes" : "no");
    for (size_t i = 0; *at != '\0'; i++) {
        bool slash = *at == '/';
        size = strcspn(at + 1, "/");
        const char *number = import_copy(line->import, at + 1, size);
        if (size == 0 || strspn(number, "0123456789") != size || size > 9 ||
            i >= ARRAY_SIZE(behind_slash) || (!slash && i > 0))
            return import_fail(line->import, line->place,
                               "found the limit \"%.40s\"; expected a number behind \"wait.\"",
                               at + 1);
        if (slash && strspn(number, "0") == size)
            assign(line, behind_slash[i], "UNLIMITED");
        else
            assign(line, slash ? behind_slash[i] : "cpm", number);
        at += size + 1;
    }
    return 0;
}

/* "nobody", "nobody.nogroup", "nobody:nogroup"; behind "/" stands a login class of BSD's. */
static void
read_user(struct line *line)
{
    const char *text = line->fields.all[USER];
    size_t size = strcspn(text, ".:/");
    const char *group = text + size;

    assign(line, "user", import_copy(line->import, text, size));
    if (*group == '.' || *group == ':')
        assign(line, "group", import_copy(line->import, group + 1, strcspn(group + 1, "/")));
}

static void
read_server(struct line *line)
{
    const char *server = line->fields.all[SERVER];
    struct assignment *arguments;

    if (strcmp(server, "internal") == 0) {
        assign(line, "type", "INTERNAL");
        return;
    }
    assign(line, "server", server);
    if (line->fields.count <= ARGUMENTS)
        return;
    assign(line, "flags", "NAMEINARGS");
    arguments = entry_assign(line->import, line->entry, line->place, "server_args", OPERATION_SET);
    for (size_t i = ARGUMENTS; arguments != NULL && i < line->fields.count; i++)
        words_add(line->import, &arguments->values, line->fields.all[i]);
}

/* ---- the service's name --------------------------------------------------------------------- */

/* The text behind the last ":" outside of brackets, or all of it. */
static const char *
behind_host(const char *text, const char **ret_host, struct import *import)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || text[0] == '/')
        return text;
    *ret_host = import_copy(import, text, (size_t)(colon - text));
    return colon + 1;
}

/* "ftp", "tcpmux/+name", or a Unix socket's path. */
static const char *
name_entry(struct line *line, const char *name)
{
    if (strncmp(name, "tcpmux/", 7) == 0) {
        assign(line, "type", "TCPMUX");
        return name + 7;
    }
    if (*name == '/' || strspn(name, "0123456789") == strlen(name)) {
        assign(line, "type", "UNLISTED");
        assign(line, "port", name);
    }
    return name;
}

static int
read_fields(struct line *line, const char *name, const char *host)
{
    line->entry = entry_new(line->import, line->place, "");
    if (line->entry == NULL)
        return line->import->problem != NULL ? -EINVAL : -ENOMEM;
    line->entry->inetd = true;
    line->entry->name = name_entry(line, name);
    assign(line, "socket_type", line->fields.all[SOCKET_TYPE]);
    int error = read_protocol(line);
    if (error == 0)
        error = read_buffers(line);
    if (error == 0)
        error = read_wait(line);
    if (error < 0)
        return error;
    read_user(line);
    read_server(line);
    if (host != NULL && strcmp(host, "*") != 0)
        assign(line, "bind", host);
    return 0;
}

/* A service for each of the addresses in front of it. */
static int
read_hosts(struct line *line, const char *name)
{
    const char *at = line->host;
    int error = 0;

    if (at == NULL || *at == '\0')
        return read_fields(line, name, NULL);
    while (error == 0 && *at != '\0') {
        size_t size = strcspn(at, ",");
        const char *host = import_copy(line->import, at, size);
        size_t length = strlen(host);
        if (length > 2 && host[0] == '[' && host[length - 1] == ']')
            host = import_copy(line->import, host + 1, length - 2);
        error = read_fields(line, name, host);
        at += size + (at[size] == ',');
    }
    return error;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int
read_line(struct import *import, struct place place, const char *text, const char **host)
{
    struct line line = {.import = import, .place = place, .host = *host};
    int error = split(import, place, text, &line.fields);

    if (error < 0 || import->exhausted)
        return error < 0 ? error : -ENOMEM;
    const char *first = line.fields.all[0];
    const char *name = behind_host(first, &line.host, import);
    if (line.fields.count == 1 && *name == '\0') {
        *host = line.host; /* "ADDRESS:" is for the lines behind it */
        return 0;
    }
    if (*name == '\0')
        return import_fail(import, place,
                           "found no service behind \"%.60s\"; expected ADDRESS:NAME", first);
    if (line.fields.count <= SERVER)
        return import_fail(import, place,
                           "found %zu words; expected SERVICE TYPE PROTOCOL WAIT USER PROGRAM "
                           "[ARGUMENTS]",
                           line.fields.count);
    return read_hosts(&line, name);
}

int
import_read_inetd(struct import *import, const char *path)
{
    const char *host = NULL, *text;
    struct lines lines;
    int error = lines_open(import, (struct place){0}, path, &lines);

    while (error == 0 && (text = lines_next(&lines)) != NULL)
        if (*text != '\0' && *text != '#')
            error = read_line(import, lines.place, text, &host);
    return import->exhausted ? -ENOMEM : error;
}

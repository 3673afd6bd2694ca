/* SPDX-License-Identifier: MIT */
/*
 * import.h - what the files of the import share
 *
 * A file of xinetd's or inetd's becomes a list of entries, each with the
 * assignments that stand in it (xinetd.c, inetd.c). A service takes what it does
 * not say from the entry "defaults" (value.c). A table says for each attribute
 * what becomes of it (attributes.c): it fills in keys of a listener, and leaves a
 * note. All is printed at the end (print.c), so that a damaged file prints
 * nothing.
 *
 * All memory belongs to the import and is given back at once.
 */
#ifndef SOCKSERVERD_CTL_IMPORT_IMPORT_H
#define SOCKSERVERD_CTL_IMPORT_IMPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define IMPORT_FILE_MOST    ((size_t)4 * 1024 * 1024) /* bytes of one file */
#define IMPORT_DEPTH_MOST   16                        /* files that include each other */
#define IMPORT_FILES_MOST   10000
#define IMPORT_ENTRIES_MOST 10000

/* Where something stands. */
struct place {
    const char *file; /* NULL: nowhere */
    unsigned line;
    unsigned order; /* of the file, among all that were read */
};

/* A list of words. */
struct words {
    const char **all;
    size_t count, room;
};

enum operation { OPERATION_SET, OPERATION_ADD, OPERATION_REMOVE };

/* A line of an entry. */
struct assignment {
    const char *name;
    enum operation operation;
    struct words values;
    struct place place;
    bool noted;
    struct assignment *next;
};

/* A service as it is written, or the defaults. */
struct entry {
    const char *name; /* of the service */
    struct place place;
    bool defaults, inetd;
    struct assignment *first, **end;
    struct entry *next;
};

enum fate { FATE_MAPPED, FATE_APPROXIMATED, FATE_DROPPED };

struct note {
    struct place place;
    const char *text; /* "ATTRIBUTE: FATE: ..." */
    size_t number;    /* in the order in which notes were made */
};

/* ---- listeners ------------------------------------------------------------------------------ */

/* The keys that an import gives a listener, in the order in which they are printed. */
enum key {
    KEY_ADDRESS,
    KEY_PLUGIN,
    KEY_MIXIN,
    KEY_ENABLED,
    KEY_IPV6_ONLY,
    KEY_RECEIVE_BUFFER,
    KEY_SEND_BUFFER,
    KEY_KEEPALIVE,
    KEY_MAX_CONNECTIONS,
    KEY_ON_FULL,
    KEY_MAX_PER_SOURCE,
    KEY_RATE,
    KEY_USER,
    KEY_GROUP,
    KEY_GROUPS,
    KEY_CAPABILITIES,
    KEY_SANDBOX,
    KEY_NO_NEW_PRIVILEGES,
    KEY_UMASK,
    KEY_NICE,
    KEY_ALLOW,
    KEY_DENY,
    KEY_LIMIT_AS,
    KEY_LIMIT_CPU,
    KEY_LIMIT_NOFILE,
    KEY_LIMIT_STACK,
    OPTION_COMMAND,
    OPTION_ARGV0,
    OPTION_ARGUMENTS,
    OPTION_DIRECTORY,
    OPTION_ENVIRONMENT,
    OPTION_PASS_ENVIRONMENT,
    OPTION_STDERR,
    OPTION_WAIT,
    OPTION_BANNER,
    OPTION_TO,
    KEYS
};

struct listener {
    const char *name;
    struct place place;
    const char *left_out;     /* why nothing is printed but this; NULL: it is printed */
    const char *values[KEYS]; /* as they are written in the file; NULL: not given */
    struct listener *next;
};

/* ---- the import ----------------------------------------------------------------------------- */

struct import {
    struct block *blocks; /* all memory */
    bool exhausted;       /* memory ran out: what was made is not to be used */
    const char *problem;  /* "FILE:LINE: ..." of the first mistake that ends the import */
    bool placed;          /* it has FILE:LINE */
    unsigned files;       /* that were read */
    size_t entry_count;
    struct entry *entries, **entries_end;
    struct listener *listeners, **listeners_end;
    struct note *notes;
    size_t note_count, note_room;
};

void import_init(struct import *import);
void import_done(struct import *import);

/* Reads a file, and what it includes. 0, or -EINVAL and import->problem, or -ENOMEM. */
int import_read_xinetd(struct import *import, const char *path);
int import_read_inetd(struct import *import, const char *path);

/* Makes listeners of the entries. 0 or -ENOMEM. */
int import_map(struct import *import);

void import_print(const struct import *import, FILE *out);
void import_print_notes(struct import *import, FILE *out);

/* ---- memory.c: what never fails, but for import->exhausted -------------------------------- */

/* Returns zeroed memory that lasts as long as the import; NULL without memory. */
void *import_alloc(struct import *import, size_t size);

/* Return a text that lasts as long as the import; "" without memory. */
const char *import_text(struct import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *import_text_of(struct import *import, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
const char *import_copy(struct import *import, const char *text, size_t size);

void words_add(struct import *import, struct words *words, const char *word);

/* Splits a text at spaces and tabs. */
void words_split(struct import *import, struct words *words, const char *text);
bool words_have(const struct words *words, const char *word);
const char *words_join(struct import *import, const struct words *words);

/* Notes the first mistake. Returns -EINVAL. */
int import_fail(struct import *import, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds "ATTRIBUTE: FATE: text", unless the same note is there. */
void import_note(struct import *import, struct place place, const char *attribute, enum fate fate,
                 const char *text);

/* ---- lines.c -------------------------------------------------------------------------------- */

/* A file whose lines are read one by one. */
struct lines {
    struct import *import;
    struct place place; /* of the line that was read last */
    const char *text, *at, *end;
};

/* Reads a regular file. 0, or a negative errno and import->problem; at is where its name stands. */
int lines_open(struct import *import, struct place at, const char *path, struct lines *ret);

/* Returns the next line, without its newline and the space around it, or NULL at the end. */
const char *lines_next(struct lines *lines);

/* ---- entries (xinetd.c) --------------------------------------------------------------------- */

/* Returns a new entry behind the others; NULL without memory, or after import->problem. */
struct entry *entry_new(struct import *import, struct place place, const char *name);
struct assignment *entry_assign(struct import *import, struct entry *entry, struct place place,
                                const char *name, enum operation operation);

/* ---- value.c -------------------------------------------------------------------------------- */

#define VALUE_PLACES 64

/* What an attribute is for a service, and the lines that say so. */
struct attribute_value {
    struct words words;
    struct assignment *from[VALUE_PLACES];
    size_t from_count;
    bool given;
};

/* Brings together what a service and the defaults say. set: the attribute's values add up. */
struct attribute_value value_of(struct import *import, const struct entry *defaults,
                                const struct entry *service, const char *name, bool set);

/* ---- service.c: what a service is -------------------------------------------------------- */

struct service {
    struct import *import;
    const struct entry *defaults; /* or NULL */
    struct entry *entry;
    struct listener *listener;
    const char *attribute;        /* that is being mapped */
    struct attribute_value value; /* of it */
    /* What service_judge() has found out. */
    struct words types, flags;
    bool stream, waits, internal;
    const char *path;     /* of a Unix socket, or NULL */
    const char *redirect; /* "tcp://HOST:PORT", or NULL */
    const char *port;     /* digits */
    bool closed;          /* it must not be open to those whom something here cannot shut out */
};

/* Finds out what the service is. NULL, or why it cannot be a listener. */
const char *service_judge(struct service *service);

/* Returns an attribute's value; of several words, the first one; NULL if it is not given. */
const char *service_word(struct service *service, const char *name);
struct attribute_value service_value(struct service *service, const char *name);

/* Leaves a note for the attribute that is being mapped, wherever it was given. */
void service_note(struct service *service, enum fate fate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Set a key of the listener. */
void service_set(struct service *service, enum key key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void service_set_text(struct service *service, enum key key, const char *text);
void service_set_list(struct service *service, enum key key, const struct words *words);

/* A port's number, of /etc/services or digits, as digits; NULL: there is none. */
const char *port_number(struct import *import, const char *word, bool stream);

/* Returns a host as an address has it: a number of IPv6 in brackets. */
const char *host_text(struct import *import, const char *host);

/* ---- attributes.c ----------------------------------------------------------------------- */

struct attribute {
    const char *name;
    bool set;                             /* its values add up; "+=" and "-=" are possible */
    bool defaults;                        /* it may stand in "defaults" */
    bool inetd;                           /* xinetd does not know it: inetd.conf can say it */
    void (*map)(struct service *service); /* it has a value */
    enum fate fate;
    const char *text; /* where there is no map: why it is dropped, or how it is mapped */
};

extern const struct attribute attributes[];
extern const size_t attribute_count;

const struct attribute *attribute_find(const char *name);

/* The larger parts of the table. */
void map_instances(struct service *service); /* amounts.c, and the next ones */
void map_per_source(struct service *service);
void map_cps(struct service *service);
void map_cpm(struct service *service);
void map_rlimit_as(struct service *service);
void map_rlimit_stack(struct service *service);
void map_rlimit_files(struct service *service);
void map_rlimit_cpu(struct service *service);
void map_nice(struct service *service);
void map_umask(struct service *service);
void map_sndbuf(struct service *service);
void map_rcvbuf(struct service *service);
void map_only_from(struct service *service); /* access.c, and the next two */
void map_no_access(struct service *service);
void map_bind(struct service *service);
void map_flags(struct service *service); /* flags.c */

/* ---- amounts.c ------------------------------------------------------------------------------ */

/* Returns the first word of the attribute that is being mapped, or "". */
const char *service_first(const struct service *service);

/* Reads a number from least to most. False after a note that it is none. */
bool service_read_number(struct service *service, const char *word, long least, long most,
                         long *ret);
bool word_is_unlimited(const char *word);
bool word_is_yes(const char *word);

/* True if it runs a program, and is neither answered by a plugin nor redirected. The other one
 * leaves a note if not. */
bool service_is_program(const struct service *service);
bool service_wants_program(struct service *service);

/* ---- access.c ------------------------------------------------------------------------------- */

/* Reads one word of only_from. Adds what it stands for in the notation of `allow`. NULL, or why it
 * stands for nothing; *ret_names: it was a name that was looked up. */
const char *access_read(struct import *import, const char *word, struct words *networks,
                        bool *ret_names);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * zone_file.c - from a zone file to a zone
 *
 * Known are SOA, NS, A, AAAA, CNAME, MX, TXT, SRV and PTR, $ORIGIN, $TTL, comments, parentheses,
 * quoted strings, escapes, "@", relative names, and an owner that is left out. The first record is
 * the SOA. $INCLUDE and other types are refused.
 *
 * Runs in:  the worker's main thread, before it serves; or the process of a check.
 * Owns:     the zone, until zone_free().
 * Failures: returned with the line and a text.
 */
#include "zone.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_WORDS 512         /* of an entry of the file */
#define MOST_BYTES (256 << 20) /* of a file */
#define DATA_MOST  65535       /* of a record */

static const struct form forms[] = {
    {"A", TYPE_A, "a"},       {"NS", TYPE_NS, "n"},      {"CNAME", TYPE_CNAME, "n"},
    {"PTR", 12, "n"},         {"MX", TYPE_MX, "sn"},     {"TXT", 16, "x"},
    {"AAAA", TYPE_AAAA, "A"}, {"SRV", TYPE_SRV, "sssN"}, {"SOA", TYPE_SOA, "nnlpppp"},
};

struct word {
    const char *text; /* with its escapes */
    size_t size;
    bool quoted;
};

/* One entry of the file, which parentheses may spread over several lines. */
struct parser {
    const char *at, *end;
    unsigned line, begun; /* where it reads; where the entry begins */
    struct word words[MOST_WORDS];
    size_t count;
    bool indented; /* the owner is left out */
    uint8_t origin[NAME_MOST], owner[NAME_MOST];
    bool has_origin, has_owner, has_ttl;
    uint32_t ttl;
    struct zone *zone;
    struct zone_error *error;
};

__attribute__((format(printf, 2, 3))) static bool
fail(struct parser *parser, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(parser->error->text, sizeof(parser->error->text), format, arguments);
    va_end(arguments);
    parser->error->line = parser->begun;
    return false;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The next byte of a word, with its escape undone. Whether it had one is told. */
static bool
next_byte(const struct word *word, size_t *at, uint8_t *ret, bool *ret_escaped)
{
    const char *text = word->text + *at;
    size_t left = word->size - *at;

    *ret_escaped = text[0] == '\\';
    if (!*ret_escaped || left < 2) {
        *ret = (uint8_t)text[0];
        *at += 1;
        return !*ret_escaped;
    }
    if (!isdigit((unsigned char)text[1])) {
        *ret = (uint8_t)text[1];
        *at += 2;
        return true;
    }
    if (left < 4 || !isdigit((unsigned char)text[2]) || !isdigit((unsigned char)text[3]))
        return false;
    int value = (text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0';
    *ret = (uint8_t)value;
    *at += 4;
    return value <= 255;
}

static bool
fail_name(struct parser *parser, const struct word *word, const char *why)
{
    return fail(parser, "\"%.*s\" is no name: %s", (int)(word->size < 80 ? word->size : 80),
                word->text, why);
}

/* The labels that a word has; whether its end says that these are all. */
static bool
read_labels(struct parser *parser, const struct word *word, uint8_t *labels, size_t *ret_size,
            bool *ret_absolute)
{
    size_t size = 0, start = 0; /* start: where the length of this label stands */
    uint8_t byte;
    bool escaped;

    *ret_absolute = false;
    for (size_t at = 0; at < word->size;) {
        if (!next_byte(word, &at, &byte, &escaped))
            return fail_name(parser, word, "a wrong escape");
        if (size == start)
            size++;
        if (byte == '.' && !escaped) {
            if (size == start + 1)
                return fail_name(parser, word, "an empty label");
            labels[start] = (uint8_t)(size - start - 1);
            start = size;
            *ret_absolute = at == word->size;
            continue;
        }
        if (size - start > 63 || size > NAME_MOST - 2)
            return fail_name(parser, word,
                             "a label of more than 63 bytes, or more than 255 of all");
        labels[size++] = byte;
    }
    if (size > start)
        labels[start] = (uint8_t)(size - start - 1);
    *ret_size = size;
    return true;
}

/* A name, which without a dot at its end is relative to the origin; to NAME_MOST bytes. */
static bool
read_name(struct parser *parser, const struct word *word, uint8_t *ret)
{
    bool absolute = false;
    uint8_t labels[NAME_MOST];
    size_t size = 0;

    if (word->size == 1 && word->text[0] == '.')
        absolute = true;
    else if (!(word->size == 1 && word->text[0] == '@') &&
             !read_labels(parser, word, labels, &size, &absolute))
        return false;
    if (!absolute && !parser->has_origin)
        return fail_name(parser, word,
                         "it is relative, and no $ORIGIN stands before it; end it with a dot");
    size_t rest = absolute ? 1 : name_size(parser->origin);
    if (size + rest > NAME_MOST)
        return fail_name(parser, word, "with the origin it has more than 255 bytes");
    memcpy(ret, labels, size);
    if (absolute)
        ret[size] = 0;
    else
        memcpy(ret + size, parser->origin, rest);
    return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool
read_number(const struct word *word, uint64_t most, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < word->size; i++) {
        if (!isdigit((unsigned char)word->text[i]))
            return false;
        value = value * 10 + (uint64_t)(word->text[i] - '0');
        if (value > most)
            return false;
    }
    *ret = value;
    return word->size > 0;
}

/* Seconds: "3600", "1h", "1h30m". */
static bool
read_period(const struct word *word, uint32_t *ret)
{
    static const char units[] = "smhdw";
    static const uint32_t seconds[] = {1, 60, 3600, 86400, 604800};
    uint64_t total = 0, value;

    for (size_t at = 0; at < word->size;) {
        struct word digits = {word->text + at, 0, false};
        while (at < word->size && isdigit((unsigned char)word->text[at]))
            at++, digits.size++;
        const char *unit =
            at < word->size ? strchr(units, tolower((unsigned char)word->text[at])) : units;
        if (!read_number(&digits, INT32_MAX, &value) || unit == NULL || *unit == '\0')
            return false;
        total += value * seconds[unit - units];
        at++;
    }
    *ret = (uint32_t)total;
    return word->size > 0 && !word->quoted && total <= INT32_MAX;
}

/* ---- the words of an entry ------------------------------------------------------------------- */

static bool
read_word(struct parser *parser)
{
    static const char ends[] = " \t\r\n;()\"";
    bool quoted = *parser->at == '"';
    const char *start = parser->at += quoted;

    while (parser->at < parser->end &&
           (quoted ? *parser->at != '"' && *parser->at != '\n'
                   : memchr(ends, *parser->at, sizeof(ends) - 1) == NULL))
        parser->at +=
            *parser->at == '\\' && parser->at + 1 < parser->end && parser->at[1] != '\n' ? 2 : 1;
    if (parser->count == MOST_WORDS)
        return fail(parser, "an entry of more than %d words", MOST_WORDS);
    parser->words[parser->count++] = (struct word){start, (size_t)(parser->at - start), quoted};
    if (quoted && (parser->at == parser->end || *parser->at++ != '"'))
        return fail(parser, "a string without its closing quote");
    return true;
}

static void
skip_comment(struct parser *parser)
{
    while (parser->at < parser->end && *parser->at != '\n')
        parser->at++;
}

/* Reads up to the end of a line that lies in no parentheses. */
static bool
read_words(struct parser *parser)
{
    int depth = 0;

    parser->count = 0;
    parser->begun = parser->line;
    parser->indented = parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\t');
    while (parser->at < parser->end) {
        char c = *parser->at;
        if (c == ';') {
            skip_comment(parser);
        } else if (c == ' ' || c == '\t' || c == '\r') {
            parser->at++;
        } else if (c == '(' || c == ')') {
            depth += c == '(' ? 1 : -1;
            parser->at++;
            if (depth < 0)
                return fail(parser, "\")\" without \"(\"");
        } else if (c == '\n') {
            parser->at++;
            parser->line++;
            if (depth == 0)
                return true;
        } else if (!read_word(parser)) {
            return false;
        }
    }
    return depth == 0 || fail(parser, "\"(\" without \")\"");
}

/* ---- records --------------------------------------------------------------------------------- */

static void
put(uint8_t *data, size_t *size, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[(*size)++] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static bool
read_string(struct parser *parser, const struct word *word, uint8_t *data, size_t *size)
{
    size_t length = *size, at = 0;
    uint8_t byte;
    bool escaped;

    if ((*size)++ >= DATA_MOST)
        return fail(parser, "more than %d bytes of strings", DATA_MOST);
    while (at < word->size) {
        if (!next_byte(word, &at, &byte, &escaped))
            return fail(parser, "a wrong escape in a string");
        if (*size - length > 255 || *size >= DATA_MOST)
            return fail(parser, "a string of more than 255 bytes, or more than 65535 of all");
        data[(*size)++] = byte;
    }
    data[length] = (uint8_t)(*size - length - 1);
    return true;
}

/* One field, of which all but strings are one word. */
static bool
read_field(struct parser *parser, char field, const struct word *word, uint8_t *data, size_t *size)
{
    char text[INET6_ADDRSTRLEN] = "";
    uint64_t number = 0;
    uint32_t seconds = 0;
    bool known = false;

    if (field == 'x')
        return read_string(parser, word, data, size);
    if (field == 'n' || field == 'N') {
        if (!read_name(parser, word, data + *size))
            return false;
        *size += name_size(data + *size);
        return true;
    }
    if (word->size < sizeof(text))
        memcpy(text, word->text, word->size);
    if (field == 'a' || field == 'A') {
        known = inet_pton(field == 'a' ? AF_INET : AF_INET6, text, data + *size) == 1;
        *size += field == 'a' ? 4 : 16;
    } else if (field == 'p') {
        known = read_period(word, &seconds);
        put(data, size, seconds, 4);
    } else {
        known = read_number(word, field == 's' ? UINT16_MAX : UINT32_MAX, &number);
        put(data, size, number, field == 's' ? 2 : 4);
    }
    return known ||
           fail(parser, "\"%.*s\" is no %s", (int)(word->size < 80 ? word->size : 80), word->text,
                field == 'a'   ? "IPv4 address"
                : field == 'A' ? "IPv6 address"
                : field == 'p' ? "time in seconds"
                               : "number of that size");
}

/* The data of a record, from the word at which it begins; to DATA_MOST bytes. */
static bool
read_data(struct parser *parser, const struct form *form, size_t at, uint8_t *data, size_t *size)
{
    const char *field = form->fields;

    *size = 0;
    for (; at < parser->count && *field != '\0'; at++) {
        if (!read_field(parser, *field, &parser->words[at], data, size))
            return false;
        field += *field != 'x' || at + 1 == parser->count;
    }
    if (*field != '\0' || at < parser->count)
        return fail(parser, "too %s words for a record of type %s", *field != '\0' ? "few" : "many",
                    form->word);
    return true;
}

/* ---- into the zone
 * -------------------------------------------------------------------------------- */

/* The node of a name in the zone, with those between it and the apex. NULL: it is outside, or there
 * is no memory. */
static struct node *
have_nodes(struct parser *parser, struct name name)
{
    struct zone *zone = parser->zone;
    size_t apex = zone->apex != NULL ? zone->apex->name.size : name.size;
    struct node *node = NULL;

    for (struct name above = name; above.size >= apex; above = name_parent(above)) {
        struct node *made = zone_have(zone, above);
        if (made == NULL) {
            (void)fail(parser, "no memory");
            return NULL;
        }
        node = node != NULL ? node : made;
        if (made == zone->apex || zone->apex == NULL)
            return node;
        if (above.size == 1)
            break;
    }
    (void)fail(parser, "the name lies outside of the zone");
    return NULL;
}

static bool
judge(struct parser *parser, const struct node *node, uint16_t type)
{
    if (type == TYPE_SOA && parser->zone->soa != NULL)
        return fail(parser, "a second SOA: the zone has one");
    if (node->records != NULL && (type == TYPE_CNAME || node_find(node, TYPE_CNAME) != NULL))
        return fail(parser, "a CNAME has its name for itself");
    return true;
}

static bool
add_record(struct parser *parser, const struct form *form, const uint8_t *data, size_t size)
{
    struct zone *zone = parser->zone;
    uint8_t bytes[NAME_MOST];

    if (zone->soa == NULL && form->type != TYPE_SOA)
        return fail(parser, "the first record must be the SOA");
    struct node *node = have_nodes(parser, name_lower(parser->owner, bytes));
    if (node == NULL || !judge(parser, node, form->type))
        return false;
    struct record *record = malloc(sizeof(*record) + size);
    if (record == NULL)
        return fail(parser, "no memory");
    *record = (struct record){.form = form, .ttl = parser->ttl, .size = (uint16_t)size};
    memcpy(record->data, data, size);
    struct record **last = &node->records;
    while (*last != NULL)
        last = &(*last)->next;
    *last = record;
    if (form->type == TYPE_SOA) {
        zone->apex = node;
        zone->soa = record;
        memcpy(&zone->negative_ttl, data + size - 4, 4);
        zone->negative_ttl = ntohl(zone->negative_ttl);
        if (record->ttl < zone->negative_ttl)
            zone->negative_ttl = record->ttl;
    }
    return true;
}

/* ---- entries --------------------------------------------------------------------------------- */

static bool
is_word(const struct word *word, const char *text)
{
    return !word->quoted && word->size == strlen(text) &&
           strncasecmp(word->text, text, word->size) == 0;
}

static bool
read_directive(struct parser *parser)
{
    if (parser->count != 2)
        return fail(parser, "a directive has one word behind it");
    if (is_word(&parser->words[0], "$ORIGIN")) {
        uint8_t origin[NAME_MOST]; /* it may be relative to the one before it */
        if (!read_name(parser, &parser->words[1], origin))
            return false;
        memcpy(parser->origin, origin, name_size(origin));
        return parser->has_origin = true;
    }
    if (is_word(&parser->words[0], "$TTL"))
        return (parser->has_ttl = read_period(&parser->words[1], &parser->ttl)) ||
               fail(parser, "$TTL: expected seconds, such as 3600 or 1h");
    return fail(parser, "%.*s is not known: $ORIGIN and $TTL are", (int)parser->words[0].size,
                parser->words[0].text);
}

/* What may stand before the type: a time to live and a class, in either order. */
static size_t
read_ttl(struct parser *parser, size_t at, uint32_t *ret_ttl, bool *ret_has)
{
    bool class = false;

    for (; at < parser->count; at++)
        if (!class && is_word(&parser->words[at], "IN"))
            class = true;
        else if (*ret_has || !read_period(&parser->words[at], ret_ttl))
            break;
        else
            *ret_has = true;
    return at;
}

static bool
read_record(struct parser *parser, uint8_t *data)
{
    const struct form *form = forms, *end = forms + sizeof(forms) / sizeof(forms[0]);
    uint32_t usual = parser->ttl;
    bool has_ttl = false;
    size_t size, at = parser->indented ? 0 : 1;

    if (!parser->indented)
        parser->has_owner = read_name(parser, &parser->words[0], parser->owner);
    if (!parser->has_owner)
        return !parser->indented ? false : fail(parser, "no name stands before this record");
    at = read_ttl(parser, at, &parser->ttl, &has_ttl);
    if (at == parser->count)
        return fail(parser, "a record without a type");
    while (form < end && !is_word(&parser->words[at], form->word))
        form++;
    if (form == end)
        return fail(parser, "\"%.*s\" is no type that is known",
                    (int)(parser->words[at].size < 80 ? parser->words[at].size : 80),
                    parser->words[at].text);
    if (!has_ttl && !parser->has_ttl)
        return fail(parser, "no time to live: $TTL 3600 before it helps");
    bool done =
        read_data(parser, form, at + 1, data, &size) && add_record(parser, form, data, size);
    parser->ttl = usual;
    return done;
}

static bool
read_entries(struct parser *parser, uint8_t *data)
{
    while (parser->at < parser->end) {
        if (!read_words(parser))
            return false;
        if (parser->count == 0)
            continue;
        bool directive = !parser->indented && parser->words[0].text[0] == '$';
        if (!(directive ? read_directive(parser) : read_record(parser, data)))
            return false;
    }
    parser->begun = 0;
    if (parser->zone->soa == NULL)
        return fail(parser, "it has no SOA");
    return node_find(parser->zone->apex, TYPE_NS) != NULL ||
           fail(parser, "no NS record stands at its apex");
}

/* The whole file, which is a regular one: nobody waits for anything else. NULL: errno says why. */
static char *
read_file(const char *path, size_t *ret_size)
{
    struct stat status;
    char *text = NULL;
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= MOST_BYTES &&
        (text = malloc((size_t)status.st_size + 1)) != NULL)
        got = read(fd, text, (size_t)status.st_size);
    else if (text == NULL)
        errno = status.st_size > MOST_BYTES ? EFBIG : S_ISREG(status.st_mode) ? ENOMEM : EINVAL;
    (void)close(fd);
    if (got < 0) {
        free(text);
        return NULL;
    }
    *ret_size = (size_t)got;
    return text;
}

struct zone *
zone_load(const char *path, struct zone_error *ret_error)
{
    size_t size = 0;
    char *text = read_file(path, &size);
    const char *why = text == NULL ? strerror(errno) : NULL;
    struct parser *parser = calloc(1, sizeof(*parser));
    struct zone *zone = calloc(1, sizeof(*zone));
    uint8_t *data = malloc(DATA_MOST + NAME_MOST);
    bool done = false;

    *ret_error = (struct zone_error){0};
    if (why != NULL || parser == NULL || zone == NULL || data == NULL) {
        (void)snprintf(ret_error->text, sizeof(ret_error->text), "cannot read it: %s",
                       why != NULL ? why : strerror(ENOMEM));
    } else {
        *parser = (struct parser){
            .at = text, .end = text + size, .line = 1, .zone = zone, .error = ret_error};
        done = read_entries(parser, data);
    }
    free(data);
    free(parser);
    free(text);
    if (done)
        return zone;
    zone_free(zone);
    return NULL;
}

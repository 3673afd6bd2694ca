/* SPDX-License-Identifier: MIT */
/*
 * log_json.c - a log line as a JSON object
 *
 * Every line is valid JSON in UTF-8, whatever a client or a plugin has put
 * in: what is not printable is shown as \xNN, as in lines of text. The
 * message comes last and is cut if the line would be too long; a field that
 * does not fit is left out. No memory is allocated, so a log line is never
 * lost for want of it.
 *
 * Runs in:  every thread of every process.
 * Owns:     nothing.
 * Failures: none.
 */
#include "common/log_json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/array.h"
#include "common/log.h"
#include "common/printable.h"

#define FIELD_PREFIX  "SOCKSERVERD_"
#define FIELD_NAME    32   /* the longest name of a field, with its NUL */
#define FIELDS_SIZE   2048 /* of the line at most; the rest is the message's */
#define CLOSING       "\"}\n"
#define LONGEST_POINT 8 /* bytes of a character, escaped */

struct json_line {
    char *data;
    size_t size;
    size_t room;
};

/* What the line has anyway; no other field may be called so. */
static const char *const taken[] = {"time", "level", "listener", "request", "message"};
/* These fields are numbers, all others are strings. */
static const char *const numbers[] = {"bytes_in", "bytes_out", "duration_ms"};

void
log_format_time(char time[LOG_TIME_SIZE])
{
    struct timespec now;
    struct tm parts;
    char second[24];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(time, LOG_TIME_SIZE, "%s.%03dZ", second, (int)(now.tv_nsec / 1000000) % 1000);
}

static bool
put(struct json_line *json, const char *text, size_t size)
{
    if (size > json->room - json->size)
        return false;
    memcpy(json->data + json->size, text, size);
    json->size += size;
    return true;
}

/* Writes one character of the text, escaped, to `to`. Returns how much of the text it was. */
static size_t
escape(const char *text, char to[LONGEST_POINT + 1])
{
    size_t size = printable_size(text);

    if (size == 0)
        (void)snprintf(to, LONGEST_POINT + 1, "\\\\x%02x", (unsigned char)*text);
    else
        (void)snprintf(to, LONGEST_POINT + 1, "%s%.*s", *text == '"' || *text == '\\' ? "\\" : "",
                       (int)size, text);
    return size == 0 ? 1 : size;
}

/* Puts as much of the text as there is room for. A text that is cut ends in "...". */
static bool
put_escaped(struct json_line *json, const char *text)
{
    size_t kept = json->size;

    while (*text != '\0') {
        char point[LONGEST_POINT + 1];
        size_t size = escape(text, point);
        if (!put(json, point, strlen(point))) {
            json->size = kept;
            (void)put(json, "...", 3);
            return false;
        }
        text += size;
        if (json->size + 3 <= json->room)
            kept = json->size;
    }
    return true;
}

static bool
is_one_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Whether JSON has such a number: digits, and maybe a point and more digits. */
static bool
is_number(const char *text)
{
    size_t whole = strspn(text, "0123456789");
    size_t part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

    if (whole == 0 || (whole > 1 && *text == '0'))
        return false;
    return text[whole] == '\0' || (part > 0 && text[whole + 1 + part] == '\0');
}

/* Puts ,"name":value. A field that does not fit whole is left out. */
static void
put_field(struct json_line *json, const char *name, const char *value, bool number)
{
    const char *quote = number ? "" : "\"";
    size_t before = json->size;
    bool fits = put(json, ",\"", 2) && put(json, name, strlen(name)) && put(json, "\":", 2) &&
                put(json, quote, strlen(quote)) && put_escaped(json, value) &&
                put(json, quote, strlen(quote));

    if (!fits)
        json->size = before;
}

/* Makes "bytes_in" of "SOCKSERVERD_BYTES_IN=6". Returns the value, or NULL if it is no field for
 * JSON. */
static const char *
read_field(const char *field, char name[FIELD_NAME])
{
    size_t size = 0;

    if (strncmp(field, FIELD_PREFIX, strlen(FIELD_PREFIX)) != 0)
        return NULL;
    for (field += strlen(FIELD_PREFIX); *field != '=' && size < FIELD_NAME - 1; field++) {
        if (!isupper((unsigned char)*field) && !isdigit((unsigned char)*field) && *field != '_')
            return NULL;
        name[size++] = (char)tolower((unsigned char)*field);
    }
    name[size] = '\0';
    return *field == '=' && size > 0 ? field + 1 : NULL;
}

/* Whether a field before this one has the name already: an object has each name once. */
static bool
is_repeated(const struct log_line *line, const char *const *field, const char *name)
{
    char other[FIELD_NAME];

    if (line->client != NULL && strcmp(name, "client") == 0)
        return true;
    for (const char *const *one = line->fields; one != field; one++)
        if (read_field(*one, other) != NULL && strcmp(other, name) == 0)
            return true;
    return false;
}

static void
put_fields(struct json_line *json, const struct log_line *line)
{
    char request[24], name[FIELD_NAME];

    (void)snprintf(request, sizeof(request), "%llu", (unsigned long long)line->request);
    put_field(json, "level", log_level_names[line->level], false);
    if (line->listener[0] != '\0')
        put_field(json, "listener", line->listener, false);
    if (line->request > 0)
        put_field(json, "request", request, true);
    if (line->client != NULL)
        put_field(json, "client", line->client, false);
    for (const char *const *field = line->fields; field != NULL && *field != NULL; field++) {
        const char *value = read_field(*field, name);
        if (value != NULL && !is_one_of(taken, ARRAY_SIZE(taken), name) &&
            !is_repeated(line, field, name))
            put_field(json, name, value,
                      is_one_of(numbers, ARRAY_SIZE(numbers), name) && is_number(value));
    }
}

size_t
log_json_format(const struct log_line *line, char *data)
{
    struct json_line json = {.room = FIELDS_SIZE};
    static const char start[] = "{\"time\":\"", message[] = ",\"message\":\"";
    char time[LOG_TIME_SIZE];

    json.data = data;
    log_format_time(time);
    (void)put(&json, start, strlen(start));
    (void)put(&json, time, strlen(time));
    (void)put(&json, "\"", 1);
    put_fields(&json, line);
    json.room = LOG_JSON_SIZE - strlen(CLOSING);
    (void)put(&json, message, strlen(message));
    (void)put_escaped(&json, line->text);
    json.room = LOG_JSON_SIZE;
    (void)put(&json, CLOSING, strlen(CLOSING));
    return json.size;
}

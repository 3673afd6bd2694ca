/* SPDX-License-Identifier: MIT */
/*
 * head.c - the head of a request, parsed by libhttp-parser, and more strictly than it does
 *
 * What this server and a proxy before it could understand differently is refused before the
 * parser sees it: a line that does not end with CR LF, a stray CR or NUL, white space around the
 * first line or before a colon, a field that goes on in the next line, a field twice, two lengths.
 *
 * Runs in:  a handler.
 * Owns:     nothing; the lines are copied into the caller's memory.
 * Failures: returned as an HTTP status.
 */
#include "head.h"

#include <string.h>
#include <strings.h>

#define MOST_LINES 128

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_HOST] = "Host",
    [FIELD_CONTENT_LENGTH] = "Content-Length",
    [FIELD_TRANSFER_ENCODING] = "Transfer-Encoding",
    [FIELD_EXPECT] = "Expect",
    [FIELD_ACCEPT] = "Accept",
    [FIELD_ACCEPT_ENCODING] = "Accept-Encoding",
    [FIELD_RANGE] = "Range",
    [FIELD_IF_RANGE] = "If-Range",
    [FIELD_IF_MATCH] = "If-Match",
    [FIELD_IF_NONE_MATCH] = "If-None-Match",
    [FIELD_IF_MODIFIED_SINCE] = "If-Modified-Since",
    [FIELD_IF_UNMODIFIED_SINCE] = "If-Unmodified-Since",
};

/* ---- what the parser tells ---------------------------------------------------------------- */

static int
note_target(http_parser *parser, const char *at, size_t size)
{
    struct head *head = parser->data;

    head->value = at;
    head->value_size = size;
    return 0;
}

static int
note_name(http_parser *parser, const char *at, size_t size)
{
    struct head *head = parser->data;

    head->name = at;
    head->name_size = size;
    return 0;
}

static int
note_end(http_parser *parser)
{
    struct head *head = parser->data;

    head->keep_alive = http_should_keep_alive(parser) != 0;
    return 1; /* the body is not the parser's */
}

/* An empty value is told of with the next line, which has set head->value to NULL by then. */
static const http_parser_settings callbacks = {
    .on_url = note_target,
    .on_header_field = note_name,
    .on_header_value = note_target,
    .on_headers_complete = note_end,
};

/* ---- lines ---------------------------------------------------------------------------------- */

void
head_init(struct head *head, char *memory, size_t capacity)
{
    *head = (struct head){.capacity = capacity};
    head->memory = memory;
    http_parser_init(&head->parser, HTTP_REQUEST);
    head->parser.data = head;
}

bool
head_is_empty(const struct head *head)
{
    return head->lines == 0;
}

/* RFC 9110's tchar. */
static bool
is_token_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t
token_size(const char *text)
{
    size_t size = 0;

    while (is_token_character(text[size]))
        size++;
    return size;
}

/* METHOD TARGET HTTP/D.D, with one space each; its status. The text ends with a NUL. */
static int
judge_first_line(const char *line)
{
    size_t method = token_size(line);
    const char *target = line + method + 1, *version = target;

    if (method == 0 || line[method] != ' ')
        return HTTP_STATUS_BAD_REQUEST;
    while (*version > ' ' && *version < 0x7f)
        version++;
    if (version == target || strncmp(version, " HTTP/", 6) != 0)
        return HTTP_STATUS_BAD_REQUEST;
    version += 6;
    if (version[0] < '0' || version[0] > '9' || version[1] != '.' || version[2] < '0' ||
        version[2] > '9' || version[3] != '\0')
        return HTTP_STATUS_BAD_REQUEST;
    return version[0] == '1' ? 0 : HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED;
}

static int
judge_field_line(const char *line)
{
    size_t name = token_size(line);

    if (name == 0 || line[name] != ':')
        return HTTP_STATUS_BAD_REQUEST;
    for (const char *c = line + name; *c != '\0'; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            return HTTP_STATUS_BAD_REQUEST;
    return 0;
}

static int
status_of(const http_parser *parser)
{
    switch (HTTP_PARSER_ERRNO(parser)) {
    case HPE_OK:
        return 0;
    case HPE_INVALID_METHOD:
        return HTTP_STATUS_NOT_IMPLEMENTED;
    case HPE_HEADER_OVERFLOW:
        return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    default:
        return HTTP_STATUS_BAD_REQUEST;
    }
}

static int
parse(struct head *head, const char *line, size_t size)
{
    head->name = head->value = NULL;
    size_t parsed = http_parser_execute(&head->parser, &callbacks, line, size);
    int status = status_of(&head->parser);

    if (status == 0 && parsed != size && !head->parser.upgrade)
        return HTTP_STATUS_BAD_REQUEST;
    return status;
}

static enum field
field_of(const char *name, size_t size)
{
    for (enum field field = 0; field < FIELD_COUNT; field++)
        if (strncasecmp(name, field_names[field], size) == 0 && field_names[field][size] == '\0')
            return field;
    return FIELD_OTHER;
}

/* The value, of which the parser has left out the white space before it. */
static char *
trim(struct head *head, char *end)
{
    char *value = head->value != NULL ? head->memory + (head->value - head->memory) : end;
    size_t size = head->value != NULL ? head->value_size : 0;

    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    value[size] = '\0';
    return value;
}

static int
take_field(struct head *head, char *end)
{
    if (head->name == NULL)
        return HTTP_STATUS_BAD_REQUEST;
    enum field field = field_of(head->name, head->name_size);
    if (field == FIELD_OTHER)
        return 0;
    bool again = head->fields[field] != NULL;
    head->fields[field] = trim(head, end);
    if (!again)
        return 0;
    if (field != FIELD_ACCEPT && field != FIELD_ACCEPT_ENCODING)
        return HTTP_STATUS_BAD_REQUEST;
    head->fields[field] = ""; /* a list may come in pieces; this one decides nothing then */
    return 0;
}

static int
take_first(struct head *head, char *end)
{
    if (head->value == NULL)
        return HTTP_STATUS_BAD_REQUEST;
    head->target = trim(head, end);
    head->method = head->parser.method;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

bool
host_is_valid(const char *host, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_token_character(host[i]) &&
            (host[i] == '\0' || strchr(":[]();,=", host[i]) == NULL))
            return false;
    return true;
}

static bool
is_number(const char *text)
{
    size_t size = strspn(text, "0123456789");

    return size > 0 && size < 19 && text[size] == '\0';
}

/* How long the body is must be beyond doubt. */
static int
judge_body(struct head *head)
{
    const char *length = head->fields[FIELD_CONTENT_LENGTH];
    const char *coding = head->fields[FIELD_TRANSFER_ENCODING];

    if (coding != NULL && (length != NULL || head->old))
        return HTTP_STATUS_BAD_REQUEST;
    if (length != NULL && !is_number(length))
        return HTTP_STATUS_BAD_REQUEST;
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return HTTP_STATUS_NOT_IMPLEMENTED;
    head->chunked = coding != NULL;
    for (; length != NULL && *length != '\0'; length++)
        head->body = head->body * 10 + (uint64_t)(*length - '0');
    return 0;
}

static int
finish(struct head *head)
{
    const char *host = head->fields[FIELD_HOST];

    head->old = head->parser.http_minor == 0;
    if (host == NULL && !head->old)
        return HTTP_STATUS_BAD_REQUEST;
    if (host != NULL && !host_is_valid(host, strlen(host)))
        return HTTP_STATUS_BAD_REQUEST;
    int status = judge_body(head);
    return status != 0 ? status : 1;
}

/* The lines that did not fit: who sends one is told which it was. */
static int
too_large(const struct head *head)
{
    return head->lines == 0 ? HTTP_STATUS_URI_TOO_LONG
                            : HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
}

int
head_line(struct head *head, const char *line, size_t size)
{
    if (size >= head->capacity - head->used || head->lines >= MOST_LINES)
        return too_large(head);
    if (size < 2 || memcmp(line + size - 2, "\r\n", 2) != 0 || memchr(line, '\0', size) != NULL)
        return HTTP_STATUS_BAD_REQUEST;
    if (size == 2 && head->lines == 0)
        return head->blank++ == 0 ? 0 : HTTP_STATUS_BAD_REQUEST;
    char *copy = head->memory + head->used, *end = copy + size - 2;
    memcpy(copy, line, size);
    head->used += size;
    *end = '\0';
    int status = 0;
    if (size > 2)
        status = head->lines == 0 ? judge_first_line(copy) : judge_field_line(copy);
    *end = '\r';
    if (status == 0)
        status = parse(head, copy, size);
    if (status == 0 && size > 2)
        status = head->lines == 0 ? take_first(head, end) : take_field(head, end);
    else if (status == 0)
        status = finish(head);
    head->lines++;
    return status;
}

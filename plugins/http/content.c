/* SPDX-License-Identifier: MIT */
/*
 * content.c - a file as an answer: all of it, one part of it, or several
 *
 * What is small goes out in one piece with the head. Of what is larger only the beginning does, and
 * the kernel sends the rest from the file. A file that turns out to be shorter than it was when the
 * head was written cannot be answered with any more: then the connection is cut, so that the client
 * notices.
 *
 * Runs in:  a handler.
 * Owns:     nothing; the file is the caller's.
 * Failures: returned, and logged if it is the file's.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "condition.h"
#include "http.h"
#include "range.h"

#define SMALL     32768 /* bytes that are copied rather than sent by the kernel */
#define BEGINNING 16384 /* of what is larger */

/* What goes out together with a head. */
struct beginning {
    char *data;
    size_t size;
};

static int
read_fully(int fd, char *to, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t got = pread(fd, to, size, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENODATA;
        to += got;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

static size_t
range_size(const struct range *range)
{
    return (size_t)(range->last - range->first + 1);
}

/* Reads what goes out with the head. Its memory is freed after a success. */
static int
beginning_read(struct beginning *beginning, int fd, const struct range *range)
{
    size_t size = range_size(range);

    beginning->size = size <= SMALL ? size : BEGINNING;
    beginning->data = malloc(beginning->size + 1);
    if (beginning->data == NULL)
        return -ENOMEM;
    int error = read_fully(fd, beginning->data, beginning->size, range->first);
    if (error < 0)
        free(beginning->data);
    return error;
}

/* Says that the file is not what it was, once its head has gone out. */
static int
judge_sending(const struct exchange *exchange, int error)
{
    if (error == -EIO)
        ss_log(LOG_WARNING,
               "%.200s: the file cannot be read to the end that it had when the answer began; the "
               "connection is cut",
               exchange->head->target);
    return error;
}

static int
send_rest(struct exchange *exchange, int fd, const struct range *range, size_t sent)
{
    size_t size = range_size(range);

    if (size == sent || exchange->without_body)
        return 0;
    return judge_sending(
        exchange, ss_sendfile(exchange->request, fd, range->first + (off_t)sent, size - sent));
}

static void
add_kind(struct text *head, const struct resource *resource)
{
    response_field(head, "Content-Type", resource->type);
    if (resource->coding != NULL)
        response_field(head, "Content-Encoding", resource->coding);
}

/* The head, which the caller has begun, and one part of the file, which may be all of it. */
static int
send_one(struct exchange *exchange, struct text *head, const struct resource *resource,
         const struct range *range)
{
    struct beginning beginning = {0};

    add_kind(head, resource);
    response_number(head, "Content-Length", range_size(range));
    if (exchange->without_body)
        return response_send(exchange, head, NULL, 0);
    int error = beginning_read(&beginning, resource->fd, range);
    if (error < 0)
        return response_failed(exchange, "read the file", error);
    response_allow(exchange, range_size(range));
    error = response_send(exchange, head, beginning.data, beginning.size);
    free(beginning.data);
    return error < 0 ? error : send_rest(exchange, resource->fd, range, beginning.size);
}

static void
add_content_range(struct text *text, const struct range *range, off_t size)
{
    text_add_string(text, "Content-Range: bytes ");
    text_add_number(text, (uint64_t)range->first);
    text_add(text, "-", 1);
    text_add_number(text, (uint64_t)range->last);
    text_add(text, "/", 1);
    text_add_number(text, (uint64_t)size);
    text_add(text, "\r\n", 2);
}

/* ---- several parts --------------------------------------------------------------------------- */

/* What stands between the parts of the file: before each, and behind the last. */
struct frame {
    char boundary[17];
    struct text text;
    size_t ends[MOST_RANGES + 1]; /* of its pieces */
    uint64_t size;                /* of the whole body */
};

static void
choose_boundary(char boundary[17])
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) < 0)
        random = (uint64_t)time(NULL);
    for (int i = 0; i < 16; i++, random >>= 4)
        boundary[i] = "0123456789abcdef"[random & 15];
    boundary[16] = '\0';
}

static void
frame_make(struct frame *frame, const struct resource *resource, const struct ranges *ranges)
{
    struct text *text = &frame->text;

    *frame = (struct frame){.text = TEXT_GROWING};
    choose_boundary(frame->boundary);
    for (size_t i = 0; i < ranges->count; i++) {
        text_add_string(text, i == 0 ? "--" : "\r\n--");
        text_add_string(text, frame->boundary);
        text_add(text, "\r\n", 2);
        add_kind(text, resource);
        add_content_range(text, &ranges->all[i], resource->status.st_size);
        text_add(text, "\r\n", 2);
        frame->ends[i] = text->size;
        frame->size += range_size(&ranges->all[i]);
    }
    text_add_string(text, "\r\n--");
    text_add_string(text, frame->boundary);
    text_add_string(text, "--\r\n");
    frame->ends[ranges->count] = text->size;
    frame->size += text->size;
}

static int
send_part(struct exchange *exchange, int fd, const struct range *range)
{
    struct beginning beginning;
    int error = beginning_read(&beginning, fd, range);

    if (error < 0)
        return error == -ENOMEM ? error : judge_sending(exchange, -EIO);
    error = ss_write(exchange->request, beginning.data, beginning.size);
    free(beginning.data);
    return error < 0 ? error : send_rest(exchange, fd, range, beginning.size);
}

static int
send_framed(struct exchange *exchange, const struct resource *resource, const struct ranges *ranges,
            const struct frame *frame)
{
    size_t begin = 0;
    int error = 0;

    for (size_t i = 0; error == 0 && i <= ranges->count; i++) {
        error = ss_write(exchange->request, frame->text.data + begin, frame->ends[i] - begin);
        begin = frame->ends[i];
        if (error == 0 && i < ranges->count)
            error = send_part(exchange, resource->fd, &ranges->all[i]);
    }
    return error;
}

static int
send_parts(struct exchange *exchange, struct text *head, const struct resource *resource,
           const struct ranges *ranges)
{
    struct frame frame;
    int error = -ENOMEM;

    frame_make(&frame, resource, ranges);
    if (!frame.text.failed) {
        text_add_string(head, "Content-Type: multipart/byteranges; boundary=");
        text_add_string(head, frame.boundary);
        text_add(head, "\r\n", 2);
        response_number(head, "Content-Length", frame.size);
        response_allow(exchange, frame.size);
        error = response_send(exchange, head, NULL, 0);
    }
    if (error == 0)
        error = send_framed(exchange, resource, ranges, &frame);
    text_done(&frame.text);
    return error;
}

/* ---- which of them --------------------------------------------------------------------------- */

/* 200, 206 with *ret filled in, 304, 412 or 416. */
static int
judge(const struct exchange *exchange, const struct version *version, off_t size,
      struct ranges *ret)
{
    const struct head *head = exchange->head;
    const char *range = head->fields[FIELD_RANGE];
    int status = conditions_judge(head, version);

    if (status == HTTP_STATUS_OK && range != NULL && !exchange->without_body &&
        condition_allows_range(head, version))
        status = ranges_parse(range, size, ret);
    return status;
}

static int
refuse_range(struct exchange *exchange, struct text *head, off_t size)
{
    text_add_string(head, "Content-Range: bytes */");
    text_add_number(head, (uint64_t)size);
    text_add(head, "\r\n", 2);
    return response_send_plain(exchange, head);
}

int
content_send(struct exchange *exchange, const struct resource *resource)
{
    off_t size = resource->status.st_size;
    const struct range all = {.first = 0, .last = size - 1};
    char room[HEAD_ROOM];
    struct text head = TEXT_IN(room);
    struct version version = {0};
    struct ranges ranges = {.count = 0};

    version_init(&version, &resource->status, date_now());
    int status = judge(exchange, &version, size, &ranges);
    response_begin(exchange, &head, status);
    if (resource->varies)
        response_field(&head, "Vary", "Accept-Encoding");
    if (status == HTTP_STATUS_PRECONDITION_FAILED)
        return response_send_plain(exchange, &head);
    if (status == HTTP_STATUS_RANGE_NOT_SATISFIABLE)
        return refuse_range(exchange, &head, size);
    response_field(&head, "Last-Modified", version.date);
    response_field(&head, "ETag", version.tag);
    if (status == HTTP_STATUS_NOT_MODIFIED)
        return response_send(exchange, &head, NULL, 0);
    response_field(&head, "Accept-Ranges", "bytes");
    if (status == HTTP_STATUS_OK)
        return send_one(exchange, &head, resource, &all);
    if (ranges.count > 1)
        return send_parts(exchange, &head, resource, &ranges);
    add_content_range(&head, &ranges.all[0], size);
    return send_one(exchange, &head, resource, &ranges.all[0]);
}

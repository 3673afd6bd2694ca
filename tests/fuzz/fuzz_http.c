/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http.c - any bytes as the head of an HTTP request
 *
 * A libFuzzer target. The bytes are cut into lines as ss_readline() does it. A head that is taken
 * must be one that nobody can read in another way, its target must lead to a path without a dot at
 * the beginning of a part, and its Range to ranges within the file that neither touch nor overlap.
 * Whether it wants gzip must follow from what its Accept-Encoding says last, and from no other
 * name.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "expect.h"
#include "plugins/http/coding.h"
#include "plugins/http/condition.h"
#include "plugins/http/range.h"
#include "plugins/web/head.h"
#include "plugins/web/target.h"

#define CAPACITY  1024
#define FILE_SIZE 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line in memory of its own, so that a sanitizer sees who reads on. */
static int
take_line(struct head *head, const uint8_t *data, size_t size)
{
    char *line = malloc(size);

    expect(line != NULL);
    memcpy(line, data, size);
    int status = head_line(head, line, size);
    free(line);
    return status;
}

static int
take_head(struct head *head, const uint8_t *data, size_t size, size_t *ret_used)
{
    int status = 0;
    size_t used = 0;

    while (status == 0 && used < size) {
        const uint8_t *end = memchr(data + used, '\n', size - used);
        size_t line = end != NULL ? (size_t)(end - data) - used + 1 : size - used;
        status = take_line(head, data + used, line);
        used += line;
    }
    *ret_used = used;
    return status;
}

/* How often a field of this name stands at the beginning of a line. */
static int
count_fields(const uint8_t *data, size_t size, const char *name)
{
    size_t length = strlen(name);
    int count = 0;

    for (size_t i = 1; i + length < size; i++)
        count += data[i - 1] == '\n' && strncasecmp((const char *)data + i, name, length) == 0 &&
                 data[i + length] == ':';
    return count;
}

static void
expect_unambiguous(const struct head *head, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        expect(data[i] != '\0');
        expect((data[i] == '\n') == (i > 0 && data[i - 1] == '\r'));
        expect(data[i] != '\n' || i + 1 == size || (data[i + 1] != ' ' && data[i + 1] != '\t'));
    }
    int lengths = count_fields(data, size, "Content-Length");
    int codings = count_fields(data, size, "Transfer-Encoding");
    expect(lengths + codings <= 1);
    expect(head->chunked == (codings == 1));
    expect(head->body == 0 || lengths == 1);
    expect(head->old || count_fields(data, size, "Host") == 1);
    for (const char *c = head->target; *c != '\0'; c++)
        expect(*c > ' ' && *c < 0x7f);
}

static void
expect_safe_path(const char *path)
{
    if (strncmp(path, ".well-known", 11) == 0 && (path[11] == '/' || path[11] == '\0'))
        path += 11 + (path[11] == '/');
    for (const char *c = path; *c != '\0'; c++) {
        expect((unsigned char)*c >= ' ' && *c != 0x7f);
        if (c == path || c[-1] == '/')
            expect(*c != '.' && *c != '/');
    }
}

static void
try_target(const struct head *head)
{
    char *memory = malloc(strlen(head->target) + 1);
    struct target target;

    expect(memory != NULL);
    int status = target_parse(head->target, memory, &target);
    expect(status == 0 || status == 400 || status == 404);
    if (status == 0)
        expect_safe_path(target.path);
    free(memory);
}

static void
try_ranges(const struct head *head)
{
    const char *field = head->fields[FIELD_RANGE];
    struct ranges ranges;

    int status = field != NULL ? ranges_parse(field, FILE_SIZE, &ranges) : 200;
    expect(status == 200 || status == 206 || status == 416);
    if (status != 206)
        return;
    expect(ranges.count > 0 && ranges.count <= MOST_RANGES);
    for (size_t i = 0; i < ranges.count; i++) {
        const struct range *range = &ranges.all[i];
        expect(range->first >= 0 && range->first <= range->last && range->last < FILE_SIZE);
        expect(i == 0 || range->first > ranges.all[i - 1].last + 1);
    }
}

static void
try_conditions(const struct head *head)
{
    const struct stat file = {.st_ino = 1, .st_size = FILE_SIZE, .st_mtim = {.tv_sec = 784111777}};
    struct version version;

    version_init(&version, &file, 800000000);
    int status = conditions_judge(head, &version);
    expect(status == 200 || status == 304 || status == 412);
    (void)condition_allows_range(head, &version);
}

/* The answer to the field with more behind it, in memory of its own. */
static bool
prefers_gzip(const char *field, const char *more)
{
    size_t size = strlen(field), behind = strlen(more) + 1;
    char *text = malloc(size + behind);

    expect(text != NULL);
    memcpy(text, field, size);
    memcpy(text + size, more, behind);
    bool answer = coding_prefers_gzip(text);
    free(text);
    return answer;
}

static void
try_codings(const struct head *head)
{
    const char *field = head->fields[FIELD_ACCEPT_ENCODING];

    if (field == NULL) {
        expect(!coding_prefers_gzip(NULL));
        return;
    }
    bool answer = prefers_gzip(field, "");
    bool named = strcasestr(field, "gzip") != NULL || strchr(field, '*') != NULL;
    expect(named || !answer);
    expect(prefers_gzip(field, " , ,\t") == answer);
    expect(prefers_gzip(field, ",zip;q=1") == answer);
    expect(prefers_gzip(field, ", GZIP"));
    expect(prefers_gzip(field, ",gzip ; Q=0.001, identity;q=0"));
    expect(!prefers_gzip(field, ", x-gzip;q=0"));
    expect(!prefers_gzip(field, ", gzip;q=0.5,identity;q=0.501"));
    expect(!prefers_gzip(field, ", gzip;q=1.001"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *memory = malloc(CAPACITY);
    struct head head;
    size_t used;

    expect(memory != NULL);
    head_init(&head, memory, CAPACITY);
    int status = take_head(&head, data, size, &used);
    expect(status == 0 || status == 1 || (status >= 400 && status <= 505));
    if (status == 1) {
        expect_unambiguous(&head, data, used);
        try_target(&head);
        try_ranges(&head);
        try_conditions(&head);
        try_codings(&head);
    }
    free(memory);
    return 0;
}

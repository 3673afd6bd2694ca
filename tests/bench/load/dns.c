/* SPDX-License-Identifier: MIT */
/*
 * dns.c - queries instead of messages, and whether an answer is one to them
 */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "load.h"

#define HEADER 12
#define MOST   32  /* questions */
#define SIZE   320 /* of a query, at most */

static struct {
    unsigned char bytes[SIZE];
    size_t size;
} queries[MOST];
static uint32_t count;

/* "www.example.org/1": a name and the number of a type. */
static void
make_query(char *text)
{
    unsigned char *at = queries[count].bytes;
    char *type = strchr(text, '/');

    if (count == MOST || type == NULL || strlen(text) > 255)
        die("-q %s: expected NAME/TYPE, up to %d of them", text, MOST);
    *type++ = '\0';
    memcpy(at, "\0\0\0\0\0\1\0\0\0\0\0\1", HEADER);
    at += HEADER;
    for (char *rest, *label = strtok_r(text, ".", &rest); label;
         label = strtok_r(NULL, ".", &rest)) {
        size_t size = strlen(label);
        *at++ = (unsigned char)size;
        memcpy(at, label, size);
        at += size;
    }
    *at++ = 0;
    *at++ = 0;
    *at++ = (unsigned char)atoi(type);
    memcpy(at, "\0\1\0\0\51\4\320\0\0\0\0\0\0", 13); /* class IN; EDNS with 1232 bytes */
    queries[count].size = (size_t)(at + 13 - queries[count].bytes);
    count++;
}

void
dns_prepare(void)
{
    char *text = strdup(options.ask), *rest;

    if (text == NULL)
        die("out of memory");
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
        make_query(one);
    if (count == 0 || (options.depth & (options.depth - 1)) != 0 || options.depth > 4096)
        die("dns needs -q NAME/TYPE,... and a power of two as -d");
    free(text);
    options.size = SIZE;
}

void
dns_query(uint32_t number, char id[2], struct iovec parts[2])
{
    id[0] = (char)(number >> 8);
    id[1] = (char)number;
    parts[0] = (struct iovec){id, 2};
    parts[1] = (struct iovec){queries[number % count].bytes + 2, queries[number % count].size - 2};
}

/* What the number of an answered query ends with. */
uint32_t
dns_number(const char *answer)
{
    return (uint32_t)((unsigned char)answer[0] << 8 | (unsigned char)answer[1]);
}

/* An answer to that query: with its question, and that there is such a name or not. */
bool
dns_is_answer(uint32_t number, const char *answer, size_t size)
{
    size_t question = queries[number % count].size - HEADER - 11;

    return size >= HEADER + question && (answer[2] & 0x80) != 0 &&
           ((answer[3] & 15) == 0 || (answer[3] & 15) == 3) &&
           memcmp(answer + HEADER, queries[number % count].bytes + HEADER, question) == 0;
}

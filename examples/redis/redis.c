/* SPDX-License-Identifier: MIT */
/*
 * redis.c - a subset of Redis: strings, lists and hashes in memory, by RESP2
 *
 * A command is read whole, carried out under the lock, and answered into memory of the
 * client's; only then is anything written. So nobody holds the lock, or a pointer into
 * the store, while he waits for a client: under "threading" another thread, under
 * "coroutine" another client changes the store meanwhile.
 *
 * Runs in:  a handler thread or coroutine; all of them share the store of the process.
 * Owns:     the store, until the worker ends; a client's memory, until handle() returns.
 * Failures: told to the client as Redis does. What is no protocol ends the connection.
 */
#include "redis.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SLACK 64   /* bytes beyond max_size, for what stands around the longest value */
#define KEPT  4096 /* bytes of memory that a client keeps between two commands */

static const struct ss_option options[] = {
    {"memory", SS_SIZE, .fallback = "64M", .min = 65536, .max = 1e15,
     .help = "what the data may take; commands that add to it are refused then"},
    {"max_size", SS_SIZE, .fallback = "1M", .min = 1024, .max = 512 << 20,
     .help = "the longest command, the longest value and the longest answer"},
    {0},
};

SS_PLUGIN(.name = "redis", .summary = "a subset of Redis", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE | SS_ONE_PROCESS, .options = options)

/* ---- text and answers ------------------------------------------------------------------------ */

bool
text_reserve(struct text *text, size_t size)
{
    const size_t most = store.max_size + SLACK, needed = text->size + size;

    if (size > most - text->size) {
        text->failed = true;
    } else if (needed > text->capacity) {
        size_t twice = 2 * text->capacity < most ? 2 * text->capacity : most;
        size_t capacity = twice > needed ? twice : needed;
        char *data = realloc(text->data, capacity);
        text->failed = data == NULL;
        if (data != NULL)
            *text = (struct text){data, text->size, capacity, false};
    }
    return !text->failed;
}

void
text_add(struct text *text, const void *data, size_t size)
{
    if (text->failed || size == 0 || !text_reserve(text, size))
        return;
    memcpy(text->data + text->size, data, size);
    text->size += size;
}

/* Forgets it, and most of its memory, if it was much. */
static void
text_clear(struct text *text)
{
    if (text->capacity > KEPT) {
        free(text->data);
        *text = (struct text){0};
    }
    text->size = 0;
    text->failed = false;
}

/* A line of an answer: its first character says what it is. */
__attribute__((format(printf, 2, 3))) void
answer(struct client *client, const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line) - 2, format, arguments);
    va_end(arguments);
    if (size < 0 || size > (int)sizeof(line) - 3)
        size = (int)sizeof(line) - 3;
    for (int i = 0; i < size; i++) /* a client's word may stand in it */
        if (line[i] == '\r' || line[i] == '\n')
            line[i] = ' ';
    memcpy(line + size, "\r\n", 2);
    text_add(&client->reply, line, (size_t)size + 2);
}

void
answer_bytes(struct client *client, const char *data, size_t size)
{
    answer(client, "$%zu", size);
    text_add(&client->reply, data, size);
    text_add(&client->reply, "\r\n", 2);
}

void
answer_text(struct client *client, const char *text)
{
    answer_bytes(client, text, strlen(text));
}

void
answer_integer(struct client *client, int64_t number)
{
    answer(client, ":%lld", (long long)number);
}

/* ---- commands: the connection ---------------------------------------------------------------- */

static void
do_ping(struct client *client)
{
    bool listens = client->channels.count > 0;

    if (listens) {
        answer(client, "*2");
        answer_text(client, "pong");
    }
    if (client->count > 1)
        answer_bytes(client, client->words[1].data, client->words[1].size);
    else if (listens)
        answer_text(client, "");
    else
        answer(client, "+PONG");
}

static void
do_echo(struct client *client)
{
    answer_bytes(client, client->words[1].data, client->words[1].size);
}

static void
do_quit(struct client *client)
{
    answer(client, "+OK");
    client->leaves = true;
}

/* There is one database, and nothing that a client sets for itself. */
static void
do_select(struct client *client)
{
    answer(client, "%s", is_word(&client->words[1], "0") ? "+OK" : "-ERR DB index is out of range");
}

static void
do_client(struct client *client)
{
    answer(client, "+OK");
}

/* redis-benchmark prints how the server is set. */
static void
do_config(struct client *client)
{
    bool asks = is_word(&client->words[1], "get");

    answer(client, "%s", asks ? "*2" : "-ERR only CONFIG GET is known");
    if (!asks)
        return;
    answer_bytes(client, client->words[2].data, client->words[2].size);
    answer_bytes(client, "", 0);
}

/* redis-cli asks how commands are described. */
static void
do_command(struct client *client)
{
    answer(client, "*0");
}

static void
do_hello(struct client *client)
{
    static const char *const says[] = {"server", "sockserverd", "version", "0.1.0",
                                       "mode",   "standalone",  "role",    "master"};
    const size_t count = sizeof(says) / sizeof(says[0]);

    if (client->count > 1 && !is_word(&client->words[1], "2")) {
        answer(client, "-NOPROTO unsupported protocol version");
        return;
    }
    answer(client, "*%zu", count + 2);
    for (size_t i = 0; i < count; i++)
        answer_text(client, says[i]);
    answer_text(client, "proto");
    answer_integer(client, 2);
}

static void
do_info(struct client *client)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "# Server\r\nredis_mode:standalone\r\n# Memory\r\nused_memory:%zu\r\n"
                   "maxmemory:%zu\r\n# Keyspace\r\ndb0:keys=%zu\r\n",
                   store.used, store.memory, store.keys.count);
    answer_text(client, text);
}

/* ---- from the client's bytes to a command, and back ------------------------------------------ */

struct command {
    const char *name;
    size_t least, most; /* words, its name included; 0: any number */
    bool grows;         /* the store, which must have room */
    int how;
    command_fn *run;
};

/* In the order of their names, for bsearch(). */
static const struct command commands[] = {
    {"append", 3, 3, true, 0, do_append},
    {"client", 2, 0, false, 0, do_client},
    {"command", 1, 0, false, 0, do_command},
    {"config", 3, 0, false, 0, do_config},
    {"dbsize", 1, 1, false, 0, do_dbsize},
    {"decr", 2, 2, true, -1, do_incr},
    {"del", 2, 0, false, 0, do_del},
    {"echo", 2, 2, false, 0, do_echo},
    {"exists", 2, 0, false, 0, do_exists},
    {"expire", 3, 3, false, 0, do_expire},
    {"flushall", 1, 2, false, 0, do_flushall},
    {"get", 2, 2, false, 0, do_get},
    {"hdel", 3, 0, false, 0, do_hdel},
    {"hello", 1, 0, false, 0, do_hello},
    {"hget", 3, 3, false, 0, do_hget},
    {"hset", 4, 0, true, 0, do_hset},
    {"incr", 2, 2, true, 1, do_incr},
    {"incrby", 3, 3, true, 0, do_incrby},
    {"info", 1, 0, false, 0, do_info},
    {"keys", 2, 2, false, 0, do_keys},
    {"llen", 2, 2, false, 0, do_llen},
    {"lpop", 2, 2, false, LEFT, do_pop},
    {"lpush", 3, 0, true, LEFT, do_push},
    {"lrange", 4, 4, false, 0, do_lrange},
    {"mget", 2, 0, false, 0, do_mget},
    {"mset", 3, 0, true, 0, do_mset},
    {"persist", 2, 2, false, 0, do_persist},
    {"ping", 1, 2, false, 0, do_ping},
    {"publish", 3, 3, false, 0, do_publish},
    {"quit", 1, 0, false, 0, do_quit},
    {"rpop", 2, 2, false, RIGHT, do_pop},
    {"rpush", 3, 0, true, RIGHT, do_push},
    {"select", 2, 2, false, 0, do_select},
    {"set", 3, 0, true, 0, do_set},
    {"strlen", 2, 2, false, 0, do_strlen},
    {"subscribe", 2, 0, true, 0, do_subscribe},
    {"ttl", 2, 2, false, 0, do_ttl},
    {"type", 2, 2, false, 0, do_type},
    {"unsubscribe", 1, 0, false, 0, do_unsubscribe},
};

static int
compare_names(const void *name, const void *command)
{
    return strcasecmp(name, ((const struct command *)command)->name);
}

static void
run(struct client *client)
{
    const char *name = client->words[0].data;
    const struct command *command = bsearch(name, commands, sizeof(commands) / sizeof(commands[0]),
                                            sizeof(commands[0]), compare_names);

    if (command == NULL)
        answer(client, "-ERR unknown command '%.64s'", name);
    else if (client->count < command->least || (command->most > 0 && client->count > command->most))
        answer(client, "-ERR wrong number of arguments for '%s' command", command->name);
    else if (command->grows && store.used > store.memory)
        answer(client, "%s", no_memory);
    else {
        client->how = command->how;
        command->run(client);
    }
    if (client->reply.failed) {
        text_clear(&client->reply);
        answer(client, "-ERR the answer is longer than max_size, or there is no memory for it");
    }
}

static ssize_t
fail_protocol(struct client *client, const char *what)
{
    (void)ss_printf(client->request, "-ERR Protocol error: %s\r\n", what);
    return 0;
}

/* The number in a line such as "*3\r\n". False: it is none, or beyond what may be. */
static bool
read_header(const char *line, ssize_t size, char mark, long most, long *ret)
{
    char *end;

    if (size < 4 || line[0] != mark || line[1] < '0' || line[1] > '9' || line[size - 2] != '\r')
        return false;
    errno = 0;
    *ret = strtol(line + 1, &end, 10);
    return errno == 0 && end == line + size - 2 && *ret <= most;
}

/* The words lie behind each other, each with two bytes that were its CRLF. */
static void
find_words(struct client *client)
{
    char *at = client->input.data;

    for (size_t i = 0; i < client->count; i++) {
        client->words[i].data = at;
        at += client->words[i].size;
        *at = '\0';
        at += 2;
    }
}

static ssize_t
read_word(struct client *client, struct bytes *word)
{
    struct text *input = &client->input;
    char *line;
    long size;

    ssize_t got = ss_readline(client->request, &line);
    if (got <= 0)
        return got;
    if (!read_header(line, got, '$', (long)store.max_size, &size))
        return fail_protocol(client, "invalid bulk length");
    word->size = (size_t)size;
    if (!text_reserve(input, word->size + 2))
        return fail_protocol(client, "too big command");
    got = ss_read_full(client->request, input->data + input->size, word->size + 2);
    if (got < 0 || (size_t)got < word->size + 2)
        return got < 0 ? got : 0;
    input->size += word->size + 2;
    if (memcmp(input->data + input->size - 2, "\r\n", 2) != 0)
        return fail_protocol(client, "no CRLF behind a string");
    return 1;
}

/* A line of words, as a person types it. */
static ssize_t
read_inline(struct client *client, char *line)
{
    char *rest;

    for (char *word = strtok_r(line, " \t\r\n", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (client->count == MOST_WORDS)
            return fail_protocol(client, "too many words");
        client->words[client->count++].size = strlen(word);
        text_add(&client->input, word, strlen(word) + 1);
        text_add(&client->input, "", 1);
    }
    return client->input.failed ? fail_protocol(client, "too big command") : 1;
}

/* 1: there is a command, which may have no words. 0: the client has ended, or shall. */
static ssize_t
read_command(struct client *client)
{
    char *line;
    long words = 0;

    client->count = 0;
    text_clear(&client->input);
    ssize_t got = ss_readline(client->request, &line);
    if (got == -EMSGSIZE)
        return fail_protocol(client, "too big inline request");
    if (got <= 0)
        return got;
    if (line[0] != '*')
        got = read_inline(client, line);
    else if (!read_header(line, got, '*', MOST_WORDS, &words))
        return fail_protocol(client, "invalid multibulk length");
    while (got > 0 && client->count < (size_t)words) {
        got = read_word(client, &client->words[client->count]);
        client->count++;
    }
    if (got > 0)
        find_words(client);
    return got > 0 ? 1 : got;
}

/* One command, if there is one. */
static ssize_t
serve_command(struct client *client)
{
    ssize_t result = read_command(client);

    if (result <= 0 || client->count == 0)
        return result;
    (void)pthread_mutex_lock(&store.lock);
    run(client);
    (void)pthread_mutex_unlock(&store.lock);
    (void)ss_write(client->request, client->reply.data,
                   client->reply.size); /* the next read tells */
    text_clear(&client->reply);
    return client->leaves ? 0 : result;
}

/* What others have published meanwhile; 0: it was more than may be kept. */
static ssize_t
deliver(struct client *client)
{
    (void)pthread_mutex_lock(&store.lock);
    struct text mail = client->mail;
    client->mail = (struct text){0};
    (void)pthread_mutex_unlock(&store.lock);
    (void)ss_write(client->request, mail.data, mail.size);
    free(mail.data);
    return !mail.failed;
}

int
handle(struct ss_request *request)
{
    struct client *client = malloc(sizeof(*client));
    ssize_t result;

    if (client == NULL)
        return -ENOMEM;
    memset(client, 0, offsetof(struct client, words)); /* no more: the rest may never be used */
    client->request = request;
    do {
        result = ss_wait_input(request, -1);
        if (result == -EINTR)
            result = deliver(client);
        else if (result > 0)
            result = serve_command(client);
    } while (result > 0);
    (void)pthread_mutex_lock(&store.lock);
    stop_listening(client);
    (void)pthread_mutex_unlock(&store.lock);
    free(client->mail.data);
    free(client->input.data);
    free(client->reply.data);
    free(client);
    return (int)result;
}

/* ---- the worker ------------------------------------------------------------------------------ */

int
server_activate(struct ss_server *server)
{
    store.memory = (size_t)ss_option_size(server, "memory");
    store.max_size = (size_t)ss_option_size(server, "max_size");
    return 0;
}

/* What has expired and is never asked for would stay: some of it is looked for, each time. */
void
service_actions(struct ss_server *server)
{
    (void)server;
    (void)pthread_mutex_lock(&store.lock);
    sweep();
    (void)pthread_mutex_unlock(&store.lock);
}

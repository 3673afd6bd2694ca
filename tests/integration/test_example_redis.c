/* SPDX-License-Identifier: MIT */
/*
 * test_example_redis.c - examples/redis: what it answers, its limits, and the clients of Redis
 *
 * redis-cli and redis-benchmark are skipped by name where they are not installed.
 */
#include <signal.h>

#include "support/client.h"
#include "support/command.h"
#include "support/test.h"

#define REDIS BUILD_DIR "/examples/redis.so"

static struct daemon *
serve(const struct server_case *server, const char *options)
{
    return daemon_serve(server->scheme, server->mixin, REDIS,
                        text_of("service_interval = 0.05; options = { %s };", options));
}

/* What a command that is typed as a line is answered. */
static void
ask(int fd, const char *line, const char *answer)
{
    client_send(fd, text_of("%s\r\n", line));
    client_expect(fd, answer);
}

/* ---- what it answers ------------------------------------------------------------------------- */

#define NOTHING       "$-1\r\n"
#define WRONG_KIND    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NO_INTEGER    "-ERR value is not an integer or out of range\r\n"
#define NUMBER(words) "-ERR wrong number of arguments for '" words "' command\r\n"

static const struct {
    const char *line, *answer;
} conversation[] = {
    {"ping", "+PONG\r\n"},
    {"PING hello", "$5\r\nhello\r\n"},
    {"echo hello", "$5\r\nhello\r\n"},
    {"get s", NOTHING},
    {"set s 5", "+OK\r\n"},
    {"get s", "$1\r\n5\r\n"},
    {"set s 6 nx", NOTHING},
    {"set s 7 xx", "+OK\r\n"},
    {"set other 7 xx", NOTHING},
    {"set s 8 ex 100 nx xx", "-ERR syntax error\r\n"},
    {"set s 8 ex", "-ERR syntax error\r\n"},
    {"set s 8 ex 0", "-ERR invalid expire time in 'set' command\r\n"},
    {"set s 8 ex x", NO_INTEGER},
    {"set s 8 ex 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
    {"incr s", ":8\r\n"},
    {"decr s", ":7\r\n"},
    {"incrby s -10", ":-3\r\n"},
    {"incrby s 9223372036854775807", ":9223372036854775804\r\n"},
    {"incrby s 4", "-ERR increment or decrement would overflow\r\n"},
    {"incrby s 4x", NO_INTEGER},
    {"append s ab", ":21\r\n"},
    {"incr s", NO_INTEGER},
    {"strlen s", ":21\r\n"},
    {"append new ab", ":2\r\n"},
    {"ttl s", ":-1\r\n"},
    {"expire s 100", ":1\r\n"},
    {"append s c", ":22\r\n"}, /* a change keeps it, a SET does not */
    {"persist s", ":1\r\n"},
    {"persist s", ":0\r\n"},
    {"expire s 100", ":1\r\n"},
    {"set s 1", "+OK\r\n"},
    {"ttl s", ":-1\r\n"},
    {"expire s -1", ":1\r\n"},
    {"exists s new new", ":2\r\n"},
    {"ttl s", ":-2\r\n"},
    {"expire s 1", ":0\r\n"},
    {"mset a 1 b 2", "+OK\r\n"},
    {"mset a 1 b", NUMBER("mset")},
    {"mget a nowhere b", "*3\r\n$1\r\n1\r\n" NOTHING "$1\r\n2\r\n"},
    {"del a b nowhere", ":2\r\n"},
    {"rpush l c d", ":2\r\n"},
    {"lpush l b a", ":4\r\n"},
    {"lrange l 0 -1", "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"},
    {"lrange l -2 99", "*2\r\n$1\r\nc\r\n$1\r\nd\r\n"},
    {"lrange l 3 1", "*0\r\n"},
    {"lrange l -99 -99", "*0\r\n"},
    {"lrange nowhere 0 -1", "*0\r\n"},
    {"lrange l 0 x", NO_INTEGER},
    {"llen l", ":4\r\n"},
    {"lpop l", "$1\r\na\r\n"},
    {"rpop l", "$1\r\nd\r\n"},
    {"get l", WRONG_KIND},
    {"incr l", WRONG_KIND},
    {"hset l f v", WRONG_KIND},
    {"lpop l", "$1\r\nb\r\n"},
    {"lpop l", "$1\r\nc\r\n"},
    {"lpop l", NOTHING},
    {"type l", "+none\r\n"},
    {"hset h f v g w", ":2\r\n"},
    {"hset h f x", ":0\r\n"},
    {"hset h f", NUMBER("hset")},
    {"hset h f x g", NUMBER("hset")},
    {"hget h f", "$1\r\nx\r\n"},
    {"hget h nowhere", NOTHING},
    {"hget nowhere f", NOTHING},
    {"lpush h x", WRONG_KIND},
    {"mget h", "*1\r\n" NOTHING},
    {"type h", "+hash\r\n"},
    {"keys *", "*2\r\n$1\r\nh\r\n$3\r\nnew\r\n"},
    {"keys n*w", "*1\r\n$3\r\nnew\r\n"},
    {"keys ne\\w", "*1\r\n$3\r\nnew\r\n"},
    {"keys n??x", "*0\r\n"},
    {"keys ?", "*1\r\n$1\r\nh\r\n"},
    {"dbsize", ":2\r\n"},
    {"hdel h f g", ":2\r\n"},
    {"exists h", ":0\r\n"},
    {"set h s", "+OK\r\n"},
    {"set new s", "+OK\r\n"},
    {"get", NUMBER("get")},
    {"get a b", NUMBER("get")},
    {"nonsense", "-ERR unknown command 'nonsense'\r\n"},
    {"select 0", "+OK\r\n"},
    {"select 1", "-ERR DB index is out of range\r\n"},
    {"hello 3", "-NOPROTO unsupported protocol version\r\n"},
    {"flushall", "+OK\r\n"},
    {"dbsize", ":0\r\n"},
    {"publish nobody x", ":0\r\n"},
    {"quit", "+OK\r\n"},
};

static void
answers_as_redis_does(void **state)
{
    struct daemon *daemon = serve(*state, "");
    int fd = client_connect(daemon_address(daemon, "test"));

    for (size_t i = 0; i < sizeof(conversation) / sizeof(conversation[0]); i++)
        ask(fd, conversation[i].line, conversation[i].answer);
    client_expect_end(fd);
    daemon_expect_stop(daemon);
}

static void
any_bytes_are_a_value_and_commands_come_in_any_pieces(void **state)
{
    static const char sent[] = "*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$4\r\n\0\n\r\xff\r\n"
                               "\r\n*0\r\n*2\r\n$3\r\nget\r\n$2\r\n\r\n\r\n",
                      answer[] = "+OK\r\n$4\r\n\0\n\r\xff\r\n";
    struct daemon *daemon = serve(*state, "");
    char got[sizeof(answer)];

    for (size_t piece = 1; piece < sizeof(sent); piece += 6) {
        int fd = client_connect(daemon_address(daemon, "test"));
        for (size_t at = 0; at < sizeof(sent) - 1; at += piece)
            client_send_bytes(fd, sent + at,
                              piece < sizeof(sent) - 1 - at ? piece : sizeof(sent) - 1 - at);
        client_half_close(fd);
        assert_int_equal(client_receive_bytes(fd, got, sizeof(got)), sizeof(answer) - 1);
        assert_memory_equal(got, answer, sizeof(answer) - 1);
        client_close(fd);
    }
    daemon_expect_stop(daemon);
}

static void
the_time_that_is_left_is_told_in_seconds(void **state)
{
    struct daemon *daemon = serve(*state, "");
    int fd = client_connect(daemon_address(daemon, "test"));

    ask(fd, "set a 1 ex 1000", "+OK\r\n");
    ask(fd, "set b 1 px 1000000", "+OK\r\n");
    ask(fd, "set c 1", "+OK\r\n");
    ask(fd, "expire c 1000", ":1\r\n");
    for (const char *name = "abc"; *name != '\0'; name++) {
        client_send(fd, text_of("ttl %c\r\n", *name));
        assert_in_range(atoi(client_receive_line(fd) + 1), 900, 1000);
    }
    daemon_expect_stop(daemon);
}

static void
what_has_expired_is_gone_even_if_nobody_asks_for_it(void **state)
{
    struct daemon *daemon = serve(*state, "");
    int fd = client_connect(daemon_address(daemon, "test"));

    ask(fd, "set asked 1 px 1", "+OK\r\n");
    ask(fd, "set stays 1 ex 1000", "+OK\r\n");
    ask(fd, "set unasked 1 px 1", "+OK\r\n");
    WAIT_UNTIL(
        (client_send(fd, "get asked\r\n"), strcmp(client_receive_line(fd), "$-1\r\n") == 0) ||
        (client_receive_line(fd), false));
    WAIT_UNTIL((client_send(fd, "dbsize\r\n"), strcmp(client_receive_line(fd), ":1\r\n") == 0));
    daemon_expect_stop(daemon);
}

static void
what_is_published_reaches_those_who_listen(void **state)
{
    struct daemon *daemon = serve(*state, "");
    const char *address = daemon_address(daemon, "test");
    int one = client_connect(address), two = client_connect(address),
        other = client_connect(address);

    ask(one, "subscribe a b",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    ask(two, "subscribe b", "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    ask(one, "ping", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    ask(other, "publish a x", ":1\r\n");
    ask(other, "publish b yy", ":2\r\n");
    client_expect(one, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
                       "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nyy\r\n");
    client_expect(two, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nyy\r\n");
    ask(one, "unsubscribe",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n"
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
    ask(one, "unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    client_close(two);
    WAIT_UNTIL(
        (client_send(other, "publish b z\r\n"), strcmp(client_receive_line(other), ":0\r\n") == 0));
    ask(one, "ping", "+PONG\r\n");
    daemon_expect_stop(daemon);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static const struct {
    const char *sent, *says;
} broken[] = {
    {"*x\r\n", "invalid multibulk length"},
    {"*1025\r\n", "invalid multibulk length"},
    {"*99999999999999999999\r\n", "invalid multibulk length"},
    {"*1\n", "invalid multibulk length"},
    {"*1\r\n:1\r\n", "invalid bulk length"},
    {"*1\r\n$-1\r\n", "invalid bulk length"},
    {"*1\r\n$4097\r\n", "invalid bulk length"},
    {"*1\r\n$4\r\nPINGxx", "no CRLF behind a string"},
};

static void
what_is_no_command_is_told_and_ends_the_connection(void **state)
{
    struct daemon *daemon = serve(*state, "max_size = \"4K\";");
    const char *address = daemon_address(daemon, "test");

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_string_equal(client_ask(address, broken[i].sent),
                            text_of("-ERR Protocol error: %s\r\n", broken[i].says));
    char *half = keep(malloc(3001));
    memset(half, 'x', 3000);
    half[3000] = '\0';
    const char *halves = text_of("*3\r\n$3\r\nset\r\n$3000\r\n%s\r\n$3000\r\n", half);
    assert_string_equal(client_ask(address, halves), "-ERR Protocol error: too big command\r\n");
    assert_string_equal(client_ask(address, "*2\r\n$4\r\nPI"), "");
    assert_string_equal(client_ask(address, "*1\r\n$6\r\na\r\nb\r\n\r\n"),
                        "-ERR unknown command 'a  b  '\r\n");
    daemon_expect_stop(daemon);
}

static void
no_answer_and_no_value_is_longer_than_max_size(void **state)
{
    struct daemon *daemon = serve(*state, "max_size = \"4K\";");
    int fd = client_connect(daemon_address(daemon, "test"));
    char *text = keep(calloc(1, 3001));

    memset(text, 'x', 3000);
    ask(fd, text_of("set long %s", text), "+OK\r\n");
    ask(fd, "mget long long",
        "-ERR the answer is longer than max_size, or there is no memory for it\r\n");
    ask(fd, text_of("append long %s", text),
        "-ERR string exceeds maximum allowed size (max_size)\r\n");
    ask(fd, "strlen long", ":3000\r\n");
    daemon_expect_stop(daemon);
}

static void
what_is_stored_is_bounded_by_memory(void **state)
{
    struct daemon *daemon = serve(*state, "memory = \"64K\";");
    int fd = client_connect(daemon_address(daemon, "test"));
    char *text = keep(calloc(1, 1001));
    const char *answer = "";
    int i;

    memset(text, 'x', 1000);
    for (i = 0; i < 200 && *answer != '-'; i++) {
        client_send(fd, text_of("%s key%d x%d %s\r\n", i % 2 ? "rpush" : "hset", i, i, text));
        answer = client_receive_line(fd);
    }
    assert_string_equal(answer, "-OOM command not allowed when used memory > 'memory'\r\n");
    assert_in_range(i, 40, 65);
    ask(fd, "get nothing", "$-1\r\n");
    ask(fd, "del key1 key2 key3", ":3\r\n");
    ask(fd, text_of("set again %s", text), "+OK\r\n");
    ask(fd, "flushall", "+OK\r\n");
    client_send(fd, "info\r\n");
    (void)client_receive_line(fd);
    WAIT_UNTIL(strstr(client_receive_line(fd), "used_memory:0\r\n") != NULL);
    daemon_expect_stop(daemon);
}

/* All others wait for it: keys and a pattern that are long, and like each other, end it. */
static void
no_search_takes_long(void **state)
{
    struct daemon *daemon = serve(*state, "");
    int fd = client_connect(daemon_address(daemon, "test"));
    char *name = keep(calloc(1, 50001)), *pattern = keep(calloc(1, 201));

    memset(name, 'a', 50000);
    memset(pattern, 'a', 200);
    for (int i = 10; i < 40; i++) {
        client_send(fd, text_of("*3\r\n$3\r\nset\r\n$50002\r\n%s%d\r\n$1\r\nx\r\n", name, i));
        client_expect(fd, "+OK\r\n");
    }
    ask(fd, text_of("keys *%sb", pattern),
        "-ERR the search takes too long: a shorter pattern takes less\r\n");
    ask(fd, "keys *b", "*0\r\n");
    daemon_expect_stop(daemon);
}

/* Nobody waits for it, and its messages do not grow without end. */
static void
a_listener_that_never_reads_is_ended(void **state)
{
    struct daemon *daemon = serve(*state, "max_size = \"64K\";");
    const char *address = daemon_address(daemon, "test");
    int deaf = client_connect(address), fd = client_connect(address);
    char *text = keep(calloc(1, 60001));

    memset(text, 'x', 60000);
    ask(deaf, "subscribe a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    WAIT_UNTIL(
        (client_send(fd, text_of("*3\r\n$7\r\npublish\r\n$1\r\na\r\n$60000\r\n%s\r\n", text)),
         strcmp(client_receive_line(fd), ":0\r\n") == 0));
    (void)client_receive_all(deaf); /* to its end */
    daemon_expect_stop(daemon);
}

/* ---- the daemon around it -------------------------------------------------------------------- */

static void
at_a_drain_what_has_come_is_answered_and_idle_clients_are_let_go(void **state)
{
    struct daemon *daemon = serve(*state, "");
    int fd = client_connect(daemon_address(daemon, "test"));

    ask(fd, "ping", "+PONG\r\n");
    daemon_signal(daemon, SIGTERM);
    client_expect_end(fd);
    daemon_expect_exit(daemon, 0);
}

static void
several_processes_are_refused_with_what_helps(void **state)
{
    (void)state;
    const char *file = test_file("a.conf", "listeners = { r = { address = \"tcp://127.0.0.1:0\"; "
                                           "plugin = \"" REDIS "\"; mixin = \"forking\"; }; };");
    struct outcome check = COMMAND("", "--check", "-c", file);

    assert_int_not_equal(check.status, 0);
    assert_contains(check.errors, "in the memory of one process");
    assert_contains(check.errors, "\"threading\"");
}

static void
its_configuration_is_good_and_serves(void **state)
{
    (void)state;
    const char *example = SOURCE_DIR "/examples/redis/redis.conf";
    struct outcome check =
        COMMAND("", "--plugin-path", BUILD_DIR "/examples", "--check", "-c", example);

    assert_string_equal(check.errors, "");
    assert_int_equal(check.status, 0);
    char *text = keep(strdup(strstr(file_text(example), "listeners = {")));
    memcpy(strstr(text, "6380"), "0000", 4);
    char *plugin = strstr(text, "\"redis\"");
    *plugin = '\0';
    struct daemon *daemon = daemon_start("%s\"" REDIS "\"%s", text, plugin + strlen("\"redis\""));
    ask(client_connect(daemon_address(daemon, "redis")), "ping", "+PONG\r\n");
    daemon_expect_stop(daemon);
}

/* ---- the clients of Redis -------------------------------------------------------------------- */

static struct outcome
client_of_redis(const char *program, const char *port, const char *words)
{
    const char *arguments[32] = {"-p", port};
    char *rest, *text = keep(strdup(words));
    size_t count = 2;

    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    return command_run(program, "", arguments);
}

static void
redis_cli_is_content(void **state)
{
    static const char *const said[][2] = {
        {"set greeting hello EX 100", "OK\n"},
        {"get greeting", "hello\n"},
        {"rpush list a b c", "3\n"},
        {"lrange list 0 -1", "a\nb\nc\n"},
        {"hset hash field value", "1\n"},
        {"hget hash field", "value\n"},
        {"--no-raw keys *", "1) \"greeting\"\n2) \"hash\"\n3) \"list\"\n"},
        {"--no-raw get hash",
         "(error) WRONGTYPE Operation against a key holding the wrong kind of value\n"},
        {"-r 3 incr counter", "1\n2\n3\n"},
    };
    const char *program = need_program("redis-cli");
    struct daemon *daemon = serve(*state, "");
    const char *port = strrchr(daemon_address(daemon, "test"), ':') + 1;

    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct outcome outcome = client_of_redis(program, port, said[i][0]);
        assert_string_equal(outcome.output, said[i][1]);
        assert_int_equal(outcome.status, 0);
    }
    daemon_expect_stop(daemon);
}

static void
redis_benchmark_finds_no_error(void **state)
{
    const char *program = need_program("redis-benchmark");
    struct daemon *daemon = serve(*state, "");
    const char *port = strrchr(daemon_address(daemon, "test"), ':') + 1;
    struct outcome outcome =
        client_of_redis(program, port,
                        "-q -n 600 -c 20 -P 4 -r 50 "
                        "-t ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange_100,mset");

    assert_int_equal(outcome.status, 0);
    assert_lacks(outcome.errors, "WARNING");
    assert_lacks(outcome.output, "ERR");
    assert_contains(outcome.output, "MSET (10 keys): ");
    daemon_expect_stop(daemon);
}

#define TEST_EACH(function)                                                                        \
    TEST_CASE(function, "tcp", "none"), TEST_CASE(function, "tcp", "threading"),                   \
        TEST_CASE(function, "tcp", "coroutine"), TEST_CASE(function, "unix", "coroutine")
#define TEST_SHARED(function)                                                                      \
    TEST_CASE(function, "tcp", "threading"), TEST_CASE(function, "tcp", "coroutine")

RUN_TESTS(TEST_EACH(answers_as_redis_does),
          TEST_SHARED(any_bytes_are_a_value_and_commands_come_in_any_pieces),
          TEST_SHARED(the_time_that_is_left_is_told_in_seconds),
          TEST_SHARED(what_has_expired_is_gone_even_if_nobody_asks_for_it),
          TEST_SHARED(what_is_published_reaches_those_who_listen),
          TEST_SHARED(what_is_no_command_is_told_and_ends_the_connection),
          TEST_SHARED(no_answer_and_no_value_is_longer_than_max_size),
          TEST_SHARED(what_is_stored_is_bounded_by_memory), TEST_SHARED(no_search_takes_long),
          TEST_SHARED(a_listener_that_never_reads_is_ended),
          TEST_SHARED(at_a_drain_what_has_come_is_answered_and_idle_clients_are_let_go),
          TEST(several_processes_are_refused_with_what_helps),
          TEST(its_configuration_is_good_and_serves), TEST_SHARED(redis_cli_is_content),
          TEST_SHARED(redis_benchmark_finds_no_error))

/* SPDX-License-Identifier: MIT */
/*
 * main.c - load for echo-like socket servers on loopback: options, and which mode
 *
 * It prints one line of JSON.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"
#include "tls.h"

static const char usage[] =
    "usage: load MODE ADDRESS [option]...\n"
    "  ADDRESS  tcp:127.0.0.1:PORT tcp:[::1]:PORT unix:PATH udp:... unixgram:PATH\n"
    "  MODE     conn   connect, send, read back, close, again (latency from connect)\n"
    "           echo   connections that stay, -d messages in flight on each, or -r a second\n"
    "           down   ask for -b MiB by a line \"WORD BYTES\", receive them, again; a message is\n"
    "                  a MiB\n"
    "           get    HTTP/1.1: ask for the file -q on connections that stay; a message is an\n"
    "                  answer, with status 200 and a Content-Length\n"
    "           chat   members of a chat of examples/chat, who take turns in saying something,\n"
    "                  -d lines in flight; a message is a line that one of them has received\n"
    "           dgram  datagram sockets, -d messages in flight on each\n"
    "           dns    the same with queries: -q NAME/TYPE,... in turn\n"
    "           idle   open -N connections, print the line, hold them -t seconds or until\n"
    "                  standard input ends\n"
    "           cold   load cold ADDRESS [option]... -- COMMAND...: start it, time its first\n"
    "                  answer, end it\n"
    "  -k N  clients (16)               -n N    stop after N messages (0: no bound)\n"
    "  -t S  seconds (3)                -s B    bytes of a message, the last a newline (64)\n"
    "  -d N  messages in flight (1)     -r N    messages a second, all clients together\n"
    "  -N N  idle connections (1000)    -e      idle: one echo on each first\n"
    "  -a    idle: one more on each at the end, and a second line that counts the answers\n"
    "  -c W  check answers: none length same upper (same)\n"
    "  -S N  addresses to connect from (conn on TCP: 64, else 0: unbound)\n"
    "  -P N  cold: the command's CPU\n"
    "  -b N  down: MiB of a download (100)   -q W  down: the word that asks for it (write);\n"
    "                                           get: the path; dns: the questions\n"
    "  -T    stream: TLS 1.3 (load-tls only)\n"
    "  -R    conn over TLS: the connections resume the session of one that was before them;\n"
    "                  resumed in the answer tells how many did\n"
    "  -H    stream: a PROXY header before the first message\n"
    "  -G F  report by how much the number in this file grew meanwhile\n";

struct options options = {
    .clients = 16,
    .seconds = 3,
    .size = 64,
    .depth = 1,
    .sources = -1,
    .parked = 1000,
    .cpu = -1,
    .check = CHECK_SAME,
    .ask = "write",
    .mebibytes = 100,
};
struct counts counts;
char *out_bytes, *in_bytes;
int ep;

/* The place of a word in a list of words. */
static int
choice(const char *word, const char *words)
{
    char each[16];

    for (int i = 0, size; sscanf(words, "%15s%n", each, &size) == 1; words += size, i++)
        if (strcmp(word, each) == 0)
            return i;
    die("%s: none of: %s", word, words);
}

static void
parse_options(int argc, char **argv)
{
    const struct {
        char name;
        long *value;
    } numbers[] = {{'k', &options.clients},  {'n', &options.total},   {'s', &options.size},
                   {'d', &options.depth},    {'S', &options.sources}, {'N', &options.parked},
                   {'b', &options.mebibytes}};

    for (int c; (c = getopt(argc, argv, "+k:n:t:s:d:r:c:S:N:P:G:b:q:aeHTR")) != -1;) {
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            if (numbers[i].name == c)
                *numbers[i].value = atol(optarg);
        if (c == 't')
            options.seconds = atof(optarg);
        else if (c == 'r')
            options.rate = atof(optarg);
        else if (c == 'c')
            options.check = (enum check)choice(optarg, "none length same upper");
        else if (c == 'P')
            options.cpu = atoi(optarg);
        else if (c == 'G')
            options.gauge = optarg;
        else if (c == 'e')
            options.echo_once = true;
        else if (c == 'a')
            options.again = true;
        else if (c == 'H')
            options.announce = true;
        else if (c == 'q')
            options.ask = optarg;
        else if (c == 'T')
            options.tls = true;
        else if (c == 'R')
            options.resume = true;
        else if (c == '?')
            die("%s", usage);
    }
    if (options.clients < 1 || options.size < 1 || options.depth < 1 || options.parked < 0 ||
        options.mebibytes < 1 || options.seconds <= 0 || options.seconds > 600 || options.rate < 0)
        die("option out of range\n%s", usage);
    if (options.sources < 0)
        options.sources = strcmp(options.mode, "conn") == 0 ? 64 : 0;
}

static void
make_messages(void)
{
    out_bytes = malloc((size_t)options.size + CHUNK);
    in_bytes = malloc((size_t)options.size + CHUNK);
    if (out_bytes == NULL || in_bytes == NULL)
        die("out of memory");
    for (long i = 0; i < options.size + CHUNK; i++) {
        long at = i % options.size;
        bool upper = at < options.size - 1 && options.check == CHECK_UPPER;
        out_bytes[i] = at == options.size - 1 ? '\n' : (char)('a' + at % 26);
        in_bytes[i] = upper ? (char)(out_bytes[i] - 'a' + 'A') : out_bytes[i];
    }
}

/* In place of a message: the line that asks for a download, or the head that asks for a file. */
static void
make_request(void)
{
    int size = strcmp(options.mode, "get") == 0
                   ? asprintf(&out_bytes, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", options.ask)
                   : asprintf(&out_bytes, "%s %ld\n", options.ask, options.mebibytes << 20);

    if (size < 0)
        die("out of memory");
    options.size = size;
}

static void
prepare(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (strcmp(options.mode, "down") == 0 || strcmp(options.mode, "get") == 0)
        make_request();
    else if (options.dns)
        dns_prepare();
    else
        make_messages();
    if (options.tls)
        tls_prepare();
}

int
main(int argc, char **argv)
{
    static void (*const modes[])(void) = {run_connections, run_echo, run_datagrams, run_idle,
                                          run_downloads,   run_gets, run_datagrams, run_chat};
    const size_t datagrams = 2, dns = 6, cold = 8;

    if (argc < 3)
        die("%s", usage);
    options.mode = argv[1];
    options.address = argv[2];
    parse_address(options.address);
    parse_options(argc - 2, argv + 2);
    size_t mode = (size_t)choice(options.mode, "conn echo dgram idle down get dns chat cold");
    options.dns = mode == dns;
    prepare();
    if (mode == cold) {
        run_cold(argv + 2 + optind);
        return 0;
    }
    if ((mode == datagrams || options.dns) != (peer.type == SOCK_DGRAM))
        die("%s does not go with %s", options.mode, options.address);
    modes[mode]();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * load.h - what the parts of the load generator share
 *
 * One thread, epoll, non-blocking sockets, no allocation while measuring.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CHUNK 65536
#define MS    1000000ull /* in nanoseconds, as all times here */

enum check { CHECK_NONE, CHECK_LENGTH, CHECK_SAME, CHECK_UPPER };

struct options {
    const char *mode, *address, *gauge;
    long clients, total, size, depth, sources, parked;
    double seconds, rate;
    int cpu;
    enum check check;
    bool echo_once;
    bool again;    /* idle: and one at the end */
    bool announce; /* by a PROXY header */
    bool tls, resume;
    const char
        *ask; /* down: the word that asks for a download; get: the path of a file; dns: questions */
    bool dns;
    long mebibytes; /* of a download */
};

struct peer {
    struct sockaddr_storage address;
    socklen_t size;
    int type;
    bool inet;
};

struct counts {
    uint64_t done, started, errors, retries, lost, late, open, resumed;
};

extern struct options options;
extern struct peer peer;
extern struct counts counts;
extern char *out_bytes, *in_bytes; /* the message, over and over: size + CHUNK bytes */
extern int ep;
extern uint64_t t_begin, t_end; /* of the measured interval */
extern char last_error[64];

/* measure.c */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now(void);
void failed(const char *where, int error);
void record(uint64_t ns);
void begin(void);
void report(void);

/* address.c */
void parse_address(const char *text);
int dial(void);
void watch(int fd, int operation, uint32_t events, void *data);

/* dns.c: the queries of -q, one after the other */
struct iovec;
void dns_prepare(void);
void dns_query(uint32_t number, char id[2], struct iovec parts[2]);
uint32_t dns_number(const char *answer);
bool dns_is_answer(uint32_t number, const char *answer, size_t size);

/* stream.c, datagram.c, chat.c, cold.c: the modes */
void run_connections(void);
void run_echo(void);
void run_idle(void);
void run_downloads(void);
void run_gets(void);
void run_chat(void);
void run_datagrams(void);
void run_cold(char **command);

#endif

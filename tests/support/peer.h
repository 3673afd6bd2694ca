/* SPDX-License-Identifier: MIT */
/*
 * peer.h - other people's servers beside ours
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include <sys/types.h>

/* A port of 127.0.0.1 that nobody has now. */
unsigned peer_free_port(void);

/* Starts a program (NULL at the end of its arguments, which begin with argv[0]) that says nothing
 * and ends with the test at the latest; returns when the port accepts, with 0 as port at once. */
pid_t peer_start(const char *program, const char *const *arguments, unsigned port);
void peer_end(pid_t peer);

/* A program that is told where to listen by its arguments. */
#define PEER_START(program, ...)                                                                   \
    peer_start(program, (const char *const[]){program, __VA_ARGS__, NULL}, 0)

/* Kills all of them; test_done() does. */
void peer_end_all(void);

/* What a client gets there that ends its own part first. One that is turned away may be reset. */
const char *peer_answer(unsigned port, const char *sent);

#endif

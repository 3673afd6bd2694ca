/* SPDX-License-Identifier: MIT */
/*
 * fail_nth.h - the file that the driver shares with every process under torture
 *
 * It is of fixed-width members only: control.py reads and writes the same bytes.
 */
#ifndef SOCKSERVERD_TESTS_TORTURE_FAIL_NTH_H
#define SOCKSERVERD_TESTS_TORTURE_FAIL_NTH_H

#include <stdatomic.h>
#include <stdint.h>

#define TORTURE_CALLS     96
#define TORTURE_PROCESSES 512
#define TORTURE_WHERE     2048
#define TORTURE_PLACES    1024 /* calls of one kind whose places are noted */

/* Which kind of process it is. control.py has the same order. */
enum torture_role {
    ROLE_SUPERVISOR,
    ROLE_SPAWN,   /* a child of the supervisor, before it executes the worker */
    ROLE_WORKER,  /* serves */
    ROLE_REQUEST, /* a child of a worker, for one request */
    ROLE_CHECK,   /* a throw-away worker, which only loads its plugin */
    ROLE_TRIAL,   /* the program as --check, which an upgrade tries first */
    ROLE_COUNT,
};

struct torture_process {
    uint32_t pid, role;
};

struct torture {
    /* what the driver asks for */
    _Atomic uint32_t armed;
    uint32_t role, call, nth, sticky;
    int32_t error;
    uint32_t note_places;
    /* what happened */
    _Atomic uint32_t fired;
    uint32_t fired_pid;
    _Atomic uint32_t crash_signal;
    uint32_t crash_pid, crash_role;
    _Atomic uint32_t process_count;
    struct torture_process processes[TORTURE_PROCESSES];
    _Atomic uint32_t counts[ROLE_COUNT][TORTURE_CALLS];
    char fired_where[TORTURE_WHERE], crash_where[TORTURE_WHERE];
    /* A number for the way to the n-th call, the same for each call that came the same way. */
    uint32_t places[ROLE_COUNT][TORTURE_CALLS][TORTURE_PLACES];
};

#endif

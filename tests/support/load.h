/* SPDX-License-Identifier: MIT */
/*
 * load.h - clients that ask all the while, and remember what became of it
 *
 * Each client is a thread: it connects, asks one question, checks the answer,
 * and begins again after a short pause. Every exchange is one entry of a
 * history; a test judges by the history, not by what it happens to see.
 */
#ifndef TESTS_SUPPORT_LOAD_H
#define TESTS_SUPPORT_LOAD_H

#include <stddef.h>

enum load_result {
    LOAD_ANSWERED,
    LOAD_REFUSED, /* connect or send failed */
    LOAD_LOST,    /* reset, or the end of the stream, before the answer */
    LOAD_LATE,    /* no answer in time */
    LOAD_WRONG    /* another answer than the question asks for */
};

struct load_entry {
    double began, ended; /* clock_now() */
    enum load_result result;
    int error;  /* errno of a failure, or 0 */
    char build; /* first byte of the answer */
};

struct load;

/*
 * So many clients of the address, each asking "<prefix>N\n" with a number of
 * its own: the answer must end with "N\n". Runs until load_stop().
 */
struct load *load_start(const char *address, size_t clients, const char *prefix);
/* Ends the clients, when their last answer is there, and the history is complete. */
void load_stop(struct load *load);
/* For the teardown: what the test has not stopped. */
void load_stop_all(void);

/* After load_stop(). The history of all clients, in no order; the count. */
size_t load_history(const struct load *load, const struct load_entry **ret);
size_t load_count(const struct load *load, enum load_result result);

/* Fails the test unless every exchange was answered, and there were at least so many. */
void load_expect_answered(const struct load *load, size_t least);

/* Waits until so many more exchanges than now have ended, for a load that runs. */
void load_wait_more(const struct load *load, size_t more);

#endif

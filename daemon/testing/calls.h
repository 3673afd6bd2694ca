/* SPDX-License-Identifier: MIT */
/*
 * calls.h - what the calls of <sockserver/test.h> have in common
 *
 * Within the library they are functions: where the test is, it has said before.
 */
#ifndef SOCKSERVERD_TESTING_CALLS_H
#define SOCKSERVERD_TESTING_CALLS_H

#include <sockserver/test.h>

#undef ss_test_new
#undef ss_test_load
#undef ss_test_another
#undef ss_test_done
#undef ss_test_set
#undef ss_test_option
#undef ss_test_start
#undef ss_test_plugin
#undef ss_test_expect_refused
#undef ss_test_connect
#undef ss_test_send
#undef ss_test_send_bytes
#undef ss_test_shutdown
#undef ss_test_close
#undef ss_test_reset
#undef ss_test_hold
#undef ss_test_pause
#undef ss_test_drain
#undef ss_test_cut
#undef ss_test_interrupt
#undef ss_test_wake
#undef ss_test_expect
#undef ss_test_expect_bytes
#undef ss_test_expect_line
#undef ss_test_expect_nothing
#undef ss_test_expect_end
#undef ss_test_take
#undef ss_test_expect_outcome
#undef ss_test_expect_error
#undef ss_test_expect_calls
#undef ss_test_expect_log
#undef ss_test_fuzz

/* Starts the plugin, if it does not run yet; connects the client, if it never was. */
void need_start(struct ss_test *test, const char *call);
void need_client(struct ss_test *test, const char *call);

struct rig;
struct play;

/* A connection for the client, and a request for it that is not started. */
void connect_client(struct ss_test *client);
/* The same of a datagram. */
void send_datagram(struct ss_test *test, const void *data, size_t size);

/* The end of a drain. */
void cut_all(struct rig *rig);

#endif

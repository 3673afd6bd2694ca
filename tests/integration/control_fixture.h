/* SPDX-License-Identifier: MIT */
/*
 * control_fixture.h - calls on the control socket of a daemon with one listener
 */
#ifndef TESTS_INTEGRATION_CONTROL_FIXTURE_H
#define TESTS_INTEGRATION_CONTROL_FIXTURE_H

#include "support/client.h"
#include "support/control.h"
#include "support/test.h"

#define GET_STATUS  "{\"method\":\"org.sockserver.Control.GetStatus\"}"
#define RELOAD      "{\"method\":\"org.sockserver.Control.Reload\"}"
#define CALL(m, p)  "{\"method\":\"org.sockserver.Control." m "\",\"parameters\":{" p "}}"
#define ERROR(e)    "{\"error\":\"org.sockserver.Control." e "\","
#define LONG_ENOUGH 20 /* a client that holds up gets two seconds; machines may be busy */

static inline struct daemon *
serve(void)
{
    return daemon_serve("tcp", "threading", "upper", "");
}

static inline void
expect_answers(struct daemon *daemon)
{
    assert_starts(control_ask(control_connect(daemon), GET_STATUS), "{\"parameters\":{");
}

#endif

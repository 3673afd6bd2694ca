/* SPDX-License-Identifier: MIT */
/*
 * verify.c - what the README's program leaves out: whom it must not answer
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: none.
 */
#include "../reflectors.h"

bool
verify_request(struct ss_request *request)
{
    return !is_from_reflector(request);
}

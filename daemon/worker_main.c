/* SPDX-License-Identifier: MIT */
/*
 * worker_main.c - the program that the supervisor executes for each worker
 *
 * It is the role --worker of sockserverd with nothing else linked in: the
 * libraries for configuration, events and JSON are the supervisor's. A fork of
 * the worker copies a third of the mappings, and its start loads a library
 * instead of a dozen.
 *
 * Runs in:  a worker.
 */
#include "worker/request/gate.h"
#include "worker/worker.h"

int
main(int argc, char **argv)
{
    return worker_main(argc, argv, all_gates);
}

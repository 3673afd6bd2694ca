/* SPDX-License-Identifier: MIT */
/*
 * ctl_main.c - the program sockserverctl
 *
 * Runs in:  sockserverctl.
 */
#include "ctl/ctl.h"

int
main(int argc, char **argv)
{
    return ctl_main(argc, argv);
}

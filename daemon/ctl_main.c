/* SPDX-License-Identifier: MIT */
/*
 * ctl_main.c - the program sockserverctl
 *
 * Runs in:  sockserverctl.
 */
#include "common/inherited.h"
#include "ctl/ctl.h"

int
main(int argc, char **argv)
{
    if (inherited_put_right() < 0)
        return 1;
    return ctl_main(argc, argv);
}

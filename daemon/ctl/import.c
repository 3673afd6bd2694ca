/* SPDX-License-Identifier: MIT */
/*
 * import.c - the command that makes a configuration of xinetd's or inetd's
 *
 * It needs no daemon. The files are read to their ends before anything is
 * printed.
 *
 * Runs in:  sockserverctl.
 * Owns:     the import.
 * Failures: said on standard error; the result is the exit status.
 */
#include "ctl/import/import.h"

#include <errno.h>
#include <unistd.h>

#include "common/printable.h"
#include "ctl/ctl.h"

#define XINETD_FILE "/etc/xinetd.conf"
#define INETD_FILE  "/etc/inetd.conf"

/* Says it; a mistake in a file begins with FILE:LINE. */
static enum ctl_result
complain(const char *problem, bool placed, enum ctl_result result)
{
    if (!placed)
        (void)fputs("sockserverctl: ", stderr);
    printable_put(stderr, problem);
    (void)fputc('\n', stderr);
    return result;
}

/* What was asked for, or else what this machine has. */
static int
read_files(struct import *import, const char *xinetd, const char *inetd)
{
    int error = 0;

    if (xinetd == NULL && inetd == NULL) {
        xinetd = access(XINETD_FILE, F_OK) == 0 ? XINETD_FILE : NULL;
        inetd = access(INETD_FILE, F_OK) == 0 ? INETD_FILE : NULL;
    }
    if (xinetd == NULL && inetd == NULL)
        return import_fail(import, (struct place){0},
                           "import: there is neither " XINETD_FILE " nor " INETD_FILE
                           "; name a file: --xinetd FILE or --inetd FILE");
    if (xinetd != NULL)
        error = import_read_xinetd(import, xinetd);
    if (error == 0 && inetd != NULL)
        error = import_read_inetd(import, inetd);
    return error;
}

enum ctl_result
ctl_import(const struct ctl_arguments *arguments)
{
    struct import import;
    enum ctl_result result = CTL_FINE;

    import_init(&import);
    int error = read_files(&import, arguments->xinetd, arguments->inetd);
    if (error == 0)
        error = import_map(&import);
    if (error == -ENOMEM) {
        result = complain("import: out of memory", false, CTL_FAILED);
    } else if (error < 0) {
        result = complain(import.problem, import.placed, CTL_CONFIGURATION);
    } else {
        import_print_notes(&import, stderr);
        import_print(&import, stdout);
    }
    import_done(&import);
    return result;
}

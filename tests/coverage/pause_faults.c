/* SPDX-License-Identifier: MIT */
/*
 * pause_faults.c - no call fails while the counts of a build that counts lines are written
 *
 * The compiler's library allocates without looking at the result, and a count that is not written
 * is missing. The linker puts these functions around the two that write (see cmake/options.cmake);
 * they ask tests/torture/fail_nth.so, if that is loaded, to let every call through meanwhile.
 *
 * Runs in:  every process of a build for ./dev coverage, at its end.
 * Owns:     nothing.
 * Failures: none.
 */
#include <dlfcn.h>
#include <gcov.h>
#include <stdbool.h>
#include <stddef.h>

void __real___gcov_exit(void);
void __wrap___gcov_exit(void);
void __real___gcov_dump(void);
void __wrap___gcov_dump(void);

static void
without_faults(void (*write_counts)(void))
{
    void (*pause_faults)(bool) = (__typeof__(pause_faults))dlsym(RTLD_DEFAULT, "fail_nth_pause");

    if (pause_faults != NULL)
        pause_faults(true);
    write_counts();
    if (pause_faults != NULL)
        pause_faults(false);
}

void
__wrap___gcov_exit(void)
{
    without_faults(__real___gcov_exit);
}

void
__wrap___gcov_dump(void)
{
    without_faults(__real___gcov_dump);
}

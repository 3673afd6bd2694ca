/* SPDX-License-Identifier: MIT */
/*
 * limits.c - a worker's resource limits
 *
 * The soft and the hard limit become one: a plugin cannot raise it. Only of
 * processor time the hard one is a second later, so that SIGXCPU tells what
 * happened before SIGKILL does not.
 *
 * Runs in:  a worker, before it drops privileges and loads its plugin.
 * Owns:     nothing.
 * Failures: added to the caller's errors; the worker must not go on.
 */
#include "worker/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "common/limits.h"

static int
set_one(const struct limit *limit, rlim_t value)
{
    const __rlimit_resource_t resource = (__rlimit_resource_t)limit->resource;
    struct rlimit now, wanted = {.rlim_cur = value, .rlim_max = value};

    if (getrlimit(resource, &now) < 0)
        return -errno;
    if (limit->resource == RLIMIT_CPU && value < now.rlim_max)
        wanted.rlim_max++;
    return setrlimit(resource, &wanted) < 0 ? -errno : 0;
}

int
limits_set_nice(const struct settings *settings, struct errors *errors)
{
    if (settings->nice == NICE_UNCHANGED || setpriority(PRIO_PROCESS, 0, settings->nice) == 0)
        return 0;
    errors_add(errors, settings->file, settings->line,
               "listeners.%s.nice: cannot set it to %d: %s; raise it, or give the daemon "
               "CAP_SYS_NICE or a limit (LimitNICE= in its unit)",
               settings->name, settings->nice, strerror(errno));
    return -EINVAL;
}

int
limits_set(const struct settings *settings, struct errors *errors)
{
    int result = 0;

    for (size_t i = 0; i < limits_count; i++) {
        const struct limit *limit = &limits_table[i];
        char shown[32];
        rlim_t value;
        int r;

        if (!limit_wanted(settings, limit, &value))
            continue;
        r = set_one(limit, value);
        if (r == 0)
            continue;
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s.%s: cannot set it to %s: %s; lower it, or raise the daemon's own "
                   "limit (%s in its unit)",
                   settings->name, limit->key, limit_format(limit, value, shown), strerror(-r),
                   limit->directive);
        result = -EINVAL;
    }
    return result;
}

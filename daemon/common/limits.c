/* SPDX-License-Identifier: MIT */
/*
 * limits.c - the resource limits a listener may give its worker: the group `limits`
 *
 * Runs in:  the supervisor, while it reads a configuration; a worker, before
 *           it loads its plugin.
 * Owns:     nothing.
 * Failures: none: where the kernel does not tell, it decides later.
 */
#include "common/limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"

#define NR_OPEN_FILE "/proc/sys/fs/nr_open"

const struct limit limits_table[] = {
    {"limits.nofile", RLIMIT_NOFILE, "LimitNOFILE="},
    {"limits.nproc", RLIMIT_NPROC, "LimitNPROC="},
    {"limits.as", RLIMIT_AS, "LimitAS="},
    {"limits.cpu", RLIMIT_CPU, "LimitCPU="},
    {"limits.core", RLIMIT_CORE, "LimitCORE="},
    {"limits.stack", RLIMIT_STACK, "LimitSTACK="},
};

const size_t limits_count = ARRAY_SIZE(limits_table);

/* Returns how many descriptors any process may have at most, even if it belongs to root. */
static rlim_t
most_descriptors(void)
{
    _cleanup_close_ int fd = open(NR_OPEN_FILE, O_RDONLY | O_CLOEXEC);
    char text[32] = "";
    uint64_t number;

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return RLIM_INFINITY;
    number = strtoull(text, NULL, 10);
    return number > 0 ? number : RLIM_INFINITY;
}

static bool
may_raise_limits(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2] = {0};

    return syscall(SYS_capget, &header, now) == 0 &&
           (now[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE)) != 0;
}

bool
limit_wanted(const struct settings *settings, const struct limit *limit, rlim_t *ret)
{
    const struct setting *setting = setting_find(limit->key);
    uint64_t value;

    memcpy(&value, (const char *)settings + setting->offset, sizeof(value));
    if (value == LIMIT_UNCHANGED)
        return false;
    if (value == LIMIT_NONE && limit->resource == RLIMIT_NOFILE)
        *ret = most_descriptors();
    else
        *ret = value == LIMIT_NONE ? RLIM_INFINITY : value;
    return true;
}

rlim_t
limit_ceiling(const struct limit *limit)
{
    rlim_t most = limit->resource == RLIMIT_NOFILE ? most_descriptors() : RLIM_INFINITY;
    struct rlimit now;

    if (may_raise_limits() || getrlimit((__rlimit_resource_t)limit->resource, &now) < 0 ||
        now.rlim_max > most)
        return most;
    return now.rlim_max;
}

char *
limit_format(const struct limit *limit, rlim_t value, char *buffer)
{
    switch (value == RLIM_INFINITY ? -1 : limit->resource) {
    case -1:
        return strcpy(buffer, "unlimited");
    case RLIMIT_CPU:
        return value_format_duration((double)value, buffer);
    case RLIMIT_NOFILE:
    case RLIMIT_NPROC:
        (void)snprintf(buffer, 32, "%" PRIu64, (uint64_t)value);
        return buffer;
    default:
        return value_format_size(value, buffer);
    }
}

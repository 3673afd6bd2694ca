/* SPDX-License-Identifier: MIT */
/*
 * capabilities.c - the capabilities of Linux by their names
 *
 * Runs in:  the supervisor, while it reads a configuration; a worker.
 * Owns:     nothing.
 * Failures: a kernel that does not tell has permitted nothing.
 */
#include "common/capabilities.h"

#include <linux/capability.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/array.h"

#define PREFIX "CAP_"

/* A name's place is its number. The kernel never changes them. */
static const char *const names[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

_Static_assert(CAP_CHECKPOINT_RESTORE == ARRAY_SIZE(names) - 1, "every place is its number");

int
capability_find(const char *name)
{
    size_t skip = strncasecmp(name, PREFIX, strlen(PREFIX)) == 0 ? 0 : strlen(PREFIX);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i] + skip, name) == 0)
            return (int)i;
    return -1;
}

const char *
capability_name(int number)
{
    return number < 0 || (size_t)number >= ARRAY_SIZE(names) ? NULL : names[number];
}

capability_set
capability_set_of(char *const *list)
{
    capability_set set = 0;

    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        int number = capability_find(list[i]);
        if (number >= 0)
            set |= UINT64_C(1) << number;
    }
    return set;
}

capability_set
capabilities_permitted(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2] = {0};

    if (syscall(SYS_capget, &header, now) < 0)
        return 0;
    return now[0].permitted | (capability_set)now[1].permitted << 32;
}

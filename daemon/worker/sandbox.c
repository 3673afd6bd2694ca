/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - the floor under every plugin: what no handler of a request needs
 *
 * Two layers that an ordinary plugin does not notice. A seccomp filter refuses
 * (EPERM) the system calls that administer the machine: modules, mounts,
 * namespaces, clocks, other processes' memory. Landlock makes the system's own
 * folders read-only, which matters for workers that run as root. Both hold
 * back the plugin that was taken over, not the plugin that works.
 *
 * The filter is written out rather than built by libseccomp: it is one list,
 * and every worker's start would pay for the library.
 *
 * Runs in:  a worker, before it loads its plugin.
 * Owns:     nothing.
 * Failures: an old kernel, or one that has them switched off, means less
 *           protection, not a refusal to serve; what is active is logged.
 */
#include "worker/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/array.h"
#include "common/checked.h"
#include "common/cleanup.h"

/* ---- seccomp ------------------------------------------------------------------- */

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#endif

#ifdef MACHINE

static const int refused_calls[] = {
    /* the kernel itself */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_syslog,
    /* the machine */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_vhangup,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
#ifdef __x86_64__
    SYS_ioperm,
    SYS_iopl,
    SYS_modify_ldt,
#endif
    /* namespaces, and files behind the back of permissions */
    SYS_setns,
    SYS_unshare,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    /* keys, and other processes' memory */
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_process_vm_writev,
    SYS_process_vm_readv,
#if !SANITIZED /* the leak check traces */
    SYS_ptrace,
#endif
};

#define REFUSED ARRAY_SIZE(refused_calls)

static bool
install_filter(void)
{
    struct sock_filter code[REFUSED + 6];
    size_t size = 0;

    /* Another machine's calls (32-bit ones) have other numbers: none of them. */
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (ENOSYS & 0xffff));
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < REFUSED; i++)
        code[size++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused_calls[i], (uint8_t)(REFUSED - i), 0);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & 0xffff));

    struct sock_fprog program = {.len = (unsigned short)size, .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

#else

static bool
install_filter(void)
{
    return false; /* the numbers of this machine's calls have not been checked */
}

#endif

/* ---- Landlock -------------------------------------------------------------------- */

/* What belongs to the distribution and its administrator. */
static const char *const system_folders[] = {
    "bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr",
};

#define WRITING                                                                                    \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define REFER    LANDLOCK_ACCESS_FS_REFER /* renaming between folders */
#define TRUNCATE (UINT64_C(1) << 14)      /* since ABI 3 */

#define OF_FILES (LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)

static bool
is_system_folder(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_folders); i++)
        if (strcmp(name, system_folders[i]) == 0)
            return true;
    return false;
}

/* Everything below one entry of the root folder stays writable, as far as permissions go. */
static int
allow(int ruleset, int root, const char *name, uint64_t handled)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = handled};
    struct stat status;
    _cleanup_close_ int fd = openat(root, name, O_PATH | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        return 0; /* not for us to see, so not to write */
    if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= OF_FILES;
    rule.parent_fd = fd;
    return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int
allow_all_but_system(int ruleset, uint64_t handled)
{
    DIR *root = opendir("/");
    int result = 0;

    if (root == NULL)
        return -1;
    for (const struct dirent *entry; result == 0 && (entry = readdir(root)) != NULL;)
        if (entry->d_name[0] != '.' && !is_system_folder(entry->d_name))
            result = allow(ruleset, dirfd(root), entry->d_name, handled);
    (void)closedir(root);
    return result;
}

/* The ABI in use, or 0. */
static int
protect_system(void)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 2)
        return 0; /* the first one forbids renaming between folders: plugins would notice */
    struct landlock_ruleset_attr attributes = {
        .handled_access_fs = WRITING | REFER | (abi >= 3 ? TRUNCATE : UINT64_C(0)),
    };
    _cleanup_close_ int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (ruleset < 0 || allow_all_but_system(ruleset, attributes.handled_access_fs) < 0)
        return 0;
    return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? abi : 0;
}

void
sandbox_enter(struct sandbox *ret)
{
    ret->landlock = protect_system();
    ret->seccomp = install_filter();
}

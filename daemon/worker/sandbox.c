/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - the floor under every plugin: what no handler of a request needs
 *
 * Two layers that an ordinary plugin does not notice. A seccomp filter refuses
 * (EPERM) the system calls that administer the machine: modules, mounts,
 * namespaces, clocks, other processes' memory. Landlock makes the system's own
 * folders read-only, which matters for workers that run as root, and keeps a
 * worker from other processes of its user: it cannot trace them, send them
 * signals, or connect to their abstract sockets. Both hold back the plugin that
 * was taken over, not the plugin that works.
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
#include <sched.h>
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
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_vhangup,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_fanotify_init,
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
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    /* a way around every filter */
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
#if !SANITIZED /* the leak check traces */
    SYS_ptrace,
#endif
};

#define REFUSED ARRAY_SIZE(refused_calls)

/* clone() with one of these makes a namespace. */
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

/* On x86-64, the numbers from here on are those of another interface: x32. */
#ifdef __x86_64__
#define OTHER_NUMBERS 0x40000000u
#else
#define OTHER_NUMBERS 0xffffffffu
#endif

#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE(error) ANSWER(SECCOMP_RET_ERRNO | ((error)&0xffff))
#define IS(value, n)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n) /* else skip n */

static bool
install_filter(void)
{
    const struct sock_filter head[] = {
        /* Another machine's calls (32-bit ones) have other numbers: none of them. */
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
        REFUSE(ENOSYS),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_NUMBERS, 0, 1),
        REFUSE(ENOSYS),
        /* A filter cannot see clone3()'s flags; without it the C library takes clone(). */
        IS(SYS_clone3, 1),
        REFUSE(ENOSYS),
        IS(SYS_clone, 4),
        LOAD(args[0]), /* the lower half, on machines that begin with it */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
        REFUSE(EPERM),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    struct sock_filter code[ARRAY_SIZE(head) + REFUSED + 2];
    size_t size = ARRAY_SIZE(head);

    memcpy(code, head, sizeof(head));
    for (size_t i = 0; i < REFUSED; i++)
        code[size++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused_calls[i], (uint8_t)(REFUSED - i), 0);
    code[size++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    code[size++] = (struct sock_filter)REFUSE(EPERM);

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

/* Since ABI 6: a process reaches only those of its own domain, which are its descendants. */
#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0)
#define SCOPE_SIGNALS          (UINT64_C(1) << 1)
#define ABI_SCOPES             6

/* As newer kernels have it than the headers that this may be built with. */
struct ruleset_attributes {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

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
confine(bool datagrams)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 2)
        return 0; /* the first one forbids renaming between folders: plugins would notice */
    struct ruleset_attributes attributes = {
        .handled_access_fs = WRITING | REFER | (abi >= 3 ? TRUNCATE : UINT64_C(0)),
    };
    size_t size = offsetof(struct ruleset_attributes, handled_access_net);
    if (abi >= ABI_SCOPES) {
        size = sizeof(attributes);
        /* A client of a datagram socket has an abstract address of its own, to be answered at. */
        attributes.scoped = SCOPE_SIGNALS | (datagrams ? 0 : SCOPE_ABSTRACT_SOCKETS);
    }
    _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0 || allow_all_but_system(ruleset, attributes.handled_access_fs) < 0)
        return 0;
    return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? abi : 0;
}

void
sandbox_enter(bool datagrams, struct sandbox *ret)
{
    ret->landlock = confine(datagrams);
    ret->seccomp = install_filter();
}

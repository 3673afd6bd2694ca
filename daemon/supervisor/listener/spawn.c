/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - starting a worker process
 *
 * A worker is forked and executes a program anew: it gets a fresh address
 * layout, none of the other listeners' secrets, and only the descriptors
 * that channel.h names. The program is the one beside ours that links nothing
 * but the C library (a fork costs by the mapping, and each library is five),
 * or else ours again. It is opened once: all workers are of one version, even
 * if the files on disk are replaced.
 *
 * Runs in:  the supervisor, and for a moment its forked child.
 * Owns:     nothing beyond a call.
 * Failures: returned; after the fork reported through the channel.
 */
#include "supervisor/listener/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/array.h"
#include "common/brief.h"
#include "common/channel.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/close_from.h"
#include "common/datagram_ports.h"
#include "common/descriptors.h"
#include "common/leave.h"
#include "common/tls_module.h"
#include "supervisor/listener/helpers.h"
#include "supervisor/listener/plugin_file.h"
#include "supervisor/listener/source_table.h"

extern char **environ;

#define EXIT_NOT_EXECUTED 127

/* The path is relative to the folder of this program; it is the same in a build folder and where
 * the daemon is installed. */
#define WORKER_PROGRAM "/../lib/sockserverd/worker"

/* Descriptors are moved above the places before they take them, so that none is overwritten. They
 * go no higher, because the limit may be as low as 64. */
#define HIGH_FD (INHERITED_END + 1)

/* Where the descriptors for a worker wait until then. */
#define PLACE(name) (INHERITED_##name - INHERITED_BRIEF)

/* A trailing '*' means any name that begins so. All other variables stay with the supervisor. */
static const char *const inherited_variables[] = {
    "PATH",
    "TZ",
    "TMPDIR",
    "LANG",
    "LC_*",
    "ASAN_OPTIONS",
    "LSAN_OPTIONS",
    "UBSAN_OPTIONS",
    "TSAN_OPTIONS",
    "GCOV_*",
    "LLVM_PROFILE_FILE",
};

/* Those that are the user's; they are inherited if the worker's user is the daemon's. */
static const char *const account_variables[] = {"HOME", "USER", "LOGNAME", "SHELL"};

static bool
is_listed(const char *variable, const char *const *names, size_t count)
{
    size_t size = strcspn(variable, "=");

    for (size_t i = 0; i < count; i++) {
        const char *name = names[i];
        size_t name_size = strlen(name);
        bool prefix = name[name_size - 1] == '*';
        if (prefix ? strncmp(variable, name, name_size - 1) == 0
                   : size == name_size && strncmp(variable, name, size) == 0)
            return true;
    }
    return false;
}

static bool
is_inherited(const char *variable, const struct settings *settings)
{
    return is_listed(variable, inherited_variables, ARRAY_SIZE(inherited_variables)) ||
           (settings->login == NULL &&
            is_listed(variable, account_variables, ARRAY_SIZE(account_variables)));
}

/* The values of account_variables for the listener's user, in the same order. */
struct account_texts {
    char *texts[ARRAY_SIZE(account_variables)];
    char
        worker[sizeof(HELPERS_VARIABLE) + 16]; /* is written in the child, which knows its number */
};

static void
free_account_texts(struct account_texts *account)
{
    for (size_t i = 0; i < ARRAY_SIZE(account->texts); i++)
        free(account->texts[i]);
}

static int
make_account_texts(const struct settings *settings, struct account_texts *account)
{
    const char *const values[] = {settings->home, settings->login, settings->login,
                                  settings->shell};

    for (size_t i = 0; settings->login != NULL && i < ARRAY_SIZE(values); i++)
        if (asprintf(&account->texts[i], "%s=%s", account_variables[i], values[i]) < 0) {
            account->texts[i] = NULL;
            return -ENOMEM;
        }
    return 0;
}

/* Returns an array to free, or NULL. Its strings belong to the supervisor's environment and to
 * account. */
static char **
make_environment(const struct settings *settings, struct account_texts *account)
{
    size_t count = ARRAY_SIZE(account->texts) + 1;

    for (char **variable = environ; *variable != NULL; variable++)
        count += is_inherited(*variable, settings);
    char **made = calloc(count + 1, sizeof(*made));
    if (made == NULL)
        return NULL;
    count = 0;
    for (char **variable = environ; *variable != NULL; variable++)
        if (is_inherited(*variable, settings))
            made[count++] = *variable;
    for (size_t i = 0; i < ARRAY_SIZE(account->texts); i++)
        if (account->texts[i] != NULL)
            made[count++] = account->texts[i];
    made[count] = account->worker;
    return made;
}

const char *
spawn_reason(int error, char *buffer)
{
    const char *remedy = "";
    struct rlimit files = {0};

    if (error == -EMFILE && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        (void)snprintf(buffer, SPAWN_REASON_SIZE,
                       "Too many open files; only %lu are allowed: raise LimitNOFILE= of the unit, "
                       "or ulimit -n",
                       (unsigned long)files.rlim_cur);
        return buffer;
    }
    if (error == -EAGAIN)
        remedy = "; too many processes? see TasksMax= of the unit, and ulimit -u";
    else if (error == -ENOSYS)
        remedy = "; the kernel or a container's filter lacks memfd_create(2) of Linux 3.17, which "
                 "the daemon needs";
    else if (error == -EFBIG)
        remedy = "; the daemon's limit of file sizes is too low: see LimitFSIZE= of its unit, and "
                 "ulimit -f";
    else if (error == -ENOENT && access("/proc/self/exe", F_OK) < 0)
        remedy = "; there is no /proc, which the daemon needs: mount -t proc proc /proc";
    (void)snprintf(buffer, SPAWN_REASON_SIZE, "%s%s", strerror(-error), remedy);
    return buffer;
}

/* ---- in the child, between fork and exec --------------------------------- */

static void
default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        (void)sigaction(signal_number, &action, NULL); /* refused for KILL, STOP, libc's own */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Lets the kernel kill this worker before the supervisor when memory runs out, if possible. */
static void
volunteer_for_oom(void)
{
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "300", 3) < 0)
        return; /* there is no /proc, for example: nothing is lost */
}

/* Puts fds[i] at INHERITED_BRIEF + i (-1: nothing is there), puts the program behind them, and
 * closes all others. Returns 0 or a negative errno. */
static int
place_fds(int *fds, int log, int program)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        return -errno;
    if ((program = fcntl(program, F_DUPFD_CLOEXEC, HIGH_FD)) < 0)
        return -errno;
    for (int i = 0; i < INHERITED_END - INHERITED_BRIEF; i++)
        if (fds[i] >= 0 && (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, HIGH_FD)) < 0)
            return -errno;
    for (int i = 0; i < INHERITED_END - INHERITED_BRIEF; i++) {
        int place = INHERITED_BRIEF + i;
        if (fds[i] < 0)
            (void)close(place);
        else if (dup2(fds[i], place) < 0)
            return -errno;
    }
    if (dup3(program, INHERITED_END, O_CLOEXEC) < 0)
        return -errno;
    close_from(INHERITED_END + 1);
    return 0;
}

/* Returns only on failure: a negative errno. Filters of old containers forbid execveat(2). */
static int
execute(int program, char *const *arguments, char *const *environment)
{
    char path[64];

    leave_counts();
    (void)execveat(program, "", arguments, environment, AT_EMPTY_PATH);
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
    (void)execve(path, arguments, environment);
    return -errno;
}

static _Noreturn void
become_worker(const struct settings *settings, int program, int *fds, int log,
              char *const *arguments, char *const *environment)
{
    int channel = fds[PLACE(CHANNEL)];
    char text[256], reason[SPAWN_REASON_SIZE];

    default_signals();
    (void)setsid(); /* a terminal's ^C is for the supervisor alone */
    volunteer_for_oom();
    if (settings->uid == (uid_t)-1 && settings->gid == (gid_t)-1 && settings->capabilities == NULL)
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* not for workers */
    int r = place_fds(fds, log, program);
    descriptors_restore_limit();
    if (r == 0) {
        channel = INHERITED_CHANNEL;
        r = execute(INHERITED_END, arguments, environment);
    }
    (void)snprintf(text, sizeof(text), "cannot execute the worker's program: %s",
                   spawn_reason(r, reason));
    (void)channel_send_patiently(channel, MESSAGE_MISTAKE, 0, text);
    (void)channel_send_patiently(channel, MESSAGE_FAILED, FAILURE_RUNTIME, NULL);
    leave(EXIT_NOT_EXECUTED);
}

/* ---- in the supervisor ----------------------------------------------------- */

static int program_fd = -1;

int
spawn_use_program(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (program_fd >= 0)
        (void)close(program_fd);
    program_fd = fd;
    return 0;
}

/* Returns the descriptor of every worker's program, or a negative errno. */
static int
worker_program(void)
{
    char path[PATH_MAX + sizeof(WORKER_PROGRAM)];

    if (program_fd >= 0)
        return program_fd;
    (void)tls_module_fd(); /* of the same version, if there is one */
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX);
    if (size < 0)
        return -errno;
    path[size] = '\0';
    (void)strcpy(strrchr(path, '/'), WORKER_PROGRAM);
    int r = spawn_use_program(path);
    if (r == -ENOENT || r == -ENOTDIR) /* a mere lack of descriptors must not decide it for good */
        r = spawn_use_program("/proc/self/exe");
    return r < 0 ? r : program_fd;
}

static int
fork_worker(const struct settings *settings, int *fds, int log)
{
    const char *arguments[] = {"sockserverd", "--worker", settings->name, NULL};
    struct account_texts account = {0};
    int program = worker_program();
    int r = program < 0 ? program : make_account_texts(settings, &account);
    _cleanup_free_ char **environment = r < 0 ? NULL : make_environment(settings, &account);

    if (r == 0 && environment == NULL)
        r = -ENOMEM;
    if (r == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)sprintf(account.worker, HELPERS_VARIABLE "=%d", (int)getpid());
            become_worker(settings, program, fds, log, (char *const *)arguments, environment);
        }
        r = pid < 0 ? -errno : pid;
    }
    if (r > 0)
        child_note(r);
    free_account_texts(&account);
    return r;
}

/* The worker's standard error must be no file of the daemon's: whoever holds a descriptor of one
 * can empty and rewrite it. */
static int
create_log_pipe(int *ret_ours, int *ret_workers)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_ours = ends[0];
    *ret_workers = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0; /* of our end alone */
}

static int
create_channel(int *ret_ours, int *ret_workers)
{
    int ends[2];
    int r = channel_create(ends);

    if (r < 0)
        return r;
    *ret_ours = ends[0];
    *ret_workers = ends[1];
    return 0;
}

/* What of ours the worker gets, too; the rest of fds is left alone. */
static int
lend(const struct settings *settings, const struct spawn_socket *socket, int *fds)
{
    const struct tls_bundle *tls = settings->tls_files;

    fds[PLACE(SOCKET)] = socket->fd;
    fds[PLACE(PORTS)] = datagram_ports_for(socket->fd);
    fds[PLACE(ACCESS)] = access_list_fd(settings->access);
    fds[PLACE(TLS)] = tls == NULL ? -1 : tls->fd;
    fds[PLACE(TICKETS)] = ticket_keys_fd(socket->tickets);
    fds[PLACE(TLS_MODULE)] = tls == NULL ? -1 : tls_module_fd();
    fds[PLACE(SOURCES)] = source_table_fd(socket->sources);
    if (settings->access != NULL && fds[PLACE(ACCESS)] < 0)
        return fds[PLACE(ACCESS)];
    if (tls != NULL && fds[PLACE(TLS_MODULE)] < 0)
        return fds[PLACE(TLS_MODULE)];
    return 0;
}

int
spawn_worker(const struct settings *settings, const struct spawn_options *options,
             const struct spawn_socket *socket, struct spawned *ret)
{
    const struct brief brief = {
        .check = options->check,
        .once = options->once,
        .access = options->access,
        .fields = options->fields,
        .sink = options->sink,
        .level = log_level(),
        .address = (char *)socket->address,
    };
    _cleanup_close_ int brief_fd = brief_to_fd(&brief, settings), counters_fd = -1;
    _cleanup_close_ int channel = -1, channel_end = -1, log = -1, log_end = -1;
    _cleanup_close_ int wishes = -1, wishes_end = -1, plugin = -1;
    int fds[INHERITED_END - INHERITED_BRIEF];
    struct counters *counters = NULL;
    uint32_t slots = mixin_slots(settings);
    int r = brief_fd < 0 ? brief_fd : create_channel(&channel, &channel_end);

    if (r == 0)
        r = create_log_pipe(&log, &log_end);
    if (r == 0 && !options->check)
        r = create_channel(&wishes, &wishes_end);
    if (r == 0)
        r = lend(settings, socket, fds);
    if (r == 0)
        r = counters_create(slots, &counters, &counters_fd);
    if (r < 0)
        return r;
    if (socket->sources != NULL && socket->claim != NO_CLAIM)
        counters->claims = socket->claim + 1;
    plugin = plugin_for_worker(settings);
    fds[PLACE(BRIEF)] = brief_fd;
    fds[PLACE(CHANNEL)] = channel_end;
    fds[PLACE(COUNTERS)] = counters_fd;
    fds[PLACE(PLUGIN)] = plugin;
    fds[PLACE(WISHES)] = wishes_end;
    r = fork_worker(settings, fds, log_end);
    if (r < 0) {
        counters_detach(counters, slots);
        return r;
    }
    *ret = (struct spawned){.pid = r,
                            .channel = take_fd(channel),
                            .counters_fd = take_fd(counters_fd),
                            .wishes = take_fd(wishes),
                            .log = take_fd(log),
                            .counters = counters,
                            .slots = slots};
    return 0;
}

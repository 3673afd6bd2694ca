/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the worker process: one listener's plugin, and nothing else
 *
 * The supervisor executes it with the listening socket, the listener's
 * settings, a channel and a page of counters. It drops privileges, loads the
 * plugin, activates it, says READY, waits for SERVE, lets the mixin serve, and
 * ends when drained. In a check it stops after loading.
 *
 * Runs in:  a worker.
 * Owns:     everything it inherited.
 * Failures: told to the supervisor, one by one; then the worker ends.
 */
#include "worker/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/brief.h"
#include "common/channel.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/probes.h"
#include "common/stray_signals.h"
#include "worker/housekeeping.h"
#include "worker/limits.h"
#include "worker/mixin/faults.h"
#include "worker/mixin/mixins.h"
#include "worker/plugin/place.h"
#include "worker/privileges.h"
#include "worker/request/request.h"
#include "worker/request/wait.h"
#include "worker/sandbox.h"
#include "worker/transport/tls.h"
#include "worker/transport/transports.h"

#define DESCRIPTOR_RESERVE 64 /* for the plugin's own files, and ours */

int
worker_load(struct ss_server *server, struct errors *errors)
{
    const struct settings *settings = &server->settings;
    int r;

    server->transport = transport_find(settings, server->socket);
    server->mixin = mixin_find(settings->mixin);
    if (server->mixin != NULL && settings_want_tls(settings) && (r = tls_load(server, errors)) < 0)
        return r == -EINVAL ? -EINVAL : -ENOEXEC;
    int plugin = fcntl(INHERITED_PLUGIN, F_GETFD) < 0 ? -1 : INHERITED_PLUGIN;
    r = plugin_load_from(settings->plugin_file, plugin, &server->plugin, errors);
    if (plugin >= 0)
        (void)close(plugin);
    if (r < 0)
        return -ENOEXEC;
    bool stream = server->transport != NULL ? server->transport->stream
                                            : (server->plugin.record.transports & SS_STREAM) != 0;
    plugin_check_use(&server->plugin, settings, stream, errors);
    if (options_resolve(&server->plugin, settings, &server->options, errors) < 0)
        errors_add(errors, NULL, 0, "listeners.%s: out of memory", settings->name);
    if (server->mixin == NULL)
        errors_add(errors, settings->file, settings->line,
                   "listeners.%s.mixin: this build has no \"%s\"; use \"threading\"",
                   settings->name, mixin_names[settings->mixin]);
    return errors_any(errors) ? -EINVAL : 0;
}

/* Tells the supervisor why, and what kind of fault it is. */
static int
fail(struct ss_server *server, enum failure kind, struct errors *errors)
{
    if (channel_send_failure(server->channel, kind, errors) < 0)
        for (size_t i = 0; i < errors->count; i++)
            log_error("cannot start: %s", errors->texts[i]);
    errors_done(errors);
    return 1;
}

static int
thread_count(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    if (tasks == NULL)
        return 1; /* without /proc there is no telling */
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(tasks);
    return count;
}

/*
 * Contexts in one process need a descriptor each; the soft limit is often low
 * for the sake of select(), the hard one is what the operator allows.
 */
static void
raise_descriptor_limit(const struct ss_server *server)
{
    rlim_t wanted = (rlim_t)server->settings.max_connections + DESCRIPTOR_RESERVE;
    struct rlimit limit;

    if (server->mixin->processes || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (limit.rlim_cur < wanted)
        log_warning("max_connections = %u needs %lu descriptors, but only %lu are allowed; raise "
                    "%s or lower max_connections",
                    server->settings.max_connections, wanted, limit.rlim_cur,
                    server->settings.limits.nofile == LIMIT_UNCHANGED ? "LimitNOFILE="
                                                                      : "limits.nofile");
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Gets everything ready except the plugin: inherited descriptors, and signals. */
static int
prepare(struct ss_server *server, struct housekeeping *housekeeping, struct errors *errors)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof(family);
    const char *step = "attach the counters";
    int error = counters_attach(INHERITED_COUNTERS, &server->counters);

    if (error == 0) {
        server->slot_count = server->counters->slot_count;
        log_count_losses(&server->counters->log_lost);
        (void)close(INHERITED_COUNTERS);
        step = "look at the listening socket";
        if (getsockopt(server->socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0)
            error = -errno;
        server->ipv6 = family == AF_INET6;
    }
    if (error == 0) {
        step = "make an eventfd";
        server->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        error = server->wakeup < 0 ? -errno : 0;
    }
    if (error == 0) {
        step = "follow signals";
        interrupts_install(server);
        error = housekeeping_init(housekeeping, server);
    }
    if (error < 0)
        errors_add(errors, NULL, 0, "cannot %s: %s", step, strerror(-error));
    return error;
}

/* From here on a crash is told with its place. The plugin's constructors may have handlers of their
 * own for such signals: those stay in force afterwards, as the previous ones. */
static void
note_places(const struct ss_server *server)
{
    places_note((const void *)(uintptr_t)server->plugin.hooks.handle, server->plugin.file);
    faults_install(server);
}

/* Python's server_activate. A plugin must not have started a thread in it where children are
 * forked. */
static int
activate(struct ss_server *server, struct errors *errors)
{
    const struct plugin_hooks *hooks = &server->plugin.hooks;
    int error = hooks->server_activate != NULL ? hooks->server_activate(server) : 0;

    if (error < 0) {
        errors_add(errors, NULL, 0, "plugin %s: server_activate failed: %s",
                   server->plugin.record.name, strerror(-error));
        return error;
    }
    if (server->mixin->processes && thread_count() > 1) {
        errors_add(errors, server->settings.file, server->settings.line,
                   "listeners.%s.mixin: plugin %s has started a thread, which \"forking\" forbids: "
                   "a child would have only a copy of its locks; use \"threading\" or \"none\"",
                   server->settings.name, server->plugin.record.name);
        return -EINVAL;
    }
    return 0;
}

static void
log_confinement(const struct settings *settings, const struct sandbox *sandbox)
{
    const char *rights = settings->no_new_privileges ? "no_new_privs" : "no_new_privileges = false";
    char landlock[32] = "no Landlock";

    if (sandbox->landlock > 0)
        (void)snprintf(landlock, sizeof(landlock), "Landlock ABI %d", sandbox->landlock);
    if (settings->sandbox == SANDBOX_NONE)
        log_notice("worker %d runs as uid %u, gid %u; %s, sandbox = \"none\"", (int)getpid(),
                   getuid(), getgid(), rights);
    else
        log_info("worker %d runs as uid %u, gid %u; %s, %s, %s", (int)getpid(), getuid(), getgid(),
                 rights, sandbox->seccomp ? "seccomp" : "no seccomp", landlock);
}

/* Unheard, it would be waited for until it is killed. */
static int
say_ready(const struct ss_server *server)
{
    int error = channel_send_patiently(server->channel, MESSAGE_READY, 0,
                                       plugin_base_name(&server->plugin));

    if (error < 0)
        log_error("cannot tell the supervisor that the worker is ready: %s", strerror(-error));
    PROBE(worker__ready, server->settings.name, error);
    return error;
}

static int
serve(struct ss_server *server, struct housekeeping *housekeeping)
{
    int error = say_ready(server);

    if (error < 0)
        return 1;
    server->calls_block = server->mixin->blocking && server->transport->stream;
    /* Only now: an older generation may have used the socket in its own way until SERVE. */
    if (housekeeping_wait_serve(housekeeping) && (error = server->transport->prepare(server)) == 0)
        error = server->mixin->run(server, housekeeping);
    if (server->plugin.hooks.server_close != NULL)
        server->plugin.hooks.server_close(server);
    if (error < 0)
        log_error("cannot serve: %s", strerror(-error));
    return error < 0 ? 1 : 0;
}

/* Whether clients are Unix datagram sockets; a trial has no socket, and needs no answer. */
static bool
serves_unix_datagrams(const struct ss_server *server)
{
    int family = AF_UNSPEC, type = 0;
    socklen_t size = sizeof(family), type_size = sizeof(type);

    return getsockopt(server->socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 &&
           getsockopt(server->socket, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 &&
           family == AF_UNIX && type == SOCK_DGRAM;
}

static void
enter_sandbox(const struct ss_server *server, struct sandbox *ret)
{
    *ret = (struct sandbox){0};
    if (server->settings.sandbox != SANDBOX_NONE)
        sandbox_enter(serves_unix_datagrams(server), ret);
}

/*
 * A process that has changed its user leaves no core, lest a core tell that
 * user what it knew before. This one was executed anew and knows nothing of
 * anybody else's. But other processes of the same user may then trace it, so
 * only if Landlock keeps other workers from that, and not where there are keys.
 */
static void
allow_core(const struct settings *settings, const struct sandbox *sandbox)
{
    if (sandbox->landlock > 0 && !settings_want_tls(settings))
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* What the plugin itself says of its options. */
static int
judge_options(struct ss_server *server, struct errors *errors)
{
    const struct plugin_hooks *hooks = &server->plugin.hooks;

    if (hooks->check_options == NULL)
        return 0;
    server->complaints = errors;
    int error = hooks->check_options(server);
    server->complaints = NULL;
    if (error < 0 && !errors_any(errors))
        errors_add(errors, server->settings.file, server->settings.line, "listeners.%s.options: %s",
                   server->settings.name, strerror(-error));
    return errors_any(errors) ? -EINVAL : 0;
}

static enum failure
kind_of_failure(int error)
{
    return error == -EINVAL ? FAILURE_CONFIGURATION : FAILURE_RUNTIME;
}

static int
run(struct ss_server *server, const struct brief *brief, const struct gate *const *gates)
{
    struct errors errors = {0};
    static struct housekeeping housekeeping; /* its thread may outlive us */
    struct sandbox sandbox;

    if (limits_set(&server->settings, &errors) < 0 || /* raising one takes privileges */
        limits_set_nice(&server->settings, &errors) < 0)
        return fail(server, FAILURE_CONFIGURATION, &errors);
    if (privileges_drop(&server->settings, &errors) < 0)
        return fail(server, FAILURE_RUNTIME, &errors);
    enter_sandbox(server, &sandbox);
    allow_core(&server->settings, &sandbox);
    int error = worker_load(server, &errors);
    if (error < 0)
        return fail(server, kind_of_failure(error), &errors);
    if (brief->check && (error = judge_options(server, &errors)) < 0)
        return fail(server, kind_of_failure(error), &errors);
    if (brief->check)
        return say_ready(server) < 0 ? 1 : 0;
    if (prepare(server, &housekeeping, &errors) < 0)
        return fail(server, FAILURE_RUNTIME, &errors);
    error = gates_prepare(server, gates, &errors);
    if (error < 0)
        return fail(server, kind_of_failure(error), &errors);
    raise_descriptor_limit(server);
    note_places(server);
    error = activate(server, &errors);
    if (error < 0)
        return fail(server, FAILURE_RUNTIME, &errors);
    if (server->hands_over)
        handover_use(server);
    log_confinement(&server->settings, &sandbox);
    return serve(server, &housekeeping);
}

int
worker_main(int argc, char **argv, const struct gate *const *gates)
{
    static struct ss_server server = {
        .socket = INHERITED_SOCKET,
        .channel = INHERITED_CHANNEL,
        .wishes = -1,
        .wakeup = -1,
    };
    static struct brief brief; /* the server keeps its address */

    (void)argv; /* the name in it is for those who read the list of processes */
    if (argc != 3 || fcntl(INHERITED_CHANNEL, F_GETFD) < 0) {
        (void)fprintf(stderr, "sockserverd: --worker is for the daemon's own use\n");
        return 64;
    }
    for (int fd = INHERITED_BRIEF; fd < INHERITED_END; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* what the plugin executes inherits none of it */
    (void)prctl(PR_SET_NAME, "sockserverd");  /* or it would be called by a descriptor's number */
    stray_signals_survive_large_file();
    int error = brief_from_fd(INHERITED_BRIEF, &brief, &server.settings);
    (void)close(INHERITED_BRIEF); /* the plugin has no use for it */
    if (error < 0) {
        log_error("cannot read the brief: %s", strerror(-error));
        return 1;
    }
    if (!brief.check)
        server.wishes = INHERITED_WISHES;
    log_use_records(brief.fields);
    (void)log_open(brief.sink, NULL);
    log_set_level(brief.level);
    log_set_listener(server.settings.name);
    server.once = brief.once;
    server.access = brief.access;
    server.address = brief.address;
    server_end_process(run(&server, &brief, gates));
}

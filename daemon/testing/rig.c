/* SPDX-License-Identifier: MIT */
/*
 * rig.c - a plugin under test: loaded, configured, started and ended
 *
 * What a worker does before it serves and after that, with the same judges: the table of
 * settings, the plugin's record, its table of options, check_options.
 *
 * Runs in:  the test's thread.
 * Owns:     the server, its counters and its socket.
 * Failures: gathered in rig->errors, as sockserverd --check prints them.
 */
#include "testing/rig.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "testing/log_capture.h"
#include "testing/script.h"
#include "worker/request/wait.h"
#include "worker/transport/transports.h"

#define DESCRIPTORS 4096
#define LOOKS       50
#define LOOK_TIME   10000 /* us */

/* ---- descriptors ------------------------------------------------------------------ */

static unsigned char ours[DESCRIPTORS];

void
descriptor_is_ours(int fd)
{
    if (fd < DESCRIPTORS)
        ours[fd] = 1;
}

bool
descriptor_was_ours(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && ours[fd];
}

static void
mark_descriptors(unsigned char *open)
{
    DIR *folder = opendir("/proc/self/fd");

    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(folder) && fd < DESCRIPTORS)
            open[fd] = 1;
    }
    (void)closedir(folder);
}

char *
descriptor_was_left(int fd)
{
    char path[64], target[256], *text;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    target[size > 0 ? size : 0] = '\0';
    return asprintf(&text, "descriptor %d, which is %s, was left open", fd, target) < 0 ? NULL
                                                                                        : text;
}

/* The first one that is open now and was not then, in words; NULL: none. */
static char *
find_left(const unsigned char *before)
{
    unsigned char open[DESCRIPTORS] = {0};
    char *text = NULL;

    mark_descriptors(open);
    for (int fd = 0; fd < DESCRIPTORS && text == NULL; fd++)
        if (open[fd] && !before[fd] && !ours[fd])
            text = descriptor_was_left(fd);
    return text;
}

void
descriptors_note(unsigned char **before)
{
    *before = calloc(DESCRIPTORS, 1);
    if (*before != NULL)
        mark_descriptors(*before);
}

char *
descriptors_left(const unsigned char *before)
{
    return before != NULL ? find_left(before) : NULL;
}

/* ---- beginning -------------------------------------------------------------------- */

static char *
listener_name(const char *plugin, const struct ss_test_hooks *linked)
{
    if (linked != NULL)
        return strdup(linked->record->name != NULL ? linked->record->name : "test");
    const char *slash = strrchr(plugin, '/');
    const char *name = slash != NULL ? slash + 1 : plugin;
    return strndup(name, strcspn(name, "."));
}

struct rig *
rig_new(const char *plugin, const struct ss_test_hooks *linked)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    char *name = listener_name(plugin, linked);

    if (rig == NULL || name == NULL || log_capture_open() < 0 ||
        settings_init(&rig->server.settings, name) < 0)
        abort();
    free(name);
    rig->server.socket = rig->server.channel = rig->server.wishes = rig->server.wakeup = -1;
    if (linked != NULL)
        rig->linked = *linked;
    rig->server.settings.plugin = strdup(plugin);
    rig->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rig->server.settings.plugin == NULL || rig->bell < 0)
        abort();
    return rig;
}

static int
load(struct rig *rig)
{
    const struct ss_test_hooks *linked = &rig->linked;
    const struct plugin_hooks hooks = {
        .verify_request = linked->verify_request,
        .setup = linked->setup,
        .handle = linked->handle,
        .finish = linked->finish,
        .handle_error = linked->handle_error,
        .check_options = linked->check_options,
        .server_activate = linked->server_activate,
        .server_close = linked->server_close,
        .service_actions = linked->service_actions,
        .handle_timeout = linked->handle_timeout,
    };
    struct plugin *plugin = &rig->server.plugin;

    if (linked->record == NULL)
        return plugin_load(rig->server.settings.plugin, plugin, &rig->errors);
    return plugin_adopt(rig->server.settings.plugin, linked->record, &hooks, plugin, &rig->errors);
}

/* Gives a key that the test has not given the value that it has in tests. */
static void
give(struct rig *rig, const char *key, const char *value)
{
    const struct given given = {.text = value, .file = rig->file, .line = (unsigned)rig->line};

    if (!settings_have(&rig->server.settings, key))
        settings_set(&rig->server.settings, key, &given, &rig->errors);
}

static void
configure(struct rig *rig)
{
    struct settings *settings = &rig->server.settings;
    bool stream = (rig->server.plugin.record.transports & SS_STREAM) != 0;
    char *plugin = settings->plugin;

    settings->plugin = NULL;
    give(rig, "plugin", plugin);
    free(plugin);
    give(rig, "address", stream ? "unix:@test" : "unixgram:@test");
    give(rig, "mixin", "none");
    settings_finish(settings, "", &rig->errors);
    rig->stream = address_is_stream(&settings->address);
    plugin_check_use(&rig->server.plugin, settings, rig->stream, &rig->errors);
    if (options_resolve(&rig->server.plugin, settings, &rig->server.options, &rig->errors) < 0)
        rig->errors.exhausted = true;
}

/* Nobody connects to it where requests are connections; but a plugin may ask for its name. */
static int
open_socket(struct rig *rig)
{
    const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, (rig->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    rig->server.socket = fd;
    if (bind(fd, (const struct sockaddr *)&unnamed, sizeof(sa_family_t)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) < 0)
        return -errno;
    return rig->stream && listen(fd, 1) < 0 ? -errno : 0;
}

static int
furnish(struct rig *rig)
{
    struct ss_server *server = &rig->server;
    int memory;

    server->mixin = &script_mixins[server->settings.mixin];
    server->transport = rig->stream ? &script_stream : &datagram_transport;
    server->address = strdup(server->settings.address.text);
    server->access = true;
    int error = counters_create(STAGES, &server->counters, &memory);
    if (error < 0)
        return error;
    (void)close(memory);
    server->slot_count = STAGES;
    return open_socket(rig);
}

/* As in a worker that tries a configuration. */
static void
judge_options(struct rig *rig)
{
    struct ss_server *server = &rig->server;

    if (server->plugin.hooks.check_options == NULL)
        return;
    server->complaints = &rig->errors;
    int error = server->plugin.hooks.check_options(server);
    server->complaints = NULL;
    server->data = NULL; /* what it has set there was another process's */
    if (error < 0 && !errors_any(&rig->errors))
        errors_add(&rig->errors, server->settings.file, server->settings.line,
                   "listeners.%s.options: %s", server->settings.name, strerror(-error));
}

static int
count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    if (tasks == NULL)
        return 0;
    while (readdir(tasks) != NULL)
        count++;
    (void)closedir(tasks);
    return count;
}

static int
activate(struct rig *rig)
{
    struct ss_server *server = &rig->server;
    const struct plugin_hooks *hooks = &server->plugin.hooks;
    int threads = count_threads();
    int error = hooks->server_activate != NULL ? hooks->server_activate(server) : 0;

    if (error < 0)
        errors_add(&rig->errors, NULL, 0, "plugin %s: server_activate failed: %s",
                   server->plugin.record.name, strerror(-error));
    else if (server->mixin->processes && count_threads() > threads)
        errors_add(&rig->errors, server->settings.file, server->settings.line,
                   "listeners.%s.mixin: plugin %s has started a thread, which \"forking\" forbids: "
                   "a child would have only a copy of its locks; use \"threading\" or \"none\"",
                   server->settings.name, server->plugin.record.name);
    return errors_any(&rig->errors) ? -EINVAL : 0;
}

static void
start_times(struct rig *rig)
{
    const struct ss_server *server = &rig->server;

    rig->next_service = FOREVER;
    if (server->plugin.hooks.service_actions != NULL)
        rig->next_service = monotonic_after(server->settings.service_interval);
    rig->last_activity = monotonic_now();
}

int
rig_load(struct rig *rig)
{
    if (rig->loaded)
        return 0;
    log_set_level(LOG_DEBUG);
    log_set_listener(rig->server.settings.name);
    interrupts_install(NULL);
    descriptors_note(&rig->before);
    rig->loaded = true;
    return load(rig);
}

int
rig_start(struct rig *rig)
{
    if (rig_load(rig) < 0)
        return -EINVAL;
    configure(rig);
    if (errors_any(&rig->errors))
        return -EINVAL;
    int error = furnish(rig);
    if (error < 0) {
        errors_add(&rig->errors, NULL, 0, "cannot make a listener: %s", strerror(-error));
        return error;
    }
    judge_options(rig);
    if (errors_any(&rig->errors) || activate(rig) < 0)
        return -EINVAL;
    rig->hooks = rig->server.plugin.hooks;
    hooks_wrap(rig);
    counter_set(rig->server.counters->phase, PHASE_SERVING);
    start_times(rig);
    rig->started = true;
    return 0;
}

/* ---- the end ---------------------------------------------------------------------- */

/* The address sanitizer's, if the program has it: more than 0 if memory was left. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void
release(struct rig *rig)
{
    struct ss_server *server = &rig->server;

    options_free(server->options, server->plugin.option_count);
    server->options = NULL;
    plugin_done(&server->plugin);
    if (server->counters != NULL)
        counters_detach(server->counters, STAGES);
    server->counters = NULL;
    free(server->address);
    server->address = NULL;
    if (server->shared != NULL)
        (void)munmap(server->shared, server->shared_size);
    server->shared = NULL;
    if (server->socket >= 0)
        (void)close(server->socket);
    server->socket = -1;
    settings_done(&server->settings);
    errors_done(&rig->errors);
}

/* A thread of the plugin's own may be about to close what it has. */
static char *
left_for_good(const unsigned char *before)
{
    char *left = descriptors_left(before);

    for (int i = 0; left != NULL && i < LOOKS; i++) {
        (void)usleep(LOOK_TIME);
        free(left);
        left = descriptors_left(before);
    }
    return left;
}

char *
rig_stop(struct rig *rig)
{
    bool started = rig->started;

    if (started && rig->hooks.server_close != NULL)
        rig->hooks.server_close(&rig->server);
    rig->started = false;
    release(rig);
    char *left = started && !rig->keeps ? left_for_good(rig->before) : NULL;
    if (started && left == NULL && __lsan_do_recoverable_leak_check != NULL &&
        __lsan_do_recoverable_leak_check() != 0)
        left = strdup("memory was left, as is told above");
    return left;
}

void
rig_free(struct rig *rig)
{
    (void)close(rig->bell);
    free(rig->mistakes);
    free(rig->before);
    free(rig->problem);
    free(rig->log);
    free(rig);
}

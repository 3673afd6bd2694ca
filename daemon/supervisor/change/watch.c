/* SPDX-License-Identifier: MIT */
/*
 * watch.c - reload = "auto": a reload follows when a file of the configuration has changed
 *
 * The kernel tells what happens in folders (inotify(7)), as files are replaced more often than they
 * are written. Watched is each folder in which a name can change what a path leads to: the one
 * that holds the file, and each that holds a symbolic link on the way. So a folder is noticed, too,
 * that a link is turned to, as Kubernetes does with its volumes.
 *
 * What the kernel tells is only a reason to look: when nothing has happened for a moment, the
 * files' stamps are compared with those that the reader of the configuration took. Whatever was
 * written half meanwhile is read once more.
 *
 * Runs in:  the supervisor.
 * Owns:     the list of files, the watches and the timer.
 * Failures: logged; what cannot be watched is found by the next reload that is asked for.
 */
#include "supervisor/change/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#define QUIET_USEC   UINT64_C(500000)  /* nothing happens for so long before files are looked at */
#define LONGEST_USEC UINT64_C(5000000) /* unless something has happened all this time */
#define LINKS_MOST   40u               /* on the way to one file, as the kernel has it */

#define EVENTS                                                                                     \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF |       \
     IN_MOVE_SELF | IN_ONLYDIR)

struct watched_folder {
    char *path;
    sd_event_source *source;
};

struct watch {
    struct change *change;
    bool wanted;
    bool complained; /* a folder could not be watched, and that was said */
    char *file;      /* the configuration's; NULL: it was read from no file */
    struct read_files files;
    struct watched_folder *folders;
    size_t folder_count;
    sd_event_source *timer;
    uint64_t since; /* something happens, monotonic_usec(); 0: nothing does */
};

/* ---- which folders -------------------------------------------------------------------------- */

static void
forget_folders(struct watch *watch)
{
    for (size_t i = 0; i < watch->folder_count; i++) {
        (void)sd_event_source_disable_unref(watch->folders[i].source);
        free(watch->folders[i].path);
    }
    free(watch->folders);
    watch->folders = NULL;
    watch->folder_count = 0;
}

/* Returns the folder that holds the path's last name, which the caller frees; NULL without
 * memory. */
static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static bool
is_watched(const struct watch *watch, const char *folder)
{
    for (size_t i = 0; i < watch->folder_count; i++)
        if (strcmp(watch->folders[i].path, folder) == 0)
            return true;
    return false;
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *userdata);

/* Takes folder. */
static int
watch_folder(struct watch *watch, char *folder)
{
    sd_event *event = watch->change->roster->host.event;
    _cleanup_free_ char *path = folder;
    sd_event_source *source;

    if (path == NULL)
        return -ENOMEM;
    if (is_watched(watch, path))
        return 0;
    struct watched_folder *grown =
        reallocarray(watch->folders, watch->folder_count + 1, sizeof(struct watched_folder));
    if (grown == NULL)
        return -ENOMEM;
    watch->folders = grown;
    int r = sd_event_add_inotify(event, &source, path, EVENTS, on_event, watch);
    if (r < 0)
        return r;
    grown[watch->folder_count++] =
        (struct watched_folder){.path = take_pointer(path), .source = source};
    return 0;
}

/* Watches the folder that holds the path, or the nearest one above that there is. */
static void
watch_above(struct watch *watch, const char *path)
{
    _cleanup_free_ char *folder = folder_of(path);
    int r;

    for (;;) {
        r = watch_folder(watch, folder == NULL ? NULL : strdup(folder));
        if ((r != -ENOENT && r != -ENOTDIR) || strcmp(folder, "/") == 0 || strcmp(folder, ".") == 0)
            break;
        char *above = folder_of(folder);
        free(folder);
        folder = above;
    }
    if (r >= 0 || watch->complained)
        return;
    watch->complained = true;
    log_warning("reload = \"auto\": cannot watch %s: %s%s; changes there are found by the next "
                "reload that is asked for",
                folder == NULL ? path : folder, strerror(-r),
                r == -ENOSPC || r == -EMFILE ? " (see fs.inotify in sysctl(8))" : "");
}

/* Returns the path with its beginning, a link of `size` bytes, replaced by what the link says; the
 * caller frees it. NULL: it is no link. */
static char *
behind_link(const char *path, size_t size)
{
    _cleanup_free_ char *link = strndup(path, size), *folder = NULL;
    char target[PATH_MAX], *whole;

    if (link == NULL)
        return NULL;
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    folder = *target == '/' ? strdup("") : folder_of(link);
    if (folder == NULL ||
        asprintf(&whole, "%s%s%s%s", folder, *target == '/' ? "" : "/", target, path + size) < 0)
        return NULL;
    return whole;
}

/* Returns what the first link in the path leads to, and watches where that link lies; the caller
 * frees it. NULL: there is none. */
static char *
follow_link(struct watch *watch, const char *path)
{
    for (size_t size = 1; path[size - 1] != '\0'; size++) {
        if (path[size] != '/' && path[size] != '\0')
            continue;
        char *behind = behind_link(path, size);
        if (behind != NULL) {
            _cleanup_free_ char *link = strndup(path, size);
            if (link != NULL)
                watch_above(watch, link);
            return behind;
        }
    }
    return NULL;
}

static void
watch_path(struct watch *watch, const char *path)
{
    _cleanup_free_ char *present = strdup(path);

    for (unsigned i = 0; present != NULL && i < LINKS_MOST; i++) {
        char *behind = follow_link(watch, present);
        if (behind == NULL)
            break;
        free(present);
        present = behind;
    }
    if (present != NULL)
        watch_above(watch, present);
}

/* Looks anew for the folders: links may lead elsewhere, and folders may have come. */
static void
watch_folders(struct watch *watch)
{
    _cleanup_free_ char *drop_in = NULL;

    forget_folders(watch);
    for (size_t i = 0; i < watch->files.count; i++)
        watch_path(watch, watch->files.files[i].path);
    if (asprintf(&drop_in, "%s.d/*.conf", watch->file) < 0)
        drop_in = NULL;
    else
        watch_path(watch, drop_in);
}

/* ---- what has changed ----------------------------------------------------------------------- */

/* Returns the name of a file that is not what was read; NULL: there is none. */
static const char *
find_change(const struct watch *watch)
{
    for (size_t i = 0; i < watch->files.count; i++) {
        const struct read_file *file = &watch->files.files[i];
        struct file_stamp now = file_stamp_look(file->path);

        if (!file_stamp_is_same(&now, &file->stamp))
            return file->path;
    }
    return config_has_new_drop_in(watch->file, &watch->files) ? "the drop-in folder" : NULL;
}

static void
look_later(struct watch *watch)
{
    uint64_t now = monotonic_usec();

    if (watch->since == 0)
        watch->since = now;
    uint64_t quiet = now + QUIET_USEC, longest = watch->since + LONGEST_USEC;
    (void)sd_event_source_set_time(watch->timer, quiet < longest ? quiet : longest);
    (void)sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static int
on_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    (void)source, (void)event;
    look_later(userdata);
    return 0;
}

static int
on_quiet(sd_event_source *source, uint64_t when, void *userdata)
{
    struct watch *watch = userdata;

    (void)source, (void)when;
    watch->since = 0;
    watch_folders(watch);
    const char *changed = find_change(watch);
    if (changed == NULL || roster_ends(watch->change->roster))
        return 0;
    log_notice("%s has changed: reloading", changed);
    int r = change_ask(watch->change, OPERATION_RELOAD, NULL, NULL);
    if (r < 0 && r != -ESHUTDOWN)
        log_error("cannot reload: %s", strerror(-r));
    return 0;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static int
make_timer(struct watch *watch)
{
    if (watch->timer != NULL)
        return 0;
    int r = sd_event_add_time(watch->change->roster->host.event, &watch->timer, CLOCK_MONOTONIC,
                              UINT64_MAX, 0, on_quiet, watch);
    return r < 0 ? r : sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
}

/* Something may have changed between the reading and now. */
static void
watch_from_now(struct watch *watch)
{
    int r = make_timer(watch);

    if (r < 0) {
        log_error("reload = \"auto\": no timer for it: %s", strerror(-r));
        return;
    }
    watch_folders(watch);
    if (find_change(watch) != NULL)
        look_later(watch);
}

/* There is always one, so that the files are known whenever they are wanted. */
static struct watch *
get_watch(struct change *change)
{
    if (change->watch == NULL)
        change->watch = calloc(1, sizeof(struct watch));
    if (change->watch == NULL)
        log_error("reload: no memory for the names of the configuration's files");
    else
        change->watch->change = change;
    return change->watch;
}

void
watch_configure(struct change *change, const struct config *config)
{
    struct watch *watch = get_watch(change);

    if (watch == NULL || watch->file == NULL || change->load == NULL)
        return;
    bool before = watch->wanted;
    watch->wanted = config->reload_auto;
    if (watch->wanted && !before)
        watch_from_now(watch);
    if (!watch->wanted) {
        forget_folders(watch);
        watch->timer = sd_event_source_disable_unref(watch->timer);
        watch->since = 0;
        watch->complained = false;
    }
}

/* The reader has come to no end: its files are what they are now, so that nothing is read again
 * and again. */
static void
look_anew(struct read_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        files->files[i].stamp = file_stamp_look(files->files[i].path);
}

void
watch_read(struct change *change, struct config *config)
{
    struct watch *watch = get_watch(change);

    if (watch == NULL)
        return;
    if (config->files.count == 0) {
        look_anew(&watch->files);
        return;
    }
    if (watch->file == NULL && config->file != NULL)
        watch->file = strdup(config->file);
    read_files_done(&watch->files);
    watch->files = config->files;
    config->files = (struct read_files){0};
    if (watch->wanted)
        watch_from_now(watch);
}

void
watch_end(struct change *change)
{
    struct watch *watch = take_pointer(change->watch);

    if (watch == NULL)
        return;
    forget_folders(watch);
    (void)sd_event_source_disable_unref(watch->timer);
    read_files_done(&watch->files);
    free(watch->file);
    free(watch);
}

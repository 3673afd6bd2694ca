/* SPDX-License-Identifier: MIT */
/*
 * unix_path.c - the name of a Unix socket in the file system
 *
 * What is left of a dead server is removed and the path bound anew while
 * holding a lock on a file beside it, so that two daemons cannot both find it
 * free. The path is born without any permission and gets its mode and owner last,
 * when there is a queue. (Binding to a temporary name and renaming it
 * would show even less, but then the kernel tells every client and every tool
 * the temporary name, and datagrams are answered from it.)
 *
 * Runs in:  the supervisor.
 * Owns:     the path, until unix_path_remove(), and only while its inode is
 *           the one made here. The lock file exists only meanwhile.
 * Failures: returned; nothing is left behind.
 */
#include "supervisor/socket/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "supervisor/socket/unix_bound.h"

static int
fill_address(const char *path, struct sockaddr_un *ret)
{
    size_t size = strlen(path);

    if (size >= sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, size + 1);
    return 0;
}

static bool
is_file(const struct stat *status, dev_t device, ino_t inode)
{
    return status->st_dev == device && status->st_ino == inode;
}

/* 1 if that file is there, 0 if it is gone or something else is there, or a negative errno. */
static int
is_there(const char *path, dev_t device, ino_t inode)
{
    struct stat there;

    if (lstat(path, &there) < 0)
        return errno == ENOENT ? 0 : -errno;
    return is_file(&there, device, inode);
}

struct path_lock {
    char *name;
    int fd;
};

/* Removing the file first tells whoever waits with the old one open that it locks nothing. */
static void
unlock(struct path_lock *lock)
{
    if (lock->fd >= 0) {
        (void)unlink(lock->name);
        (void)close(lock->fd);
    }
    free(lock->name);
}

#define _cleanup_unlock_ __attribute__((cleanup(unlock)))

/* 1 if fd is locked and still the file of that name, 0 if it was removed meanwhile. */
static int
try_lock(int fd, const char *name)
{
    struct stat ours;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
    return fstat(fd, &ours) < 0 ? -errno : is_there(name, ours.st_dev, ours.st_ino);
}

/* Whether the file is a lock as we make it: it is always empty. */
static bool
is_lock(const struct stat *status)
{
    return status->st_mode == (S_IFREG | 0600) && status->st_size == 0 &&
           status->st_uid == geteuid();
}

/* What open(2) says of something that is no lock of ours: a link, a folder, a socket, and what
 * belongs to somebody else. */
static bool
tells_of_another_file(int error)
{
    static const int errors[] = {ELOOP, EISDIR, ENXIO, EACCES};

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (errors[i] == error)
            return true;
    return false;
}

/* Returns a descriptor of the lock's file, or a negative errno; -EEXIST: that file is not a lock of
 * ours; -EAGAIN: it was removed just now. */
static int
open_lock(const char *name)
{
    struct stat there;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int made = open(name, flags | O_CREAT | O_EXCL, 0600);

    if (made >= 0 || errno != EEXIST)
        return made < 0 ? -errno : made;
    _cleanup_close_ int fd = open(name, flags);
    if (fd < 0 && errno == ENOENT)
        return -EAGAIN;
    if (fd < 0)
        return tells_of_another_file(errno) ? -EEXIST : -errno;
    if (fstat(fd, &there) < 0)
        return -errno;
    return is_lock(&there) ? take_fd(fd) : -EEXIST;
}

/* Never waits: whoever holds the lock is another server that takes the same path just now. */
static int
lock_beside(const char *path, struct path_lock *ret)
{
    if (asprintf(&ret->name, "%s.lock", path) < 0) {
        ret->name = NULL;
        return -ENOMEM;
    }
    for (unsigned attempt = 0; attempt < 10; attempt++) {
        _cleanup_close_ int fd = open_lock(ret->name);
        if (fd == -EAGAIN)
            continue;
        if (fd < 0)
            return fd;
        int locked = try_lock(fd, ret->name);
        if (locked < 0)
            return locked;
        if (locked) {
            ret->fd = take_fd(fd);
            return 0;
        }
    }
    return -EADDRINUSE;
}

/* 1 if somebody answers on the path, 0 if not, or a negative errno. */
static int
somebody_answers(const struct sockaddr_un *address)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        _cleanup_close_ int probe = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe < 0)
            return -errno;
        /* EAGAIN: its queue is full. EPROTOTYPE: alive or dead, but of another type. */
        if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
            errno == EAGAIN)
            return 1;
        if (errno != EPROTOTYPE && errno != ECONNREFUSED && errno != ENOENT)
            return -errno;
        if (errno != EPROTOTYPE)
            return 0;
    }
    return 1;
}

/* Makes room on the path: removes a dead server's socket, and nothing else. */
static int
make_room(const struct sockaddr_un *address, const char **ret_remedy)
{
    struct stat there;

    if (lstat(address->sun_path, &there) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(there.st_mode)) {
        *ret_remedy = "there is something else than a socket; remove it, or choose another path";
        return -EADDRINUSE;
    }
    int answer = somebody_answers(address);
    if (answer > 0)
        *ret_remedy = "a running server answers there; stop it first";
    else if (answer == 0 && unix_bound(address->sun_path) > 0) {
        *ret_remedy = "a running process has bound it and does not listen yet; stop it first";
        answer = 1;
    }
    if (answer != 0)
        return answer < 0 ? answer : -EADDRINUSE;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int
bind_closed(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0777); /* for the whole process, which is this one thread */
    int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

    (void)umask(before);
    return r;
}

/*
 * Gives it its owner and mode. As the mode may be set by the owner only, it is ours until that is
 * done. flags: AT_SYMLINK_NOFOLLOW, unless name leads to it by a link.
 */
static int
give_away(const char *name, int flags, const struct stat *now, const struct unix_path_owner *owner)
{
    bool same_owner = (owner->uid == (uid_t)-1 || owner->uid == now->st_uid) &&
                      (owner->gid == (gid_t)-1 || owner->gid == now->st_gid);
    mode_t mode = owner->mode & 0777;

    if ((now->st_mode & 0777) != mode) {
        if (now->st_uid != geteuid() && fchownat(AT_FDCWD, name, geteuid(), (gid_t)-1, flags) < 0)
            return -errno;
        if (chmod(name, mode) < 0)
            return -errno;
        same_owner = same_owner && now->st_uid == geteuid();
    }
    uid_t uid = owner->uid == (uid_t)-1 ? now->st_uid : owner->uid;
    return !same_owner && fchownat(AT_FDCWD, name, uid, owner->gid, flags) < 0 ? -errno : 0;
}

/* Gives the new path its queue, and then its mode and owner. */
static int
open_up(int fd, const struct unix_path_plan *plan, struct unix_path *ret)
{
    _cleanup_free_ char *name = strdup(plan->name);
    struct stat made;
    int r;

    if (name == NULL)
        return -ENOMEM;
    if (lstat(name, &made) < 0)
        return -errno;
    if (plan->type != SOCK_DGRAM && listen(fd, plan->backlog) < 0)
        return -errno;
    if ((r = give_away(name, AT_SYMLINK_NOFOLLOW, &made, &plan->owner)) < 0)
        return r;
    *ret =
        (struct unix_path){.name = take_pointer(name), .device = made.st_dev, .inode = made.st_ino};
    return 0;
}

int
unix_path_bind(int fd, const struct unix_path_plan *plan, struct unix_path *ret,
               const char **ret_remedy)
{
    _cleanup_unlock_ struct path_lock lock = {.fd = -1};
    struct sockaddr_un address;
    int r;

    *ret_remedy = NULL;
    if ((r = fill_address(plan->name, &address)) < 0)
        return r;
    if ((r = lock_beside(plan->name, &lock)) < 0) {
        if (r == -ENOENT)
            *ret_remedy = "the folder does not exist";
        else if (r == -EEXIST)
            *ret_remedy = "PATH.lock beside it is not a lock of ours: remove it, or choose another "
                          "path";
        return r;
    }
    if ((r = make_room(&address, ret_remedy)) < 0)
        return r;
    if ((r = bind_closed(fd, &address)) < 0)
        return r;
    if ((r = open_up(fd, plan, ret)) < 0)
        (void)unlink(plan->name);
    return r;
}

int
unix_path_adopt(int made, const char *path, const struct unix_path_owner *owner,
                struct unix_path *ret)
{
    _cleanup_free_ char *name = strdup(path);
    struct stat status;
    int r;

    if (name == NULL)
        return -ENOMEM;
    if (fstat(made, &status) < 0)
        return -errno;
    r = S_ISSOCK(status.st_mode) ? is_there(path, status.st_dev, status.st_ino) : 0;
    if (r <= 0)
        return r < 0 ? r : -ESTALE;
    if ((r = give_away(path, AT_SYMLINK_NOFOLLOW, &status, owner)) < 0)
        return r;
    *ret = (struct unix_path){
        .name = take_pointer(name), .device = status.st_dev, .inode = status.st_ino};
    return 0;
}

/* Returns a descriptor (O_PATH) of the path that we made, and its present state. */
static int
hold(const struct unix_path *path, struct stat *ret_now)
{
    _cleanup_close_ int fd = open(path->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, ret_now) < 0)
        return -errno;
    return is_file(ret_now, path->device, path->inode) ? take_fd(fd) : -ESTALE;
}

int
unix_path_hold(const struct unix_path *path)
{
    struct stat now = {0};

    return hold(path, &now);
}

int
unix_path_own(const struct unix_path *path, const struct unix_path_owner *owner)
{
    struct stat now = {0};
    _cleanup_close_ int fd = hold(path, &now);
    char name[64];

    if (fd < 0)
        return fd == -ESTALE ? 0 : fd;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return give_away(name, 0, &now, owner);
}

void
unix_path_forget(struct unix_path *path)
{
    free(path->name);
    *path = UNIX_PATH_NONE;
}

int
unix_path_take_away(struct unix_path *path)
{
    _cleanup_unlock_ struct path_lock lock = {.fd = -1};
    int r;

    if (path->name == NULL)
        return 0;
    /* Without the lock somebody may be replacing the path just now: then it is theirs. */
    if ((r = lock_beside(path->name, &lock)) < 0)
        return r;
    if ((r = is_there(path->name, path->device, path->inode)) < 0)
        return r;
    if (r > 0 && unlink(path->name) < 0 && errno != ENOENT)
        return -errno;
    unix_path_forget(path);
    return 0;
}

void
unix_path_remove(struct unix_path *path)
{
    (void)unix_path_take_away(path);
    unix_path_forget(path);
}

/* SPDX-License-Identifier: MIT */
/*
 * resource.c - what a target stands for: a file, the index of a folder, its listing, or nothing
 *
 * Runs in:  a handler.
 * Owns:     the descriptor, until it is handed over.
 * Failures: returned: as an HTTP status, or as a negative errno if somebody should know of it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http.h"

/* What is nobody's mistake but the client's, or is so on purpose; else the error. */
static int
status_of(int error)
{
    switch (-error) {
    case EACCES:
    case EPERM:
        return HTTP_STATUS_FORBIDDEN;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV: /* it leads out of the root */
    case ENAMETOOLONG:
    case ENXIO: /* it is a socket, or the device behind it is not there */
    case ENODEV:
    case EINVAL: /* the file system has no such names */
    case EILSEQ:
        return HTTP_STATUS_NOT_FOUND;
    default:
        return error;
    }
}

/* Opens the path and finds out what it is. *ret's fd is -1 if it is neither file nor folder. */
static int
find(const struct site *site, const char *path, struct resource *ret)
{
    ret->fd = root_open(site, path, &ret->status);
    if (ret->fd < 0)
        return status_of(ret->fd);
    if (S_ISREG(ret->status.st_mode)) {
        ret->type = types_of(site->types, path);
        return HTTP_STATUS_OK;
    }
    ret->type = NULL;
    if (S_ISDIR(ret->status.st_mode))
        return HTTP_STATUS_OK;
    (void)close(ret->fd);
    return HTTP_STATUS_NOT_FOUND;
}

static int
let_go(struct resource *resource, int status)
{
    (void)close(resource->fd);
    resource->fd = -1;
    return status;
}

/* FILE.gz stands for FILE where gzip is wanted. One that nobody may have is as good as none. */
static void
look_for_gzip(const struct site *site, const char *file, bool gzip, struct resource *resource)
{
    char path[PATH_MAX];
    struct stat status;
    int size = snprintf(path, sizeof(path), "%s.gz", file);

    if (size < 0 || (size_t)size >= sizeof(path))
        return;
    int fd = root_open(site, path, &status);
    if (fd < 0) {
        if (status_of(fd) < 0)
            ss_log(LOG_WARNING, "%.200s: cannot open it: %s", path, strerror(-fd));
        return;
    }
    resource->varies = S_ISREG(status.st_mode);
    if (resource->varies && gzip) {
        (void)let_go(resource, 0);
        resource->fd = fd;
        resource->status = status;
        resource->coding = "gzip";
    } else {
        (void)close(fd);
    }
}

/* The first of the names that there is a file of, in the folder. */
static int
find_index(const struct site *site, const char *folder, bool gzip, struct resource *ret)
{
    char path[PATH_MAX];

    for (const char *const *name = site->index; *name != NULL; name++) {
        int size =
            snprintf(path, sizeof(path), "%s%s%s", folder, *folder != '\0' ? "/" : "", *name);
        if (size < 0 || (size_t)size >= sizeof(path))
            return HTTP_STATUS_NOT_FOUND;
        int status = find(site, path, ret);
        if (status == HTTP_STATUS_OK && ret->type == NULL)
            status = let_go(ret, HTTP_STATUS_NOT_FOUND);
        if (status == HTTP_STATUS_OK && site->gzip_static)
            look_for_gzip(site, path, gzip, ret);
        if (status != HTTP_STATUS_NOT_FOUND)
            return status;
    }
    return HTTP_STATUS_NOT_FOUND;
}

int
resource_find(const struct site *site, const struct target *target, bool gzip, struct resource *ret)
{
    int status;

    if (target->folder) {
        status = find_index(site, target->path, gzip, ret);
        if (status != HTTP_STATUS_NOT_FOUND)
            return status;
    }
    status = find(site, target->path, ret);
    if (status != HTTP_STATUS_OK)
        return status;
    if (!target->folder && ret->type == NULL)
        return let_go(ret, HTTP_STATUS_MOVED_PERMANENTLY);
    if (!target->folder) {
        if (site->gzip_static)
            look_for_gzip(site, target->path, gzip, ret);
        return status;
    }
    if (ret->type != NULL)
        return let_go(ret, HTTP_STATUS_NOT_FOUND);
    return site->listing ? status : let_go(ret, HTTP_STATUS_FORBIDDEN);
}

/* SPDX-License-Identifier: MIT */
/*
 * site.c - the plugin's options, read and judged
 *
 * Runs in:  check_options, and a worker's start and end.
 * Owns:     the root's descriptor and the table of types.
 * Failures: complained of here, with what helps, and returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"

#define SYSTEM_TYPES "/etc/mime.types"

static int
open_root(struct ss_server *server, struct site *site)
{
    const char *path = ss_option_string(server, "root");

    site->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (site->root >= 0 && faccessat(site->root, ".", X_OK, AT_EACCESS) == 0)
        return 0;
    int error = -errno;
    ss_complain(server, "root",
                "%s: %s; it must be a folder that the listener's user (the key \"user\") "
                "may enter",
                path, strerror(-error));
    return error;
}

/* An index is a file in the folder itself. */
static int
check_index(struct ss_server *server, const struct site *site)
{
    for (const char *const *name = site->index; *name != NULL; name++) {
        if (**name != '\0' && **name != '.' && strchr(*name, '/') == NULL)
            continue;
        ss_complain(server, "index",
                    "\"%s\" is no file's name: it must neither be empty nor begin with "
                    "\".\" nor have a \"/\"",
                    *name);
        return -EINVAL;
    }
    return 0;
}

static bool
is_charset(const char *name)
{
    return name[strspn(
               name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")] == '\0';
}

/* The system's table, where there is one, if no other is given. */
static int
read_types(struct ss_server *server, struct site *site)
{
    const char *path = ss_option_string(server, "types");
    const char *charset = ss_option_string(server, "charset");

    if (!is_charset(charset)) {
        ss_complain(server, "charset", "\"%s\" is no name of a character set", charset);
        return -EINVAL;
    }
    int error = types_new(*path != '\0' ? path : SYSTEM_TYPES, charset, &site->types);
    if (error < 0 && *path == '\0') {
        if (error != -ENOENT)
            ss_log(LOG_NOTICE, "%s: %s; a small table of media types takes its place", SYSTEM_TYPES,
                   strerror(-error));
        return types_new(NULL, charset, &site->types);
    }
    if (error < 0)
        ss_complain(server, "types", "%s: %s; it must be a file as /etc/mime.types is one", path,
                    strerror(-error));
    return error;
}

int
site_new(struct ss_server *server, struct site **ret)
{
    struct site *site = malloc(sizeof(*site));

    if (site == NULL)
        return -ENOMEM;
    *site = (struct site){
        .root = -1,
        .index = ss_option_list(server, "index", NULL),
        .listing = ss_option_boolean(server, "listing"),
        .gzip_static = ss_option_boolean(server, "gzip_static"),
        .web =
            {
                .log_requests = ss_option_boolean(server, "log_requests"),
                .head_timeout = ss_option_duration(server, "head_timeout"),
                .idle_timeout = ss_option_duration(server, "idle_timeout"),
                .max_head = ss_option_size(server, "max_head"),
                .max_body = ss_option_size(server, "max_body"),
                .min_rate = ss_option_size(server, "min_rate"),
                .max_requests = ss_option_integer(server, "max_requests"),
                .serve = serve,
                .data = site,
            },
    };
    int error = open_root(server, site);
    if (error == 0)
        error = check_index(server, site);
    if (error == 0)
        error = read_types(server, site);
    if (error < 0) {
        site_free(site);
        return error;
    }
    root_probe(site);
    *ret = site;
    return 0;
}

void
site_free(struct site *site)
{
    if (site == NULL)
        return;
    if (site->root >= 0)
        (void)close(site->root);
    types_free(site->types);
    free(site);
}

/* SPDX-License-Identifier: MIT */
/*
 * config.h - the configuration file as a whole
 */
#ifndef SOCKSERVERD_CONFIG_CONFIG_H
#define SOCKSERVERD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/errors.h"
#include "common/log.h"
#include "common/settings.h"
#include "config/read_files.h"

struct config {
    char *file;        /* as given; NULL: command line */
    char *plugin_path; /* directories separated by colons */
    struct log_settings log;
    struct {
        char *path; /* of the control socket */
        uint32_t mode;
        char *group; /* may also change things; NULL: nobody more */
        gid_t gid;   /* the group's number, if there is a group */
    } control;
    const struct settings **listeners; /* in the order of the files; a reference each */
    size_t listener_count;
    double pre_stop_delay; /* seconds of service after SIGTERM */
    bool reload_auto;      /* reload when one of these files has changed */
    struct read_files files;
};

/*
 * Reads file and its drop-in directory (FILE.d, every *.conf in order),
 * checks everything that can be checked without loading plugins and binding
 * sockets, and adds all mistakes to errors. If plugin_path is not NULL, it
 * replaces the file's. Returns 0 if there were no mistakes, -EINVAL, or
 * -ENOMEM. *config is overwritten, and config_done() releases it in every
 * case.
 */
int config_load(struct config *config, const char *file, const char *plugin_path,
                struct errors *errors);

/* Makes a configuration without a file: it has defaults and no listeners. plugin_path NULL is
 * the default. Returns 0 or -ENOMEM; config_done() releases *config in every case. */
int config_load_nothing(struct config *config, const char *plugin_path);
/* Shares *settings, which must be finished and are empty afterwards, also on failure. Returns 0
 * or -ENOMEM. */
int config_add_listener(struct config *config, struct settings *settings);
void config_done(struct config *config);
/* Releases its references to the listeners' settings; it has no listeners afterwards. */
void config_forget_listeners(struct config *config);

/* Whether the drop-in directory of file has files that the configuration was not read from. */
bool config_has_new_drop_in(const char *file, const struct read_files *read);

const struct settings *config_find(const struct config *config, const char *listener);

#endif

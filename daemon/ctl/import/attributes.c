/* SPDX-License-Identifier: MIT */
/*
 * attributes.c - every attribute of xinetd.conf(5), and what becomes of it
 *
 * A test compares the table with that manual page.
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: constant data.
 * Failures: a value that means nothing is dropped with a note.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/value.h"
#include "ctl/import/import.h"

#define GROUPS_MOST 65536

/* ---- what runs ------------------------------------------------------------------------------ */

static void
map_id(struct service *service)
{
    service_note(service, FATE_MAPPED, "to the listener's name, %s", service->listener->name);
}

static void
map_type(struct service *service)
{
    const struct words *words = &service->value.words;

    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->all[i], "INTERNAL") == 0)
            service_note(service, FATE_MAPPED, "INTERNAL: to the plugin %s",
                         service->listener->values[KEY_PLUGIN]);
        else if (strcmp(words->all[i], "UNLISTED") == 0)
            service_note(service, FATE_MAPPED, "UNLISTED: an address has its port in it");
        else
            service_note(service, FATE_DROPPED, "%s: xinetd has no such type", words->all[i]);
}

static void
map_wait(struct service *service)
{
    bool waits = word_is_yes(service_first(service));

    if (service->internal)
        service_note(service, FATE_MAPPED, "to the mixin %s", service->listener->values[KEY_MIXIN]);
    else if (waits == service->waits)
        service_note(service, FATE_MAPPED, waits ? "to options.wait" : "to the mixin %s",
                     service->listener->values[KEY_MIXIN]);
    else
        service_note(service, FATE_APPROXIMATED,
                     "to options.wait: one program at a time gets the datagrams");
}

/* What programs of root need, whom login or a file transfer makes somebody else. */
static const char *const root_capabilities[] = {
    "chown",  "dac_override", "fowner",           "fsetid",     "kill",
    "setgid", "setuid",       "net_bind_service", "sys_chroot", "audit_write"};

static void
map_user(struct service *service)
{
    const char *user = service_first(service);
    struct words names = {0};

    if (!service_is_program(service)) {
        service_note(service, FATE_DROPPED, "a plugin needs no rights: see `user`");
        return;
    }
    service_set_text(service, KEY_USER, user);
    if (strcmp(user, "root") != 0 && strcmp(user, "0") != 0) {
        service_note(service, FATE_MAPPED, "to `user`");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(root_capabilities); i++)
        words_add(service->import, &names, root_capabilities[i]);
    service_set_list(service, KEY_CAPABILITIES, &names);
    service_set_text(service, KEY_SANDBOX, "none");
    service_set(service, KEY_NO_NEW_PRIVILEGES, "false");
    service_note(service, FATE_APPROXIMATED,
                 "to `user`, with those of root's capabilities that such programs use, and "
                 "without a sandbox; another user would be safer");
}

static void
map_group(struct service *service)
{
    if (!service_wants_program(service))
        return;
    service_set_text(service, KEY_GROUP, service_first(service));
    service_note(service, FATE_MAPPED, "to `group`");
}

/* The names of the groups that a user is in, except for its first one. */
static bool
list_groups(struct import *import, const struct passwd *user, struct words *ret)
{
    int count = GROUPS_MOST;
    _cleanup_free_ gid_t *gids = calloc(GROUPS_MOST, sizeof(*gids));

    if (gids == NULL || getgrouplist(user->pw_name, user->pw_gid, gids, &count) < 0)
        return false;
    for (int i = 0; i < count; i++) {
        const struct group *group = gids[i] == user->pw_gid ? NULL : getgrgid(gids[i]);
        if (group != NULL)
            words_add(import, ret, import_copy(import, group->gr_name, strlen(group->gr_name)));
    }
    return true;
}

static void
map_groups(struct service *service)
{
    const char *name = service_word(service, "user");
    const struct passwd *user = name == NULL ? NULL : getpwnam(name);
    struct words groups = {0};

    if (!service_wants_program(service))
        return;
    if (!word_is_yes(service_first(service))) {
        service_note(service, FATE_MAPPED, "a worker has no others unless `groups` names them");
        return;
    }
    if (user == NULL || !list_groups(service->import, user, &groups)) {
        service_note(service, FATE_DROPPED, "the groups of the user %s are not known here",
                     name == NULL ? "\"\"" : name);
        return;
    }
    if (groups.count > 0)
        service_set_list(service, KEY_GROUPS, &groups);
    service_note(service, FATE_APPROXIMATED, "to `groups`: those that %s is in now", name);
}

static void
map_server(struct service *service)
{
    const char *slash = strrchr(service_first(service), '/');

    if (!service_wants_program(service))
        return;
    service_set_text(service, OPTION_COMMAND, service_first(service));
    if (service->listener->values[OPTION_ARGV0] == NULL)
        service_set_text(service, OPTION_ARGV0, slash == NULL ? "" : slash + 1);
    service_note(service, FATE_MAPPED, "to options.command");
}

static void
map_server_args(struct service *service)
{
    struct words *words = &service->value.words;

    if (!service_wants_program(service))
        return;
    service_note(service, FATE_MAPPED, "to options.arguments");
    if (words_have(&service->flags, "NAMEINARGS") && words->count > 0) {
        service_set_text(service, OPTION_ARGV0, words->all[0]);
        words->all++;
        words->count--;
    }
    if (words->count > 0)
        service_set_list(service, OPTION_ARGUMENTS, words);
}

static void
map_env(struct service *service)
{
    const struct words *words = &service->value.words;
    struct words kept = {0};

    if (!service_wants_program(service))
        return;
    for (size_t i = 0; i < words->count; i++)
        if (strchr(words->all[i], '=') != NULL && words->all[i][0] != '=')
            words_add(service->import, &kept, words->all[i]);
        else
            service_note(service, FATE_DROPPED, "\"%s\": expected NAME=VALUE", words->all[i]);
    if (kept.count > 0)
        service_set_list(service, OPTION_ENVIRONMENT, &kept);
    service_note(service, FATE_MAPPED, "to options.environment");
}

static void
map_passenv(struct service *service)
{
    if (!service_wants_program(service))
        return;
    if (service->value.words.count > 0)
        service_set_list(service, OPTION_PASS_ENVIRONMENT, &service->value.words);
    service_note(service, FATE_MAPPED, "to options.pass_environment");
}

static void
map_redirect(struct service *service)
{
    service_note(service, FATE_MAPPED, "to the plugin forward and its options.to");
}

/* ---- who and whether ------------------------------------------------------------------------ */

static void
map_disable(struct service *service)
{
    if (word_is_yes(service_first(service)))
        service->closed = true;
    service_note(service, FATE_MAPPED, "to `enabled`");
}

static const char *
id_of(struct service *service)
{
    const char *id = service_word(service, "id");

    return id == NULL ? service->entry->name : id;
}

static void
map_disabled(struct service *service)
{
    if (words_have(&service->value.words, id_of(service)))
        service->closed = true;
    service_note(service, FATE_MAPPED, "to `enabled` of the listeners that it names");
}

static void
map_enabled(struct service *service)
{
    if (!words_have(&service->value.words, id_of(service)))
        service->closed = true;
    service_note(service, FATE_MAPPED, "to `enabled` of the listeners that it does not name");
}

static bool
can_greet(struct service *service)
{
    if (service_is_program(service) && !service->waits)
        return true;
    service_note(service, FATE_DROPPED,
                 "only programs of connections have a banner here: see options.banner of exec");
    return false;
}

static void
map_banner_success(struct service *service)
{
    if (!can_greet(service))
        return;
    service_set_text(service, OPTION_BANNER, service_first(service));
    service_note(service, FATE_MAPPED, "to options.banner");
}

static void
map_banner(struct service *service)
{
    if (!can_greet(service))
        return;
    if (service_word(service, "banner_success") != NULL) {
        service_note(service, FATE_DROPPED, "one file is sent, and that is banner_success's");
        return;
    }
    service_set_text(service, OPTION_BANNER, service_first(service));
    service_note(service, FATE_APPROXIMATED,
                 "to options.banner, which those who are turned away do not see");
}

/* ---- the table ------------------------------------------------------------------------------ */

#define ONE_LOG                                                                                    \
    "all listeners write one log: `log.target` in sockserverd.conf(5), journal or file, without "  \
    "limits of its own"
#define ACCESS_LINE                                                                                \
    "an access line has client, process, outcome and time of every request, served or refused; "   \
    "nobody asks identification servers"
#define RPC "the service is no listener"

const struct attribute attributes[] = {
    {"id", .map = map_id},
    {"type", .set = true, .map = map_type},
    {"flags", .set = true, .map = map_flags},
    {"disable", .map = map_disable},
    {"socket_type", .text = "to the scheme of `address`"},
    {"protocol", .text = "to the scheme of `address`"},
    {"wait", .map = map_wait},
    {"user", .map = map_user},
    {"group", .map = map_group},
    {"instances", .defaults = true, .map = map_instances},
    {"nice", .map = map_nice},
    {"server", .map = map_server},
    {"server_args", .map = map_server_args},
    {"libwrap", .fate = FATE_DROPPED,
     .text = "hosts.allow and hosts.deny are not read: see `allow`"},
    {"only_from", .set = true, .defaults = true, .map = map_only_from},
    {"no_access", .set = true, .defaults = true, .map = map_no_access},
    {"access_times", .defaults = true, .fate = FATE_DROPPED,
     .text = "a listener keeps no hours; let a timer run sockserverctl stop and start"},
    {"log_type", .defaults = true, .set = true, .fate = FATE_DROPPED, .text = ONE_LOG},
    {"log_on_success", .set = true, .defaults = true, .fate = FATE_APPROXIMATED,
     .text = ACCESS_LINE},
    {"log_on_failure", .set = true, .defaults = true, .fate = FATE_APPROXIMATED,
     .text = ACCESS_LINE},
    {"rpc_version", .fate = FATE_DROPPED, .text = RPC},
    {"rpc_number", .fate = FATE_DROPPED, .text = RPC},
    {"env", .set = true, .map = map_env},
    {"passenv", .set = true, .defaults = true, .map = map_passenv},
    {"port", .text = "to the port of `address`"},
    {"redirect", .map = map_redirect},
    {"bind", .defaults = true, .map = map_bind},
    {"interface", .defaults = true, .map = map_bind},
    {"banner", .defaults = true, .map = map_banner},
    {"banner_success", .defaults = true, .map = map_banner_success},
    {"banner_fail", .defaults = true, .fate = FATE_DROPPED,
     .text = "those who are turned away are told nothing"},
    {"per_source", .defaults = true, .map = map_per_source},
    {"cps", .defaults = true, .map = map_cps},
    {"max_load", .defaults = true, .fate = FATE_DROPPED,
     .text = "no listener looks at the machine's load; see `max_connections` and `rate`"},
    {"groups", .defaults = true, .map = map_groups},
    {"mdns", .defaults = true, .fate = FATE_DROPPED, .text = "xinetd does this on Mac OS X alone"},
    {"umask", .defaults = true, .map = map_umask},
    {"enabled", .set = true, .defaults = true, .map = map_enabled},
    {"disabled", .set = true, .defaults = true, .map = map_disabled},
    {"include", .text = "the file is read"},
    {"includedir", .text = "its files are read"},
    {"rlimit_as", .defaults = true, .map = map_rlimit_as},
    {"rlimit_files", .defaults = true, .map = map_rlimit_files},
    {"rlimit_cpu", .defaults = true, .map = map_rlimit_cpu},
    {"rlimit_data", .defaults = true, .fate = FATE_DROPPED,
     .text = "there is no such key; see `limits.as`"},
    {"rlimit_rss", .defaults = true, .fate = FATE_DROPPED,
     .text = "Linux has not looked at this limit since 2.4.30; see `limits.as`"},
    {"rlimit_stack", .defaults = true, .map = map_rlimit_stack},
    {"deny_time", .defaults = true, .fate = FATE_DROPPED,
     .text = "there are no sensors; `penalty` turns away who misbehaves"},
    {"cpm", .inetd = true, .map = map_cpm},
    {"cpm_source", .inetd = true, .fate = FATE_DROPPED, .text = "see `rate_per_source`"},
    {"sndbuf", .inetd = true, .map = map_sndbuf},
    {"rcvbuf", .inetd = true, .map = map_rcvbuf},
};

const size_t attribute_count = ARRAY_SIZE(attributes);

const struct attribute *
attribute_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
        if (strcmp(attributes[i].name, name) == 0)
            return &attributes[i];
    return NULL;
}

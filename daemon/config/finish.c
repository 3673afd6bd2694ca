/* SPDX-License-Identifier: MIT */
/*
 * finish.c - what can only be judged when all keys of a listener are known
 *
 * Runs in:  the process that reads the configuration: looking users up may let it
 *           wait. Under --stdio and --describe, in the one that was started.
 * Owns:     nothing.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/capabilities.h"
#include "common/cleanup.h"
#include "common/limits.h"
#include "common/settings.h"
#include "common/texts.h"
#include "config/identity.h"
#include "config/network_list.h"
#include "config/proxy.h"

#define MIXINS_TEXT_SIZE 80

static void
check_required(const struct settings *settings, struct errors *errors)
{
    const struct given listener = {.file = settings->file, .line = settings->line};

    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];

        if (setting_is_required(setting) && !setting_given(settings, setting))
            settings_mistake(settings, NULL, &listener, errors,
                             "\"%s\" is missing; every listener needs one, such as: %s = \"%s\";",
                             setting->key, setting->key,
                             setting->type == SETTING_ADDRESS ? "tcp://127.0.0.1:9999" : "echo");
    }
}

static void
fill_source_defaults(struct settings *settings)
{
    uint32_t half = settings->max_connections / 2;
    uint64_t burst = (uint64_t)settings->rate_per_source.count * 2;

    if (!settings_have(settings, "max_per_source"))
        settings->max_per_source = half > LEAST_PER_SOURCE ? half : LEAST_PER_SOURCE;
    if (!settings_have(settings, "burst_per_source"))
        settings->burst_per_source = (uint32_t)burst;
}

static void
fill_defaults(struct settings *settings, struct errors *errors)
{
    const struct mixin_traits *traits = &mixin_traits[settings->mixin];

    if (settings_fill(settings) < 0)
        errors->exhausted = true;
    if (!settings_have(settings, "max_connections"))
        settings->max_connections = traits->max_connections;
    if (!settings_have(settings, "recycle_after"))
        settings->recycle_after = traits->recycle_after;
    fill_source_defaults(settings);
}

/* Writes mixins in words: "mixins \"threading\" and \"forking\"". */
static const char *
list_mixins(uint32_t applies, char buffer[MIXINS_TEXT_SIZE])
{
    uint32_t first = applies & -applies;
    size_t used =
        (size_t)snprintf(buffer, MIXINS_TEXT_SIZE, "mixin%s", applies == first ? "" : "s");

    for (size_t i = 0; i < mixin_count && used < MIXINS_TEXT_SIZE; i++)
        if ((applies & APPLIES_MIXIN(i)) != 0)
            used += (size_t)snprintf(buffer + used, MIXINS_TEXT_SIZE - used, "%s\"%s\"",
                                     APPLIES_MIXIN(i) == first ? " " : " and ", mixin_names[i]);
    return buffer;
}

/* Returns addresses in words: "tcp addresses". */
static const char *
list_addresses(uint32_t applies)
{
    static const struct {
        uint32_t applies;
        const char *where;
    } names[] = {
        {APPLIES_INET | APPLIES_STREAM, "tcp addresses"},
        {APPLIES_INET, "tcp and udp addresses"},
        {APPLIES_UNIX, "unix and unixgram paths"},
        {APPLIES_STREAM, "tcp and unix addresses"},
        {APPLIES_DATAGRAM, "udp and unixgram addresses"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].applies == applies)
            return names[i].where;
    return "other addresses";
}

/* One message for the group is enough. */
static void
refuse_dtls(const struct settings *settings, const struct setting *setting, struct errors *errors)
{
    if (setting->type == SETTING_GROUP)
        settings_mistake_at(settings, setting, errors,
                            "found TLS for the datagrams of %s; DTLS is not supported: remove it, "
                            "or listen on a tcp or unix address",
                            settings->address.text);
}

static void
check_applicable(const struct settings *settings, struct errors *errors)
{
    const uint32_t transports = APPLIES_INET | APPLIES_UNIX | APPLIES_STREAM | APPLIES_DATAGRAM;
    char text[MIXINS_TEXT_SIZE];

    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];

        if (!setting_given(settings, setting) || setting_applies(settings, setting))
            continue;
        if (strncmp(setting->key, "tls", 3) == 0)
            refuse_dtls(settings, setting, errors);
        else if ((setting->applies & transports) != 0)
            settings_mistake_at(
                settings, setting, errors, "has no meaning for %s; it is for %s only: remove it",
                settings->address.text, list_addresses(setting->applies & transports));
        else
            settings_mistake_at(settings, setting, errors,
                                "has no meaning under mixin \"%s\"; it is for %s only: remove it",
                                mixin_names[settings->mixin], list_mixins(setting->applies, text));
    }
}

/* Checks what a single key's bits in the table cannot say. */
static void
check_combinations(const struct settings *settings, struct errors *errors)
{
    if (mixin_traits[settings->mixin].one_at_a_time && settings->max_connections > 1 &&
        !setting_refused(settings, setting_find("mixin")))
        settings_mistake_at(settings, setting_find("max_connections"), errors,
                            "found %u; mixin \"%s\" runs one request at a time: remove it, or "
                            "choose another mixin",
                            settings->max_connections, mixin_names[settings->mixin]);
    if (!settings->no_new_privileges && settings->sandbox != SANDBOX_NONE &&
        !setting_refused(settings, setting_find("sandbox")))
        settings_mistake_at(
            settings, setting_find("no_new_privileges"), errors,
            "found false; the sandbox cannot do without it: add sandbox = \"none\", or "
            "remove this");
}

/* Returns the user or group that the key names, with its place; its text is NULL if there is
 * none. */
static struct given
name_in(const struct settings *settings, const char *key)
{
    struct given name = *settings_place(settings, key);

    name.text = *(char *const *)(const void *)((const char *)settings + setting_find(key)->offset);
    return name;
}

/* The error that getpwnam_r(3) returns for an unknown user differs from system to system. */
static void
report_unknown(const struct settings *settings, const char *key, const struct given *name,
               int error, struct errors *errors)
{
    const char *kind = strstr(key, "user") != NULL ? "user" : "group";
    _cleanup_free_ char *shown = value_show(name->text, VALUE_STRING);
    bool unknown = error == -ENOENT || error == -ESRCH || error == -EBADF || error == -EPERM;

    if (shown == NULL || error == -ENOMEM)
        errors->exhausted = true;
    else if (unknown)
        settings_mistake(settings, key, name, errors,
                         "unknown %s %s; expected one that exists here, or a number", kind, shown);
    else
        settings_mistake(settings, key, name, errors, "cannot look up %s %s: %s", kind, shown,
                         strerror(-error));
}

static void
resolve_user(const struct settings *settings, const char *key, uid_t *ret_uid, gid_t *ret_gid,
             struct errors *errors)
{
    const struct given name = name_in(settings, key);
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    int r = name.text == NULL ? 0 : identity_find_user(name.text, &uid, &gid);

    if (r < 0) {
        report_unknown(settings, key, &name, r, errors);
        return;
    }
    *ret_uid = uid;
    if (ret_gid != NULL)
        *ret_gid = gid;
}

static void
resolve_group(const struct settings *settings, const char *key, gid_t *ret, struct errors *errors)
{
    const struct given name = name_in(settings, key);
    int r = name.text == NULL ? 0 : identity_find_group(name.text, ret);

    if (r < 0)
        report_unknown(settings, key, &name, r, errors);
}

static bool
has_group(const struct settings *settings, gid_t gid)
{
    for (uint32_t i = 0; i < settings->gid_count; i++)
        if (settings->gids[i] == gid)
            return true;
    return false;
}

/* Looks up the groups. A mistake in an item has the line of that item. */
static void
resolve_groups(struct settings *settings, struct errors *errors)
{
    const struct given *list = settings_place(settings, "groups");
    size_t count = texts_count(settings->groups);

    free(settings->gids);
    settings->gid_count = 0;
    settings->gids = calloc(count + 1, sizeof(*settings->gids));
    if (settings->gids == NULL) {
        errors->exhausted = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        /* If one text was given instead of a list, there are no items. */
        struct given name = list->item_count > 0 ? list->items[i] : *list;
        gid_t gid;
        int r = identity_find_group(settings->groups[i], &gid);

        name.text = settings->groups[i];
        if (r < 0)
            report_unknown(settings, "groups", &name, r, errors);
        else if (!has_group(settings, gid))
            settings->gids[settings->gid_count++] = gid;
    }
}

#define DEFAULT_USER  "sockserverd" /* what a package makes for the daemon */
#define FALLBACK_USER "nobody"
#define FALLBACK_ID   65534 /* the kernel's overflow identity, where there is no nobody */

/* Without `user`, a daemon of root's gives its listeners a user that may nothing. */
static void
choose_user(struct settings *settings, struct errors *errors)
{
    static struct {
        bool known;
        uid_t uid;
        gid_t gid;
    } chosen; /* a process reads one configuration, with hundreds of listeners maybe */

    if (settings->user != NULL || geteuid() != 0 || setting_refused(settings, setting_find("user")))
        return;
    if (chosen.known) {
        settings->uid = chosen.uid;
        settings->gid = chosen.gid;
        return;
    }
    int r = identity_find_user(DEFAULT_USER, &settings->uid, &settings->gid);
    if (r < 0 && r != -ENOMEM)
        r = identity_find_user(FALLBACK_USER, &settings->uid, &settings->gid);
    if (r == -ENOMEM) {
        errors->exhausted = true;
        return;
    }
    if (r < 0)
        settings->uid = settings->gid = FALLBACK_ID;
    chosen.known = true;
    chosen.uid = settings->uid;
    chosen.gid = settings->gid;
}

/* Notes what programs started by the worker's user find in their environment. */
static void
resolve_account(struct settings *settings, struct errors *errors)
{
    struct account account;

    if (settings->uid == (uid_t)-1)
        return;
    if (identity_find_account(settings->uid, &account) < 0) {
        errors->exhausted = true;
        return;
    }
    free(settings->login);
    free(settings->home);
    free(settings->shell);
    settings->login = account.login;
    settings->home = account.home;
    settings->shell = account.shell;
}

static void
check_capability(const struct settings *settings, const struct given *place, const char *name,
                 struct errors *errors)
{
    struct given shown_place = *place;
    int number = capability_find(name);
    _cleanup_free_ char *shown = value_show(name, VALUE_STRING);

    shown_place.text = name;
    if (shown == NULL)
        errors->exhausted = true;
    else if (number < 0)
        settings_mistake(settings, "capabilities", &shown_place, errors,
                         "unknown capability %s; expected a name of capabilities(7), such as "
                         "\"net_bind_service\"",
                         shown);
    else if ((capabilities_permitted() >> number & 1) == 0)
        settings_mistake(settings, "capabilities", &shown_place, errors,
                         "found %s, which this daemon does not have; remove it, or give it to the "
                         "daemon (CapabilityBoundingSet= and AmbientCapabilities= in its unit)",
                         capability_name(number));
}

/* Adds a mistake, in the line of the item, for each capability that a worker could not have. */
static void
check_capabilities(const struct settings *settings, struct errors *errors)
{
    const struct given *list = settings_place(settings, "capabilities");

    for (size_t i = 0; i < texts_count(settings->capabilities); i++)
        check_capability(settings, list->item_count > 0 ? &list->items[i] : list,
                         settings->capabilities[i], errors);
}

/* Adds a mistake, in the limit's line, for each limit that the worker could not give itself. */
static void
check_limits(const struct settings *settings, struct errors *errors)
{
    for (size_t i = 0; i < limits_count; i++) {
        const struct limit *limit = &limits_table[i];
        char shown[32], most[32];
        rlim_t value;

        if (!limit_wanted(settings, limit, &value) || value <= limit_ceiling(limit))
            continue;
        settings_mistake_at(settings, setting_find(limit->key), errors,
                            "found %s, but this daemon may give %s at most; lower it, or raise the "
                            "daemon's own limit (%s in its unit)",
                            limit_format(limit, value, shown),
                            limit_format(limit, limit_ceiling(limit), most), limit->directive);
    }
}

/* Whether the interface exists is seen when the socket is bound: it may come up later. */
static void
check_interface(const struct settings *settings, struct errors *errors)
{
    const char *name = settings->interface;

    if (name != NULL && (strlen(name) >= IFNAMSIZ || strpbrk(name, "/: \t") != NULL))
        settings_mistake_at(settings, setting_find("interface"), errors,
                            "found \"%s\"; expected the name of a network interface, such as "
                            "\"eth0\", of at most %d characters",
                            name, IFNAMSIZ - 1);
}

/* Returns the file that a plugin's name means: the first that exists, or else the first that was
 * tried. The caller frees it. */
static char *
find_plugin(const char *plugin, const char *plugin_path)
{
    size_t size = strlen(plugin);
    const char *ending = size > 3 && strcmp(plugin + size - 3, ".so") == 0 ? "" : ".so";
    _cleanup_free_ char *first = NULL;
    const char *end;

    if (strchr(plugin, '/') != NULL)
        return strdup(plugin);
    for (const char *folder = plugin_path; folder != NULL; folder = *end == ':' ? end + 1 : NULL) {
        char *file;

        end = strchrnul(folder, ':');
        if (end == folder)
            continue;
        if (asprintf(&file, "%.*s/%s%s", (int)(end - folder), folder, plugin, ending) < 0)
            return NULL;
        if (access(file, F_OK) == 0)
            return file;
        if (first == NULL)
            first = file;
        else
            free(file);
    }
    if (first != NULL)
        return take_pointer(first);
    if (asprintf(&first, "%s%s", plugin, ending) < 0)
        first = NULL;
    return take_pointer(first);
}

/* Whoever is listed here gets no penalty: everybody may be. */
static void
check_exempt(const struct settings *settings, struct errors *errors)
{
    const struct network_list exempt = {
        .key = "penalty.exempt",
        .texts = settings->penalty.exempt,
        .file_is_wrong = "a file, which only \"allow\" and \"deny\" read; expected networks here",
    };

    if (!setting_refused(settings, setting_find(exempt.key)))
        network_list_finish(settings, &exempt, errors);
}

void
settings_finish(struct settings *settings, const char *plugin_path, struct errors *errors)
{
    check_required(settings, errors);
    fill_defaults(settings, errors);
    check_applicable(settings, errors);
    check_combinations(settings, errors);
    resolve_user(settings, "user", &settings->uid, &settings->gid, errors);
    choose_user(settings, errors);
    resolve_account(settings, errors);
    resolve_group(settings, "group", &settings->gid, errors);
    resolve_user(settings, "socket_user", &settings->socket_uid, NULL, errors);
    resolve_group(settings, "socket_group", &settings->socket_gid, errors);
    resolve_groups(settings, errors);
    check_interface(settings, errors);
    check_capabilities(settings, errors);
    check_limits(settings, errors);
    proxy_finish(settings, errors);
    check_exempt(settings, errors);
    free(settings->plugin_file);
    settings->plugin_file = NULL;
    if (settings->plugin == NULL)
        return;
    settings->plugin_file = find_plugin(settings->plugin, plugin_path);
    if (settings->plugin_file == NULL)
        errors->exhausted = true;
}

/* SPDX-License-Identifier: MIT */
/*
 * settings_life.c - one listener's settings from their beginning to their last holder
 *
 * While settings are built they belong to one holder; once they are shared they
 * are immutable, and their holders are counted. A value is copied from one
 * struct settings to another as it is, never through text.
 *
 * Runs in:  the supervisor; a worker through settings_pack.c. The count is not
 *           atomic: settings are shared by the supervisor, which has one
 *           thread.
 * Owns:     the strings of struct settings, until settings_done() or the last
 *           settings_unref().
 * Failures: only want of memory, which is returned.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/settings_private.h"
#include "common/texts.h"

/* The size of a field by enum setting_type; 0: the field owns memory. */
static const size_t field_sizes[] = {
    [SETTING_BOOLEAN] = sizeof(bool),
    [SETTING_INTEGER] = sizeof(uint32_t),
    [SETTING_SIGNED] = sizeof(int32_t),
    [SETTING_SIZE] = sizeof(uint64_t),
    [SETTING_DURATION] = sizeof(double),
    [SETTING_RATE] = sizeof(struct request_rate),
    [SETTING_MODE] = sizeof(uint32_t),
    [SETTING_CHOICE] = sizeof(int),
    [SETTING_TEXT] = 0,
    [SETTING_ADDRESS] = 0,
    [SETTING_LIST] = 0,
    [SETTING_GROUPS] = 0,
    [SETTING_NUMBER_LIMIT] = sizeof(uint64_t),
    [SETTING_SIZE_LIMIT] = sizeof(uint64_t),
    [SETTING_TIME_LIMIT] = sizeof(uint64_t),
    [SETTING_GROUP] = 0,
};

/* ---- beginning and end ---------------------------------------------------- */

int
settings_init(struct settings *settings, const char *name)
{
    *settings = (struct settings){
        .uid = (uid_t)-1,
        .gid = (gid_t)-1,
        .socket_uid = (uid_t)-1,
        .socket_gid = (gid_t)-1,
        .umask = UMASK_UNCHANGED,
        .nice = NICE_UNCHANGED,
        .limits = {LIMIT_UNCHANGED, LIMIT_UNCHANGED, LIMIT_UNCHANGED, LIMIT_UNCHANGED,
                   LIMIT_UNCHANGED, LIMIT_UNCHANGED},
    };
    if (name != NULL && (settings->name = strdup(name)) == NULL)
        return -ENOMEM;
    return 0;
}

int
settings_fill(struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        bool good = setting_given(settings, setting) && !setting_refused(settings, setting);

        if (!good && settings_set_default(settings, setting) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void
option_done(struct option_setting *option)
{
    free(option->name);
    given_done(&option->given);
}

void
settings_done(struct settings *settings)
{
    assert(settings->references == 0);
    for (size_t i = 0; i < settings_count; i++) {
        if (settings_table[i].type == SETTING_TEXT)
            free(*(char **)settings_member(settings, &settings_table[i]));
        if (setting_is_list(&settings_table[i]))
            texts_free(*(char ***)settings_member(settings, &settings_table[i]));
        if (settings->places != NULL)
            given_done(&settings->places[i]);
    }
    for (size_t i = 0; i < settings->option_count; i++)
        option_done(&settings->options[i]);
    address_done(&settings->address);
    access_list_unref(settings->access);
    tls_bundle_unref(settings->tls_files);
    free(settings->options);
    free(settings->places);
    free(settings->gids);
    free(settings->login);
    free(settings->home);
    free(settings->shell);
    free(settings->plugin_file);
    free(settings->file);
    free(settings->name);
    *settings = (struct settings){0};
}

/* ---- holders -------------------------------------------------------------- */

const struct settings *
settings_share(struct settings *settings)
{
    struct settings *shared = malloc(sizeof(*shared));

    if (shared == NULL) {
        settings_done(settings);
        return NULL;
    }
    *shared = *settings;
    shared->references = 1;
    *settings = (struct settings){0};
    return shared;
}

const struct settings *
settings_ref(const struct settings *settings)
{
    assert(settings->references > 0);
    ((struct settings *)settings)->references++;
    return settings;
}

void
settings_unref(const struct settings *settings)
{
    struct settings *shared = (struct settings *)settings;

    if (shared == NULL || --shared->references > 0)
        return;
    settings_done(shared);
    free(shared);
}

void
settings_give_access(const struct settings *settings, struct access_list *access)
{
    access_list_unref(settings->access);
    ((struct settings *)settings)->access = access_list_ref(access);
}

void
settings_give_tls(const struct settings *settings, struct tls_bundle *files)
{
    tls_bundle_unref(settings->tls_files);
    ((struct settings *)settings)->tls_files = tls_bundle_ref(files);
}

/* ---- values --------------------------------------------------------------- */

/* Makes room for one more option. The room doubles, so that many options take no longer each. */
static int
make_option_room(struct settings *settings)
{
    size_t count = settings->option_count;

    if ((count & (count - 1)) != 0) /* there is room up to the next power of two */
        return 0;
    struct option_setting *options =
        reallocarray(settings->options, count == 0 ? 1 : 2 * count, sizeof(*options));
    if (options == NULL)
        return -ENOMEM;
    settings->options = options;
    return 0;
}

int
settings_add_option(struct settings *settings, const char *name, const struct given *given)
{
    struct option_setting option = {.name = strdup(name)};

    if (option.name == NULL || make_option_room(settings) < 0 ||
        given_copy(given, &option.given) < 0) {
        option_done(&option);
        return -ENOMEM;
    }
    settings->options[settings->option_count++] = option;
    return 0;
}

static int
copy_texts(struct settings *settings, const struct setting *setting, char *const *from)
{
    char ***at = settings_member(settings, setting), **copy = texts_copy(from);

    if (copy == NULL)
        return -ENOMEM;
    texts_free(*at);
    *at = copy;
    return 0;
}

static int
copy_address(struct settings *settings, const struct address *from)
{
    struct address copy;
    int r = address_copy(from, &copy);

    if (r < 0)
        return r;
    address_done(&settings->address);
    settings->address = copy;
    return 0;
}

int
settings_inherit(struct settings *settings, const struct setting *setting,
                 const struct settings *from)
{
    const void *value = settings_member(from, setting);
    int r = 0;

    assert(setting_given(from, setting) && !setting_refused(from, setting));
    if (setting->type == SETTING_TEXT)
        r = settings_set_text(settings, setting, *(char *const *)value);
    else if (setting->type == SETTING_ADDRESS)
        r = copy_address(settings, value);
    else if (setting_is_list(setting))
        r = copy_texts(settings, setting, *(char **const *)value);
    else
        memcpy(settings_member(settings, setting), value, field_sizes[setting->type]);
    if (r < 0)
        return r;
    return settings_remember(settings, setting, &from->places[setting - settings_table], false);
}

/* ---- comparing ------------------------------------------------------------ */

static bool
same_value(const struct settings *one, const struct settings *other, const struct setting *setting)
{
    const void *a = settings_member(one, setting), *b = settings_member(other, setting);

    if (setting->type == SETTING_TEXT)
        return text_equal(*(char *const *)a, *(char *const *)b);
    if (setting->type == SETTING_ADDRESS)
        return text_equal(one->address.text, other->address.text);
    if (setting_is_list(setting))
        return texts_equal(*(char **const *)a, *(char **const *)b);
    return memcmp(a, b, field_sizes[setting->type]) == 0;
}

static bool
same_options(const struct settings *one, const struct settings *other)
{
    if (one->option_count != other->option_count)
        return false;
    for (size_t i = 0; i < one->option_count; i++) {
        const struct option_setting *a = &one->options[i], *b = &other->options[i];

        if (strcmp(a->name, b->name) != 0 || !given_equal(&a->given, &b->given))
            return false;
    }
    return true;
}

static bool
same_groups(const struct settings *one, const struct settings *other)
{
    return one->gid_count == other->gid_count &&
           (one->gid_count == 0 ||
            memcmp(one->gids, other->gids, one->gid_count * sizeof(*one->gids)) == 0);
}

/* The lists' texts have been compared: here is what stands in the files that these name. */
static bool
same_access(const struct settings *one, const struct settings *other)
{
    return networks_equal(access_list_networks(one->access), access_list_networks(other->access));
}

bool
settings_equal(const struct settings *one, const struct settings *other)
{
    const struct setting *most = setting_find("max_per_source"); /* given, it is for everybody */

    for (size_t i = 0; i < settings_count; i++)
        if (!same_value(one, other, &settings_table[i]))
            return false;
    return text_equal(one->name, other->name) && text_equal(one->plugin_file, other->plugin_file) &&
           one->uid == other->uid && one->gid == other->gid &&
           text_equal(one->login, other->login) && text_equal(one->home, other->home) &&
           text_equal(one->shell, other->shell) && one->socket_uid == other->socket_uid &&
           one->socket_gid == other->socket_gid && same_groups(one, other) &&
           same_options(one, other) && same_access(one, other) &&
           tls_bundle_equal(one->tls_files, other->tls_files) &&
           setting_given(one, most) == setting_given(other, most);
}

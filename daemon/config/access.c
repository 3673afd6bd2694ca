/* SPDX-License-Identifier: MIT */
/*
 * access.c - `allow` and `deny`, from what somebody wrote to the table that decides
 *
 * An item that begins with "@" names a file with one item in each line. What a
 * line has behind "#", and spaces around an item, do not count; a line may end
 * like those of other systems, with a carriage return. A file names no other.
 *
 * Runs in:  the process that reads the configuration: looking users up, and a
 *           disk, may let it wait.
 * Owns:     nothing beyond a call.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/texts.h"
#include "config/identity.h"
#include "config/source.h"

/* One of the two lists. */
struct list {
    const char *key;
    bool deny;
    char *const *texts;
    const struct given *place; /* of the key */
};

struct compiling {
    const struct settings *settings;
    struct errors *errors;
    struct networks_builder builder;
    bool wrong; /* a mistake was told: there will be no table */
    bool full;  /* that there are too many was told */
};

static struct list
list_of(const struct settings *settings, bool deny)
{
    static const struct given nowhere = {0};
    const char *key = deny ? "deny" : "allow";
    const struct setting *setting = setting_find(key);

    return (struct list){
        .key = key,
        .deny = deny,
        .texts = deny ? settings->deny : settings->allow,
        .place = settings->places == NULL ? &nowhere : &settings->places[setting - settings_table],
    };
}

/* If one text was given instead of a list, or on a command line, there are no items. */
static struct given
place_of_item(const struct list *list, size_t i)
{
    struct given place = list->place->item_count > i ? list->place->items[i] : *list->place;

    place.text = list->texts[i];
    return place;
}

static int
find_id(const char *name, bool group, uint32_t *ret)
{
    gid_t gid;

    if (network_id_number(name, group, ret) == 0)
        return 0; /* a number needs no entry in the database */
    return group ? identity_find_group(name, ret) : identity_find_user(name, ret, &gid);
}

/* ---- mistakes ------------------------------------------------------------------------------ */

/* Tells a mistake in an item that stands in the configuration. Takes problem over. */
static void
item_is_wrong(struct compiling *compiling, const struct list *list, const struct given *place,
              char *problem)
{
    compiling->wrong = true;
    if (problem == NULL)
        compiling->errors->exhausted = true;
    else
        settings_mistake(compiling->settings, list->key, place, compiling->errors, "%s", problem);
    free(problem);
}

/* The same of an item that stands in a file of networks. */
static void
line_is_wrong(struct compiling *compiling, const struct network_item *item, char *problem)
{
    compiling->wrong = true;
    if (problem == NULL)
        compiling->errors->exhausted = true;
    else
        errors_add(compiling->errors, item->file, item->line, "%s", problem);
    free(problem);
}

static void
list_is_full(struct compiling *compiling, const struct list *list, const struct given *place)
{
    compiling->wrong = true;
    if (!compiling->full)
        settings_mistake(compiling->settings, list->key, place, compiling->errors,
                         "found more than %d networks, users and groups in \"allow\" and \"deny\" "
                         "together; for more, use the firewall's sets, such as nft(8)'s",
                         NETWORKS_MOST);
    compiling->full = true;
}

/* ---- files of networks --------------------------------------------------------------------- */

/* Cuts a line down to its item: "" if there is none. */
static char *
trim(char *line)
{
    line[strcspn(line, "#")] = '\0';
    line += strspn(line, " \t");
    for (size_t size = strlen(line); size > 0 && strchr(" \t\r", line[size - 1]) != NULL;)
        line[--size] = '\0';
    return line;
}

static int
add_line(struct compiling *compiling, const struct network_item *item)
{
    char *problem = NULL;
    int r;

    if (*item->text == '\0')
        return 0;
    r = networks_add(&compiling->builder, item, find_id, &problem);
    if (r == -EINVAL || r == -ENOMEM)
        line_is_wrong(compiling, item, problem);
    return r == -E2BIG ? r : 0;
}

/* Adds what stands in the lines. text is changed. Returns 0 or -E2BIG. */
static int
add_lines(struct compiling *compiling, const struct list *list, const char *path, char *text,
          size_t size)
{
    struct network_item item = {.deny = list->deny, .file = path, .line = 1};
    int r = 0;

    for (char *line = text, *end; r == 0 && line < text + size; line = end + 1, item.line++) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        end = end == NULL ? text + size : end;
        *end = '\0';
        if (strlen(line) < (size_t)(end - line)) {
            line_is_wrong(compiling, &item,
                          strdup("found a NUL byte; expected one network in each line, as text"));
            continue;
        }
        item.text = trim(line);
        r = add_line(compiling, &item);
    }
    return r;
}

static void
add_file(struct compiling *compiling, const struct list *list, const struct given *place)
{
    const char *path = place->text + 1, *why = NULL;
    _cleanup_free_ char *text = NULL;
    size_t size;
    int r = 0;

    if (*path != '/')
        why = "expected an absolute path behind \"@\"";
    else if ((r = source_read_some(path, ACCESS_FILE_LARGEST, &text, &size)) < 0)
        why = r == -EFBIG ? "it is larger than " ACCESS_FILE_LARGEST_TEXT : source_problem(r);
    if (why == NULL) {
        if (add_lines(compiling, list, path, text, size) == -E2BIG)
            list_is_full(compiling, list, place);
        return;
    }
    compiling->wrong = true;
    _cleanup_free_ char *shown = value_show(place->text, VALUE_STRING);
    if (shown == NULL || r == -ENOMEM)
        compiling->errors->exhausted = true;
    else if (r == 0)
        settings_mistake(compiling->settings, list->key, place, compiling->errors, "found %s; %s",
                         shown, why);
    else
        settings_mistake(compiling->settings, list->key, place, compiling->errors,
                         "cannot read the networks in %s: %s", path, why);
}

/* ---- lists --------------------------------------------------------------------------------- */

static void
add_item(struct compiling *compiling, const struct list *list, const struct given *place)
{
    const struct network_item item = {
        .text = place->text, .deny = list->deny, .file = place->file, .line = place->line};
    char *problem = NULL;

    if (*place->text == '@') {
        add_file(compiling, list, place);
        return;
    }
    int r = networks_add(&compiling->builder, &item, find_id, &problem);
    if (r == -E2BIG)
        list_is_full(compiling, list, place);
    else if (r < 0)
        item_is_wrong(compiling, list, place, problem);
}

static void
add_list(struct compiling *compiling, const struct list *list)
{
    for (size_t i = 0; list->texts != NULL && list->texts[i] != NULL; i++) {
        const struct given place = place_of_item(list, i);

        add_item(compiling, list, &place);
    }
}

/* True if both lists are of the same texts, which stand at the same places. */
static bool
are_same(const struct list *one, const struct list *other)
{
    size_t count = texts_count(one->texts);

    if (count != texts_count(other->texts))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct given a = place_of_item(one, i), b = place_of_item(other, i);

        if (strcmp(a.text, b.text) != 0 || a.line != b.line || !text_equal(a.file, b.file))
            return false;
    }
    return true;
}

static void
compile(struct compiling *compiling, struct settings *settings)
{
    struct networks *networks;

    if (networks_build(&compiling->builder, &networks) < 0 ||
        (settings->access = access_list_new(networks)) == NULL)
        compiling->errors->exhausted = true;
}

/* Returns the last of the others with the same lists, or NULL. */
static const struct settings *
find_like(const struct list *allow, const struct list *deny, const struct settings *others,
          size_t other_count)
{
    while (other_count-- > 0) {
        const struct list other_allow = list_of(&others[other_count], false);
        const struct list other_deny = list_of(&others[other_count], true);

        if (are_same(allow, &other_allow) && are_same(deny, &other_deny))
            return &others[other_count];
    }
    return NULL;
}

void
access_compile(struct settings *settings, const struct settings *others, size_t other_count,
               struct errors *errors)
{
    const struct list allow = list_of(settings, false), deny = list_of(settings, true);
    struct compiling compiling = {.settings = settings, .errors = errors};

    if (!settings_restrict_access(settings))
        return;
    const struct settings *like = find_like(&allow, &deny, others, other_count);
    if (like != NULL) {
        settings->access = access_list_ref(like->access);
        return;
    }
    compiling.builder.strict = texts_count(settings->allow) > 0;
    add_list(&compiling, &allow);
    add_list(&compiling, &deny);
    if (!compiling.wrong)
        compile(&compiling, settings);
    networks_builder_done(&compiling.builder);
}

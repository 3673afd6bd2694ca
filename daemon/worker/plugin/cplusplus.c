/* SPDX-License-Identifier: MIT */
/*
 * cplusplus.c - the C++ runtime that a plugin has brought with it
 *
 * The daemon is linked to none. Where a plugin is, or has loaded something that is (an extension of
 * an interpreter, for example), coroutines need it: see coroutine.c. A runtime that is linked into
 * the plugin itself and hidden there is not found.
 *
 * Runs in:  a worker, when the plugin is loaded and activated.
 * Owns:     nothing.
 * Failures: none.
 */
#include "worker/plugin/cplusplus.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "common/array.h"

#define GETTER "__cxa_get_globals"

static exception_state_getter
look_up(void *object)
{
    void *address = dlsym(object, GETTER);
    exception_state_getter getter;

    memcpy(&getter, &address, sizeof(getter)); /* POSIX's way from a pointer to a function */
    return getter;
}

static int
is_runtime(struct dl_phdr_info *info, size_t size, void *ret_path)
{
    static const char *const names[] = {"/libstdc++.so", "/libc++abi.so", "/libc++.so",
                                        "/libcxxrt.so"};

    (void)size;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (info->dlpi_name != NULL && strstr(info->dlpi_name, names[i]) != NULL) {
            *(const char **)ret_path = info->dlpi_name; /* as long as it is loaded: for good */
            return 1;
        }
    return 0;
}

/* What the plugin is linked to is found through it; what was loaded later, by its name. */
exception_state_getter
plugin_exception_state(const struct plugin *plugin)
{
    exception_state_getter getter = plugin->object != NULL ? look_up(plugin->object) : NULL;
    const char *path = NULL;

    if (getter != NULL || dl_iterate_phdr(is_runtime, &path) == 0)
        return getter;
    void *object = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    return object != NULL ? look_up(object) : NULL;
}

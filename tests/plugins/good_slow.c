/* SPDX-License-Identifier: MIT */
/*
 * good_slow.c - takes its time to be loaded
 *
 * While a file PLUGIN.wait lies beside the plugin's own file, its constructor
 * does not return. Then it echoes lines.
 *
 * Runs in:  every kind of context there is.
 * Owns:     nothing.
 * Failures: none.
 */
#include <dlfcn.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <unistd.h>

SS_PLUGIN(.name = "good_slow", .summary = "takes its time to be loaded", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE)

__attribute__((constructor)) static void
wait_beside_the_file(void)
{
    char wait[4096];
    Dl_info here;

    if (dladdr(&ss_plugin_record, &here) == 0)
        return;
    (void)snprintf(wait, sizeof(wait), "%s.wait", here.dli_fname);
    while (access(wait, F_OK) == 0)
        (void)usleep(10000);
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0)
        ss_write(request, line, (size_t)size);
    return (int)size;
}

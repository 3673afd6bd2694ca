/* SPDX-License-Identifier: MIT */
/*
 * place.h - where in which file a thread is: for handlers that spin, and for crashes
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_PLACE_H
#define SOCKSERVERD_WORKER_PLUGIN_PLACE_H

#include <stddef.h>
#include <stdint.h>

#define PLACE_SIZE 240

/*
 * Notes which files are loaded, and which of them is the plugin, by the
 * address of one of its functions. file is where it was loaded from: its
 * symbol table, if it has one, knows static functions, too. Once, after the
 * plugin was loaded; what it loads later is shown as a mere address.
 */
void places_note(const void *function, const char *file);

/*
 * Writes "echo.so+0x1139 (handle+0x9)", or, if the thread is in a library
 * that the plugin called, "libc.so.6+0x9a2b1 (memcpy+0x21), called from
 * echo.so+0x1139 (handle+0x9)". context is a signal handler's third argument;
 * the stack is searched up to top (0: as far as seems useful) for the call,
 * and what an earlier one has left there may be taken for it. The text is empty
 * if nothing is known of this machine. Async-signal-safe.
 */
void place_describe(const void *context, uintptr_t top, char text[PLACE_SIZE]);

/*
 * The same by unwinding the stack, which finds the right call, but may fault
 * if the stack is broken: for a process that crashes anyway. The text stays as
 * it is if nothing better is found.
 */
void place_unwind(const void *context, char text[PLACE_SIZE]);

/*
 * Writes a line for each function that has called the next, the innermost first,
 * down to the outermost one of the plugin: "echo.so+0x1139 (handle+0x9)". The
 * daemon's own without a name are left out. context as above, or NULL for the
 * caller's own stack. The stack is unwound; where it is broken the trace ends.
 * Async-signal-safe.
 */
void place_trace(const void *context, char *text, size_t size);

/* In the handler of a fault: if it came from place_trace(), returns there instead. */
void place_rescue(void);

#endif

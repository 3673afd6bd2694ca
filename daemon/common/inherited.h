/* SPDX-License-Identifier: MIT */
/*
 * inherited.h - what a program inherits from whoever executes it, put right
 */
#ifndef SOCKSERVERD_COMMON_INHERITED_H
#define SOCKSERVERD_COMMON_INHERITED_H

/*
 * Puts right what would change how the program works: ignored signals get their default action,
 * interval timers stop, the umask leaves the owner's bits alone, a current folder that is gone
 * is left for "/", and descriptors 0 to 2 are open. main() calls it first, before it starts a
 * thread. The signal mask stays, because signals that arrived while an upgrade executed wait behind
 * it; signals_block() sets it. Returns 0, or a negative errno if a descriptor cannot be opened.
 */
int inherited_put_right(void);

#endif

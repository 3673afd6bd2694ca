/* SPDX-License-Identifier: MIT */
/*
 * create.h - a folder with a new plugin: --new
 */
#ifndef SOCKSERVERD_CREATE_CREATE_H
#define SOCKSERVERD_CREATE_CREATE_H

/*
 * Makes the folder (NULL: called like the plugin), with a plugin of that name in
 * a language (NULL: C), and says what to type next. Nothing is overwritten; if
 * it fails, nothing is left. Returns the exit status: 0, 64 for a name or
 * language that cannot be, or 1. What is wrong is said on standard error.
 */
int create_plugin(const char *name, const char *language, const char *folder);

#endif

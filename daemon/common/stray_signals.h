/* SPDX-License-Identifier: MIT */
/*
 * stray_signals.h - signals that nobody sends in earnest, and that would end a process
 */
#ifndef SOCKSERVERD_COMMON_STRAY_SIGNALS_H
#define SOCKSERVERD_COMMON_STRAY_SIGNALS_H

/* From now on none of them ends this process, but a program that it executes finds them as they
 * usually are. */
void stray_signals_survive(void);

/* The same, for a process that runs a plugin: only the signal of a file that has become too large
 * does not end it. All others of these are as they usually are: they are the plugin's to use. */
void stray_signals_survive_large_file(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tls_module.h - the file of the worker's module that speaks TLS
 */
#ifndef SOCKSERVERD_COMMON_TLS_MODULE_H
#define SOCKSERVERD_COMMON_TLS_MODULE_H

/*
 * Returns a descriptor of the module, which stays this file's, or a negative
 * errno: -ENOENT if this sockserverd was built or installed without TLS. The file
 * is opened at the first call that finds it, so that all workers get the same.
 */
int tls_module_fd(void);

/* Chooses the module's file; the default is the one that belongs to this daemon. Returns 0 or a
 * negative errno. */
int tls_module_use(const char *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cleanup.h - locals that release what they hold when they go out of scope
 */
#ifndef SOCKSERVERD_COMMON_CLEANUP_H
#define SOCKSERVERD_COMMON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void
cleanup_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void
cleanup_fclose(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

/* "unused": holding something until the end of the scope is a use, which clang does not see. */
#define _cleanup_free_   __attribute__((cleanup(cleanup_free), unused))
#define _cleanup_close_  __attribute__((cleanup(cleanup_close), unused))
#define _cleanup_fclose_ __attribute__((cleanup(cleanup_fclose), unused))

/* Gives the value away: the local no longer releases it. */
#define take_fd(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })
#define take_pointer(pointer)                                                                      \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

#endif

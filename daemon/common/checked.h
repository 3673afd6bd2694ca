/* SPDX-License-Identifier: MIT */
/*
 * checked.h - whether this build is instrumented, and by what
 *
 * gcc tells of a sanitizer by a macro, clang 14 by __has_feature() alone: this
 * is the one place that asks either. Each is 0 or 1, for #if and for if ().
 */
#ifndef SOCKSERVERD_COMMON_CHECKED_H
#define SOCKSERVERD_COMMON_CHECKED_H

#ifdef __has_feature
#define CHECKED_FEATURE(feature) __has_feature(feature)
#else
#define CHECKED_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || CHECKED_FEATURE(address_sanitizer)
#define CHECKED_ADDRESS 1
#else
#define CHECKED_ADDRESS 0
#endif

#if defined(__SANITIZE_THREAD__) || CHECKED_FEATURE(thread_sanitizer)
#define CHECKED_THREAD 1
#else
#define CHECKED_THREAD 0
#endif

/* Lines are counted; CMake says so. */
#ifdef SOCKSERVERD_COVERAGE
#define CHECKED_COVERAGE 1
#else
#define CHECKED_COVERAGE 0
#endif

/* A sanitizer runs: frames are larger, everything is slower, faults are reported by it. */
#define SANITIZED (CHECKED_ADDRESS || CHECKED_THREAD)

/* Something must be written when a process ends, and fork() must be the C library's own. */
#define INSTRUMENTED (SANITIZED || CHECKED_COVERAGE)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * checked.h - whether this build is instrumented, and by what
 *
 * gcc tells of a sanitizer by a macro, clang 14 only by __has_feature(): only
 * this file asks either of them. Each macro here is 0 or 1, for #if and if ().
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

/* CMake defines this when lines are counted. */
#ifdef SOCKSERVERD_COVERAGE
#define CHECKED_COVERAGE 1
#else
#define CHECKED_COVERAGE 0
#endif

/* A sanitizer runs: frames are larger, everything is slower, and the sanitizer reports faults. */
#define SANITIZED (CHECKED_ADDRESS || CHECKED_THREAD)

/* The instrumentation writes something when a process ends, and fork() must be the C library's. */
#define INSTRUMENTED (SANITIZED || CHECKED_COVERAGE)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * array.h - how many elements an array has
 */
#ifndef SOCKSERVERD_COMMON_ARRAY_H
#define SOCKSERVERD_COMMON_ARRAY_H

/* The argument must be an array: how many elements a pointer points to is not known. */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif

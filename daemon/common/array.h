/* SPDX-License-Identifier: MIT */
/*
 * array.h - how many elements an array has
 */
#ifndef SOCKSERVERD_COMMON_ARRAY_H
#define SOCKSERVERD_COMMON_ARRAY_H

/* Of an array only: a pointer's number of elements cannot be told. */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif

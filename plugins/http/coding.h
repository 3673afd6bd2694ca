/* SPDX-License-Identifier: MIT */
/*
 * coding.h - the field Accept-Encoding
 */
#ifndef SOCKSERVERD_PLUGINS_HTTP_CODING_H
#define SOCKSERVERD_PLUGINS_HTTP_CODING_H

#include <stdbool.h>

/* Whether a client with this field, NULL if it has sent none, rather wants gzip than no coding. */
bool coding_prefers_gzip(const char *field);

#endif

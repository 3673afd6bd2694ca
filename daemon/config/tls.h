/* SPDX-License-Identifier: MIT */
/*
 * tls.h - `tls`: the files of certificates and keys, read
 */
#ifndef SOCKSERVERD_CONFIG_TLS_H
#define SOCKSERVERD_CONFIG_TLS_H

#include "common/errors.h"
#include "common/settings.h"

/*
 * Checks the listener's `tls`, reads the files that it names, and makes
 * settings->tls_files of them. others: so many settings for which this was done
 * already; if some of them name the same files in the same places, theirs are
 * shared, and mistakes are not told again. What is in the files is not looked
 * at: a worker does that. Mistakes are added to errors.
 */
void tls_read(struct settings *settings, const struct settings *others, size_t other_count,
              struct errors *errors);

#endif

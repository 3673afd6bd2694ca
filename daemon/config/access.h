/* SPDX-License-Identifier: MIT */
/*
 * access.h - `allow` and `deny`, from what somebody wrote to the table that decides
 */
#ifndef SOCKSERVERD_CONFIG_ACCESS_H
#define SOCKSERVERD_CONFIG_ACCESS_H

#include "common/errors.h"
#include "common/settings.h"

#define ACCESS_FILE_LARGEST      (8u << 20) /* bytes */
#define ACCESS_FILE_LARGEST_TEXT "8 MiB"

/*
 * Makes settings->access of `allow` and `deny` and of the files that these name,
 * and looks users and groups up. others: so many settings for which this was done
 * already; if some of them have the same lists from the same places, their table
 * is shared, and mistakes are not told again. Mistakes are added to errors.
 */
void access_compile(struct settings *settings, const struct settings *others, size_t other_count,
                    struct errors *errors);

#endif

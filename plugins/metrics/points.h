/* SPDX-License-Identifier: MIT */
/*
 * points.h - the points of the charts
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_POINTS_H
#define SOCKSERVERD_PLUGINS_METRICS_POINTS_H

#include "history.h"

/* Adds the point of this slot to the charts of all listeners, which have been looked at. */
void points_add(struct history *history, const struct snapshot *snapshot, int64_t slot,
                int64_t now);

#endif

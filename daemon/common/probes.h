/* SPDX-License-Identifier: MIT */
/*
 * probes.h - places at which bpftrace, perf and SystemTap can look on
 *
 * PROBE(name, ...) is a user-level statically defined trace point (USDT) of the
 * provider "sockserverd". While nobody looks, it is one nop, and its arguments are
 * put into registers. They shall be values that are at hand: on the way of a
 * request no call is made for a probe. Where <sys/sdt.h> was missing at the build,
 * it is nothing at all.
 *
 * sockserverd-probes(7) lists every probe; a test compares it with the programs.
 */
#ifndef SOCKSERVERD_COMMON_PROBES_H
#define SOCKSERVERD_COMMON_PROBES_H

#if __has_include(<sys/sdt.h>)
/* In registers: bpftrace 0.17 cannot read what lies in static memory. */
#define STAP_SDT_ARG_CONSTRAINT nr
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define PROBE(name, ...) STAP_PROBEV(sockserverd, name, ##__VA_ARGS__)
#else
static inline void
probe_nothing(int first, ...)
{
    (void)first;
}
#define PROBE(name, ...) probe_nothing(0, ##__VA_ARGS__)
#endif

#endif

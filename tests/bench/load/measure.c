/* SPDX-License-Identifier: MIT */
/*
 * measure.c - the clock, the latencies, and the line of JSON that is the result
 *
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "load.h"

/* 64 linear steps in every power of two: an error below 1.6 %. */
static uint64_t hist[64 * 60], hist_n, hist_max;
static uint64_t gauge_begin;
static double cpu_begin;
uint64_t t_begin, t_end;
char last_error[64];

void
die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

uint64_t
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void
failed(const char *where, int err)
{
    counts.errors++;
    snprintf(last_error, sizeof last_error, "%s: %s", where,
             err ? strerror(err) : "unexpected EOF");
}

void
record(uint64_t ns)
{
    unsigned shift = ns < 64 ? 0 : 57 - (unsigned)__builtin_clzll(ns);
    hist[ns < 64 ? ns : (shift + 1) * 64 + (ns >> shift) - 64]++;
    hist_n++;
    if (ns > hist_max)
        hist_max = ns;
}

static double
percentile_us(double q)
{
    uint64_t want = (uint64_t)(q * (double)hist_n), seen = 0;
    for (size_t i = 0; i < sizeof hist / sizeof *hist; i++)
        if ((seen += hist[i]) > want)
            return (i < 64 ? (double)i : (double)((i % 64 + 65) << (i / 64 - 1))) / 1000;
    return (double)hist_max / 1000;
}

static uint64_t
read_gauge(void)
{
    uint64_t v = 0;
    FILE *f = options.gauge ? fopen(options.gauge, "r") : NULL;
    if (f && fscanf(f, "%lu", &v) != 1)
        v = 0;
    if (f)
        fclose(f);
    return v;
}

static double
own_cpu(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

void
begin(void)
{
    gauge_begin = read_gauge();
    cpu_begin = own_cpu();
    t_begin = now();
    t_end = t_begin + (uint64_t)(options.seconds * 1e9);
}

void
report(void)
{
    double secs = (double)((now() < t_end ? now() : t_end) - t_begin) / 1e9;
    double cpu = own_cpu() - cpu_begin;
    uint64_t gauge = read_gauge() - gauge_begin;
    printf("{\"mode\":\"%s\",\"address\":\"%s\",\"k\":%ld,\"size\":%ld,\"depth\":%ld,\"secs\":%.3f,"
           "\"done\":%lu,\"rate\":%.1f,\"errors\":%lu,\"retries\":%lu,\"lost\":%lu,\"late\":%lu,"
           "\"client_cpu\":%.3f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f",
           options.mode, options.address, options.clients, options.size, options.depth, secs,
           counts.done, (double)counts.done / secs, counts.errors, counts.retries, counts.lost,
           counts.late, cpu / secs, percentile_us(.5), percentile_us(.9), percentile_us(.99),
           percentile_us(.999), (double)hist_max / 1000);
    if (options.tls)
        printf(",\"resumed\":%lu", counts.resumed);
    if (options.gauge)
        printf(",\"gauge\":%lu", gauge);
    printf(",\"last_error\":\"%s\"}\n", last_error);
}

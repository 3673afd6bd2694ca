/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - sockserverctl: its commands and its command line
 */
#ifndef SOCKSERVERD_CTL_CTL_H
#define SOCKSERVERD_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CTL_SOCKET "/run/sockserverd/control"

enum ctl_result {
    CTL_FINE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 64,
    CTL_UNREACHABLE = 69,  /* no daemon answers on the control socket */
    CTL_CONFIGURATION = 78 /* a file that import was to read is none */
};

struct ctl_command;

/* The strings belong to argv. */
struct ctl_arguments {
    const char *socket;
    const struct ctl_command *command;
    const char *operand;        /* NULL: not given */
    const char *second;         /* of a command that must have two */
    const char *xinetd, *inetd; /* files; NULL: not given */
    bool json, wait, all, help, version;
    bool announce;  /* of drain, not given by anybody: only say that it comes */
    double seconds; /* that --wait waits at most; negative: no limit */
};

/* A command takes no operand, or it may have one, or it must have one or two. */
enum ctl_operand { OPERAND_NONE, OPERAND_OPTIONAL, OPERAND_REQUIRED, OPERAND_TWO };

struct ctl_command {
    const char *name;
    enum ctl_operand takes;
    const char *operand; /* its name in the help */
    const char *option;  /* the one of --json, --wait and --xinetd (with --inetd) that it knows, or
                            NULL */
    bool all;            /* --all may stand for its operand */
    const char *help;
    const char *method; /* for ctl_operate() */
    enum ctl_result (*run)(const struct ctl_arguments *arguments);
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;
extern const char *const ctl_options[]; /* long names without dashes, NULL at the end */

/* Runs the whole program except for exit(). Returns the exit status. */
int ctl_main(int argc, char *const *argv);

/* Reads the arguments. Returns 0, or -EINVAL and *ret_problem: one line that the caller frees,
 * or NULL without memory. */
int ctl_parse(int argc, char *const *argv, struct ctl_arguments *ret, char **ret_problem);
void ctl_help(FILE *out);

/* These are the commands; they print what there is to say. */
enum ctl_result ctl_status(const struct ctl_arguments *arguments);
enum ctl_result ctl_health(const struct ctl_arguments *arguments);
enum ctl_result ctl_operate_all(const struct ctl_arguments *arguments);
enum ctl_result ctl_explain(const struct ctl_arguments *arguments);
enum ctl_result ctl_sources(const struct ctl_arguments *arguments);
enum ctl_result ctl_pardon(const struct ctl_arguments *arguments);
enum ctl_result ctl_requests(const struct ctl_arguments *arguments);
enum ctl_result ctl_backtrace(const struct ctl_arguments *arguments);
enum ctl_result ctl_cancel(const struct ctl_arguments *arguments);
enum ctl_result ctl_top(const struct ctl_arguments *arguments);
enum ctl_result ctl_operate(const struct ctl_arguments *arguments);
enum ctl_result ctl_upgrade(const struct ctl_arguments *arguments);
enum ctl_result ctl_import(const struct ctl_arguments *arguments);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * exec.h - what the files of the plugin share
 */
#ifndef SOCKSERVERD_PLUGINS_EXEC_H
#define SOCKSERVERD_PLUGINS_EXEC_H

#include <sockserver/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define OUTCOMES_SIGNALS 65

enum errors_to { ERRORS_LOG, ERRORS_CLIENT, ERRORS_NULL };

/* The listener's options, as server_activate() has read them. It lasts as long as the worker. */
struct service {
    const char *command;
    const char *directory; /* NULL: the worker's own */
    char **arguments;      /* with argv[0] */
    char **environment;    /* what is the same for each request */
    size_t variables;      /* in it */
    bool ucspi;
    bool waits;     /* the program gets the listening socket */
    pid_t last;     /* of those: the one that was started last */
    unsigned quick; /* of those: how many in a row ended at once and took nothing */
    enum errors_to errors_to;
    double kill_timeout;
    char *banner; /* or NULL */
    size_t banner_size;
    int null; /* /dev/null */
    pid_t worker;
    /* How a program ended, for access lines, which want texts that last. */
    char exits[256][32];
    char signals[OUTCOMES_SIGNALS][48];
};

/* ---- service.c ---------------------------------------------------------------------------- */

/* Reads and judges the options. 0, or a negative errno after it has said what is wrong. */
int service_new(struct ss_server *server, struct service **ret);
void service_free(struct service *service);

/* ---- environment.c ------------------------------------------------------------------------ */

/* Makes service->environment. 0, or a negative errno after it has said what is wrong. */
int environment_prepare(struct ss_server *server, struct service *service);

#define REQUEST_VARIABLES 8
#define VARIABLE_SIZE     160

/* The variables of one request. */
struct environment {
    char texts[REQUEST_VARIABLES][VARIABLE_SIZE];
    size_t count;
    char **all; /* these and the service's; NULL behind the last */
};

/* 0 or -ENOMEM; environment_done() follows a success. */
int environment_init(struct environment *environment, struct ss_request *request,
                     const struct service *service);
void environment_done(struct environment *environment);

/* ---- program.c ---------------------------------------------------------------------------- */

struct program {
    pid_t pid;
    int pidfd;     /* readable when it has ended; -1: this kernel has none */
    int status;    /* as of waitpid(2), once it has ended */
    double asked;  /* when it was asked to end, as a drain has begun; 0: it was not */
    bool insisted; /* and was killed then */
};

/* Starts the command with these descriptors as 0 and 1, and as 2. 0, or a negative errno after it
 * has said why. */
int program_start(struct program *program, const struct service *service, char **environment,
                  int socket, int errors);

/* Says why the command cannot be executed, and what helps. Returns -error. */
int program_report_failure(const struct service *service, int error);

/* Whether it has ended; then it is reaped. Never waits. */
bool program_has_ended(struct program *program);

/* Lets go of one that has ended, and says how in the access line and, after a signal, in the log.
 */
void program_tell_end(struct program *program, const struct service *service,
                      struct ss_request *request);

/* Ends it: SIGTERM to its process group, and SIGKILL if it lives on after kill_timeout. It does not
 * wait for that. */
void program_end(struct program *program, const struct service *service);

/* ---- spawn.c ------------------------------------------------------------------------------ */

/* As program_start(), which says why it has failed: fills in the program's pid and pidfd. */
int spawn_program(struct program *program, const struct service *service, char *const *environment,
                  int socket, int errors);

/* ---- waiting.c ---------------------------------------------------------------------------- */

/* What stood first in a listening socket's queue when a program was started. */
struct arrival {
    double started; /* monotonic, seconds */
    size_t size;    /* of the first datagram's beginning, with its sender */
    unsigned char bytes[512];
};

void arrival_look(int socket, struct arrival *ret);

/*
 * A program with the listening socket has ended, or could not be started. If it has left behind
 * what came, again and again, waits for a while before this is tried once more. In a drain, waits
 * for processes that it has left behind. Returns error, or -ECANCELED.
 */
int waiting_over(struct ss_request *request, struct service *service, const struct arrival *before,
                 int error);

double seconds_now(void);

/* ---- attend.c ----------------------------------------------------------------------------- */

/*
 * Stays with the program until it ends: logs what comes from errors (-1: nothing), and passes
 * bytes between the client and relay (-1: the program has the client's socket). Both descriptors
 * stay the caller's. 0, or a negative errno: the program is being ended then.
 */
int attend(struct ss_request *request, const struct service *service, struct program *program,
           int errors, int relay);

#endif

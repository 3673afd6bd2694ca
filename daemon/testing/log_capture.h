/* SPDX-License-Identifier: MIT */
/*
 * log_capture.h - what was logged in a test
 */
#ifndef SOCKSERVERD_TESTING_LOG_CAPTURE_H
#define SOCKSERVERD_TESTING_LOG_CAPTURE_H

#include <sys/types.h>

/* Makes the pipe, once in a process. 0 or a negative errno. */
int log_capture_open(void);

/* Lines that nobody has read yet; -1 if there are none. Never waits. */
ssize_t log_capture_read(char *buffer, size_t size);

#endif

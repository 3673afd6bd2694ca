/* SPDX-License-Identifier: MIT */
/*
 * line.c - what is executed for each connection: it echoes a line and ends
 *
 * It is linked statically, so that the server is measured rather than the dynamic linker.
 */
#include <string.h>
#include <unistd.h>

int
main(void)
{
    char line[4096];
    size_t size = 0;

    while (size < sizeof(line) && (size == 0 || line[size - 1] != '\n')) {
        ssize_t got = read(STDIN_FILENO, line + size, sizeof(line) - size);
        if (got <= 0)
            return 1;
        size += (size_t)got;
    }
    return write(STDOUT_FILENO, line, size) != (ssize_t)size;
}

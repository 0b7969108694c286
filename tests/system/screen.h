/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Consoles of detached VMs, seen from outside, and a person before a terminal who looks at one: a
 * program on a pty, what it shows, and what is typed there.
 */

#include <stddef.h>
#include <sys/types.h>

/* How many sockets of consoles, and keepers, there are. */
int console_count_sockets(void);
int console_count_keepers(void);
/* Waits until there are none. */
void console_expect_none_left(void);
/* Where Show says that the socket of a VM's console is; malloc'd, NULL: it has none. */
char *console_socket_of(const char *name);
/* A connection to it; -1 with errno. */
int console_connect(const char *path);

#define SCREEN_ROWS 31
#define SCREEN_COLUMNS 97

struct screen {
        pid_t pid;
        int fd, pidfd;
        char text[65536];
        size_t n;
};

/* Starts a program on a terminal of its own. "provium" talks to our broker. */
void screen_start(struct screen *screen, const char *const *words);
#define SCREEN(screen, ...) screen_start(screen, (const char *const[]){__VA_ARGS__, NULL})
/* Takes what is shown next, if it is there in time. */
void screen_read(struct screen *screen, int timeout_ms);
/* Waits until it shows @text, and forgets all up to it; needs it. */
void screen_wait(struct screen *screen, const char *text);
void screen_type(const struct screen *screen, const char *text);
/* Waits for the program's end: its exit status, 1000+N for a signal. */
int screen_end(struct screen *screen);

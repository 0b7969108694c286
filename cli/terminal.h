/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TERMINAL_H
#define PROVIUM_CLI_TERMINAL_H

/*
 * A person's terminal, lent to somebody else's keys for a while, and the key that takes it back.
 */

#include <termios.h>

#include <base/macro.h>

#define TERMINAL_NO_KEY (-1)
#define TERMINAL_ESCAPE 0x1d /* Ctrl-] */

struct terminal {
        int fd; /* borrowed; -1: it is none, and nothing is ever done to it */
        bool raw;
        struct termios saved;
};

/* @fd, if it is a terminal. */
void terminal_init(struct terminal *terminal, int fd);
/* From now on every key is a byte, and no byte a signal. Again after the process was stopped. */
void terminal_make_raw(struct terminal *terminal);
/* As it was. Idempotent. */
void terminal_restore(struct terminal *terminal);

enum {
        _TERMINAL_E_SUCCESS,
        TERMINAL_E_KEY, /* no key that can be the one */
};

struct why;

/* "^]", "^x", one character of ASCII, or "none" (TERMINAL_NO_KEY). Answers KEY. */
_must_check_ int terminal_parse_key(const char *text, int *keyp, struct why *why);
/* The key as it is shown ("Ctrl-]"), in @text of 8 bytes. */
const char *terminal_format_key(int key, char text[8]);

#endif

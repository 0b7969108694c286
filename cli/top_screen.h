/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_SCREEN_H
#define PROVIUM_CLI_TOP_SCREEN_H

/*
 * A terminal as a whole, by ncurses (the wide one): a grid goes out, keys come in, and at the end
 * it is as it was. The only file that knows ncurses.
 */
#include <stdio.h>

#include <cli/grid.h>

struct why;

enum {
        _TOP_SCREEN_E_SUCCESS,
        TOP_SCREEN_E_TERMINAL, /* it cannot be drawn on */
        TOP_SCREEN_E_NO_KEY,   /* none is pressed now */
};

struct top_screen {
        void *terminal; /* ncurses' SCREEN; NULL: not open */
        int resize_fd;  /* readable when the size may be another */
        bool colours;
};

#define TOP_SCREEN_NULL                                                                            \
        { .resize_fd = -1 }

/*
 * Takes over the terminal that is behind @out and standard input. Colours are used if it has some
 * and NO_COLOR (no-color.org) is not set. Answers TERMINAL with a sentence. Negative: a fault.
 */
_must_check_ int top_screen_open(struct top_screen *screen, FILE *out, struct why *why);
/* Gives it back as it was. Idempotent. */
void top_screen_close(struct top_screen *screen);

/* The size now. */
void top_screen_size(const struct top_screen *screen, int *rowsp, int *columnsp);
/* To be called when resize_fd is readable. */
void top_screen_resize(struct top_screen *screen);
/* Shows @grid; with @anew whatever else had been written over it goes, too. */
void top_screen_show(struct top_screen *screen, const struct grid *grid, bool anew);
/* The next key, a character or one of enum top_key. Answers NO_KEY; never waits. */
_must_check_ int top_screen_key(struct top_screen *screen, int *keyp);

#endif

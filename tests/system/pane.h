/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A person before a terminal of some size, in tmux(1): what is shown, as the rows and columns that
 * are seen, and what is typed. (A pty alone, as in screen.h, shows only what is sent.)
 */

#include <stdbool.h>

#define PANE_TEXT_MAX (64 * 1024)

struct pane {
        int server;               /* a pidfd */
        char text[PANE_TEXT_MAX]; /* as it was last looked at: a line for each row */
};

/* Opens a terminal of that size in which @command is executed by a shell, with our broker's socket
 * and programs, in UTF-8. */
void pane_open(struct pane *pane, int columns, int rows, const char *command);
/* Ends what runs in it, and waits until the terminal is gone. */
void pane_close(struct pane *pane);

/* Looks at it. */
void pane_look(struct pane *pane);
/* Looks until @text is to be seen, or none of it; needs that. */
void pane_wait(struct pane *pane, const char *text);
void pane_wait_gone(struct pane *pane, const char *text);
/* The row that begins with @start, behind blanks; "" if there is none. Borrowed until the next
 * call.
 */
const char *pane_row(const struct pane *pane, const char *start);

/* Keys as tmux calls them ("Enter", "Down"), and letters as they are. */
void pane_press(const char *key);
void pane_type(const char *text);
void pane_resize(int columns, int rows);
/* Is some program drawing on the whole of it? */
bool pane_is_screen(void);

/* Keeps what is seen as an artefact of that name (tests/README.md). */
void pane_keep(const struct pane *pane, const char *name);

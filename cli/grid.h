/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_GRID_H
#define PROVIUM_CLI_GRID_H

/*
 * A screen that is only memory: rows of cells, each a character and how it is set off. The same
 * drawing goes to a terminal, to a pipe, or into a test.
 *
 * Nothing that is put here can do harm to a terminal: control characters, what is no UTF-8, and
 * what the locale does not know become '?'; a character that takes two places takes two cells; one
 * that takes none is left out.
 */
#include <stdio.h>

#include <base/macro.h>

/* No meaning is in the style alone: it is all in the characters. */
enum grid_style {
        GRID_PLAIN,
        GRID_BOLD,
        GRID_REVERSE,
        GRID_USED,
        GRID_GUARANTEED,
        GRID_SOLD,
        GRID_WARNING,
        _GRID_STYLE_N,
};

#define GRID_ROWS_MAX 4096 /* also of a frame that is printed */
#define GRID_COLUMNS_MAX 1024

struct grid_cell {
        uint32_t character; /* of Unicode; 0: the second place of the one before */
        uint8_t style;
};

struct grid {
        struct grid_cell *cells; /* row by row */
        int rows, columns;
        bool utf8; /* else all beyond ASCII is '?' */
};

#define GRID_NULL                                                                                  \
        {}

/* All blank; the size is brought within 1 and the bounds above. Negative: out of memory, and @grid
 * is as it was. */
_must_check_ int grid_init(struct grid *grid, int rows, int columns, bool utf8);
/* Idempotent. */
void grid_deinit(struct grid *grid);

/*
 * Each puts text into one row and returns the column behind it; what lies outside of the grid is
 * cut off, and a row that is none is no mistake. grid_put_cut() takes at most @width places, the
 * last of them '~' if the text is longer; grid_put_right() ends at @column + @width.
 */
int grid_put(struct grid *grid, int row, int column, enum grid_style style, const char *text);
int grid_put_cut(struct grid *grid, int row, int column, int width, enum grid_style style,
                 const char *text);
int grid_put_right(struct grid *grid, int row, int column, int width, enum grid_style style,
                   const char *text);
int grid_format(struct grid *grid, int row, int column, enum grid_style style, const char *format,
                ...) _printf_(5, 6);
/* Sets off @n cells anew. */
void grid_set_style(struct grid *grid, int row, int column, int n, enum grid_style style);

/* The places that @text takes. */
int grid_width(const struct grid *grid, const char *text);

/* A row as UTF-8 in @buffer (4 bytes for each column and one more are enough), without the blanks
 * at its end. */
const char *grid_line(const struct grid *grid, int row, char *buffer, size_t size);
/* All rows, each as a line. */
void grid_print(const struct grid *grid, FILE *file);

/* One character as UTF-8 with a NUL. */
const char *grid_encode(uint32_t character, char text[5]);

#endif

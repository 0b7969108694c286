/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TABLE_H
#define PROVIUM_CLI_TABLE_H

/*
 * Columns of text that fit a terminal.
 */

#include <stdio.h>

#include <base/macro.h>

struct column {
        const char *title;
        bool right;    /* numbers: aligned at the right */
        bool flexible; /* may be cut, down to TABLE_WIDTH_MIN, if the table is too wide */
};

#define TABLE_COLUMNS_MAX 16
#define TABLE_WIDTH_MIN 8

struct table {
        const struct column *columns; /* borrowed */
        size_t n_columns;
        char **cells; /* row by row */
        size_t n_cells, n_allocated;
        bool failed; /* out of memory: told by table_print() */
};

void table_init(struct table *table, const struct column *columns, size_t n_columns);
void table_deinit(struct table *table);

/* Adds the next cell; @text is copied and must be safe for a terminal. */
void table_add(struct table *table, const char *text);

/*
 * Prints title and rows to @file in at most @width characters (0: as wide as it gets). What had to
 * be cut ends in "~". Negative: out of memory at some cell; nothing was printed.
 */
_must_check_ int table_print(const struct table *table, FILE *file, size_t width);

/* The width of the terminal that @file is, 80 if it does not tell, 0 if it is no terminal. */
size_t table_terminal_width(FILE *file);

/* Characters in a UTF-8 text. */
size_t table_text_width(const char *text);

#endif

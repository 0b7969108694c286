/* SPDX-License-Identifier: MIT */
/*
 * Every column gets what its widest cell needs. If that is too much, the flexible columns give way,
 * one character at a time and always the widest of them, so that a long command shrinks before a
 * name does. Lines have no blanks at their end.
 *
 * A character counts as one place; the double-wide ones of East Asia may push a column out of line,
 * never a byte out of its character.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cli/table.h>

#define GAP 2

void table_init(struct table *table, const struct column *columns, size_t n_columns) {
        assert(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);

        *table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_deinit(struct table *table) {
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        free(table->cells);
        *table = (struct table){};
}

void table_add(struct table *table, const char *text) {
        char *copy;

        if (table->failed)
                return;
        if (table->n_cells == table->n_allocated) {
                size_t n = table->n_allocated ? 2 * table->n_allocated : 64;
                char **cells = realloc(table->cells, n * sizeof(*cells));

                if (!cells) {
                        table->failed = true;
                        return;
                }
                table->cells = cells;
                table->n_allocated = n;
        }
        copy = strdup(text);
        if (!copy) {
                table->failed = true;
                return;
        }
        table->cells[table->n_cells++] = copy;
}

size_t table_text_width(const char *text) {
        size_t width = 0;

        for (; *text; text++)
                width += (*text & 0xc0) != 0x80;
        return width;
}

size_t table_terminal_width(FILE *file) {
        struct winsize size = {};

        if (!isatty(fileno(file)))
                return 0;
        return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void measure(const struct table *table, size_t *widths) {
        for (size_t c = 0; c < table->n_columns; c++)
                widths[c] = table_text_width(table->columns[c].title);
        for (size_t i = 0; i < table->n_cells; i++) {
                size_t c = i % table->n_columns;

                widths[c] = max_u64(widths[c], table_text_width(table->cells[i]));
        }
}

static void fit(const struct table *table, size_t *widths, size_t limit) {
        size_t total = GAP * (table->n_columns - 1);

        for (size_t c = 0; c < table->n_columns; c++)
                total += widths[c];
        for (; total > limit; total--) {
                size_t widest = SIZE_MAX;

                for (size_t c = 0; c < table->n_columns; c++)
                        if (table->columns[c].flexible && widths[c] > TABLE_WIDTH_MIN &&
                            (widest == SIZE_MAX || widths[c] >= widths[widest]))
                                widest = c;
                if (widest == SIZE_MAX)
                        return;
                widths[widest]--;
        }
}

/* Prints at most @width characters of @text, the last a "~" if it is longer. */
static void print_cut(FILE *file, const char *text, size_t width) {
        bool cut = table_text_width(text) > width;
        size_t left = cut ? width - 1 : width;

        for (; *text; text++) {
                if ((*text & 0xc0) != 0x80 && left-- == 0)
                        break;
                fputc(*text, file);
        }
        if (cut)
                fputc('~', file);
}

static void print_cell(FILE *file, const struct column *column, const char *text, size_t width,
                       bool last) {
        size_t length = table_text_width(text);
        int blanks = length < width ? (int)(width - length) : 0;

        if (column->right)
                fprintf(file, "%*s", blanks, "");
        print_cut(file, text, width);
        if (!last)
                fprintf(file, "%*s", GAP + (column->right ? 0 : blanks), "");
}

static void print_line(const struct table *table, FILE *file, const char *const *cells,
                       const size_t *widths) {
        size_t n = table->n_columns;

        while (cells && n > 1 && !cells[n - 1][0])
                n--;
        for (size_t c = 0; c < n; c++)
                print_cell(file, &table->columns[c], cells ? cells[c] : table->columns[c].title,
                           widths[c], c + 1 == n);
        fputc('\n', file);
}

int table_print(const struct table *table, FILE *file, size_t width) {
        size_t widths[TABLE_COLUMNS_MAX];

        if (table->failed)
                return fault(-ENOMEM);
        assert(table->n_cells % table->n_columns == 0);

        measure(table, widths);
        if (width > 0)
                fit(table, widths, width);
        print_line(table, file, NULL, widths);
        for (size_t i = 0; i < table->n_cells; i += table->n_columns)
                print_line(table, file, (const char *const *)table->cells + i, widths);
        return 0;
}

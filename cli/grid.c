/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include <cli/grid.h>

#define FORMAT_MAX 1024

int grid_init(struct grid *grid, int rows, int columns, bool utf8) {
        struct grid_cell *cells;

        rows = rows < 1 ? 1 : (int)min_u64((uint64_t)rows, GRID_ROWS_MAX);
        columns = columns < 1 ? 1 : (int)min_u64((uint64_t)columns, GRID_COLUMNS_MAX);
        cells = calloc((size_t)rows * (size_t)columns, sizeof(*cells));
        if (!cells)
                return fault(-ENOMEM);
        for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++)
                cells[i].character = ' ';
        grid_deinit(grid);
        *grid = (struct grid){cells, rows, columns, utf8};
        return 0;
}

void grid_deinit(struct grid *grid) {
        free(grid->cells);
        *grid = (struct grid){};
}

/* The next character of @text; what is no UTF-8 is one '?' for each byte. */
static uint32_t decode(const char **textp) {
        const unsigned char *text = (const unsigned char *)*textp;
        uint32_t character = *text;
        int more = character < 0x80             ? 0
                   : (character & 0xe0) == 0xc0 ? 1
                   : (character & 0xf0) == 0xe0 ? 2
                   : (character & 0xf8) == 0xf0 ? 3
                                                : -1;

        if (more > 0)
                character &= 0x3fU >> more;
        for (int i = 1; i <= more; i++) {
                if ((text[i] & 0xc0) != 0x80) {
                        more = -1;
                        break;
                }
                character = character << 6 | (text[i] & 0x3f);
        }
        *textp += more < 0 ? 1 : more + 1;
        return more < 0 || character > 0x10ffff ? '?' : character;
}

/* What of it can be shown, and in how many places. */
static uint32_t shown(const struct grid *grid, uint32_t character, int *widthp) {
        *widthp = 1;
        if (character >= ' ' && character < 0x7f)
                return character;
        if (character < 0xa0 || !grid->utf8)
                return '?';
        *widthp = wcwidth((wchar_t)character);
        if (*widthp >= 0)
                return character;
        *widthp = 1;
        return '?';
}

int grid_width(const struct grid *grid, const char *text) {
        int sum = 0, width;

        while (*text) {
                (void)shown(grid, decode(&text), &width);
                sum += width;
        }
        return sum;
}

static struct grid_cell *cell_at(const struct grid *grid, int row, int column) {
        if (row < 0 || row >= grid->rows || column < 0 || column >= grid->columns)
                return NULL;
        return &grid->cells[(size_t)row * (size_t)grid->columns + (size_t)column];
}

static void set(struct grid *grid, int row, int column, enum grid_style style, uint32_t character) {
        struct grid_cell *cell = cell_at(grid, row, column);

        if (cell)
                *cell = (struct grid_cell){character, (uint8_t)style};
}

int grid_put_cut(struct grid *grid, int row, int column, int width, enum grid_style style,
                 const char *text) {
        bool cut;
        int end;

        if (column >= grid->columns || width <= 0)
                return column;
        if (width > grid->columns - column)
                width = grid->columns - column;
        cut = grid_width(grid, text) > width;
        end = column + width - (cut ? 1 : 0);
        while (*text) {
                int places;
                uint32_t character = shown(grid, decode(&text), &places);

                if (column + places > end)
                        break;
                if (places == 0)
                        continue;
                set(grid, row, column, style, character);
                if (places == 2)
                        set(grid, row, column + 1, style, 0);
                column += places;
        }
        if (cut)
                set(grid, row, column++, style, '~');
        return column;
}

int grid_put(struct grid *grid, int row, int column, enum grid_style style, const char *text) {
        return grid_put_cut(grid, row, column, GRID_COLUMNS_MAX, style, text);
}

int grid_put_right(struct grid *grid, int row, int column, int width, enum grid_style style,
                   const char *text) {
        int blanks = width - grid_width(grid, text);

        if (blanks < 0)
                blanks = 0;
        grid_put_cut(grid, row, column + blanks, width - blanks, style, text);
        return column + width;
}

int grid_format(struct grid *grid, int row, int column, enum grid_style style, const char *format,
                ...) {
        char text[FORMAT_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        return grid_put(grid, row, column, style, text);
}

void grid_set_style(struct grid *grid, int row, int column, int n, enum grid_style style) {
        for (int i = 0; i < n; i++) {
                struct grid_cell *cell = cell_at(grid, row, column + i);

                if (cell)
                        cell->style = (uint8_t)style;
        }
}

const char *grid_encode(uint32_t character, char text[5]) {
        int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
        static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};

        for (int i = more; i > 0; i--) {
                text[i] = (char)(0x80 | (character & 0x3f));
                character >>= 6;
        }
        text[0] = (char)(first[more] | character);
        text[more + 1] = '\0';
        return text;
}

const char *grid_line(const struct grid *grid, int row, char *buffer, size_t size) {
        int end = grid->columns;
        size_t used = 0;
        char text[5];

        while (end > 0 && cell_at(grid, row, end - 1) &&
               cell_at(grid, row, end - 1)->character == ' ')
                end--;
        for (int column = 0; column < end; column++) {
                const struct grid_cell *cell = cell_at(grid, row, column);
                size_t length;

                if (!cell || cell->character == 0)
                        continue;
                length = strlen(grid_encode(cell->character, text));
                if (used + length >= size)
                        break;
                memcpy(buffer + used, text, length);
                used += length;
        }
        buffer[used] = '\0';
        return buffer;
}

void grid_print(const struct grid *grid, FILE *file) {
        char line[4 * GRID_COLUMNS_MAX + 1];

        for (int row = 0; row < grid->rows; row++)
                fprintf(file, "%s\n", grid_line(grid, row, line, sizeof(line)));
}

/* SPDX-License-Identifier: MIT */
/*
 * The list of VMs. Which columns there are depends on the width: those of the lowest rank first,
 * and always the one that sorts; what is left over goes to names, and at last to the command.
 */
#include <stdio.h>
#include <string.h>

#include <cli/human.h>
#include <cli/top_view.h>

#define RANKS_N 32 /* more than there are */

struct layout {
        int widths[_TOP_COLUMN_N]; /* 0: not shown */
};

static int rank_of(const struct top_ui *ui, size_t column) {
        return column == ui->sort ? 0 : top_columns[column].rank;
}

/* Those of one rank together or not at all: of read and written, one says little. Returns the
 * places that are left. */
static int pick_columns(struct layout *layout, const struct top_ui *ui, int columns) {
        int left = columns;

        for (int rank = 0; rank < RANKS_N; rank++) {
                int need = 0;

                for (size_t c = 0; c < _TOP_COLUMN_N; c++)
                        if (rank_of(ui, c) == rank)
                                need += top_columns[c].width + 1;
                /* In their order: a narrow one does not come before its betters. */
                if (need > left)
                        return left;
                for (size_t c = 0; c < _TOP_COLUMN_N; c++)
                        if (rank_of(ui, c) == rank)
                                layout->widths[c] = top_columns[c].width;
                left -= need;
        }
        return left;
}

/* The places that the longest of them takes. */
static int need_of(const struct grid *grid, enum top_column column, const struct top_ui *ui,
                   const struct top_model *model, struct users *users) {
        char text[HUMAN_TEXT_MAX];
        int need = 0;

        for (size_t i = 0; i < ui->n_order; i++) {
                const struct top_vm *vm = &model->vms[ui->order[i]];
                int width = grid_width(grid, top_column_format(column, vm, users, text));

                need = width > need ? width : need;
        }
        return need;
}

static void make_layout(struct layout *layout, const struct grid *grid, const struct top_ui *ui,
                        const struct top_model *model, struct users *users) {
        int left;

        *layout = (struct layout){};
        left = pick_columns(layout, ui, grid->columns);
        for (size_t c = 0; c < _TOP_COLUMN_N; c++) {
                int more = top_columns[c].grow;

                if (layout->widths[c] == 0 || more == 0)
                        continue;
                if (c != TOP_CPU_BAR && c != TOP_MEMORY_BAR) {
                        int need = need_of(grid, (enum top_column)c, ui, model, users);

                        more = need - layout->widths[c] < more ? need - layout->widths[c] : more;
                }
                more = more < left ? more : left;
                if (more > 0) {
                        layout->widths[c] += more;
                        left -= more;
                }
        }
}

static void put_cell(struct grid *grid, int row, int column, int width, bool right,
                     enum grid_style style, const char *text) {
        if (right)
                grid_put_right(grid, row, column, width, style, text);
        else
                grid_put_cut(grid, row, column, width, style, text);
}

/* "NAME", or "NAME 7/40" where only 7 of 40 have room; with the sign of the order. */
static void format_title(size_t column, const struct top_ui *ui, bool printed, bool utf8,
                         char *text, size_t size) {
        static const char *const marks[2][2] = {{"v", "^"}, {"\xe2\x96\xbc", "\xe2\x96\xb2"}};
        const char *mark = column == ui->sort ? marks[utf8][ui->reverse] : "";

        if (column == TOP_NAME && !printed && ui->n_order > ui->page)
                snprintf(text, size, "NAME %zu/%zu%s", ui->page, ui->n_order, mark);
        else
                snprintf(text, size, "%s%s", top_columns[column].title, mark);
}

static void draw_titles(struct grid *grid, int row, const struct layout *layout,
                        const struct top_ui *ui, bool printed) {
        int column = 1;

        for (size_t c = 0; c < _TOP_COLUMN_N; c++) {
                char title[64];

                if (layout->widths[c] == 0)
                        continue;
                format_title(c, ui, printed, grid->utf8, title, sizeof(title));
                put_cell(grid, row, column, layout->widths[c], top_columns[c].right, GRID_PLAIN,
                         title);
                column += layout->widths[c] + 1;
        }
        grid_set_style(grid, row, 0, grid->columns, GRID_REVERSE);
}

static void draw_cell(struct grid *grid, int row, int column, int width, enum top_column c,
                      const struct top_vm *vm, struct users *users) {
        enum grid_style style = GRID_PLAIN;
        char text[HUMAN_TEXT_MAX];

        switch (c) {
        case TOP_CPU_BAR:
                top_draw_bar(grid, row, column, width, vm->claim.cpu_milli, vm->cpu_milli,
                             TOP_UNKNOWN, TOP_UNKNOWN, TOP_UNKNOWN);
                return;
        case TOP_MEMORY_BAR:
                top_draw_bar(grid, row, column, width, vm->claim.memory_bytes, vm->memory_bytes,
                             TOP_UNKNOWN, TOP_UNKNOWN, TOP_UNKNOWN);
                return;
        case TOP_STATE:
                style = strcmp(vm->state, "running") == 0 ? GRID_PLAIN : GRID_WARNING;
                break;
        case TOP_NAME:
                style = GRID_BOLD;
                break;
        default:
                break;
        }
        put_cell(grid, row, column, width, top_columns[c].right, style,
                 top_column_format(c, vm, users, text));
}

static void draw_vm(struct grid *grid, int row, const struct layout *layout,
                    const struct top_vm *vm, struct users *users) {
        int column = 1;

        for (size_t c = 0; c < _TOP_COLUMN_N; c++) {
                if (layout->widths[c] == 0)
                        continue;
                draw_cell(grid, row, column, layout->widths[c], (enum top_column)c, vm, users);
                column += layout->widths[c] + 1;
        }
}

/* The first one shown, such that the selected one is. */
static void scroll(struct top_ui *ui, size_t page) {
        ui->page = page ?: 1;
        if (ui->place < ui->first)
                ui->first = ui->place;
        if (ui->place >= ui->first + ui->page)
                ui->first = ui->place - ui->page + 1;
        if (ui->first + ui->page > ui->n_order)
                ui->first = ui->n_order > ui->page ? ui->n_order - ui->page : 0;
}

int top_draw_vms(struct grid *grid, int row, int n, struct top_ui *ui,
                 const struct top_model *model, const struct top_frame *frame) {
        struct layout layout;

        make_layout(&layout, grid, ui, model, frame->users);
        scroll(ui, n > 0 ? (size_t)n : 0);
        draw_titles(grid, row, &layout, ui, frame->printed);
        if (ui->n_order == 0 && n > 0)
                grid_put(grid, row + 1, 1, GRID_PLAIN,
                         model->n_vms     ? "(no VM matches)"
                         : frame->partial ? "(no VM of yours runs)"
                                          : "(no VM runs)");
        for (int i = 0; i < n && ui->first + (size_t)i < ui->n_order; i++) {
                size_t place = ui->first + (size_t)i;
                int at = row + 1 + i;

                draw_vm(grid, at, &layout, &model->vms[ui->order[place]], frame->users);
                if (place == ui->place && !frame->printed) {
                        grid_put(grid, at, 0, GRID_BOLD, ">");
                        if (*ui->selected)
                                grid_set_style(grid, at, 0, grid->columns, GRID_REVERSE);
                }
        }
        return row + 1 + n;
}

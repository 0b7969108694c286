/* SPDX-License-Identifier: MIT */
/*
 * How the rows of a frame are shared out. The title, the bars and the keys take what they need; of
 * what is left the lists get their smallest shares first (VMs before the queue before the events),
 * then what they have to show, in the same order.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <cli/human.h>
#include <cli/top_view.h>

#define ROWS_FEW 18       /* below this only CPU and memory have bars */
#define EVENTS_PRINTED 10 /* in a frame without a screen */

enum { LIST_VMS, LIST_QUEUE, LIST_EVENTS, _LISTS_N };

/* ---- the lists' shares ---- */

/* Rows of each list without its head; below 0: not even that. */
static void share_out(int rows, const int wanted[_LISTS_N], int shares[_LISTS_N]) {
        static const int least[_LISTS_N] = {5, 2, 3};

        for (int i = 0; i < _LISTS_N; i++) {
                int first = wanted[i] < least[i] ? wanted[i] : least[i];

                shares[i] = -1;
                if (wanted[i] == 0 && i != LIST_VMS)
                        continue;
                if (rows < 1 + (first > 0))
                        continue;
                shares[i] = first < rows - 1 ? first : rows - 1;
                rows -= shares[i] + 1;
        }
        for (int i = 0; i < _LISTS_N; i++) {
                int more = shares[i] < 0 ? 0 : wanted[i] - shares[i];

                /* A long list of VMs leaves something to the others. */
                if (i == LIST_VMS && more > rows * 2 / 3 &&
                    (wanted[LIST_QUEUE] > shares[LIST_QUEUE] ||
                     wanted[LIST_EVENTS] > shares[LIST_EVENTS]))
                        more = rows * 2 / 3;
                more = more < rows ? more : rows;
                if (more > 0) {
                        shares[i] += more;
                        rows -= more;
                }
        }
        if (rows > 0 && shares[LIST_VMS] >= 0)
                shares[LIST_VMS] += rows;
}

static void count_lists(const struct top_ui *ui, const struct top_model *model,
                        int wanted[_LISTS_N]) {
        wanted[LIST_VMS] = ui->n_order ? (int)min_u64(ui->n_order, GRID_ROWS_MAX) : 1;
        wanted[LIST_QUEUE] = top_count_waiting(ui, model);
        wanted[LIST_EVENTS] = top_count_events(ui, model);
}

int top_view_rows(const struct top_ui *ui, const struct top_model *model) {
        int wanted[_LISTS_N];

        count_lists(ui, model, wanted);
        wanted[LIST_EVENTS] = (int)min_u64((uint64_t)wanted[LIST_EVENTS], EVENTS_PRINTED);
        return 1 + 1 + top_count_bars(model) + 1 + 1 + wanted[LIST_VMS] +
               (wanted[LIST_QUEUE] ? 1 + wanted[LIST_QUEUE] : 0) +
               (wanted[LIST_EVENTS] ? 1 + wanted[LIST_EVENTS] : 0);
}

/* ---- title and keys ---- */

static const char *gate_text(const struct top_model *model) {
        if (model->draining)
                return "draining: nothing starts";
        if (strcmp(model->gate, "paused") == 0)
                return "starts paused by pressure";
        return strcmp(model->gate, "one_by_one") == 0 ? "starts one by one" : "";
}

static int put_counts(struct grid *grid, int column, const struct top_model *model,
                      const struct top_frame *frame) {
        char of[32] = "";

        if (frame->partial && model->n_host_vms != TOP_UNKNOWN)
                snprintf(of, sizeof(of), " of %" PRIu64, model->n_host_vms);
        column = grid_format(grid, 0, column, GRID_REVERSE, "%zu%s VM%s", model->n_vms, of,
                             model->n_vms == 1 ? "" : "s");
        if (model->n_waiting || (model->n_host_waiting && model->n_host_waiting != TOP_UNKNOWN))
                column = grid_format(grid, 0, column, GRID_REVERSE, ", %" PRIu64 " waiting",
                                     model->n_host_waiting == TOP_UNKNOWN ? model->n_waiting
                                                                          : model->n_host_waiting);
        return column;
}

/* What is at the right end: how old a frame may be, and of when it is. */
static const char *when_text(const struct top_ui *ui, const struct top_model *model,
                             const struct top_frame *frame, char *buffer, size_t size) {
        uint64_t apart = top_model_apart_usec(model);
        char delay[UNITS_TEXT_MAX];

        if (frame->printed && apart != TOP_UNKNOWN)
                snprintf(buffer, size, "two looks %s apart  %s",
                         units_format_duration(apart / 100000 * 100000, delay, sizeof(delay)),
                         frame->time);
        else if (frame->printed)
                snprintf(buffer, size, "%s", frame->time);
        else if (ui->paused)
                snprintf(buffer, size, "PAUSED  %s", frame->time);
        else
                snprintf(buffer, size, "every %s  %s",
                         units_format_duration(ui->delay_usec, delay, sizeof(delay)), frame->time);
        return buffer;
}

static void draw_title(struct grid *grid, const struct top_ui *ui, const struct top_model *model,
                       const struct top_frame *frame) {
        char when[128];
        int column;

        grid_set_style(grid, 0, 0, grid->columns, GRID_REVERSE);
        column = grid_put(grid, 0, 0, GRID_REVERSE, "provium top  ");
        column = grid_put_cut(grid, 0, column, grid->columns / 4, GRID_REVERSE, frame->host) + 2;
        if (frame->notice) {
                grid_put(grid, 0, column, GRID_REVERSE, frame->notice);
                return;
        }
        column = put_counts(grid, column, model, frame);
        column = grid_format(grid, 0, column, GRID_REVERSE, "%s%s", *gate_text(model) ? "  " : "",
                             gate_text(model));
        when_text(ui, model, frame, when, sizeof(when));
        if (column + 2 + grid_width(grid, when) <= grid->columns)
                grid_put_right(grid, 0, 0, grid->columns, GRID_REVERSE, when);
}

static void draw_keys(struct grid *grid, int row, const struct top_ui *ui,
                      const struct top_frame *frame) {
        int column;

        switch (ui->mode) {
        case TOP_MODE_KILL:
                column =
                        grid_format(grid, row, 0, GRID_REVERSE, "End the VM %s?", ui->subject_name);
                grid_put(grid, row, column, GRID_PLAIN, "  y ends it, any other key does not");
                return;
        case TOP_MODE_FILTER:
                column = grid_format(grid, row, 0, GRID_BOLD, "Only VMs with: %s", ui->filter);
                grid_put(grid, row, column, GRID_REVERSE, " ");
                grid_put(grid, row, column + 2, GRID_PLAIN, "Enter keeps, Esc shows all");
                return;
        case TOP_MODE_DETAILS:
                grid_put(grid, row, 0, GRID_PLAIN, "Esc back  Up/Down scroll  k kill");
                return;
        case TOP_MODE_HELP:
                grid_put(grid, row, 0, GRID_PLAIN, "any key: back");
                return;
        case TOP_MODE_LIST:
                break;
        }
        if (frame->message) {
                grid_put_cut(grid, row, 0, grid->columns, GRID_BOLD, frame->message);
                return;
        }
        if (*ui->filter)
                grid_format(grid, row, 0, GRID_BOLD,
                            "Only VMs with '%s': / changes it, Esc shows all", ui->filter);
        else
                grid_put(grid, row, 0, GRID_PLAIN,
                         "q quit  s sort  r reverse  / filter  Enter details  k kill  p pause  ? "
                         "help");
}

/* ---- the whole ---- */

static void draw_list(struct grid *grid, struct top_ui *ui, const struct top_model *model,
                      const struct top_frame *frame) {
        int end = grid->rows - (frame->printed ? 0 : 1), row = 1;
        int wanted[_LISTS_N], shares[_LISTS_N];

        row = top_draw_bars(grid, row, model, frame, grid->rows < ROWS_FEW);
        row = top_draw_pressure(grid, row, model);
        count_lists(ui, model, wanted);
        share_out(end - row, wanted, shares);
        if (shares[LIST_VMS] >= 0)
                row = top_draw_vms(grid, row, shares[LIST_VMS], ui, model, frame);
        if (shares[LIST_QUEUE] >= 0)
                row = top_draw_queue(grid, row, shares[LIST_QUEUE], ui, model);
        if (shares[LIST_EVENTS] >= 0)
                top_draw_events(grid, row, shares[LIST_EVENTS], ui, model);
}

static size_t count_lines(const char *text) {
        size_t n = 0;

        for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
                n++;
        return n;
}

static void draw_details(struct grid *grid, struct top_ui *ui, const struct top_model *model,
                         const struct top_frame *frame) {
        const struct top_vm *vm = top_model_find(model, ui->subject);
        const char *text = frame->details ?: "asking the broker ...";
        int row = 1, end = grid->rows - 1;
        size_t n = count_lines(text), at = 0;

        if (vm)
                row = top_draw_vm_bars(grid, row, vm);
        else
                grid_format(grid, row++, 0, GRID_WARNING, "%s is over", ui->subject_name);
        ui->page = end > row ? (size_t)(end - row) : 1;
        ui->scroll_max = n > ui->page ? n - ui->page : 0;
        ui->scroll = min_u64(ui->scroll, ui->scroll_max);
        for (; *text && row < end; at++) {
                size_t length = strcspn(text, "\n");
                char line[HUMAN_TEXT_MAX];

                snprintf(line, sizeof(line), "%.*s", (int)min_u64(length, sizeof(line) - 1), text);
                if (at >= ui->scroll)
                        grid_put_cut(grid, row++, 0, grid->columns, GRID_PLAIN, line);
                text += length + (text[length] == '\n');
        }
}

void top_view_draw(struct grid *grid, struct top_ui *ui, const struct top_model *model,
                   const struct top_frame *frame) {
        draw_title(grid, ui, model, frame);
        if (ui->mode == TOP_MODE_HELP)
                top_draw_help(grid);
        else if (ui->mode == TOP_MODE_DETAILS)
                draw_details(grid, ui, model, frame);
        else
                draw_list(grid, ui, model, frame);
        if (!frame->printed)
                draw_keys(grid, grid->rows - 1, ui, frame);
}

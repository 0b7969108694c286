/* SPDX-License-Identifier: MIT */
/*
 * Below the VMs: the queue with its reasons, in its order, and what happened, the last first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cli/human.h>
#include <cli/top_view.h>

#define CLOCK_WIDTH 8 /* "14:03:07" */

static bool wants_waiting(const struct top_ui *ui, const struct top_waiting *waiting) {
        return top_ui_wants(ui, waiting->slice, waiting->uid, waiting->name, waiting->reason);
}

/* What is nobody's is of interest to everybody, unless only some VMs are asked for. */
static bool wants_event(const struct top_ui *ui, const struct top_event *event) {
        return top_ui_wants(ui, event->slice, event->uid, event->name, event->kind);
}

int top_count_waiting(const struct top_ui *ui, const struct top_model *model) {
        int n = 0;

        for (size_t i = 0; i < model->n_waiting; i++)
                n += wants_waiting(ui, &model->waiting[i]);
        return n;
}

int top_count_events(const struct top_ui *ui, const struct top_model *model) {
        int n = 0;

        for (size_t i = 0; i < model->n_events; i++)
                n += wants_event(ui, top_model_event(model, i));
        return n;
}

/* Puts text into a column and returns where the next one begins. */
static int put_field(struct grid *grid, int row, int column, int width, bool right,
                     const char *text) {
        if (right)
                grid_put_right(grid, row, column, width, GRID_PLAIN, text);
        else
                grid_put_cut(grid, row, column, width, GRID_PLAIN, text);
        return column + width + 1;
}

struct queue_widths {
        int name, slice, reason;
};

static struct queue_widths queue_widths(const struct grid *grid) {
        if (grid->columns < 100)
                return (struct queue_widths){11, 7, 12};
        return (struct queue_widths){24, 16, 16};
}

static const char *age_of(uint64_t since_ns, char *buffer, size_t size) {
        json_t *object = json_pack("{sI}", "at", (json_int_t)since_ns);
        const char *text = human_age(object, "at", buffer, size);

        json_decref(object);
        return text;
}

static void draw_waiting(struct grid *grid, int row, const struct top_waiting *waiting) {
        struct queue_widths widths = queue_widths(grid);
        char safe[HUMAN_TEXT_MAX], text[64] = "-";
        int column = 1;

        column = put_field(grid, row, column, widths.name, false, human_safe(waiting->name, safe));
        column =
                put_field(grid, row, column, widths.slice, false, human_safe(waiting->slice, safe));
        if (waiting->position != TOP_UNKNOWN)
                snprintf(text, sizeof(text), "%" PRIu64, waiting->position + 1);
        column = put_field(grid, row, column, 5, true, text);
        column = put_field(grid, row, column, 5, true,
                           top_format_cpu(waiting->claim.cpu_milli, text, sizeof(text)));
        column = put_field(grid, row, column, 6, true,
                           top_format_size(waiting->claim.memory_bytes, text, sizeof(text)));
        column = put_field(grid, row, column, 5, true,
                           age_of(waiting->since_ns, text, sizeof(text)));
        column = put_field(grid, row, column, widths.reason, false,
                           human_safe(waiting->reason, safe));
        grid_put_cut(grid, row, column, grid->columns - column, GRID_PLAIN,
                     human_safe(waiting->detail, safe));
}

static void draw_queue_head(struct grid *grid, int row, int n, int all) {
        struct queue_widths widths = queue_widths(grid);
        char title[40] = "WAITING";
        int column = 1;

        if (all > n)
                snprintf(title, sizeof(title), "WAIT %d/%d", n, all);
        column = put_field(grid, row, column, widths.name, false, title);
        column = put_field(grid, row, column, widths.slice, false, "SLICE");
        column = put_field(grid, row, column, 5, true, "PLACE");
        column = put_field(grid, row, column, 5, true, "CPU");
        column = put_field(grid, row, column, 6, true, "MEMORY");
        column = put_field(grid, row, column, 5, true, "FOR");
        column = put_field(grid, row, column, widths.reason, false, "REASON");
        put_field(grid, row, column, 10, false, "DETAIL");
        grid_set_style(grid, row, 0, grid->columns, GRID_REVERSE);
}

int top_draw_queue(struct grid *grid, int row, int n, const struct top_ui *ui,
                   const struct top_model *model) {
        int left = n;

        draw_queue_head(grid, row++, n, top_count_waiting(ui, model));
        for (size_t i = 0; i < model->n_waiting && left > 0; i++)
                if (wants_waiting(ui, &model->waiting[i])) {
                        draw_waiting(grid, row++, &model->waiting[i]);
                        left--;
                }
        return row + left;
}

static void draw_event(struct grid *grid, int row, const struct top_event *event) {
        int name_width = grid->columns < 100 ? 11 : 24;
        char time[64] = "-";
        int column = 1;

        if (event->ts_ns)
                human_time(event->ts_ns, time, sizeof(time));
        time[CLOCK_WIDTH] = '\0';
        column = put_field(grid, row, column, CLOCK_WIDTH, false, time);
        column = put_field(grid, row, column, 15, false, event->kind);
        column = put_field(grid, row, column, name_width, false, event->name);
        grid_put_cut(grid, row, column, grid->columns - column, GRID_PLAIN, event->text);
}

int top_draw_events(struct grid *grid, int row, int n, const struct top_ui *ui,
                    const struct top_model *model) {
        int left = n;

        grid_put(grid, row, 1, GRID_PLAIN, "EVENTS, the last first");
        grid_set_style(grid, row++, 0, grid->columns, GRID_REVERSE);
        for (size_t i = 0; i < model->n_events && left > 0; i++) {
                const struct top_event *event = top_model_event(model, i);

                if (wants_event(ui, event)) {
                        draw_event(grid, row++, event);
                        left--;
                }
        }
        return row + left;
}

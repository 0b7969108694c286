/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_VIEW_H
#define PROVIUM_CLI_TOP_VIEW_H

/*
 * A frame of `provium top`, drawn into a grid: from above, the host's bars, its pressure, the VMs,
 * the queue, what happened last, and the keys. 80 columns and 24 rows hold some of everything;
 * whatever there is more of them is used: rows by the longest lists, columns by more columns.
 */
#include <cli/grid.h>
#include <cli/top_ui.h>

struct top_frame {
        const char *host;    /* its name, fit for a terminal */
        const char *time;    /* of the clock */
        const char *notice;  /* what is wrong with the broker, or NULL */
        const char *message; /* what became of a wish, or NULL */
        const char *details; /* lines about ui->subject, or NULL: not yet known */
        bool printed;        /* once, for a pipe: nobody presses keys */
        bool partial;        /* of the VMs we see our own only */
        struct users *users;
};

/* How many rows a frame needs in which nothing is left out. */
int top_view_rows(const struct top_ui *ui, const struct top_model *model);

/* Draws all of it; notes in @ui how much of each list there was room for. */
void top_view_draw(struct grid *grid, struct top_ui *ui, const struct top_model *model,
                   const struct top_frame *frame);

/* ---- the parts, each of which begins at @row and returns the row behind it ---- */

/* "[##==--   |": @used, @guaranteed, @sold and @limit as parts of @scale, in @width places. The
 * last place of each is to be seen whatever the others are; what is unknown is not drawn. */
void top_draw_bar(struct grid *grid, int row, int column, int width, uint64_t scale, uint64_t used,
                  uint64_t guaranteed, uint64_t sold, uint64_t limit);
int top_draw_bars(struct grid *grid, int row, const struct top_model *model,
                  const struct top_frame *frame, bool few);
int top_count_bars(const struct top_model *model);
int top_draw_pressure(struct grid *grid, int row, const struct top_model *model);
/* One VM's use against its claim. */
int top_draw_vm_bars(struct grid *grid, int row, const struct top_vm *vm);

/* The head and at most @n rows. */
int top_draw_vms(struct grid *grid, int row, int n, struct top_ui *ui,
                 const struct top_model *model, const struct top_frame *frame);
int top_draw_queue(struct grid *grid, int row, int n, const struct top_ui *ui,
                   const struct top_model *model);
int top_draw_events(struct grid *grid, int row, int n, const struct top_ui *ui,
                    const struct top_model *model);
/* How many of them there are to show. */
int top_count_waiting(const struct top_ui *ui, const struct top_model *model);
int top_count_events(const struct top_ui *ui, const struct top_model *model);

void top_draw_help(struct grid *grid);

#endif

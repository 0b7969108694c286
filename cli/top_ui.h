/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_UI_H
#define PROVIUM_CLI_TOP_UI_H

/*
 * What the person before the screen wants to see, and what each key changes of it. Pure; what a key
 * asks for beyond that is returned, for whoever has the connections.
 */
#include <cli/top_column.h>
#include <cli/top_model.h>

#define TOP_FILTER_MAX 40
#define TOP_DELAY_MIN_USEC UINT64_C(100000)
#define TOP_DELAY_MAX_USEC UINT64_C(3600000000)

enum top_mode { TOP_MODE_LIST, TOP_MODE_FILTER, TOP_MODE_KILL, TOP_MODE_DETAILS, TOP_MODE_HELP };

/* Keys that are no characters. */
enum top_key {
        TOP_KEY_UP = 0x110000,
        TOP_KEY_DOWN,
        TOP_KEY_PAGE_UP,
        TOP_KEY_PAGE_DOWN,
        TOP_KEY_HOME,
        TOP_KEY_END,
        TOP_KEY_ENTER,
        TOP_KEY_ESCAPE,
        TOP_KEY_BACKSPACE,
};

enum top_wish {
        TOP_WISH_NONE,
        TOP_WISH_QUIT,
        TOP_WISH_REDRAW,  /* all of the screen */
        TOP_WISH_REFRESH, /* ask the broker now */
        TOP_WISH_DETAILS, /* of ui->subject */
        TOP_WISH_KILL,    /* ui->subject: it was asked and answered with yes */
};

struct top_ui {
        enum top_mode mode;
        enum top_column sort;
        bool reverse, paused;
        uint64_t delay_usec;
        char filter[TOP_FILTER_MAX + 1];
        char slice[TEXT_NAME_MAX + 1]; /* "" all; else it and those within */
        uint64_t uid;                  /* TOP_UNKNOWN: all */

        char selected[TOP_ID_MAX + 1]; /* "" : whoever is first */
        size_t place;                  /* of the selected one, when it was last seen */
        size_t first;                  /* of those shown */
        size_t page;                   /* how many are shown; the view tells */

        char subject[TOP_ID_MAX + 1]; /* id of the VM that is looked at or asked about */
        char subject_name[TEXT_NAME_MAX + 1];
        size_t scroll, scroll_max; /* lines of details; the view tells how many there are */

        size_t *order; /* indices into model->vms of those to be shown; n_order of them */
        size_t n_order, order_size;
};

#define TOP_UI_NULL                                                                                \
        { .sort = TOP_CPU, .uid = TOP_UNKNOWN, .delay_usec = 2000000, .page = 1 }

void top_ui_deinit(struct top_ui *ui);

/* Filters and sorts, and finds the selected one again. To be called after each change of either.
 * Negative: out of memory. */
_must_check_ int top_ui_arrange(struct top_ui *ui, const struct top_model *model);
/* The selected VM; NULL if none is shown. */
const struct top_vm *top_ui_selected(const struct top_ui *ui, const struct top_model *model);

/* Is what is in this slice, of this user, with these words to be shown? */
bool top_ui_wants(const struct top_ui *ui, const char *slice, uint64_t uid, const char *name,
                  const char *word);

enum top_wish top_ui_key(struct top_ui *ui, const struct top_model *model, int key);

#endif

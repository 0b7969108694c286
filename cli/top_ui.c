/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <cli/top_ui.h>

void top_ui_deinit(struct top_ui *ui) {
        free(ui->order);
        ui->order = NULL;
        ui->n_order = ui->order_size = 0;
}

/* ---- which, in what order ---- */

static bool in_slice(const char *slice, const char *wanted) {
        size_t length = strlen(wanted);

        return !length || (strncmp(slice, wanted, length) == 0 &&
                           (slice[length] == '\0' || slice[length] == '/'));
}

bool top_ui_wants(const struct top_ui *ui, const char *slice, uint64_t uid, const char *name,
                  const char *word) {
        if (!in_slice(slice, ui->slice) || (ui->uid != TOP_UNKNOWN && ui->uid != uid))
                return false;
        return !*ui->filter || strcasestr(name, ui->filter) || strcasestr(slice, ui->filter) ||
               strcasestr(word, ui->filter);
}

struct arrangement {
        const struct top_ui *ui;
        const struct top_model *model;
};

static int compare(const void *a, const void *b, void *userdata) {
        const struct arrangement *arrangement = userdata;
        const struct top_vm *vms = arrangement->model->vms;

        return top_column_compare(arrangement->ui->sort, arrangement->ui->reverse,
                                  &vms[*(const size_t *)a], &vms[*(const size_t *)b]);
}

/* The selection stays with its VM; if that is gone, with its place. */
static void find_selected(struct top_ui *ui, const struct top_model *model) {
        if (ui->n_order == 0) {
                ui->place = 0;
                return;
        }
        if (!*ui->selected) {
                ui->place = 0;
                return;
        }
        for (size_t i = 0; i < ui->n_order; i++)
                if (strcmp(model->vms[ui->order[i]].id, ui->selected) == 0) {
                        ui->place = i;
                        return;
                }
        ui->place = min_u64(ui->place, ui->n_order - 1);
        snprintf(ui->selected, sizeof(ui->selected), "%s", model->vms[ui->order[ui->place]].id);
}

int top_ui_arrange(struct top_ui *ui, const struct top_model *model) {
        struct arrangement arrangement = {ui, model};

        if (ui->order_size < model->n_vms) {
                size_t *order = realloc(ui->order, model->n_vms * sizeof(*order));

                if (!order)
                        return fault(-ENOMEM);
                ui->order = order;
                ui->order_size = model->n_vms;
        }
        ui->n_order = 0;
        for (size_t i = 0; i < model->n_vms; i++) {
                const struct top_vm *vm = &model->vms[i];

                if (top_ui_wants(ui, vm->slice, vm->uid, vm->name, vm->state) ||
                    (*ui->filter && top_ui_wants(ui, vm->slice, vm->uid, vm->name, vm->command)))
                        ui->order[ui->n_order++] = i;
        }
        if (ui->n_order)
                qsort_r(ui->order, ui->n_order, sizeof(*ui->order), compare, &arrangement);
        find_selected(ui, model);
        return 0;
}

const struct top_vm *top_ui_selected(const struct top_ui *ui, const struct top_model *model) {
        return ui->place < ui->n_order ? &model->vms[ui->order[ui->place]] : NULL;
}

/* ---- keys ---- */

static void select_place(struct top_ui *ui, const struct top_model *model, size_t place) {
        if (ui->n_order == 0)
                return;
        ui->place = min_u64(place, ui->n_order - 1);
        snprintf(ui->selected, sizeof(ui->selected), "%s", model->vms[ui->order[ui->place]].id);
}

/* @value moved by a key of movement, within 0 and @last; false: it is none. */
static bool move(int key, size_t page, size_t last, size_t *value) {
        switch (key) {
        case TOP_KEY_UP:
                *value -= *value > 0;
                break;
        case TOP_KEY_DOWN:
                *value += 1;
                break;
        case TOP_KEY_PAGE_UP:
                *value -= min_u64(*value, page);
                break;
        case TOP_KEY_PAGE_DOWN:
                *value += page;
                break;
        case TOP_KEY_HOME:
                *value = 0;
                break;
        case TOP_KEY_END:
                *value = last;
                break;
        default:
                return false;
        }
        *value = min_u64(*value, last);
        return true;
}

static bool take_subject(struct top_ui *ui, const struct top_model *model) {
        const struct top_vm *vm = top_ui_selected(ui, model);

        if (!vm)
                return false;
        snprintf(ui->subject, sizeof(ui->subject), "%s", vm->id);
        snprintf(ui->subject_name, sizeof(ui->subject_name), "%s", vm->name);
        ui->scroll = 0;
        return true;
}

static void sort_by(struct top_ui *ui, enum top_column column) {
        ui->sort = column;
        ui->reverse = false;
}

/* Letters that sort at once. */
static bool sort_key(struct top_ui *ui, int key) {
        static const struct {
                int key;
                enum top_column column;
        } rows[] = {
                {'C', TOP_CPU}, {'M', TOP_MEMORY}, {'I', TOP_DISK_IO},
                {'N', TOP_NET}, {'A', TOP_AGE},    {'V', TOP_NAME},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].key == key) {
                        sort_by(ui, rows[i].column);
                        return true;
                }
        return false;
}

static void change_delay(struct top_ui *ui, bool slower) {
        uint64_t delay = slower ? ui->delay_usec * 2 : ui->delay_usec / 2;

        ui->delay_usec = max_u64(TOP_DELAY_MIN_USEC, min_u64(delay, TOP_DELAY_MAX_USEC));
}

static enum top_wish key_in_list(struct top_ui *ui, const struct top_model *model, int key) {
        size_t place = ui->place;

        if (move(key, ui->page, ui->n_order ? ui->n_order - 1 : 0, &place)) {
                select_place(ui, model, place);
                /* At the top again: whoever is first from now on. */
                if (key == TOP_KEY_HOME)
                        ui->selected[0] = '\0';
                return TOP_WISH_NONE;
        }
        if (sort_key(ui, key))
                return TOP_WISH_NONE;
        switch (key) {
        case 'q':
                return TOP_WISH_QUIT;
        case 's':
        case '>':
                sort_by(ui, top_column_step(ui->sort, 1));
                break;
        case 'S':
        case '<':
                sort_by(ui, top_column_step(ui->sort, -1));
                break;
        case 'r':
                ui->reverse = !ui->reverse;
                break;
        case '/':
        case 'f':
                ui->mode = TOP_MODE_FILTER;
                break;
        case TOP_KEY_ESCAPE:
                ui->filter[0] = '\0';
                break;
        case 'p':
                ui->paused = !ui->paused;
                return ui->paused ? TOP_WISH_NONE : TOP_WISH_REFRESH;
        case ' ':
                return TOP_WISH_REFRESH;
        case '+':
        case '-':
                change_delay(ui, key == '+');
                break;
        case 'k':
                if (take_subject(ui, model))
                        ui->mode = TOP_MODE_KILL;
                break;
        case 'd':
        case TOP_KEY_ENTER:
                if (!take_subject(ui, model))
                        break;
                ui->mode = TOP_MODE_DETAILS;
                return TOP_WISH_DETAILS;
        case 'h':
        case '?':
                ui->mode = TOP_MODE_HELP;
                break;
        default:
                break;
        }
        return TOP_WISH_NONE;
}

static void key_in_filter(struct top_ui *ui, int key) {
        size_t length = strlen(ui->filter);

        if (key == TOP_KEY_ENTER) {
                ui->mode = TOP_MODE_LIST;
        } else if (key == TOP_KEY_ESCAPE) {
                ui->filter[0] = '\0';
                ui->mode = TOP_MODE_LIST;
        } else if (key == TOP_KEY_BACKSPACE) {
                ui->filter[length ? length - 1 : 0] = '\0';
        } else if (key >= ' ' && key < 0x7f && length < TOP_FILTER_MAX) {
                ui->filter[length] = (char)key;
                ui->filter[length + 1] = '\0';
        }
}

static enum top_wish key_in_details(struct top_ui *ui, int key) {
        if (move(key, ui->page, ui->scroll_max, &ui->scroll))
                return TOP_WISH_NONE;
        if (key == 'k')
                ui->mode = TOP_MODE_KILL;
        else if (key == TOP_KEY_ESCAPE || key == 'q' || key == 'd' || key == TOP_KEY_ENTER)
                ui->mode = TOP_MODE_LIST;
        return TOP_WISH_NONE;
}

enum top_wish top_ui_key(struct top_ui *ui, const struct top_model *model, int key) {
        if (key == ('L' & 0x1f))
                return TOP_WISH_REDRAW;
        switch (ui->mode) {
        case TOP_MODE_LIST:
                return key_in_list(ui, model, key);
        case TOP_MODE_FILTER:
                key_in_filter(ui, key);
                return TOP_WISH_NONE;
        case TOP_MODE_KILL:
                /* Whatever is not a clear yes is a no. */
                ui->mode = TOP_MODE_LIST;
                return key == 'y' || key == 'Y' ? TOP_WISH_KILL : TOP_WISH_NONE;
        case TOP_MODE_DETAILS:
                return key_in_details(ui, key);
        case TOP_MODE_HELP:
                ui->mode = TOP_MODE_LIST;
                return TOP_WISH_NONE;
        }
        return TOP_WISH_NONE;
}

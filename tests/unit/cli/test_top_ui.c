/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <base/why.h>
#include <cli/human.h>
#include <cli/top_ui.h>

#include "top_host.h"
#include "unit.h"

/* Names in the order in which they are listed, separated by blanks. */
static const char *order(struct top_ui *ui, const struct top_model *model) {
        static char text[256];

        need_int(top_ui_arrange(ui, model), 0);
        text[0] = '\0';
        for (size_t i = 0; i < ui->n_order; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
                         model->vms[ui->order[i]].name);
        return text;
}

static void press(struct top_ui *ui, const struct top_model *model, const char *keys) {
        for (; *keys; keys++) {
                expect_int(top_ui_key(ui, model, *keys), TOP_WISH_NONE);
                need_int(top_ui_arrange(ui, model), 0);
        }
}

static void keys_choose_what_is_sorted_by(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        expect_str(order(&ui, &model), "database web build");
        press(&ui, &model, "r");
        expect_str(order(&ui, &model), "build web database");
        press(&ui, &model, "V");
        expect_str(order(&ui, &model), "build database web");
        press(&ui, &model, "s");
        expect_int(ui.sort, TOP_SLICE);
        expect_str(order(&ui, &model), "build web database");
        press(&ui, &model, "<");
        expect_int(ui.sort, TOP_NAME);
        press(&ui, &model, "<");
        expect_int(ui.sort, TOP_COMMAND);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void every_column_that_is_named_sorts(void) {
        struct top_model model;
        char text[HUMAN_TEXT_MAX];
        struct users users = USERS_NULL;

        host_model(&model);
        for (int c = 0; c < _TOP_COLUMN_N; c++) {
                struct top_ui ui = TOP_UI_NULL;
                enum top_column found = _TOP_COLUMN_N;

                if (!top_columns[c].name)
                        continue;
                expect_int(top_column_parse(top_columns[c].name, &found, NULL), 0);
                expect_int(found, c);
                ui.sort = found;
                need_int(top_ui_arrange(&ui, &model), 0);
                expect_uint(ui.n_order, 3);
                for (size_t i = 0; i + 1 < ui.n_order; i++)
                        expect(top_column_compare(found, false, &model.vms[ui.order[i]],
                                                  &model.vms[ui.order[i + 1]]) < 0);
                expect(*top_column_format(found, &model.vms[0], &users, text));
                top_ui_deinit(&ui);
        }
        users_deinit(&users);
        top_model_deinit(&model);
}

static void a_column_that_is_none_is_refused_with_all_there_are(void) {
        enum top_column column = TOP_CPU;
        struct why why;

        expect_int(top_column_parse("cpus\x1b", &column, &why), TOP_COLUMN_E_UNKNOWN);
        expect_in(why.text, "'cpus\\x1b' is no column");
        expect_in(why.text, "name, slice, user");
        expect_int(column, TOP_CPU);
}

static void what_is_unknown_comes_last_in_both_directions(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        top_model_find(&model, "id3")->cpu_milli = TOP_UNKNOWN;
        expect_str(order(&ui, &model), "database build web");
        ui.reverse = true;
        expect_str(order(&ui, &model), "build database web");
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void a_filter_is_typed_and_taken_back(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        press(&ui, &model, "/");
        expect_int(ui.mode, TOP_MODE_FILTER);
        /* These are letters now, no wishes. */
        press(&ui, &model, "qDATA");
        expect_str(order(&ui, &model), "");
        for (int i = 0; i < 9; i++)
                top_ui_key(&ui, &model, TOP_KEY_BACKSPACE);
        press(&ui, &model, "DATA");
        expect_str(order(&ui, &model), "database");
        top_ui_key(&ui, &model, TOP_KEY_ENTER);
        expect_int(ui.mode, TOP_MODE_LIST);
        expect_str(order(&ui, &model), "database");
        top_ui_key(&ui, &model, TOP_KEY_ESCAPE);
        expect_str(order(&ui, &model), "database web build");
        press(&ui, &model, "/lab");
        expect_str(order(&ui, &model), "database web");
        for (int i = 0; i < 3 * TOP_FILTER_MAX; i++)
                top_ui_key(&ui, &model, 'x');
        expect_uint(strlen(ui.filter), TOP_FILTER_MAX);
        top_ui_key(&ui, &model, 0x1b);
        top_ui_key(&ui, &model, 0xe4);
        expect_uint(strlen(ui.filter), TOP_FILTER_MAX);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void a_slice_is_asked_for_with_those_in_it(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        strcpy(ui.slice, "lab");
        expect_str(order(&ui, &model), "database web");
        strcpy(ui.slice, "la");
        expect_str(order(&ui, &model), "");
        strcpy(ui.slice, "lab/prod");
        expect_str(order(&ui, &model), "database");
        ui.slice[0] = '\0';
        ui.uid = 1;
        expect_str(order(&ui, &model), "");
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void the_selection_stays_with_its_vm(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        json_t *list = host_list();

        host_model(&model);
        need_int(top_ui_arrange(&ui, &model), 0);
        expect_str(top_ui_selected(&ui, &model)->name, "database");
        /* Nothing was chosen yet: whoever is first. */
        press(&ui, &model, "r");
        expect_str(top_ui_selected(&ui, &model)->name, "build");
        top_ui_key(&ui, &model, TOP_KEY_DOWN);
        expect_str(top_ui_selected(&ui, &model)->name, "web");
        press(&ui, &model, "V");
        expect_str(top_ui_selected(&ui, &model)->name, "web");
        expect_uint(ui.place, 2);
        for (int i = 0; i < 9; i++)
                top_ui_key(&ui, &model, TOP_KEY_DOWN);
        expect_str(top_ui_selected(&ui, &model)->name, "web");
        /* It is gone: its place stays. */
        json_array_remove(json_object_get(list, "vms"), 0);
        host_take_list(&model, list);
        need_int(top_ui_arrange(&ui, &model), 0);
        expect_str(top_ui_selected(&ui, &model)->name, "database");
        top_ui_key(&ui, &model, TOP_KEY_HOME);
        press(&ui, &model, "V");
        expect_str(top_ui_selected(&ui, &model)->name, "build");
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void only_a_clear_yes_ends_a_vm(void) {
        static const int noes[] = {'n', 'N', TOP_KEY_ENTER, TOP_KEY_ESCAPE, ' ', 'k', 'q', 0};
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        need_int(top_ui_arrange(&ui, &model), 0);
        for (size_t i = 0; i < ARRAY_SIZE(noes); i++) {
                press(&ui, &model, "k");
                expect_int(ui.mode, TOP_MODE_KILL);
                expect_int(top_ui_key(&ui, &model, noes[i]), TOP_WISH_NONE);
                expect_int(ui.mode, TOP_MODE_LIST);
        }
        press(&ui, &model, "k");
        expect_str(ui.subject, "id1");
        /* Others come to the top meanwhile: the question is about the same. */
        ui.reverse = true;
        need_int(top_ui_arrange(&ui, &model), 0);
        expect_int(top_ui_key(&ui, &model, 'y'), TOP_WISH_KILL);
        expect_str(ui.subject, "id1");
        expect_str(ui.subject_name, "database");
        /* Where there is no VM there is no question. */
        host_take_list(&model, json_pack("{s[] s[]}", "vms", "waiting"));
        need_int(top_ui_arrange(&ui, &model), 0);
        press(&ui, &model, "k");
        expect_int(ui.mode, TOP_MODE_LIST);
        expect_int(top_ui_key(&ui, &model, TOP_KEY_ENTER), TOP_WISH_NONE);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void keys_lead_to_details_and_help_and_back(void) {
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        need_int(top_ui_arrange(&ui, &model), 0);
        expect_int(top_ui_key(&ui, &model, TOP_KEY_ENTER), TOP_WISH_DETAILS);
        expect_int(ui.mode, TOP_MODE_DETAILS);
        ui.scroll_max = 5;
        ui.page = 3;
        top_ui_key(&ui, &model, TOP_KEY_PAGE_DOWN);
        expect_uint(ui.scroll, 3);
        top_ui_key(&ui, &model, TOP_KEY_PAGE_DOWN);
        expect_uint(ui.scroll, 5);
        top_ui_key(&ui, &model, TOP_KEY_UP);
        expect_uint(ui.scroll, 4);
        expect_int(top_ui_key(&ui, &model, 'q'), TOP_WISH_NONE);
        expect_int(ui.mode, TOP_MODE_LIST);
        press(&ui, &model, "?");
        expect_int(ui.mode, TOP_MODE_HELP);
        press(&ui, &model, "x");
        expect_int(ui.mode, TOP_MODE_LIST);
        press(&ui, &model, "p");
        expect(ui.paused);
        expect_int(top_ui_key(&ui, &model, 'p'), TOP_WISH_REFRESH);
        expect_int(top_ui_key(&ui, &model, 'q'), TOP_WISH_QUIT);
        for (int i = 0; i < 40; i++)
                press(&ui, &model, "-");
        expect_uint(ui.delay_usec, TOP_DELAY_MIN_USEC);
        for (int i = 0; i < 40; i++)
                press(&ui, &model, "+");
        expect_uint(ui.delay_usec, TOP_DELAY_MAX_USEC);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

UNIT_MAIN(TEST(keys_choose_what_is_sorted_by), TEST(every_column_that_is_named_sorts),
          TEST(a_column_that_is_none_is_refused_with_all_there_are),
          TEST(what_is_unknown_comes_last_in_both_directions),
          TEST(a_filter_is_typed_and_taken_back), TEST(a_slice_is_asked_for_with_those_in_it),
          TEST(the_selection_stays_with_its_vm), TEST(only_a_clear_yes_ends_a_vm),
          TEST(keys_lead_to_details_and_help_and_back))

/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <cli/top_view.h>

#include "top_host.h"
#include "unit.h"

static struct users users = USERS_NULL;

static struct top_frame frame_of(void) {
        return (struct top_frame){.host = "rig", .time = "23:55:01", .users = &users};
}

/* A grid as one text; the caller frees it. */
static char *text_of(const struct grid *grid) {
        char *text = NULL;
        size_t n = 0;
        FILE *file = open_memstream(&text, &n);

        grid_print(grid, file);
        fclose(file);
        return text;
}

static char *draw(struct top_ui *ui, const struct top_model *model, const struct top_frame *frame,
                  int rows, int columns) {
        struct grid grid = GRID_NULL;
        char *text;

        need_int(top_ui_arrange(ui, model), 0);
        need_int(grid_init(&grid, rows, columns, false), 0);
        top_view_draw(&grid, ui, model, frame);
        text = text_of(&grid);
        grid_deinit(&grid);
        return text;
}

static void a_small_screen_shows_some_of_everything(void) {
        static const char *const lines[] = {
                "provium top  rig  3 VMs, 1 waiting                            every 2s  "
                "23:55:01\n",
                "RESOURCE     USED GUARANT.     SOLD    LIMIT #used =guaranteed -sold |limit\n",
                "cpu             2     1.75     3.50        8 [######=#------                   "
                "|\n",
                "memory       744M    1.75G    1.75G       2G [############=================    "
                "|\n",
                "disk           1G       0B       0B      10G [###                              "
                "|\n",
                "disk_io   1.5MB/s  150MB/s  300MB/s    2GB/s [#=---                            "
                "|\n",
                "network   1.5MB/s     0B/s     0B/s        - not limited\n",
                "pressure some/full  cpu 12.2/0.0%  memory 1.0/0.5%  io unknown\n",
                " NAME        SLICE   STATE        CPUv      MEMORY     DISK-IO         NET   "
                "AGE\n",
                ">database    lab/pr~ running    1.50/2     600M/1G   1.5M/100M        1.5M",
                " web         lab     running    0.50/1   128M/512M      0/100M           0",
                " build       ci      running    0/0.50    16M/256M      0/100M           0",
                " WAITING     SLICE   PLACE   CPU MEMORY   FOR REASON       DETAIL\n",
                " late        ci          1     4     4G",
                "pool_full    memory: 4G asked\n",
                " EVENTS, the last first\n",
                "claim_queued    late        pool_full, memory: 4G asked\n",
                "vm_spawned      web         setup 2.5ms\n",
                "q quit  s sort  r reverse",
        };
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        text = draw(&ui, &model, &frame, 24, 80);
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                expect_that(strstr(text, lines[i]), "no line %s", lines[i]);
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void a_wide_screen_shows_every_column(void) {
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        text = draw(&ui, &model, &frame, 60, 200);
        for (int c = 0; c < _TOP_COLUMN_N; c++)
                expect_in(text, top_columns[c].title);
        expect_in(text, "CAPACITY RATIO");
        expect_in(text, " 4711 qemu -m 1\n");
        expect_in(text, " 75% [###############     ] ");
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void the_column_that_sorts_is_always_there(void) {
        struct top_frame frame = frame_of();
        struct top_model model;

        host_model(&model);
        for (int c = 0; c < _TOP_COLUMN_N; c++) {
                struct top_ui ui = TOP_UI_NULL;
                char title[40], *text;

                if (!top_columns[c].name)
                        continue;
                ui.sort = (enum top_column)c;
                ui.reverse = true;
                snprintf(title, sizeof(title), "%s^", top_columns[c].title);
                text = draw(&ui, &model, &frame, 24, 80);
                expect_in(text, title);
                free(text);
                top_ui_deinit(&ui);
        }
        top_model_deinit(&model);
}

static void no_size_is_too_small_or_too_large(void) {
        static const enum top_mode modes[] = {TOP_MODE_LIST, TOP_MODE_FILTER, TOP_MODE_KILL,
                                              TOP_MODE_DETAILS, TOP_MODE_HELP};
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;

        host_model(&model);
        frame.details = "name\n  one 1\n  two 2\n";
        strcpy(ui.subject, "id1");
        for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
                for (int rows = 1; rows < 70; rows += rows < 30 ? 1 : 13)
                        for (int columns = 1; columns < 300; columns += columns < 90 ? 3 : 29) {
                                char *text;

                                ui.mode = modes[m];
                                text = draw(&ui, &model, &frame, rows, columns);
                                for (char *line = strtok(text, "\n"); line;
                                     line = strtok(NULL, "\n"))
                                        expect((int)strlen(line) <= columns);
                                free(text);
                        }
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static json_t *many_vms(int n) {
        json_t *list = host_list(), *vms = json_object_get(list, "vms");

        for (int i = 0; i < n; i++) {
                json_t *vm = json_deep_copy(json_array_get(vms, 0));
                char name[32];

                snprintf(name, sizeof(name), "vm-%03d", i);
                json_object_set_new(vm, "id", json_string(name));
                json_object_set_new(vm, "name", json_string(name));
                json_array_append_new(vms, vm);
        }
        return list;
}

static void the_selected_one_of_many_is_scrolled_to(void) {
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        host_take_list(&model, many_vms(100));
        ui.sort = TOP_NAME;
        text = draw(&ui, &model, &frame, 24, 80);
        expect_in(text, ">build ");
        expect_in(text, "\n NAME 9/103v");
        expect_in(text, "EVENTS");
        free(text);
        top_ui_key(&ui, &model, TOP_KEY_END);
        text = draw(&ui, &model, &frame, 24, 80);
        expect_in(text, ">web ");
        expect_in(text, " vm-099 ");
        free(text);
        top_ui_key(&ui, &model, TOP_KEY_PAGE_UP);
        text = draw(&ui, &model, &frame, 24, 80);
        expect(!strstr(text, ">web "));
        expect_in(text, ">vm-");
        free(text);
        /* Printed, all of them are there. */
        frame.printed = true;
        text = draw(&ui, &model, &frame, top_view_rows(&ui, &model), 80);
        expect_in(text, "\n NAMEv ");
        expect_in(text, "\n vm-000 ");
        expect_in(text, "\n vm-099 ");
        expect_in(text, "vm_spawned");
        expect(!strstr(text, "q quit"));
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void each_end_of_a_bar_is_seen(void) {
        static const struct {
                uint64_t used, guaranteed, sold, limit;
                const char *bar;
        } rows[] = {
                {20, 50, 80, 100, "[##===---  |"},
                {0, 0, 0, 100, "[          |"},
                {1, 0, 0, 100, "[#         |"},
                {80, 30, 50, 100, "[##=#-###  |"},
                {50, 100, 100, 100, "[#####=====|"},
                {20, 50, 60, 80, "[##===-  | ]"},
                {200, 50, 50, 100, "[####=#####|"},
                {TOP_UNKNOWN, 50, 50, 100, "[=====     |"},
                {10, TOP_UNKNOWN, TOP_UNKNOWN, TOP_UNKNOWN, "[#         ]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct grid grid = GRID_NULL;
                char line[100];

                need_int(grid_init(&grid, 1, 12, false), 0);
                top_draw_bar(&grid, 0, 0, 12, 100, rows[i].used, rows[i].guaranteed, rows[i].sold,
                             rows[i].limit);
                expect_str(grid_line(&grid, 0, line, sizeof(line)), rows[i].bar);
                grid_deinit(&grid);
        }
}

static void hostile_names_do_no_harm(void) {
        json_t *list = host_list(), *vm = json_array_get(json_object_get(list, "vms"), 0);
        json_t *claim = json_array_get(json_object_get(list, "waiting"), 0);
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        json_object_set_new(vm, "name", json_string("\x1b[2J\x07"));
        json_object_set_new(vm, "command", json_string("a\nb\rc\x1b]0;x\x07\xc2\x9b"));
        json_object_set_new(claim, "detail", json_string("\x1b[31m\n"));
        host_take_list(&model, list);
        text = draw(&ui, &model, &frame, 60, 200);
        for (const char *c = text; *c; c++)
                expect((*c >= ' ' && *c < 0x7f) || *c == '\n');
        expect_in(text, "\\x1b[2J\\x07");
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void what_is_wrong_and_what_is_asked_is_said(void) {
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        frame.notice = "broker is gone, trying again (3s)";
        frame.message = "web has ended";
        text = draw(&ui, &model, &frame, 24, 80);
        expect_in(text, "rig  broker is gone, trying again (3s)\n");
        expect_in(text, "\nweb has ended\n");
        free(text);
        frame.notice = NULL;
        top_ui_key(&ui, &model, 'k');
        model.draining = true;
        text = draw(&ui, &model, &frame, 24, 80);
        expect_in(text, "\nEnd the VM database?  y ends it, any other key does not\n");
        expect_in(text, "draining: nothing starts");
        free(text);
        ui.mode = TOP_MODE_LIST;
        frame.partial = true;
        model.n_host_vms = 40;
        text = draw(&ui, &model, &frame, 24, 80);
        expect_in(text, "3 of 40 VMs");
        expect_in(text, "YOURS");
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void details_show_use_against_claim_and_scroll(void) {
        struct top_frame frame = frame_of();
        struct top_ui ui = TOP_UI_NULL;
        struct top_model model;
        char *text;

        host_model(&model);
        need_int(top_ui_arrange(&ui, &model), 0);
        top_ui_key(&ui, &model, TOP_KEY_ENTER);
        text = draw(&ui, &model, &frame, 12, 80);
        expect_in(text, "asking the broker");
        free(text);
        frame.details = "one\ntwo\nthree\nfour\nfive\nsix";
        text = draw(&ui, &model, &frame, 12, 80);
        expect_in(text, "cpu          1.50        2  [######################################");
        expect_in(text, "\nthree\n");
        expect(!strstr(text, "four"));
        free(text);
        top_ui_key(&ui, &model, TOP_KEY_END);
        text = draw(&ui, &model, &frame, 12, 80);
        expect_in(text, "\nfour\nfive\nsix\n");
        free(text);
        host_take_list(&model, json_pack("{s[] s[]}", "vms", "waiting"));
        text = draw(&ui, &model, &frame, 12, 80);
        expect_in(text, "database is over");
        free(text);
        top_ui_deinit(&ui);
        top_model_deinit(&model);
}

static void a_character_takes_its_places_or_is_a_question_mark(void) {
        struct grid grid = GRID_NULL;
        char line[200];

        need(setlocale(LC_CTYPE, "C.UTF-8"));
        need_int(grid_init(&grid, 2, 10, true), 0);
        expect_int(grid_put(&grid, 0, 0, GRID_PLAIN, "\xe4\xb8\xad\xe6\x96\x87x\xcc\x81\x1b\xff"),
                   7);
        expect_str(grid_line(&grid, 0, line, sizeof(line)), "\xe4\xb8\xad\xe6\x96\x87x??");
        /* A double one does not fit into the last place. */
        grid_put_cut(&grid, 1, 0, 4, GRID_PLAIN, "ab\xe4\xb8\xad\xe6\x96\x87");
        expect_str(grid_line(&grid, 1, line, sizeof(line)), "ab~");
        expect_int(grid_put(&grid, 5, 0, GRID_PLAIN, "no such row"), 10);
        need_int(grid_init(&grid, 1, 10, false), 0);
        grid_put(&grid, 0, 0, GRID_PLAIN, "\xc3\xa4\xe4\xb8\xad");
        expect_str(grid_line(&grid, 0, line, sizeof(line)), "??");
        grid_put_right(&grid, 0, 5, 5, GRID_PLAIN, "1234567");
        expect_str(grid_line(&grid, 0, line, sizeof(line)), "??   1234~");
        grid_deinit(&grid);
        grid_deinit(&grid);
        setlocale(LC_CTYPE, "C");
        users_deinit(&users);
}

UNIT_MAIN(TEST(a_small_screen_shows_some_of_everything), TEST(a_wide_screen_shows_every_column),
          TEST(the_column_that_sorts_is_always_there), TEST(no_size_is_too_small_or_too_large),
          TEST(the_selected_one_of_many_is_scrolled_to), TEST(each_end_of_a_bar_is_seen),
          TEST(hostile_names_do_no_harm), TEST(what_is_wrong_and_what_is_asked_is_said),
          TEST(details_show_use_against_claim_and_scroll),
          TEST(a_character_takes_its_places_or_is_a_question_mark))

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/units.h>
#include <cli/human.h>
#include <cli/table.h>

#include "unit.h"

static const struct column columns[] = {
        {"NAME", false, true},
        {"CPU", true, false},
        {"COMMAND", false, true},
};

/* Prints rows of three cells, up to a NULL, at @width; the caller frees the text. */
static char *print(size_t width, const char *const *cells) {
        struct table table;
        char *text = NULL;
        size_t n = 0;
        FILE *file = open_memstream(&text, &n);

        table_init(&table, columns, ARRAY_SIZE(columns));
        while (*cells)
                table_add(&table, *cells++);
        expect_int(table_print(&table, file, width), 0);
        fclose(file);
        table_deinit(&table);
        table_deinit(&table);
        return text;
}

static void expect_table(size_t width, const char *const *cells, const char *wanted) {
        char *text = print(width, cells);

        expect_str(text, wanted);
        free(text);
}

static void columns_are_as_wide_as_their_cells(void) {
        static const char *const cells[] = {"web", "2.5", "vmm -m 512", "database",
                                            "16",  "x",   NULL};

        expect_table(0, cells,
                     "NAME      CPU  COMMAND\n"
                     "web       2.5  vmm -m 512\n"
                     "database   16  x\n");
}

static void empty_table_is_its_title(void) {
        static const char *const cells[] = {NULL};

        expect_table(80, cells, "NAME  CPU  COMMAND\n");
}

static void widest_column_gives_way_first(void) {
        static const char *const cells[] = {"web-server", "2", "a-command-of-thirty-characters",
                                            NULL};

        expect_table(30, cells,
                     "NAME        CPU  COMMAND\n"
                     "web-server    2  a-command-of~\n");
        expect_table(20, cells,
                     "NAME      CPU  COMMAND\n"
                     "web-ser~    2  a-comma~\n");
}

static void no_width_is_too_small_to_print(void) {
        static const char *const cells[] = {"web-server", "2", "a-command-of-thirty-characters",
                                            NULL};

        for (size_t width = 1; width < 80; width++) {
                char *text = print(width, cells);

                expect_in(text, "web-ser");
                free(text);
        }
}

static void characters_are_never_cut_in_two(void) {
        static const char *const cells[] = {
                "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
                "\xc3\xa4",
                "1", "x", NULL};

        expect_uint(table_text_width(cells[0]), 10);
        expect_table(22, cells,
                     "NAME      CPU  COMMAND\n"
                     "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4~    1  x\n");
}

static void amounts_are_human_or_a_dash(void) {
        json_t *o = json_pack("{si sf si sf ss sn sI}", "int", 2500, "real", 2.5, "below", -1,
                              "huge", 1e300, "text", "x", "null", "endless", (json_int_t)INT64_MAX);
        char text[64];

        expect_str(human_amount(o, "int", RESOURCE_CPU, text, sizeof(text)), "2.5");
        expect_str(human_amount(o, "real", RESOURCE_CPU, text, sizeof(text)), "2.5");
        expect_str(human_amount(o, "below", RESOURCE_CPU, text, sizeof(text)), "-");
        expect_str(human_amount(o, "huge", RESOURCE_CPU, text, sizeof(text)), "-");
        expect_str(human_amount(o, "text", RESOURCE_CPU, text, sizeof(text)), "-");
        expect_str(human_amount(o, "null", RESOURCE_CPU, text, sizeof(text)), "-");
        expect_str(human_amount(o, "absent", RESOURCE_CPU, text, sizeof(text)), "-");
        expect_str(human_amount(o, "endless", RESOURCE_NETWORK, text, sizeof(text)), "unlimited");
        expect_str(human_amount(NULL, "absent", RESOURCE_CPU, text, sizeof(text)), "-");
        json_decref(o);
}

static void kernel_values_get_a_meaning(void) {
        static const char *const rows[][3] = {
                {"memory.max", "1073741824", "1G"},
                {"memory.max", "max", ""},
                {"memory.current", "0", "0B"},
                {"cpu.max", "250000 100000", "2.5 CPUs"},
                {"cpu.max", "max 100000", ""},
                {"cpu.max", "1 0", ""},
                {"cpu.weight", "100", ""},
                {"usage_usec", "1500000", "1.5s"},
                {"memory.events", "5", ""},
                {"cpu.max", "", ""},
                {"memory.oom.group", "1", ""},
                {"memory.swap.max", "1024", "1K"},
                {"pids.max", "80", ""},
                {"memory.max", "99999999999999999999", ""},
        };
        char text[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                expect_str(human_kernel_value(rows[i][0], rows[i][1], text, sizeof(text)),
                           rows[i][2]);
}

static void ages_count_from_the_clock_they_are_of(void) {
        json_t *o = json_pack("{sI si si sI}", "boot", (json_int_t)1, "zero", 0, "below", -5,
                              "future", (json_int_t)INT64_MAX);
        char text[64];

        expect(strcmp(human_age(o, "boot", text, sizeof(text)), "-") != 0);
        expect_str(human_age(o, "zero", text, sizeof(text)), "-");
        expect_str(human_age(o, "below", text, sizeof(text)), "-");
        expect_str(human_age(o, "future", text, sizeof(text)), "0s");
        json_decref(o);
}

UNIT_MAIN(TEST(columns_are_as_wide_as_their_cells), TEST(empty_table_is_its_title),
          TEST(widest_column_gives_way_first), TEST(no_width_is_too_small_to_print),
          TEST(characters_are_never_cut_in_two), TEST(amounts_are_human_or_a_dash),
          TEST(kernel_values_get_a_meaning), TEST(ages_count_from_the_clock_they_are_of))

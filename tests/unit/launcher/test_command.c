/* SPDX-License-Identifier: MIT */
#include <base/why.h>
#include <launcher/command.h>
#include <launcher/spawn.h>
#include <string.h>

#include "unit.h"

static struct placeholder table[] = {
        {"name", "web", NULL}, {"cpus", "2", NULL}, {"tap", NULL, "no network"},
        {"tap.fd", "9", NULL}, {"empty", "", NULL}, {"tap.1.fd", "10", NULL},
};

static char **expand(char *const *argv, struct why *why, int *rp) {
        char **result = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                table[i].used = false;
        *rp = command_expand(argv, table, ARRAY_SIZE(table), &result, why);
        return result;
}

static void known_names_are_replaced_and_other_braces_stay(void) {
        char *argv[] = {(char *)"{name}",
                        (char *)"a{cpus}b{cpus}",
                        (char *)"{\"x\":{\"name\":1}}",
                        (char *)"{nam}",
                        (char *)"{",
                        (char *)"{{name}}",
                        (char *)"",
                        (char *)"{empty}",
                        (char *)"{tap.fd}",
                        NULL};
        static const char *const wanted[] = {
                "web", "a2b2", "{\"x\":{\"name\":1}}", "{nam}", "{", "{web}", "", "", "9", NULL};
        struct why why = {};
        int r;
        char **result = expand(argv, &why, &r);

        need_int(r, 0);
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                expect_str(result[i], wanted[i]);
        free(result);
}

static void the_table_tells_which_were_asked_for(void) {
        char *argv[] = {(char *)"x", (char *)"{tap.1.fd},{tap.1}{tap.1.fd}{tap.2.fd}",
                        (char *)"{name", (char *)"{empty}", NULL};
        struct why why = {};
        int r;
        char **result = expand(argv, &why, &r);

        need_int(r, 0);
        expect_str(result[1], "10,{tap.1}10{tap.2.fd}");
        free(result);
        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                expect_int(table[i].used, strcmp(table[i].name, "tap.1.fd") == 0 ||
                                                  strcmp(table[i].name, "empty") == 0);
}

static void a_placeholder_without_a_value_is_refused_with_a_hint(void) {
        char *argv[] = {(char *)"x", (char *)"if={tap}", NULL};
        struct why why = {};
        int r;

        expect(expand(argv, &why, &r) == NULL);
        expect_int(r, COMMAND_E_UNKNOWN);
        expect_in(why.text, "{tap}");
        expect_in(why.text, "no network");
}

static void a_command_that_grows_without_end_is_refused(void) {
        static char long_word[COMMAND_BYTES_MAX + 2];
        char *argv[] = {long_word, NULL};
        struct why why = {};
        int r;

        memset(long_word, 'x', sizeof(long_word) - 1);
        expect(expand(argv, &why, &r) == NULL);
        expect_int(r, COMMAND_E_TOO_BIG);
}

static void expect_paths(const char *program, const char *path, const char *const *wanted) {
        char *envp[] = {(char *)"HOME=/", (char *)path, NULL}, **paths = NULL;

        need_int(command_candidates(program, path ? envp : NULL, &paths), 0);
        for (size_t i = 0; wanted[i] || paths[i]; i++) {
                need(wanted[i] && paths[i]);
                expect_str(paths[i], wanted[i]);
        }
        free(paths);
}

static void a_program_is_looked_for_where_path_says(void) {
        expect_paths("vm", "PATH=/a:/b/c", (const char *const[]){"/a/vm", "/b/c/vm", NULL});
        /* Relative and empty entries would mean the caller's directory. */
        expect_paths("vm", "PATH=:.:/a::x/y", (const char *const[]){"/a/vm", NULL});
        expect_paths("./vm", "PATH=/a", (const char *const[]){"./vm", NULL});
        expect_paths("/x/vm", NULL, (const char *const[]){"/x/vm", NULL});
        expect_paths("", "PATH=/a", (const char *const[]){NULL});
        expect_paths("vm", "PATH=", (const char *const[]){NULL});
}

static void without_a_path_there_is_a_default_one(void) {
        char **paths = NULL;

        need_int(command_candidates("vm", NULL, &paths), 0);
        expect_str(paths[0], "/usr/local/sbin/vm");
        free(paths);
}

static void a_path_of_many_entries_is_cut(void) {
        static char path[COMMAND_PATH_MAX * 8 + 64] = "PATH=/a";
        char *envp[] = {path, NULL}, **paths = NULL;
        size_t n = 0;

        for (int i = 0; i < COMMAND_PATH_MAX * 2; i++)
                strcat(path, ":/b");
        need_int(command_candidates("vm", envp, &paths), 0);
        while (paths[n])
                n++;
        expect_uint(n, COMMAND_PATH_MAX);
        free(paths);
}

static void exit_codes_are_the_shells(void) {
        expect_int(spawn_exit_code(ENOENT), 127);
        expect_int(spawn_exit_code(ENOTDIR), 127);
        expect_int(spawn_exit_code(EACCES), 126);
        expect_int(spawn_exit_code(ENOEXEC), 126);
        expect_int(spawn_exit_code(ENOMEM), 126);
}

UNIT_MAIN(TEST(known_names_are_replaced_and_other_braces_stay),
          TEST(the_table_tells_which_were_asked_for),
          TEST(a_placeholder_without_a_value_is_refused_with_a_hint),
          TEST(a_command_that_grows_without_end_is_refused),
          TEST(a_program_is_looked_for_where_path_says),
          TEST(without_a_path_there_is_a_default_one), TEST(a_path_of_many_entries_is_cut),
          TEST(exit_codes_are_the_shells), )

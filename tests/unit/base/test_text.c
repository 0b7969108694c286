/* SPDX-License-Identifier: MIT */

/*
 * Names that are about to become directories, and texts that are about to reach a terminal.
 */

#include <string.h>

#include <base/text.h>
#include <base/why.h>

#include "unit.h"

static void a_name_is_letters_digits_dots_underscores_and_hyphens(void) {
        static const char *const valid[] = {
                "a",          "0",  "vm-1", "web.example",  "A_b-C.9",
                "memory.max", "a.", "a-",   "cgroup.procs",
        };
        struct why why;

        for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
                expect_that(text_check_name("VM name", valid[i], &why) == 0, "%s", valid[i]);
}

static void what_could_leave_its_directory_is_no_name(void) {
        static const char *const hostile[] = {
                "",      ".",        "..",       "...",  "../x",     "a/b", "/a",    "a/",
                ".a",    "-a",       "_a",       "a..b", "a\nb",     "a b", " a",    "a ",
                "a\tb",  "a\\b",     "a\"b",     "a'b",  "a:b",      "a=b", "a*",    "a?",
                "a%s",   "a;b",      "a|b",      "$a",   "~a",       "ä",   "a\xff", "a\x7f",
                "\033c", "a\x1b[2J", "a\u202eb", "ａ",   "a\u200bb",
        };
        struct why why;

        for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
                expect_that(text_check_name("VM name", hostile[i], &why) == TEXT_E_NAME, "%zu", i);
                expect_that(text_is_printable(why.text), "%zu: %s", i, why.text);
        }
}

static void a_name_has_at_most_63_bytes(void) {
        char name[512];
        struct why why;

        memset(name, 'a', sizeof(name));
        name[TEXT_NAME_MAX] = '\0';
        expect_int(text_check_name("slice", name, &why), 0);
        name[TEXT_NAME_MAX] = 'a';
        name[TEXT_NAME_MAX + 1] = '\0';
        expect_int(text_check_name("slice", name, &why), TEXT_E_NAME);
        name[TEXT_NAME_MAX + 1] = 'a';
        name[sizeof(name) - 1] = '\0';
        expect_int(text_check_name("slice", name, &why), TEXT_E_NAME);
        expect_in(why.text, "1 to 63");
}

static void a_slice_may_lie_in_others_by_its_name(void) {
        static const char *const valid[] = {"a", "a/b", "a.b/c-d/e_f/0"};
        static const char *const hostile[] = {"",    "/",         "/a",   "a/",   "a//b", "a/..",
                                              "a/.", "a/b/c/d/e", "../a", "a/-b", "a b/c"};
        char parent[TEXT_NAME_MAX + 1], name[TEXT_NAME_MAX + 2];
        struct why why;

        for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
                expect_that(text_check_slice("slice", valid[i], &why) == 0, "%s", valid[i]);
        for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
                expect_that(text_check_slice("slice", hostile[i], &why) == TEXT_E_NAME, "%s",
                            hostile[i]);
        memset(name, 'a', sizeof(name));
        name[20] = '/';
        name[TEXT_NAME_MAX + 1] = '\0';
        expect_int(text_check_slice("slice", name, &why), TEXT_E_NAME);
        name[TEXT_NAME_MAX] = '\0';
        expect_int(text_check_slice("slice", name, &why), 0);
        expect(!text_slice_parent("a", parent));
        expect(text_slice_parent("a/b/c", parent));
        expect_str(parent, "a/b");
        expect_str(text_slice_leaf("a/b/c"), "c");
        expect_str(text_slice_leaf("a"), "a");
}

static void a_refused_name_is_quoted_with_what_it_names(void) {
        struct why why;

        expect_int(text_check_name("VM name", "a\nb", &why), TEXT_E_NAME);
        expect_int(why.code, TEXT_E_NAME);
        expect_in(why.text, "\"a\\x0ab\" is not a valid VM name");
}

static void an_interface_is_called_what_the_kernel_takes(void) {
        static const char *const valid[] = {
                "br0",  "pvbr0",          "a", "-", "...", "*", "eth0.5", "br@x", "\\",
                "~!{}", "abcdefghijklmno"};
        static const char *const bad[] = {
                "",     ".",     "..",    "a/b", "a:b", "a,b", "a b",    "a\t",
                "br%d", "a\x7f", "a\xff", "ä",   "\n",  " a",  "a\033c", "abcdefghijklmnop"};
        struct why why;

        for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
                expect_that(text_check_interface("bridge", valid[i], &why) == 0, "%s", valid[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                expect_that(text_check_interface("bridge", bad[i], &why) == TEXT_E_NAME, "%zu", i);
                expect_that(text_is_printable(why.text), "%zu: %s", i, why.text);
        }
        expect_int(text_check_interface("bridge", "a\nb", &why), TEXT_E_NAME);
        expect_in(why.text, "\"a\\x0ab\" is not a valid bridge: give 1 to 15 printable");
        expect_in(why.text, "',' and '%'");
}

static void expect_escape(const char *text, size_t size, const char *wanted) {
        char buffer[128];

        memset(buffer, 'Z', sizeof(buffer));
        expect_str(text_escape(text, buffer, size), wanted);
        expect_that(buffer[size] == 'Z', "wrote behind the buffer for %s", wanted);
}

static void plain_text_is_shown_as_it_is(void) {
        expect_escape("", 8, "");
        expect_escape("vm-1", 64, "vm-1");
        expect_escape("é 日本 😀", 64, "é 日本 😀");
}

static void what_steers_a_terminal_is_escaped(void) {
        expect_escape("a\nb", 64, "a\\x0ab");
        expect_escape("\x1b[2J", 64, "\\x1b[2J");
        expect_escape("\x7f", 64, "\\x7f");
        expect_escape("\"'\\", 64, "\\x22\\x27\\x5c");
        expect_escape("\xc2\x9b", 64, "\\xc2\\x9b");                   /* CSI as one character */
        expect_escape("\xe2\x80\xae", 64, "\\xe2\\x80\\xae");          /* right to left from here */
        expect_escape("\xe2\x80\xa8", 64, "\\xe2\\x80\\xa8");          /* line separator */
        expect_escape("\xef\xbb\xbf", 64, "\\xef\\xbb\\xbf");          /* byte order mark */
        expect_escape("\xf3\xa0\x81\x81", 64, "\\xf3\\xa0\\x81\\x81"); /* tag letter */
}

static void what_is_no_utf8_is_escaped_byte_by_byte(void) {
        expect_escape("\xff", 64, "\\xff");
        expect_escape("\xc3", 64, "\\xc3");                            /* cut off */
        expect_escape("\xc3(", 64, "\\xc3(");                          /* not continued */
        expect_escape("\xc0\xaf", 64, "\\xc0\\xaf");                   /* overlong '/' */
        expect_escape("\xe0\x80\xaf", 64, "\\xe0\\x80\\xaf");          /* overlong '/' */
        expect_escape("\xed\xa0\x80", 64, "\\xed\\xa0\\x80");          /* surrogate */
        expect_escape("\xf4\x90\x80\x80", 64, "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
        expect_escape("\xf0\x9f\x98", 64, "\\xf0\\x9f\\x98");          /* cut off */
}

static void what_does_not_fit_ends_in_dots(void) {
        expect_escape("1234567", 8, "1234567");
        expect_escape("12345678", 8, "1234...");
        expect_escape("123\n", 8, "123\\x0a");
        expect_escape("1234\n", 8, "1234...");
        expect_escape("日本日本", 8, "日...");
        expect_escape("日本日本", 12, "日本...");
        expect_escape("\n\n\n", 9, "\\x0a...");
        expect_escape("\n\n", 9, "\\x0a\\x0a");
}

static void an_escaped_text_is_always_printable(void) {
        char text[4], buffer[64];

        for (unsigned i = 1; i < 256; i++) {
                for (unsigned j = 1; j < 256; j++) {
                        text[0] = (char)i;
                        text[1] = (char)j;
                        text[2] = (char)(i ^ j);
                        text[3] = '\0';
                        text_escape(text, buffer, sizeof(buffer));
                        if (!text_is_printable(buffer))
                                expect_that(false, "%02x %02x", i, j);
                }
        }
}

static void printable_is_one_line_of_harmless_utf8(void) {
        expect(text_is_printable(""));
        expect(text_is_printable("Bob's \"box\" \\ é"));
        expect(!text_is_printable("a\nb"));
        expect(!text_is_printable("\x7f"));
        expect(!text_is_printable("\xff"));
        expect(!text_is_printable("\xe2\x80\xae"));
}

static void a_text_too_long_is_not_copied_in_part(void) {
        char buffer[4] = "abc";

        expect(!text_copy(buffer, sizeof(buffer), "1234"));
        expect_str(buffer, "abc");
        expect(text_copy(buffer, sizeof(buffer), "123"));
        expect_str(buffer, "123");
        expect(text_copy(buffer, sizeof(buffer), ""));
        expect_str(buffer, "");
}

UNIT_MAIN(TEST(a_name_is_letters_digits_dots_underscores_and_hyphens),
          TEST(what_could_leave_its_directory_is_no_name),
          TEST(a_slice_may_lie_in_others_by_its_name), TEST(a_name_has_at_most_63_bytes),
          TEST(a_refused_name_is_quoted_with_what_it_names),
          TEST(an_interface_is_called_what_the_kernel_takes), TEST(plain_text_is_shown_as_it_is),
          TEST(what_steers_a_terminal_is_escaped), TEST(what_is_no_utf8_is_escaped_byte_by_byte),
          TEST(what_does_not_fit_ends_in_dots), TEST(an_escaped_text_is_always_printable),
          TEST(printable_is_one_line_of_harmless_utf8),
          TEST(a_text_too_long_is_not_copied_in_part), )

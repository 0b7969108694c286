/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/why.h>
#include <cli/terminal.h>

#include "unit.h"

static void keys_are_read_as_people_write_them(void) {
        static const struct {
                const char *text;
                int key;
                const char *shown;
        } rows[] = {
                {"^]", 0x1d, "Ctrl-]"}, {"^a", 1, "Ctrl-A"},  {"^A", 1, "Ctrl-A"},
                {"^@", 0, "Ctrl-@"},    {"~", '~', "~"},      {"^", '^', "^"},
                {"q", 'q', "q"},        {"^_", 31, "Ctrl-_"}, {"none", TERMINAL_NO_KEY, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[8];
                int key = -2;

                expect_int(terminal_parse_key(rows[i].text, &key, NULL), 0);
                expect_int(key, rows[i].key);
                if (rows[i].shown)
                        expect_str(terminal_format_key(key, text), rows[i].shown);
        }
}

static void what_is_no_key_is_refused_and_what_is_one_is_said(void) {
        static const char *const texts[] = {"", "^1", "ab", "^ab", "None", "\xc3\xa4", "^\x01"};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct why why = {};
                int key = 7;

                expect_int(terminal_parse_key(texts[i], &key, &why), TERMINAL_E_KEY);
                expect_int(key, 7);
                expect_in(why.text, "or none");
        }
}

static void a_terminal_is_given_back_as_it_was(void) {
        struct termios before, during, after;
        struct terminal terminal;
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), fd;

        need(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        need(fd >= 0);
        need_int(tcgetattr(fd, &before), 0);
        expect(before.c_lflag & ICANON);
        terminal_init(&terminal, fd);
        terminal_restore(&terminal);
        terminal_make_raw(&terminal);
        terminal_make_raw(&terminal);
        need_int(tcgetattr(fd, &during), 0);
        expect(!(during.c_lflag & (ICANON | ISIG | ECHO)));
        terminal_restore(&terminal);
        terminal_restore(&terminal);
        need_int(tcgetattr(fd, &after), 0);
        expect_uint(after.c_lflag, before.c_lflag);
        expect_uint(after.c_iflag, before.c_iflag);
        expect_uint(after.c_oflag, before.c_oflag);
        close(fd);
        close(master);
}

static void what_is_no_terminal_is_left_alone(void) {
        struct terminal terminal;
        int fds[2];

        need_int(pipe(fds), 0);
        terminal_init(&terminal, fds[0]);
        expect_int(terminal.fd, -1);
        terminal_make_raw(&terminal);
        expect(!terminal.raw);
        terminal_restore(&terminal);
        close(fds[0]);
        close(fds[1]);
}

UNIT_MAIN(TEST(keys_are_read_as_people_write_them),
          TEST(what_is_no_key_is_refused_and_what_is_one_is_said),
          TEST(a_terminal_is_given_back_as_it_was), TEST(what_is_no_terminal_is_left_alone), )

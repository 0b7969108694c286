/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/why.h>
#include <cgroup/device_rule.h>

#include "unit.h"

static int open_dev(void) {
        int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        need(fd >= 0);
        return fd;
}

/* An empty /dev: no name is there. */
static int open_empty(char path[32]) {
        int fd;

        strcpy(path, "/tmp/provium-dev-XXXXXX");
        need(mkdtemp(path));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(fd >= 0);
        return fd;
}

static void expect_rule(int dev_fd, const char *text, const char *wanted) {
        char is[DEVICE_RULE_TEXT_MAX];
        struct device_rule rule = {};
        struct why why = {};

        expect_that(device_rule_parse(&rule, dev_fd, text, &why) == 0, "%s: %s", text, why.text);
        expect_str(device_rule_format(&rule, is, sizeof(is)), wanted);
}

static void expect_refused(int dev_fd, const char *text, int code, const char *sentence) {
        struct device_rule rule = {.type = 'x', .access = 77};
        struct why why = {};

        expect_that(device_rule_parse(&rule, dev_fd, text, &why) == code, "'%s' is refused", text);
        expect_in(why.text, sentence);
        expect(rule.type == 'x' && rule.access == 77);
}

static void numbers_are_taken_as_they_are_written(void) {
        static const char *const rows[] = {
                "c 10:232 rw", "c 136:* rw", "b 8:0 r",           "c *:* rwm",
                "b 0:0 m",     "c 1:3 w",    "c 4095:1048575 rw",
        };
        char path[32];
        int fd = open_empty(path);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                expect_rule(fd, rows[i], rows[i]);
        expect_rule(fd, "c 010:0003 wr", "c 10:3 rw");
        close(fd);
        rmdir(path);
}

static void what_is_no_rule_says_what_is_valid(void) {
        static const char *const rows[][2] = {
                {"", "it is empty"},
                {"c ", "the major number is"},
                {"c 10", "no ':'"},
                {"c 10:", "the minor number is"},
                {"c 10:3", "no access"},
                {"c 10:3 ", "letters r, w and m"},
                {"c 10:3 x", "letters r, w and m"},
                {"c 10:3 rr", "letters r, w and m"},
                {"c 10:3 rw ", "letters r, w and m"},
                {"c 10:3 rwmr", "letters r, w and m"},
                {"c 4096:3 rw", "0 to 4095"},
                {"c 1:1048576 rw", "0 to 1048575"},
                {"c 99999999999999999999:1 rw", "0 to 4095"},
                {"c -1:3 rw", "the major number"},
                {"c 10 :3 rw", "no ':'"},
                {"c  10:3 rw", "the major number"},
                {"c *1:3 rw", "no ':'"},
                {"a *:* rwm", "letters r, w and m"},
                {"kvm rx", "letters r, w and m"},
                {"kvm ", "letters r, w and m"},
                {" kvm", "not the name"},
                {"/", "not the name"},
                {"/dev/", "not the name"},
                {"/etc/passwd", "not the name"},
                {"../etc", "not the name"},
                {"net/../../etc", "not the name"},
                {"net//tun", "not the name"},
                {"net/", "not the name"},
                {".", "not the name"},
                {"a\"b", "not the name"},
                {"k\033[2Jvm", "\\x1b[2J"},
        };
        char text[DEVICE_WORD_MAX + 2];
        int fd = open_dev();

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_refused(fd, rows[i][0], DEVICE_RULE_E_INVALID, rows[i][1]);
                expect_refused(fd, rows[i][0], DEVICE_RULE_E_INVALID, "is no device rule");
        }
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        expect_refused(fd, text, DEVICE_RULE_E_INVALID, "too long");
        text[DEVICE_WORD_MAX] = '\0';
        expect_refused(fd, text, DEVICE_RULE_E_ABSENT, "there is no /dev/aaa");
        close(fd);
}

static void a_name_is_the_device_below_dev(void) {
        int fd = open_dev();

        expect_rule(fd, "null", "c 1:3 rw");
        expect_rule(fd, "/dev/null", "c 1:3 rw");
        expect_rule(fd, "null r", "c 1:3 r");
        expect_rule(fd, "null rwm", "c 1:3 rwm");
        expect_rule(fd, "pts", "c 136:* rw");
        close(fd);
}

static void a_known_name_has_its_number_before_its_file_is_there(void) {
        char path[32];
        int fd = open_empty(path);

        expect_rule(fd, "kvm", "c 10:232 rw");
        expect_rule(fd, "net/tun", "c 10:200 rw");
        expect_rule(fd, "vhost-net r", "c 10:238 r");
        expect_rule(fd, "vhost-vsock", "c 10:241 rw");
        expect_refused(fd, "vfio/12", DEVICE_RULE_E_ABSENT, "there is no /dev/vfio/12: No such");
        close(fd);
        rmdir(path);
}

static void a_file_that_is_no_device_is_none(void) {
        char path[32];
        int fd = open_empty(path);

        close(openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        close(openat(fd, "kvm", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        need_int(symlinkat("file", fd, "link"), 0);
        need_int(symlinkat("/dev/null", fd, "other"), 0);
        expect_refused(fd, "file", DEVICE_RULE_E_ABSENT, "/dev/file is no device");
        expect_refused(fd, "link", DEVICE_RULE_E_ABSENT, "/dev/link is no device");
        /* A link that is below /dev is as good as its end; /dev is root's. */
        expect_rule(fd, "other", "c 1:3 rw");
        expect_rule(fd, "kvm", "c 10:232 rw");
        unlinkat(fd, "file", 0);
        unlinkat(fd, "kvm", 0);
        unlinkat(fd, "link", 0);
        unlinkat(fd, "other", 0);
        close(fd);
        rmdir(path);
}

static void terminals_are_only_for_who_makes_some(void) {
        struct device_rule rules[DEVICE_DEFAULTS_MAX];
        char path[32], text[DEVICE_RULE_TEXT_MAX];
        int fd = open_empty(path);
        size_t n = 99;
        struct why why;

        need_int(device_rule_default(fd, false, rules, ARRAY_SIZE(rules), &n, &why), 0);
        expect_int(n, 9);
        expect_str(device_rule_format(&rules[0], text, sizeof(text)), "c 1:3 rw");
        expect_str(device_rule_format(&rules[8], text, sizeof(text)), "c 10:241 rw");
        need_int(device_rule_default(fd, true, rules, ARRAY_SIZE(rules), &n, &why), 0);
        expect_int(n, DEVICE_DEFAULTS_MAX);
        expect_str(device_rule_format(&rules[9], text, sizeof(text)), "c 5:0 rw");
        expect_str(device_rule_format(&rules[11], text, sizeof(text)), "c 136:* rw");
        expect_int(device_rule_default(fd, true, rules, 11, &n, &why), DEVICE_RULE_E_MANY);
        expect_int(n, DEVICE_DEFAULTS_MAX);
        close(fd);
        rmdir(path);
}

UNIT_MAIN(TEST(numbers_are_taken_as_they_are_written), TEST(what_is_no_rule_says_what_is_valid),
          TEST(a_name_is_the_device_below_dev),
          TEST(a_known_name_has_its_number_before_its_file_is_there),
          TEST(a_file_that_is_no_device_is_none), TEST(terminals_are_only_for_who_makes_some))

/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <launcher/seccomp_learn.h>
#include <launcher/seccomp_program.h>

#include "lists.h"
#include "unit.h"

#define KILL 1000
#define LOG 1001

/* What @list says, as one number: 0 allow, KILL, LOG, or the errno. */
static int says(const struct seccomp_list *list, int number, uint64_t a, uint64_t b) {
        const uint64_t arguments[SECCOMP_ARGUMENTS] = {a, b};
        struct seccomp_verdict verdict = seccomp_list_judge(list, number, arguments);

        switch (verdict.action) {
        case SECCOMP_ALLOW:
                return 0;
        case SECCOMP_LOG:
                return LOG;
        case SECCOMP_ERRNO:
                return verdict.errnum;
        case SECCOMP_KILL:
                return KILL;
        }
        return -1;
}

static void expect_sentence(const char *text, const char *sentence) {
        const struct text texts[] = {{"a", text}, {"b", "allow write\n"}, {}};
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        expect_int(lists_parse(&list, texts, &why), SECCOMP_E_INVALID);
        expect_int(why.code, SECCOMP_E_INVALID);
        expect_str(why.text, sentence);
        expect(list.rules == NULL);
}

static void each_action_is_understood(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "# comment\n\n  default errno ENOSYS # rest\n"
                          "allow read write\tclose\nlog open\nerrno EACCES stat\nkill ptrace");
        expect_int(says(&list, SYS_read, 0, 0), 0);
        expect_int(says(&list, SYS_write, 0, 0), 0);
        expect_int(says(&list, SYS_close, 0, 0), 0);
        expect_int(says(&list, SYS_open, 0, 0), LOG);
        expect_int(says(&list, SYS_stat, 0, 0), EACCES);
        expect_int(says(&list, SYS_ptrace, 0, 0), KILL);
        expect_int(says(&list, SYS_mount, 0, 0), ENOSYS);
        seccomp_list_deinit(&list);
        seccomp_list_deinit(&list);
}

static void windows_line_ends_and_a_byte_order_mark_do_no_harm(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "\xef\xbb\xbf# \xc3\xbc\r\ndefault kill\r\nallow read\r\n\r\n");
        expect_int(says(&list, SYS_read, 0, 0), 0);
        expect_int(says(&list, SYS_write, 0, 0), KILL);
        seccomp_list_deinit(&list);
}

static void each_relation_means_what_it_says(void) {
        static const struct {
                const char *condition;
                bool below, at, above; /* of 5 */
        } cases[] = {
                {"arg0 == 5", false, true, false},  {"arg0 != 5", true, false, true},
                {"arg0 < 5", true, false, false},   {"arg0 <= 5", true, true, false},
                {"arg0 > 5", false, false, true},   {"arg0 >= 5", false, true, true},
                {"arg0&7==05", false, true, false}, {"arg0 & 0x7 != 0x5", true, false, true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct seccomp_list list = SECCOMP_LIST_NULL;
                char text[128];

                snprintf(text, sizeof(text), "default allow\nkill read if %s\n",
                         cases[i].condition);
                lists_need(&list, text);
                expect_that(says(&list, SYS_read, 4, 0) == (cases[i].below ? KILL : 0), "%s", text);
                expect_that(says(&list, SYS_read, 5, 0) == (cases[i].at ? KILL : 0), "%s", text);
                expect_that(says(&list, SYS_read, 6, 0) == (cases[i].above ? KILL : 0), "%s", text);
                seccomp_list_deinit(&list);
        }
}

static void all_conditions_of_a_rule_and_any_rule_of_a_call_count(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "default allow\nkill read if arg0 == 1 and arg1 == 2\n"
                          "kill read if arg1 > 9\n");
        expect_int(says(&list, SYS_read, 1, 2), KILL);
        expect_int(says(&list, SYS_read, 1, 3), 0);
        expect_int(says(&list, SYS_read, 3, 2), 0);
        expect_int(says(&list, SYS_read, 3, 10), KILL);
        seccomp_list_deinit(&list);
}

/* The kernel takes an int of the lower half: what is compared must be that, or adding 2^32 is a way
 * around. */
static void the_upper_half_of_an_int_changes_nothing(void) {
        const uint64_t high = UINT64_C(1) << 32;
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "default allow\nkill ioctl if arg1 == TIOCSTI\nkill read if int0 == 7\n"
                          "kill write if arg0 == 7\nkill close if int0 != 7\n");
        expect_int(says(&list, SYS_ioctl, 0, TIOCSTI), KILL);
        expect_int(says(&list, SYS_ioctl, 0, TIOCSTI + high), KILL);
        expect_int(says(&list, SYS_read, 7 + high, 0), KILL);
        expect_int(says(&list, SYS_write, 7 + high, 0), 0);
        expect_int(says(&list, SYS_close, 7 + high, 0), 0);
        expect_int(says(&list, SYS_close, 8 + high, 0), KILL);
        seccomp_list_deinit(&list);
}

static void constants_can_be_joined(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "default allow\n"
                          "kill clone if arg0 & CLONE_NEWNS|CLONE_NEWUSER|0x1 == CLONE_NEWNS\n");
        expect_int(says(&list, SYS_clone, 0x20000, 0), KILL);
        expect_int(says(&list, SYS_clone, 0x20001, 0), 0);
        expect_int(says(&list, SYS_clone, 0x10020000, 0), 0);
        seccomp_list_deinit(&list);
}

static void a_list_decides_over_what_it_includes(void) {
        static const struct text texts[] = {
                {"a", "include b c\nallow read\nkill clone if arg0 == 1\n"},
                {"b", "default errno EPERM\nerrno EBUSY read write\nallow clone\ninclude c\n"},
                {"c", "kill close\n"},
                {},
        };
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        need_that(lists_parse(&list, texts, &why) == 0, "%s", why.text);
        expect_int(says(&list, SYS_read, 0, 0), 0);
        expect_int(says(&list, SYS_write, 0, 0), EBUSY);
        expect_int(says(&list, SYS_close, 0, 0), KILL);
        expect_int(says(&list, SYS_clone, 1, 0), KILL);
        expect_int(says(&list, SYS_clone, 2, 0), EPERM);
        seccomp_list_deinit(&list);
}

static void included_lists_may_differ_only_if_somebody_decides(void) {
        struct text texts[] = {
                {"a", "include b c\n"}, {"b", "default kill\n"}, {"c", "default allow\n"}, {}};
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        expect_int(lists_parse(&list, texts, &why), SECCOMP_E_INVALID);
        expect_str(why.text, "a: the lists that it includes have different defaults; add a default "
                             "to it");
        texts[0].text = "default log\ninclude b c\n";
        need_int(lists_parse(&list, texts, &why), 0);
        expect_int(says(&list, SYS_read, 0, 0), LOG);
        seccomp_list_deinit(&list);

        texts[1].text = "\nkill read\n";
        texts[2].text = "errno EIO read\n";
        expect_int(lists_parse(&list, texts, &why), SECCOMP_E_INVALID);
        expect_str(why.text, "c:1: b:2 gives read another action");
        texts[0].text = "default log\ninclude b c\nallow read";
        need_int(lists_parse(&list, texts, &why), 0);
        expect_int(says(&list, SYS_read, 0, 0), 0);
        seccomp_list_deinit(&list);
}

static void names_that_only_others_know_are_left_out(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;

        lists_need(&list, "default kill\nallow ?call_of_2050 ?read ?socketcall\n");
        expect_uint(list.n_rules, 1);
        expect_int(says(&list, SYS_read, 0, 0), 0);
        seccomp_list_deinit(&list);
}

static void what_is_wrong_is_said_with_its_line(void) {
        expect_sentence("",
                        "a: it has no default, and none is included; add, for example, 'default "
                        "errno ENOSYS'");
        expect_sentence("default kill\npermit read\n",
                        "a:2: 'permit' is no statement; valid are default, include, allow, log, "
                        "errno NAME and kill");
        expect_sentence("default",
                        "a:1: '' is no default; valid are allow, log, errno NAME and kill");
        expect_sentence("default kill read", "a:1: the default ends before 'read'");
        expect_sentence("default kill\n\ndefault kill\n", "a:3: the default is in line 1 already");
        expect_sentence("default errno EWHAT",
                        "a:1: 'EWHAT' is no errno; valid are names such as EPERM, ENOSYS and "
                        "EAFNOSUPPORT");
        expect_sentence("errno 1 read",
                        "a:1: '1' is no errno; valid are names such as EPERM, ENOSYS "
                        "and EAFNOSUPPORT");
        expect_sentence("allow", "a:1: the names of system calls are missing");
        expect_sentence("allow if arg0 == 1", "a:1: the names of system calls are missing");
        expect_sentence("\nallow read reed",
                        "a:2: 'reed' is no system call that this libseccomp knows on this "
                        "architecture; write '?NAME' for one that others know");
        expect_sentence("allow socketcall",
                        "a:1: 'socketcall' is no system call that this libseccomp knows on this "
                        "architecture; write '?NAME' for one that others know");
        expect_sentence("allow ?Re\033d",
                        "a:1: '?Re\\x1bd' is no system call that this libseccomp knows on this "
                        "architecture; write '?NAME' for one that others know");
        expect_sentence("include", "a:1: include needs the name of a list");
        expect_sentence("include ../b", "a:1: '../b' is not a valid name of a list");
        expect_sentence("include b a", "a:1: 'a' would include itself");
        expect_sentence("include d", "a:1: cannot include 'd': there is no list 'd'");
        expect_sentence("default kill\nallow read\nkill read",
                        "a:3: a:2 gives read another action");
        expect_sentence("default kill\nallow read\nkill read if arg0 == 1",
                        "a:3: a:2 gives read another action; where no condition holds, the default "
                        "decides");
        expect_sentence(
                "default kill\nallow read if arg0 < 9\nlog read if arg0 & 1 == 1",
                "a:3: a:2 gives read another action, and the conditions do not exclude each "
                "other");
}

static void what_is_wrong_with_a_condition_is_said(void) {
        static const char twice[] = "a:1: argument 0 is tested twice; one rule can test it once";

        expect_sentence("allow read if",
                        "a:1: a condition begins with arg0 to arg5, or int0 to int5 "
                        "for its lower 32 bits, not with ''");
        expect_sentence(
                "allow read if arg6 == 1",
                "a:1: a condition begins with arg0 to arg5, or int0 to int5 for its lower 32 "
                "bits, not with 'arg6'");
        expect_sentence("allow read if arg0 = 1",
                        "a:1: '=' does not compare; valid are == != < <= > >=, and == != after '& "
                        "MASK'");
        expect_sentence(
                "allow read if arg0 == -1",
                "a:1: '-1' is neither a number (decimal, 0x hexadecimal, 0 octal, of 64 bits, "
                "without a sign) nor a constant known here");
        expect_sentence(
                "allow read if arg0 == 0x10000000000000000",
                "a:1: '0x10000000000000000' is neither a number (decimal, 0x hexadecimal, 0 "
                "octal, of 64 bits, without a sign) nor a constant known here");
        expect_sentence(
                "allow read if arg0 == AF_MARS",
                "a:1: 'AF_MARS' is neither a number (decimal, 0x hexadecimal, 0 octal, of 64 "
                "bits, without a sign) nor a constant known here");
        expect_sentence("allow read if arg0 ==",
                        "a:1: a number or a constant is missing at the end "
                        "of the condition");
        expect_sentence("allow read if arg0 == 1 or arg0 == 2",
                        "a:1: after a condition comes 'and' or the end of the line, not 'or'");
        expect_sentence("allow read if arg0 > 1 and arg0 < 9", twice);
        expect_sentence("allow read if arg0 > 1 and int0 == 9", twice);
        expect_sentence("allow read if arg0 < 0", "a:1: this condition never holds");
        expect_sentence("allow read if arg0 >= 0", "a:1: this condition always holds");
        expect_sentence("allow read if arg0 & 0 == 0", "a:1: a mask of 0 leaves nothing to test");
        expect_sentence("allow read if arg0 & 3 == 4",
                        "a:1: the value has bits that the mask takes "
                        "away, so it is never met");
        expect_sentence("allow read if int0 == 0x100000000",
                        "a:1: an int has 32 bits; this value has more");
        expect_sentence(
                "allow read if int0 < 3",
                "a:1: of an int, of which the kernel ignores the upper half, only == and != "
                "can be tested");
        expect_sentence("allow read if arg0 & 3 < 3",
                        "a:1: after '&' and a mask, only == and != can be tested");
}

static void conditions_that_exclude_each_other_may_have_different_actions(void) {
        static const char *const pairs[][2] = {
                {"arg0 == 1", "arg0 == 2"},         {"arg0 == 1", "arg0 != 1"},
                {"arg0 < 5", "arg0 >= 5"},          {"arg0 <= 5", "arg0 > 5"},
                {"arg0 & 1 == 1", "arg0 & 3 == 2"}, {"arg0 & 1 == 1", "arg0 & 1 != 1"},
                {"int0 == 3", "int0 != 3"},         {"arg0 & 4 != 4", "arg0 & 4 != 0"},
                {"arg0 < 1", "arg0 != 0"},          {"arg0 == 1 and arg1 == 2", "arg1 == 3"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                for (size_t first = 0; first < 2; first++) {
                        struct seccomp_list list = SECCOMP_LIST_NULL;
                        char text[256];

                        snprintf(text, sizeof(text),
                                 "default allow\nkill read if %s\nlog read if %s\n",
                                 pairs[i][first], pairs[i][!first]);
                        lists_need(&list, text);
                        seccomp_list_deinit(&list);
                }
}

static void everything_is_bounded(void) {
        static char text[SECCOMP_FILE_MAX + 2];
        char *at = text;

        memset(text, '#', SECCOMP_LINE_MAX + 1);
        expect_sentence(text, "a:1: the line is longer than 1023 bytes");
        for (size_t i = 0; i <= SECCOMP_FILE_MAX; i++)
                text[i] = i % 100 == 99 ? '\n' : '#';
        expect_sentence(text, "a: it is larger than 64 KiB");
        memset(text, 0, sizeof(text));
        for (int i = 0; i <= SECCOMP_RULES_MAX / 8; i++)
                at = stpcpy(at, "allow read read read read read read read read\n");
        expect_sentence(text, "a:257: this is more than 2048 rules, with those of the includes");
}

static void includes_are_bounded_in_depth_and_number(void) {
        struct text texts[40] = {};
        static char names[40][8], bodies[40][64];
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        for (int i = 0; i < 39; i++) {
                snprintf(names[i], sizeof(names[i]), i ? "l%d" : "a", i);
                snprintf(bodies[i], sizeof(bodies[i]), "include l%d\n", i + 1);
                texts[i] = (struct text){names[i], bodies[i]};
        }
        expect_int(lists_parse(&list, texts, &why), SECCOMP_E_INVALID);
        expect_str(why.text,
                   "l7:1: this is the 8th list in a row that includes another; 7 are allowed");

        for (int i = 1; i < 39; i++)
                strcpy(bodies[i], "allow read\n");
        texts[0].text = "include l1 l2 l3 l4 l5 l6 l7 l8 l9 l10 l11 l12 l13 l14 l15 l16\n"
                        "include l17 l18 l19 l20 l21 l22 l23 l24 l25 l26 l27 l28 l29 l30 l31 l32\n";
        expect_int(lists_parse(&list, texts, &why), SECCOMP_E_INVALID);
        expect_str(why.text, "a:2: this is more than 32 lists");
}

static void note(struct seccomp_learned *learned, int number, uint64_t first, uint64_t second) {
        seccomp_learn_note(learned, number,
                           (const uint64_t[SECCOMP_ARGUMENTS]){first, second, 3, 4, 5, 6});
}

/* What the list from @learned is, read again, and that it can be compiled. */
static char *learn(struct seccomp_list *list, const struct seccomp_learned *learned) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct why why = {};
        char *text = NULL;

        need_int(seccomp_learn_format(&text, learned), 0);
        lists_need(list, text);
        need_that(seccomp_program_compile(&program, list, &why) == 0, "%s", why.text);
        seccomp_program_deinit(&program);
        return text;
}

static void what_was_learned_can_be_read_and_allows_just_that(void) {
        static const int numbers[] = {SYS_write, SYS_read, SYS_write, 999, SYS_read, -1, 99999};
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct seccomp_learned learned = {};
        char *text;

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                note(&learned, numbers[i], 1, 2);
        expect_uint(learned.n_called, 3);
        text = learn(&list, &learned);
        expect_str(text, "# Written from what a program was seen to call; calls that it needs only "
                         "now and\n# then may be missing.\ndefault errno ENOSYS\n"
                         "# Its flags are where no filter can look; so it was not there, nor will "
                         "it be.\nerrno ENOSYS clone3\n\n"
                         "allow clock_getres clock_gettime exit exit_group getcpu gettimeofday "
                         "read\nallow restart_syscall rt_sigreturn time write\n\n"
                         "# call 999 was seen, too, but has no name here\n"
                         "# calls were seen, too, that no kernel has\n");
        expect_int(says(&list, SYS_write, 0, 0), 0);
        expect_int(says(&list, SYS_open, 0, 0), ENOSYS);
        expect_uint(list.n_rules, 12);
        seccomp_list_deinit(&list);
        free(text);
}

static void of_calls_that_are_many_in_one_those_seen_are_allowed(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct seccomp_learned learned = {};
        char *text;

        note(&learned, SYS_socket, AF_UNIX, SOCK_STREAM);
        note(&learned, SYS_socket, AF_INET6, SOCK_STREAM);
        note(&learned, SYS_ioctl, 0, 0x5401);
        note(&learned, SYS_ioctl, 7, UINT64_C(0xffffffff0000ae00)); /* the kernel takes an int */
        note(&learned, SYS_ioctl, 3, 0xae00);
        note(&learned, SYS_clone, CLONE_VM | CLONE_THREAD, 0);
        text = learn(&list, &learned);
        expect_in(text, "allow ioctl if int1 == TCGETS\nallow ioctl if int1 == 0xae00\n"
                        "allow socket if int0 == AF_UNIX\nallow socket if int0 == AF_INET6\n"
                        "allow clone if arg0 & CLONE_THREAD == CLONE_THREAD\n");
        expect_int(says(&list, SYS_socket, AF_UNIX, 0), 0);
        expect_int(says(&list, SYS_socket, AF_INET, 0), ENOSYS);
        expect_int(says(&list, SYS_ioctl, 5, 0xae00), 0);
        expect_int(says(&list, SYS_ioctl, 5, TIOCSTI), ENOSYS);
        expect_int(says(&list, SYS_clone, CLONE_THREAD | CLONE_FS, 0), 0);
        expect_int(says(&list, SYS_clone, SIGCHLD, 0), ENOSYS);
        seccomp_list_deinit(&list);
        free(text);

        note(&learned, SYS_clone, SIGCHLD, 0);
        text = learn(&list, &learned);
        expect_int(says(&list, SYS_clone, CLONE_THREAD | CLONE_FS, 0), 0);
        expect_int(says(&list, SYS_clone, CLONE_VFORK | SIGCHLD, 0), 0);
        expect_int(says(&list, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0), ENOSYS);
        seccomp_list_deinit(&list);
        free(text);

        note(&learned, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0);
        text = learn(&list, &learned);
        expect_int(says(&list, SYS_clone, CLONE_NEWNET, 0), 0);
        seccomp_list_deinit(&list);
        free(text);
}

static void all_that_is_learned_fits(void) {
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct seccomp_learned learned = {};
        char *text;

        for (int i = 0; i < SECCOMP_LEARN_MAX; i++)
                note(&learned, i, CLONE_THREAD, 1);
        for (unsigned i = 0; i < SECCOMP_LEARN_VALUES - 1; i++) {
                note(&learned, SYS_ioctl, i, 0xae00 + i);
                note(&learned, SYS_prctl, 1000 + i, 0);
                note(&learned, SYS_socket, 1000 + i, 0);
                note(&learned, SYS_socketpair, 1000 + i, 0);
        }
        text = learn(&list, &learned);
        expect_that(list.n_rules > 300, "%zu", list.n_rules);
        expect_int(says(&list, SYS_ioctl, 5, 0xae00), 0);
        expect_int(says(&list, SYS_ioctl, 5, 0xbe00), ENOSYS);
        seccomp_list_deinit(&list);
        free(text);

        /* One more than is told apart: all. */
        note(&learned, SYS_ioctl, 0, 0xce00);
        text = learn(&list, &learned);
        expect_in(text, "# ioctl: more than 64 different ones, so all are allowed\n");
        expect_int(says(&list, SYS_ioctl, 5, 0xbe00), 0);
        seccomp_list_deinit(&list);
        free(text);
}

/* A number that looks like any, the same in each run. */
static uint32_t next_number(uint64_t *state) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t)(*state >> 33);
}

static void whatever_was_seen_is_allowed(void) {
        static const int numbers[] = {SYS_ioctl, SYS_socket, SYS_socketpair, SYS_prctl,
                                      SYS_clone, SYS_read,   SYS_personality};
        uint64_t state = 1;

        for (int round = 0; round < 40; round++) {
                struct seccomp_list list = SECCOMP_LIST_NULL;
                struct seccomp_learned learned = {};
                struct {
                        int number;
                        uint64_t first, second;
                } seen[100];
                size_t n = 1 + next_number(&state) % ARRAY_SIZE(seen);
                char *text;

                for (size_t i = 0; i < n; i++) {
                        seen[i].number = numbers[next_number(&state) % ARRAY_SIZE(numbers)];
                        seen[i].first = next_number(&state) >> next_number(&state) % 32;
                        seen[i].second = (uint64_t)next_number(&state) << 8;
                        note(&learned, seen[i].number, seen[i].first, seen[i].second);
                }
                text = learn(&list, &learned);
                for (size_t i = 0; i < n; i++)
                        expect_that(says(&list, seen[i].number, seen[i].first, seen[i].second) == 0,
                                    "call %d of %#jx, %#jx: %s", seen[i].number,
                                    (uintmax_t)seen[i].first, (uintmax_t)seen[i].second, text);
                expect_int(says(&list, SYS_mount, 0, 0), ENOSYS);
                seccomp_list_deinit(&list);
                free(text);
        }
}

UNIT_MAIN(TEST(each_action_is_understood), TEST(windows_line_ends_and_a_byte_order_mark_do_no_harm),
          TEST(each_relation_means_what_it_says),
          TEST(all_conditions_of_a_rule_and_any_rule_of_a_call_count),
          TEST(the_upper_half_of_an_int_changes_nothing), TEST(constants_can_be_joined),
          TEST(a_list_decides_over_what_it_includes),
          TEST(included_lists_may_differ_only_if_somebody_decides),
          TEST(names_that_only_others_know_are_left_out), TEST(what_is_wrong_is_said_with_its_line),
          TEST(what_is_wrong_with_a_condition_is_said),
          TEST(conditions_that_exclude_each_other_may_have_different_actions),
          TEST(everything_is_bounded), TEST(includes_are_bounded_in_depth_and_number),
          TEST(what_was_learned_can_be_read_and_allows_just_that),
          TEST(of_calls_that_are_many_in_one_those_seen_are_allowed),
          TEST(all_that_is_learned_fits), TEST(whatever_was_seen_is_allowed), )

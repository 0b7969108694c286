/* SPDX-License-Identifier: MIT */
/*
 * Programs are not looked at but put in force, in a child, and the calls made.
 */
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <launcher/seccomp_names.h>

#include "lists.h"
#include "unit.h"

#define KILLED 1000 /* by SIGSYS */
#define OTHER 2000  /* no result of a call */

struct call {
        long number, a, b, c;
};

/* By the bare call: a sanitizer looks for leaks in _exit(), which the filter may not let it do. */
static void leave(int status) {
        for (;;)
                syscall(SYS_exit_group, status);
}

/* 0 if it succeeded, or its errno: what a child under @program (NULL: none) got of the call. */
static int result_of(const struct seccomp_program *program, struct call call) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                if (program &&
                    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program->bpf) < 0))
                        leave(255);
                leave(syscall(call.number, call.a, call.b, call.c, 0, 0, 0) < 0 ? errno : 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return OTHER;
        if (WIFEXITED(status))
                return WEXITSTATUS(status) == 255 ? OTHER : WEXITSTATUS(status);
        return WTERMSIG(status) == SIGSYS ? KILLED : OTHER + WTERMSIG(status);
}

static void compile(struct seccomp_program *programp, const char *text) {
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        lists_need(&list, text);
        need_that(seccomp_program_compile(programp, &list, &why) == 0, "%s", why.text);
        seccomp_list_deinit(&list);
}

/* What dup(fd) comes to in a child whose list says @statement; there is no such descriptor. */
static int dup_under(const char *statement, long fd) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        char text[512];
        int r;

        snprintf(text, sizeof(text), "default allow\n%s\n", statement);
        compile(&program, text);
        r = result_of(&program, (struct call){SYS_dup, fd});
        seccomp_program_deinit(&program);
        return r;
}

static void each_action_is_what_happens(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        expect_int(result_of(NULL, (struct call){SYS_getpid}), 0);
        compile(&program, "default errno ENOSYS\nallow exit exit_group getpid\nlog getppid\n"
                          "errno EXDEV getuid\nkill getgid\n");
        expect_int(result_of(&program, (struct call){SYS_getpid}), 0);
        expect_int(result_of(&program, (struct call){SYS_getppid}), 0);
        expect_int(result_of(&program, (struct call){SYS_getuid}), EXDEV);
        expect_int(result_of(&program, (struct call){SYS_getgid}), KILLED);
        expect_int(result_of(&program, (struct call){SYS_getpgrp}), ENOSYS);
        seccomp_program_deinit(&program);
        expect(program.bpf.filter == NULL && program.bpf.len == 0);
        seccomp_program_deinit(&program);
}

static void each_default_is_what_happens(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        compile(&program, "default kill\nallow exit_group\n");
        expect_int(result_of(&program, (struct call){SYS_getpid}), KILLED);
        seccomp_program_deinit(&program);
        compile(&program, "default log\nerrno EBUSY getppid\nlog getuid\n");
        expect_int(result_of(&program, (struct call){SYS_getpid}), 0);
        expect_int(result_of(&program, (struct call){SYS_getuid}), 0);
        expect_int(result_of(&program, (struct call){SYS_getppid}), EBUSY);
        seccomp_program_deinit(&program);
        compile(&program, "default allow\n");
        expect_int(result_of(&program, (struct call){SYS_getpid}), 0);
        seccomp_program_deinit(&program);
}

static void each_relation_is_what_happens(void) {
        static const char *const relations[] = {"==", "!=", "<", "<=", ">", ">="};
        static const struct {
                uint64_t value;
                bool holds[ARRAY_SIZE(relations)];
        } cases[] = {
                {0x200000006, {false, true, true, true, false, false}},
                {0x200000007, {true, false, false, true, false, true}},
                {0x200000008, {false, true, false, false, true, true}},
                {0x100000008, {false, true, true, true, false, false}},
                {0x300000006, {false, true, false, false, true, true}},
                {UINT64_MAX, {false, true, false, false, true, true}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(relations); i++)
                for (size_t j = 0; j < ARRAY_SIZE(cases); j++)
                        /* Alone, and beside a rule that is never met: two ways to compile it. */
                        for (int beside = 0; beside < 2; beside++) {
                                char text[128];
                                int r;

                                snprintf(text, sizeof(text),
                                         "errno EXDEV dup if arg0 %s 0x200000007\n%s", relations[i],
                                         beside ? "errno EXDEV dup if arg5 == 77\n" : "");
                                r = dup_under(text, (long)cases[j].value);
                                expect_that(r == (cases[j].holds[i] ? EXDEV : EBADF), "%s %#jx: %d",
                                            text, (uintmax_t)cases[j].value, r);
                        }
}

static void masks_and_ints_are_what_happens(void) {
        expect_int(
                dup_under("errno EXDEV dup if arg0 & 0xff000000ff == 0x1000000022", 0x1077777722),
                EXDEV);
        expect_int(
                dup_under("errno EXDEV dup if arg0 & 0xff000000ff == 0x1000000022", 0x1177777722),
                EBADF);
        expect_int(dup_under("errno EXDEV dup if arg0 & 0x0f0 != 0x70", 0x1f74), EBADF);
        expect_int(dup_under("errno EXDEV dup if arg0 & 0x0f0 != 0x70", 0x1f64), EXDEV);
        expect_int(dup_under("errno EXDEV dup if int0 == 777", 777), EXDEV);
        expect_int(dup_under("errno EXDEV dup if int0 == 777", 0x100000000 + 777), EXDEV);
        expect_int(dup_under("errno EXDEV dup if arg0 == 777", 0x100000000 + 777), EBADF);
        expect_int(dup_under("errno EXDEV dup if int0 != 777", 0x100000000 + 777), EBADF);
        expect_int(dup_under("errno EXDEV dup if int0 != 777", 778), EXDEV);
}

static void conditions_of_several_rules_and_arguments_work_together(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        compile(&program, "default allow\n"
                          "errno EXDEV dup2 if arg0 == 900 and arg1 == 901 and arg2 >= 5\n"
                          "errno EXDEV dup if arg0 < 910\nerrno EBUSY dup if arg0 >= 920\n"
                          "errno ESRCH dup if arg0 == 915\n"
                          "errno EPERM socket if arg0 == AF_PACKET\n"
                          "errno EPERM socket if arg1 & SOCK_TYPE_MASK == SOCK_RAW\n");
        expect_int(result_of(&program, (struct call){SYS_dup2, 900, 901, 5}), EXDEV);
        expect_int(result_of(&program, (struct call){SYS_dup2, 900, 901, 4}), EBADF);
        expect_int(result_of(&program, (struct call){SYS_dup2, 900, 902, 5}), EBADF);
        expect_int(result_of(&program, (struct call){SYS_dup, 909}), EXDEV);
        expect_int(result_of(&program, (struct call){SYS_dup, 910}), EBADF);
        expect_int(result_of(&program, (struct call){SYS_dup, 915}), ESRCH);
        expect_int(result_of(&program, (struct call){SYS_dup, 919}), EBADF);
        expect_int(result_of(&program, (struct call){SYS_dup, 920}), EBUSY);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_UNIX, SOCK_STREAM}), 0);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_UNIX, SOCK_RAW | SOCK_CLOEXEC}),
                   EPERM);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_PACKET, SOCK_DGRAM}), EPERM);
        seccomp_program_deinit(&program);
}

/* Their numbers mean other calls: a list of ours would say nothing about them. */
static void calls_of_x32_kill_whatever_the_list_says(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        compile(&program, "default allow\n");
        expect_int(result_of(&program, (struct call){0x40000000 | SYS_getpid}), KILLED);
        seccomp_program_deinit(&program);
}

static int status_of_i386_call(const struct seccomp_program *program) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                long result = 20; /* getpid */

                if (program &&
                    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program->bpf) < 0))
                        leave(255);
                __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
                leave(0);
        }
        waitpid(pid, &status, 0);
        return status;
}

static void calls_of_i386_kill_whatever_the_list_says(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        int status;

        if (status_of_i386_call(NULL) != 0)
                unit_skip("this kernel has no calls of i386");
        compile(&program, "default allow\n");
        status = status_of_i386_call(&program);
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
        seccomp_program_deinit(&program);
}

static void expect_refused(const char *text, const char *sentence) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};

        lists_need(&list, text);
        expect_int(seccomp_program_compile(&program, &list, &why), SECCOMP_E_INVALID);
        expect_in(why.text, sentence);
        expect(program.bpf.filter == NULL);
        seccomp_list_deinit(&list);
}

static void what_libseccomp_would_not_do_well_is_refused(void) {
        expect_refused(
                "default allow\nkill read if arg0 == 1\nkill read if arg1 == 1 and arg2 == 2\n",
                "a:2: a:3 has conditions for the same call, too; none of several such rules "
                "may test more than one argument");
        expect_refused("default allow\nkill read if arg0 == 1 and int1 != 2\n",
                       "a:2: '!=' of an int or after '&' can only be the one condition of a rule");
        expect_refused(
                "default allow\nkill read if int0 != 1\nkill read if int1 != 2\n",
                "a:2: the conditions for this call make more than 256 tests; where there "
                "are several, '<' and '!=' count for about each bit, and different arguments "
                "multiply");
}

static void tests_of_arguments_are_bounded(void) {
        static char text[SECCOMP_FILE_MAX];
        char *at = stpcpy(text, "default allow\n");

        for (int number = 0; number < 17; number++) { /* 32 tests each */
                char name[SECCOMP_NAME_MAX];

                need(seccomp_names_show_call(number, name));
                at += sprintf(at, "kill %s if int0 != 5\n", name);
        }
        expect_refused(text, "a:18: here the list makes more than 512 tests of arguments");

        at = stpcpy(text, "default allow\n");
        for (int i = 0; i < 257; i++)
                at += sprintf(at, "kill dup if arg0 == %d\n", i);
        expect_refused(text, "a:2: the conditions for this call make more than 256 tests");
}

/* All calls there are, and as many tests as there may be. */
static void the_largest_list_fits_into_the_kernel(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        static char text[SECCOMP_FILE_MAX];
        char *at = stpcpy(text, "default errno ENOSYS\nallow exit_group\n");

        for (int number = 0; number < 600; number++) {
                char name[SECCOMP_NAME_MAX];

                if (number == SYS_dup || number == SYS_dup2 || number == SYS_exit_group ||
                    !seccomp_names_show_call(number, name))
                        continue;
                at += sprintf(at, number % 2 ? "errno ENOTTY %s\n" : "allow %s\n", name);
        }
        for (int i = 0; i < 250; i++)
                at += sprintf(at,
                              "errno EXDEV dup if arg0 == 0x1%03d00000001\n"
                              "errno EXDEV dup2 if arg0 == 0x2%03d00000002\n",
                              i, i);
        compile(&program, text);
        unit_note("%u instructions", program.bpf.len);
        expect_int(result_of(&program, (struct call){SYS_dup, 0x124900000001}), EXDEV);
        expect_int(result_of(&program, (struct call){SYS_dup2, 0x200000000002}), EXDEV);
        expect_int(result_of(&program, (struct call){SYS_dup2, 0x200000000001}), ENOSYS);
        expect_int(result_of(&program, (struct call){SYS_getpid}), ENOTTY);
        seccomp_program_deinit(&program);
}

static void a_rule_said_twice_or_covered_by_another_is_no_error(void) {
        expect_int(dup_under("errno EXDEV dup if arg0 == 777\nerrno EXDEV dup if arg0 == 777", 777),
                   EXDEV);
        expect_int(dup_under("errno EXDEV dup\nerrno EXDEV dup if arg0 == 777\nerrno EXDEV dup", 5),
                   EXDEV);
        expect_int(dup_under("allow dup if arg0 == 778\nerrno EXDEV dup if arg0 == 777", 777),
                   EXDEV);
}

/* ---- files --------------------------------------------------------------------------------- */

static char dir[2][64];
static const char *const dirs[] = {dir[0], "/nowhere/seccomp", dir[1], NULL};

static void dirs_make(void) {
        for (int i = 0; i < 2; i++) {
                strcpy(dir[i], "/tmp/seccomp-test-XXXXXX");
                need(mkdtemp(dir[i]) != NULL);
        }
}

static void dirs_remove(void) {
        static const char *const names[] = {"x", "y"};
        char path[128];

        for (int i = 0; i < 2; i++) {
                for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
                        snprintf(path, sizeof(path), "%.63s/%s", dir[i], names[j]);
                        unlink(path);
                }
                expect_int(rmdir(dir[i]), 0);
        }
}

static void put(int which, const char *name, const char *text) {
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", dir[which], name);
        file = fopen(path, "we");
        need(file != NULL);
        fputs(text, file);
        fclose(file);
}

static void expect_load(const char *name, int answer, const char *sentence) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct why why = {};

        expect_int(seccomp_program_load(&program, dirs, name, &why), answer);
        expect_int(why.code, answer);
        expect_in(why.text, sentence);
        seccomp_program_deinit(&program);
}

static void the_first_directory_that_has_a_list_counts(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct why why = {};

        dirs_make();
        put(0, "x", "include y\n");
        put(1, "x", "nonsense\n");
        put(1, "y", "default allow\nerrno EXDEV getppid\n");
        need_that(seccomp_program_load(&program, dirs, "x", &why) == 0, "%s", why.text);
        expect_int(result_of(&program, (struct call){SYS_getppid}), EXDEV);
        seccomp_program_deinit(&program);
        put(1, "y", "default allow\nerrno EPURM getppid\n");
        expect_load("x", SECCOMP_E_INVALID, "/y:2: 'EPURM' is no errno");
        dirs_remove();
}

static void what_is_no_plain_file_of_root_is_refused(void) {
        char path[80], target[80];

        dirs_make();
        expect_load("x", SECCOMP_E_MISSING, "there is no list 'x'");
        expect_load("../x", SECCOMP_E_INVALID, "is not a valid list name");
        put(1, "y", "default allow\n");
        expect_load("y", 0, "");

        snprintf(path, sizeof(path), "%s/x", dir[0]);
        snprintf(target, sizeof(target), "%s/y", dir[1]);
        need_int(symlink(target, path), 0);
        expect_load("x", SECCOMP_E_INVALID, "/x: it is a symbolic link; put the file itself here");
        unlink(path);
        need_int(mkfifo(path, 0600), 0);
        expect_load("x", SECCOMP_E_INVALID, "/x: it is not a regular file");
        unlink(path);
        if (geteuid() == 0) {
                need_int(chmod(target, 0666), 0);
                expect_load("y", SECCOMP_E_INVALID, "others than root can write it (chmod go-w)");
                need_int(chmod(target, 0644), 0);
                need_int(chmod(dir[0], 0777), 0);
                expect_load("y", SECCOMP_E_INVALID, "others than root can write it (chmod go-w)");
                need_int(chmod(dir[0], 0700), 0);
                need_int(chown(target, 1, 1), 0);
                expect_load("y", SECCOMP_E_INVALID, "it does not belong to root");
        }
        dirs_remove();
}

/* ---- what is shipped ----------------------------------------------------------------------- */

static void load_shipped(struct seccomp_program *programp, const char *name) {
        char path[512];
        const char *const shipped[] = {path, NULL};
        struct why why = {};

        snprintf(path, sizeof(path), "%s/policies/etc/seccomp", getenv("PROVIUM_SOURCE") ?: ".");
        need_that(seccomp_program_load(programp, shipped, name, &why) == 0, "%s", why.text);
}

static void every_shipped_list_compiles_and_starts_a_program(void) {
        static const char *const names[] = {"base", "qemu", "cloud-hypervisor", "firecracker",
                                            "generic"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct seccomp_program program = SECCOMP_PROGRAM_NULL;
                int status = -1;
                pid_t pid;

                load_shipped(&program, names[i]);
                unit_note("%s: %u instructions", names[i], program.bpf.len);
                pid = fork();
                if (pid == 0) {
                        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program.bpf) < 0)
                                leave(255);
                        execl("/bin/true", "true", NULL);
                        leave(254);
                }
                need(pid > 0 && waitpid(pid, &status, 0) == pid);
                expect_that(status == 0, "%s: status %#x", names[i], (unsigned)status);
                seccomp_program_deinit(&program);
        }
}

static void lists_for_one_hypervisor_let_it_start_no_process(void) {
        static const char *const names[] = {"qemu", "cloud-hypervisor", "firecracker"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct seccomp_program program = SECCOMP_PROGRAM_NULL;

                load_shipped(&program, names[i]);
                expect_int(result_of(&program, (struct call){SYS_clone, SIGCHLD}), EPERM);
                expect_int(result_of(&program, (struct call){SYS_clone3}), ENOSYS);
                expect_int(result_of(&program, (struct call){SYS_vfork}), EPERM);
                expect_int(result_of(&program, (struct call){SYS_ptrace}), EPERM);
                expect_int(result_of(&program, (struct call){SYS_mount}), EPERM);
                expect_int(result_of(&program, (struct call){SYS_socket, AF_UNIX, SOCK_STREAM}), 0);
                expect_that(result_of(&program, (struct call){SYS_socket, AF_PACKET, SOCK_RAW}) ==
                                    ENOSYS,
                            "%s", names[i]);
                seccomp_program_deinit(&program);
        }
}

static void the_generic_list_refuses_what_no_hypervisor_needs(void) {
        static const long refused[] = {SYS_mount,       SYS_ptrace,      SYS_kexec_load,
                                       SYS_init_module, SYS_bpf,         SYS_perf_event_open,
                                       SYS_keyctl,      SYS_userfaultfd, SYS_unshare,
                                       SYS_setns,       SYS_reboot,      SYS_swapon};
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        load_shipped(&program, "generic");
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                expect_that(result_of(&program, (struct call){refused[i]}) == EPERM, "call %ld",
                            refused[i]);
        /* A null pointer or -1 each: what is let through fails by itself. */
        expect_int(result_of(&program, (struct call){SYS_clone, 0x10000000 | SIGCHLD}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_clone3}), ENOSYS);
        expect_int(result_of(&program, (struct call){SYS_ioctl, -1, TIOCSTI}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_ioctl, -1, (1L << 32) | TIOCSTI}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_ioctl, -1, TCGETS}), EBADF);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_INET, SOCK_RAW, 1}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_PACKET, SOCK_DGRAM}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_socket, AF_INET, SOCK_STREAM}), 0);
        expect_int(result_of(&program, (struct call){SYS_personality, -1}), EPERM);
        expect_int(result_of(&program, (struct call){SYS_personality, 0x40000}), 0);
        expect_int(result_of(&program, (struct call){SYS_getpid}), 0);
        seccomp_program_deinit(&program);
}

UNIT_MAIN(TEST(each_action_is_what_happens), TEST(each_default_is_what_happens),
          TEST(each_relation_is_what_happens), TEST(masks_and_ints_are_what_happens),
          TEST(conditions_of_several_rules_and_arguments_work_together),
          TEST(calls_of_x32_kill_whatever_the_list_says),
          TEST(calls_of_i386_kill_whatever_the_list_says),
          TEST(what_libseccomp_would_not_do_well_is_refused), TEST(tests_of_arguments_are_bounded),
          TEST(the_largest_list_fits_into_the_kernel),
          TEST(a_rule_said_twice_or_covered_by_another_is_no_error),
          TEST(the_first_directory_that_has_a_list_counts),
          TEST(what_is_no_plain_file_of_root_is_refused),
          TEST(every_shipped_list_compiles_and_starts_a_program),
          TEST(lists_for_one_hypervisor_let_it_start_no_process),
          TEST(the_generic_list_refuses_what_no_hypervisor_needs), )

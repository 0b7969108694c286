/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 600 */
/*
 * The console of a detached VM, with a real broker: `provium console` on a pty and on pipes,
 * through the broker's ends, until the VM's.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "house.h"
#include "links.h"
#include "screen.h"

#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define AS_1001 "setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"
#define DETACH                                                                                     \
        "provium", "run", "--slice", "t", "--name", "a", "--cpus", "1", "--mem", "64M", "--detach"
/* Says what it hears; "stop" ends it. */
#define TALKER "echo hello; while read line; do echo heard $line; test $line = stop && exit 5; done"

/* The errno of another user who knows the path. */
static int connect_as(uid_t uid, const char *path) {
        int status = 0;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0)
                        _exit(255);
                _exit(console_connect(path) < 0 ? errno : 0);
        }
        need(pid > 0);
        need_int(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
}

/* ---- the tests ---- */

static bool log_says_hello(void *userdata) {
        struct job job;

        return SHELL(&job, "provium", "console", "--log", "--lines", "9", "a") == 0 &&
               strstr(job.out, "hello");
}

static void start_talker(void) {
        struct job job;

        expect_int(SHELL(&job, DETACH, "--", "sh", "-c", TALKER), 0);
        expect_str(job.out, "a\n");
        need(wait_until(log_says_hello, NULL, HOUSE_WAIT_MS));
}

static void a_detached_vm_is_seen_and_spoken_to_and_left(void) {
        struct termios before, after;
        struct screen screen, other;
        struct house house;
        struct job job;
        struct stat st;
        char *path;

        house_open(&house, NULL, NULL);
        start_talker();
        path = console_socket_of("a");
        need(path != NULL);
        need_int(stat(path, &st), 0);
        expect_int(st.st_mode, S_IFSOCK | 0600);
        expect_int(SHELL(&job, "provium", "show", "a"), 0);
        expect_in(job.out, path);
        SCREEN(&screen, "provium", "console", "a");
        need_int(tcgetattr(screen.fd, &before), 0);
        screen_wait(&screen, "attached to 'a'; Ctrl-] leaves");
        screen_wait(&screen, "hello\r\n");
        screen_type(&screen, "one\r");
        screen_wait(&screen, "heard one\r\n");
        /* Another sees the same, and may type too. */
        SCREEN(&other, "provium", "console", "--escape", "^a", "a");
        screen_wait(&other, "Ctrl-A leaves");
        screen_wait(&other, "heard one\r\n");
        screen_type(&other, "two\r");
        screen_wait(&other, "heard two\r\n");
        screen_wait(&screen, "heard two\r\n");
        /* What means a signal here is only a byte there. */
        screen_type(&other, "\x01");
        screen_wait(&other, "left; 'a' runs on");
        expect_int(screen_end(&other), 0);
        screen_type(&screen, "three\r");
        screen_wait(&screen, "heard three\r\n");
        screen_type(&screen, "\x1d");
        screen_wait(&screen, "left; 'a' runs on");
        need_int(tcgetattr(screen.fd, &after), 0);
        expect_uint(after.c_lflag, before.c_lflag);
        expect_uint(after.c_oflag, before.c_oflag);
        expect_int(screen_end(&screen), 0);
        expect_int(count_vms(), 1);
        free(path);
        house_close(&house);
        console_expect_none_left();
}

static void pipes_do_as_well_and_the_end_has_the_vms_status(void) {
        struct house house;
        struct job job, watch;

        house_open(&house, NULL, NULL);
        start_talker();
        JOB(&watch, "provium", "console", "--read-only", "a");
        job_wait_out(&watch, "hello");
        expect_int(SHELL(&job, "sh", "-c", "printf 'one\\nstop\\n' | provium console a"), 5);
        expect_in(job.out, "heard one");
        expect_in(job.out, "heard stop");
        expect_int(job_wait(&watch, HOUSE_WAIT_MS), 5);
        expect_in(watch.out, "heard stop");
        expect_str(watch.err, "");
        console_expect_none_left();
        house_close(&house);
}

static void the_log_has_the_last_lines_and_a_terminal_gets_text_only(void) {
        struct screen screen;
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, DETACH, "--", "sh", "-c",
                         "seq 30000; printf '\\033[31mred\\n'; echo hello; exec vm rest"),
                   0);
        need(wait_until(log_says_hello, NULL, HOUSE_WAIT_MS));
        expect_int(SHELL(&job, "provium", "console", "--log", "--lines", "3", "a"), 0);
        expect_in(job.out, "\033[31mred\r\nhello\r\n");
        expect(!strstr(job.out, "30000"));
        expect_int(SHELL(&job, "sh", "-c", "provium console --log a | wc -c"), 0);
        expect_str(job.out, "65536\n");
        SCREEN(&screen, "provium", "console", "--log", "--lines", "4", "a");
        screen_wait(&screen, "30000\r\n?[31mred\r\nhello\r\n");
        expect_int(screen_end(&screen), 0);
        house_close(&house);
}

static void the_brokers_end_is_no_news_to_it(void) {
        struct screen screen;
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        start_talker();
        SCREEN(&screen, "provium", "console", "a");
        screen_wait(&screen, "hello");
        house_kill(&house);
        screen_type(&screen, "killed\r");
        screen_wait(&screen, "heard killed");
        house_start(&house);
        screen_type(&screen, "adopted\r");
        screen_wait(&screen, "heard adopted");
        expect_int(console_count_sockets(), 1);
        expect_int(SHELL(&job, "provium", "console", "--log", "a"), 0);
        expect_in(job.out, "heard killed");
        house_stop(&house);
        house_start(&house);
        expect_int(SHELL(&job, "provium", "upgrade"), 0);
        screen_type(&screen, "upgraded\r");
        screen_wait(&screen, "heard upgraded");
        expect_int(count_vms(), 1);
        screen_type(&screen, "\x1d");
        expect_int(screen_end(&screen), 0);
        house_close(&house);
        console_expect_none_left();
}

static bool log_says_done(void *userdata) {
        struct job job;

        return SHELL(&job, "sh", "-c", "provium console --log a | tr -d '\\0' | grep -q done") == 0;
}

static void nobody_who_does_not_read_holds_up_the_vm(void) {
        struct house house;
        struct job job;
        char procs[256], *path;
        int fd;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, DETACH, "--", "sh", "-c",
                         "echo hello; read line; head -c 30000000 /dev/zero; echo done; "
                         "exec vm rest"),
                   0);
        need(wait_until(log_says_hello, NULL, HOUSE_WAIT_MS));
        path = console_socket_of("a");
        need(path != NULL);
        /* One who never reads, and nobody else. */
        fd = console_connect(path);
        need(fd >= 0);
        need_int(send(fd, "d\n", 2, 0), 2);
        expect(wait_until(log_says_done, NULL, 120000));
        vm_file("a", "cgroup.procs", procs, sizeof(procs));
        for (char *at = procs, *end; *at; at = end + (*end == '\n')) {
                pid_t pid = (pid_t)strtol(at, &end, 10);

                expect_that(rss_kib(pid) < 4096, "%d has %d KiB", pid, (int)rss_kib(pid));
        }
        close(fd);
        free(path);
        house_close(&house);
}

static void it_is_its_users_alone(void) {
        struct house house;
        struct job job;
        char *path;

        need_int(chdir("/"), 0);
        sh("mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor");
        /* Behind all walls. */
        house_open(&house, NULL, "[Access]\nUsers=*\n");
        expect_int(SHELL(&job, AS_1000, DETACH, "--", "sh", "-c", TALKER), 0);
        need(wait_until(log_says_hello, NULL, HOUSE_WAIT_MS));
        path = console_socket_of("a");
        need(path != NULL);
        expect_int(SHELL(&job, AS_1001, "provium", "console", "a"), 66);
        expect_in(job.err, "no VM or claim 'a'");
        expect_int(connect_as(1001, path), EACCES);
        expect_int(connect_as(1000, path), 0);
        expect_int(SHELL(&job, AS_1000, "sh", "-c", "echo stop | provium console a"), 5);
        expect_in(job.out, "heard stop");
        free(path);
        console_expect_none_left();
        house_close(&house);
}

static void a_vm_can_do_without(void) {
        struct house house;
        struct job job, ask;

        house_open(&house, NULL, NULL);
        JOB(&job, DETACH, "--no-console", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        expect_int(SHELL(&ask, "provium", "show", "a"), 0);
        expect_in(ask.out, "console                    none");
        expect_int(SHELL(&ask, "provium", "console", "a"), 66);
        expect_in(ask.err, "'a' has no console");
        expect_int(SHELL(&ask, "provium", "console", "b"), 66);
        expect_int(console_count_keepers(), 0);
        house_close(&house);
}

static void launches_that_fail_leave_nothing(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, DETACH, "--", "no-such-program"), 127);
        console_expect_none_left();
        sh("sysctl -qw kernel.pty.max=0 kernel.pty.reserve=0");
        expect_int(SHELL(&job, DETACH, "--", "vm", "rest"), 125);
        expect_in(job.err, "kernel.pty.max");
        sh("sysctl -qw kernel.pty.max=4096");
        console_expect_none_left();
        /* It ends at once: its last words are on their way. */
        for (int i = 0; i < 3; i++) {
                expect_int(SHELL(&job, DETACH, "--", "sh", "-c", "echo no; exit 3"), 0);
                console_expect_none_left();
        }
        house_close(&house);
}

#define QEMU                                                                                       \
        "qemu-system-x86_64", "-accel", "tcg", "-machine", "none", "-nodefaults", "-display",      \
                "none", "-monitor", "stdio"

static void a_real_hypervisor_talks_on_it(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "a", "--mem", "200M",
                         "--detach", "--", QEMU),
                   0);
        JOB(&job, "sh", "-c", "printf 'info status\\nquit\\n' | provium console a");
        expect_int(job_wait(&job, 60000), 0);
        expect_in(job.out, "QEMU");
        expect_in(job.out, "VM status:");
        console_expect_none_left();
        house_close(&house);
}

UNIT_MAIN(TEST(a_detached_vm_is_seen_and_spoken_to_and_left),
          TEST(pipes_do_as_well_and_the_end_has_the_vms_status),
          TEST(the_log_has_the_last_lines_and_a_terminal_gets_text_only),
          TEST(the_brokers_end_is_no_news_to_it), TEST(nobody_who_does_not_read_holds_up_the_vm),
          TEST(it_is_its_users_alone), TEST(a_vm_can_do_without),
          TEST(launches_that_fail_leave_nothing), TEST(a_real_hypervisor_talks_on_it), )

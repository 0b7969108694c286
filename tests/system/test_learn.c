/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --smp 1 --timeout 250 */
/*
 * A list of system calls, learnt from a program and then put in force for it: the same runs to its
 * end again, and what it did not call is denied. A probe that is made for it (helpers/learnt), and
 * QEMU itself, whose firmware runs, finds nothing to boot and resets.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/macro.h>

#include "guest.h"
#include "house.h"
#include "links.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=800M\nDisk=1G\n[Ratio]\nCPU=1\n"                                \
        "[Claim]\nCPU=1\nMemory=64M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=128M\n"
#define WALLED "[Access]\nUsers=*\n[Sandbox]\n"
#define LEARNING WALLED "SeccompLearn=yes\n"
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define RUN AS_1000, "provium", "run", "--slice", "t"
#define PROBE "/run/l/learnt"
#define EVERYTHING "threads", "helper", "unix", "request", "name", "signals"
#define LEARN_MS 100000
#define QEMU(accel)                                                                                \
        "qemu-system-x86_64", "-M", "pc", "-accel", accel, "-m", "32M", "-display", "none",        \
                "-nodefaults", "-no-user-config", "-no-reboot", "-boot", "reboot-timeout=0"

static void learn_open(struct house *house, const char *slice) {
        sh("rm -rf /run/l; mkdir -p /run/l " HOUSE_DIR "/vendor; cp $(command -v learnt) " PROBE
           "; chown -R 1000:1000 /run/l; cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR
           "/vendor");
        need_int(chdir("/run/l"), 0);
        house_open(house, CONF, slice);
}

/* Puts what was learnt in force, as an operator would. */
static void put_in_force(struct house *house, const char *file, const char *name) {
        struct job job;
        char slice[256];

        sh("mkdir -p " HOUSE_ETC "/seccomp; install -m 644 %s " HOUSE_ETC "/seccomp/%s", file,
           name);
        snprintf(slice, sizeof(slice), WALLED "Seccomp=%s\n", name);
        house_slice("t", slice);
        expect_int(SHELL(&job, "provium", "policy", "check", "--vendor-dir", HOUSE_DIR "/vendor",
                         HOUSE_ETC),
                   0);
        house_reload(house);
}

static void what_a_program_calls_is_learnt_and_then_all_that_it_may(void) {
        char list[8192];
        struct house house;
        struct stat st;
        struct job job;

        learn_open(&house, LEARNING);
        JOB(&job, RUN, "--name", "probe", "--seccomp", "learn", "--", PROBE, EVERYTHING);
        expect_int(job_wait(&job, LEARN_MS), 0);
        expect_str(job.out, "threads: done\nhelper: done\nunix: done\nrequest: done\nname: done\n"
                            "signals: done\n");
        expect_in(job.err, "learning its system calls, for probe.seccomp; no list is in force\n");
        expect_in(job.err, " system calls, now in probe.seccomp\n");
        expect_in(job.err, "/etc/provium/seccomp/probe', and Seccomp=probe in [Sandbox]");
        need_int(stat("probe.seccomp", &st), 0);
        expect_uint(st.st_uid, 1000);
        file_get("probe.seccomp", list, sizeof(list));
        expect_in(list, "# " PROBE " threads helper");
        expect_in(list, " execve");
        expect_in(list, "allow ioctl if int1 == TCGETS\n");
        expect_in(list, "allow socket if int0 == AF_UNIX\n");
        expect_in(list, "allow socketpair if int0 == AF_UNIX\n");
        expect_in(list, "allow prctl if int0 == PR_SET_NAME\n");
        expect_in(list, "allow clone if arg0 & CLONE_THREAD == CLONE_THREAD\n");
        expect_in(list, "allow clone if arg0 & 0x7e030000 == 0");
        expect_in(list, "errno ENOSYS clone3\n");
        expect(!strstr(list, " sendmsg"));

        put_in_force(&house, "probe.seccomp", "probe");
        expect_int(SHELL(&job, RUN, "--", PROBE, EVERYTHING, "inet", "other_request", "mkdir"), 0);
        expect_str(job.out, "threads: done\nhelper: done\nunix: done\nrequest: done\nname: done\n"
                            "signals: done\ninet: ENOSYS\nother_request: ENOSYS\nmkdir: ENOSYS\n");
        /* Or, as the operator may have it, deadly. */
        sh("sed -i 's/^default .*/default kill/' " HOUSE_ETC "/seccomp/probe");
        house_reload(&house);
        expect_int(SHELL(&job, RUN, "--", PROBE, EVERYTHING), 0);
        expect_int(SHELL(&job, RUN, "--", PROBE, EVERYTHING, "mkdir"), 128 + SIGSYS);
        house_close(&house);
}

static void who_may_learn_is_the_policys_word(void) {
        struct house house;
        struct job job;

        learn_open(&house, WALLED "AllowRoot=yes\n");
        expect_int(SHELL(&job, RUN, "--seccomp", "learn", "--", PROBE, "name"), 77);
        expect_in(job.err, "SeccompLearn=");
        expect(access("learnt.seccomp", F_OK) < 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--seccomp", "learn:of-root", "--",
                         PROBE, "name"),
                   0);
        expect_int(SHELL(&job, RUN, "--seccomp", "learn", "--detach", "--", PROBE, "name"), 64);
        expect_in(job.err, "--detach");
        expect_int(SHELL(&job, RUN, "--seccomp", "teach", "--", PROBE, "name"), 64);
        expect_in(job.err, "valid is learn or learn:FILE");
        /* Where no list is in force anyway, nothing is given up. */
        house_slice("t", WALLED "Seccomp=none\n");
        house_reload(&house);
        expect_int(SHELL(&job, RUN, "--seccomp", "learn", "--", PROBE, "name"), 0);
        expect(access("learnt.seccomp", F_OK) == 0);
        /* What is there stays as it is. */
        sh("echo mine >learnt.seccomp");
        expect_int(SHELL(&job, RUN, "--seccomp", "learn", "--", PROBE, "name"), 73);
        expect_in(job.err, "learnt.seccomp is there already");
        sh("test \"$(cat learnt.seccomp)\" = mine");
        expect_int(SHELL(&job, RUN, "--seccomp", "learn:nowhere/x", "--", PROBE, "name"), 74);
        /* What cannot be executed leaves what it called, and its own status. */
        expect_int(SHELL(&job, RUN, "--seccomp", "learn:none", "--", "/run/l/absent"), 127);
        house_close(&house);
}

static void a_vm_that_learns_is_shown_so_and_ends_with_its_client(void) {
        struct house house;
        struct news news;
        struct job job, show;

        learn_open(&house, LEARNING "User=nobody\n[VM]\nGracePeriod=1s\n");
        news_open(&news);
        JOB(&job, RUN, "--name", "a", "--seccomp", "learn", "--", PROBE, "rest");
        job_wait_out(&job, "ready");
        news_wait(&news, "vm_learning", "a");
        expect_int(SHELL(&show, "provium", "show", "a"), 0);
        expect_in(show.out, "seccomp                    learning\n");
        /* A new broker knows it, too. */
        house_kill(&house);
        house_start(&house);
        expect_int(SHELL(&show, "provium", "show", "a"), 0);
        expect_in(show.out, "seccomp                    learning\n");
        expect_int(SHELL(&show, AS_1000, "provium", "kill", "a"), 0);
        need(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        expect_in(job.err, " system calls, now in a.seccomp\n");
        news_close(&news);

        /* The one who lets its calls go on is killed: it cannot go on, and is ended. */
        news_open(&news);
        JOB(&job, RUN, "--name", "b", "--seccomp", "learn", "--", PROBE, "busy");
        job_wait_out(&job, "ready");
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        news_wait(&news, "vm_shutdown", "b");
        expect_int(count_vms(), 0);
        /* One that stands still keeps its VM waiting, and nobody else. */
        JOB(&job, RUN, "--name", "c", "--seccomp", "learn", "--", PROBE, "busy");
        job_wait_out(&job, "ready");
        job_kill(&job, SIGSTOP);
        expect_int(SHELL(&show, RUN, "--", "true"), 0);
        expect_int(SHELL(&show, "provium", "kill", "c"), 0);
        news_wait(&news, "vm_shutdown", "c");
        job_kill(&job, SIGCONT);
        job_wait(&job, HOUSE_WAIT_MS);
        news_close(&news);
        house_close(&house);
}

/* Run, with learn and these descriptors behind the four. */
static void line_learn(struct line *line, const char *name, bool detach, int fd) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const int fds[] = {null_fd, null_fd, null_fd, dir_fd, fd};
        json_t *parameters =
                json_pack("{s:s s:s s:b s:b s:[s s] s:[]}", "slice", "t", "name", name, "learn", 1,
                          "detach", detach, "command", PROBE, "name", "environment");

        need(line_open(line));
        line_call(line, "Run", parameters, true, fds, fd < 0 ? 4 : 5);
        close(null_fd);
        close(dir_fd);
}

static void expect_refused(bool detach, int fd, const char *word, const char *text) {
        struct line line;
        json_t *reply;

        line_learn(&line, "bad", detach, fd);
        reply = line_wait(&line, word);
        expect_in(reply_text(reply, "message"), text);
        json_decref(reply);
        line_close(&line);
}

static void a_client_that_does_not_do_its_part_harms_its_own_vm(void) {
        struct pollfd in = {.events = POLLIN};
        struct house house;
        struct line line;
        struct news news;
        struct job job;
        int fds[2], fd;

        learn_open(&house, LEARNING "AllowRoot=yes\n");
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        expect_refused(false, -1, "Invalid", "descriptors: 4 came");
        expect_refused(true, fd, "Invalid", "not with detach");
        expect_refused(false, fd, "Failed",
                       "cannot load its seccomp filter: Socket operation on non-socket");
        close(fd);
        /* It takes the listener and says nothing: not even execve comes to its end. */
        news_open(&news);
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        line_learn(&line, "mute", false, fds[1]);
        close(fds[1]);
        in.fd = fds[0];
        need_int(poll(&in, 1, HOUSE_WAIT_MS), 1);
        expect_int(SHELL(&job, RUN, "--", "true"), 0);
        expect_int(SHELL(&job, "provium", "show", "mute"), 0);
        expect_in(job.out, "starting");
        line_close(&line);
        close(fds[0]);
        news_wait(&news, "claim_released", "mute");
        expect_int(count_vms(), 0);
        news_close(&news);
        house_close(&house);
}

static void a_claim_that_waits_learns_after_an_upgrade(void) {
        struct house house;
        struct news news;
        struct job job, full, ask;

        learn_open(&house, LEARNING);
        news_open(&news);
        JOB(&full, RUN, "--name", "full", "--cpus", "4", "--", PROBE, "rest");
        job_wait_out(&full, "ready");
        JOB(&job, RUN, "--name", "next", "--seccomp", "learn", "--", PROBE, EVERYTHING);
        news_wait(&news, "claim_queued", "next");
        news_close(&news);
        expect_int(SHELL(&ask, "provium", "upgrade"), 0);
        expect_int(SHELL(&ask, "provium", "kill", "full"), 0);
        expect_int(job_wait(&job, LEARN_MS), 0);
        expect_in(job.out, "signals: done\n");
        expect_in(job.err, " system calls, now in next.seccomp\n");
        job_wait(&full, HOUSE_WAIT_MS);
        house_close(&house);
}

static void calls_of_another_architecture_end_it_as_under_any_list(void) {
        struct house house;
        struct job job;

        learn_open(&house, LEARNING);
        expect_int(SHELL(&job, RUN, "--seccomp", "learn", "--", PROBE, "name", "i386"),
                   128 + SIGSYS);
        expect_in(job.err, "another architecture");
        put_in_force(&house, "learnt.seccomp", "learnt");
        expect_int(SHELL(&job, RUN, "--", PROBE, "name", "i386"), 128 + SIGSYS);
        house_close(&house);
}

static void qemu_runs_under_the_list_that_was_learnt_from_it(void) {
        struct house house;
        struct job job;
        uint64_t begin;

        if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
                unit_skip("there is no QEMU");
        learn_open(&house, LEARNING);
        begin = now_ms();
        JOB(&job, RUN, "--seccomp", "learn", "--mem", "128M", "--", QEMU("tcg"));
        expect_int(job_wait(&job, LEARN_MS), 0);
        unit_note("learnt in %llu ms: %s", (unsigned long long)(now_ms() - begin), job.err);
        put_in_force(&house, "qemu-system-x86_64.seccomp", "learnt-qemu");
        begin = now_ms();
        JOB(&job, RUN, "--mem", "128M", "--", QEMU("tcg"));
        expect_int(job_wait(&job, LEARN_MS), 0);
        unit_note("under it in %llu ms %s", (unsigned long long)(now_ms() - begin), job.err);
        /* It never had a socket of the internet. */
        JOB(&job, RUN, "--mem", "128M", "--", QEMU("tcg"), "-chardev",
            "socket,id=c,host=127.0.0.1,port=5000,server=on,wait=off");
        expect_int(job_wait(&job, LEARN_MS), 1);
        expect_in(job.err, "Function not implemented");
        house_close(&house);
}

static void requests_of_kvm_are_told_apart(void) {
        const char *accel = guest_accel();
        struct house house;
        char list[8192];
        struct job job;

        if (strcmp(accel, "kvm") != 0)
                unit_skip("there is no KVM");
        learn_open(&house, LEARNING);
        sh("chmod 666 /dev/kvm");
        JOB(&job, RUN, "--seccomp", "learn:kvm.seccomp", "--mem", "128M", "--", QEMU("kvm"));
        expect_int(job_wait(&job, LEARN_MS), 0);
        unit_note("%s", job.err);
        file_get("kvm.seccomp", list, sizeof(list));
        expect_in(list, "allow ioctl if int1 == 0xae80\n"); /* KVM_RUN */
        put_in_force(&house, "kvm.seccomp", "kvm");
        JOB(&job, RUN, "--mem", "128M", "--", QEMU("kvm"));
        expect_int(job_wait(&job, LEARN_MS), 0);
        expect_str(job.err, "");
        house_close(&house);
}

UNIT_MAIN(TEST(what_a_program_calls_is_learnt_and_then_all_that_it_may),
          TEST(who_may_learn_is_the_policys_word),
          TEST(a_vm_that_learns_is_shown_so_and_ends_with_its_client),
          TEST(a_client_that_does_not_do_its_part_harms_its_own_vm),
          TEST(a_claim_that_waits_learns_after_an_upgrade),
          TEST(calls_of_another_architecture_end_it_as_under_any_list),
          TEST(qemu_runs_under_the_list_that_was_learnt_from_it),
          TEST(requests_of_kvm_are_told_apart), )

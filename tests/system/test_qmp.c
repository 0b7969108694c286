/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 600 --beside */
/*
 * {qmp.fd} and `provium qmp` with a real QEMU: from the socket that the broker makes to its end.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define QMP_DIR HOUSE_DIR "/run/qmp"
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define AS_1001 "setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"
#define CHARDEV "socket,id=qmp,fd={qmp.fd},server=on,wait=off"
#define QEMU                                                                                       \
        "qemu-system-x86_64", "-accel", "tcg", "-machine", "none", "-nodefaults", "-display",      \
                "none", "-chardev", CHARDEV, "-mon", "chardev=qmp,mode=control"
/* From its start to its greeting, and from there: emulation, and QEMU is large. */
#define PATIENT "--timeout", "60s"
#define PATIENT_MS 60000

/* Names in the directory of the sockets; -1: it is not there. */
static int count_sockets(void) {
        DIR *dir = opendir(QMP_DIR);
        struct dirent *entry;
        int n = 0;

        if (!dir)
                return -1;
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

static bool none_left(void *userdata) {
        return count_sockets() == 0;
}

static bool one_left(void *userdata) {
        return count_sockets() == 1 && count_vms() == 1;
}

static void expect_none_left(void) {
        expect_that(wait_until(none_left, NULL, HOUSE_WAIT_MS), "%d sockets are left",
                    count_sockets());
}

/* Where Show says that it is; malloc'd, NULL: nowhere. */
static char *socket_of(const char *name) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        const char *path = json_string_value(json_object_get(vm, "qmp"));
        char *copy = path ? strdup(path) : NULL;

        json_decref(reply);
        return copy;
}

/* A connection of our own, which QEMU serves until it is closed. */
static int connect_to(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        need(fd >= 0);
        strcpy(address.sun_path, path);
        need_int(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

static void expect_status(const char *vm) {
        struct job job;

        JOB(&job, "provium", "qmp", PATIENT, "--json", vm, "query-status");
        expect_int(job_wait(&job, PATIENT_MS), 0);
        expect_in(job.out, "\"status\":\"");
        expect_str(job.err, "");
}

/* Starts it and waits until the broker has executed it; QEMU itself takes seconds from there. */
static void start(struct job *job, const char *const *words) {
        struct news news;

        news_open(&news);
        job_start(job, words);
        news_wait(&news, "vm_spawned", "a");
        news_close(&news);
}

#define START(job, ...) start(job, (const char *const[]){__VA_ARGS__, NULL})
#define RUN_A "provium", "run", "--slice", "t", "--name", "a", "--mem", "200M", "--", QEMU

/* The errno of another user who knows the path. */
static int connect_as(uid_t uid, const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int status = 0;
        pid_t pid;

        strcpy(address.sun_path, path);
        pid = fork();
        if (pid == 0) {
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0)
                        _exit(255);
                _exit(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0);
        }
        need(pid > 0);
        need_int(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
}

static void a_vm_is_talked_to_over_the_socket_that_it_inherited(void) {
        struct house house;
        struct job job, ask;
        struct stat st;
        char *path;

        house_open(&house, NULL, NULL);
        START(&job, RUN_A);
        expect_status("a");
        path = socket_of("a");
        need(path != NULL);
        need_int(stat(path, &st), 0);
        expect_int(st.st_mode, S_IFSOCK | 0600);
        need_int(stat(QMP_DIR, &st), 0);
        expect_int(st.st_mode, S_IFDIR | 0711);
        expect_int(count_sockets(), 1);
        expect_int(SHELL(&ask, "provium", "show", "a"), 0);
        expect_in(ask.out, path);
        /* One after the other. */
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "query-name"), 0);
        expect_str(ask.out, "{}\n");
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "human-monitor-command",
                         "{\"command-line\": \"info version\"}"),
                   0);
        expect_in(ask.out, "\"");
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "bogus"), 1);
        expect_in(ask.err, "bogus");
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "human-monitor-command", "{}"), 1);
        expect_in(ask.err, "command-line");
        /* Its whole schema is no answer too many. */
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "--json", "a", "query-qmp-schema"), 0);
        expect_int(SHELL(&ask, "sh", "-c",
                         "printf '%s\\n' '{\"execute\":\"query-status\",\"id\":1}' "
                         "'{\"execute\":\"bogus\"}' | provium qmp --timeout 60s a"),
                   0);
        expect_in(ask.out, "\"id\": 1}\n{\"error\"");
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "quit"), 0);
        expect_str(ask.out, "{}\n");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        /* QEMU had nothing to complain about when it left. */
        expect_str(job.err, "");
        expect(access(path, F_OK) < 0);
        expect_int(count_sockets(), 0);
        free(path);
        house_close(&house);
}

static void it_serves_one_and_the_next_is_told_so(void) {
        struct house house;
        struct job job, ask;
        char *path;
        int fd;

        house_open(&house, NULL, NULL);
        START(&job, RUN_A);
        expect_status("a");
        path = socket_of("a");
        need(path != NULL);
        fd = connect_to(path);
        /* The first is served when it has its greeting. */
        need(read(fd, ask.out, sizeof(ask.out)) > 0);
        expect_int(SHELL(&ask, "provium", "qmp", "--timeout", "300ms", "a", "stop"), 69);
        expect_in(ask.err, "no greeting within 300ms; QMP serves one client at a time");
        JOB(&ask, "provium", "qmp", PATIENT, "a", "query-status");
        close(fd);
        expect_int(job_wait(&ask, HOUSE_WAIT_MS), 0);
        free(path);
        house_end_all(&house);
        job_wait(&job, HOUSE_WAIT_MS);
        expect_none_left();
        house_close(&house);
}

static void a_vm_without_one_is_told_how_to_get_it(void) {
        struct house house;
        struct job job, ask;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "a", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        expect(!socket_of("a"));
        expect(count_sockets() <= 0);
        expect_int(SHELL(&ask, "provium", "qmp", "a"), 66);
        expect_in(ask.err, "fd={qmp.fd},server=on");
        expect_int(SHELL(&ask, "provium", "qmp", "b"), 66);
        expect_in(ask.err, "no VM or claim 'b'");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        /* One that asks for it, and makes nothing of it. */
        JOB_RUN(&job, "--name", "a", "--", "sh", "-c", "exec {qmp.fd}<&-; exec vm rest");
        job_wait_out(&job, "ready");
        expect_int(SHELL(&ask, "provium", "qmp", "a"), 69);
        expect_in(ask.err, "nobody listens at ");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        expect_none_left();
        house_close(&house);
}

/* Names of what the descriptor of the word @word is, for the shell. */
#define WHAT(word) "readlink /proc/self/fd/{" word "};"

static void its_number_fits_beside_disks_and_taps(void) {
        const char *words[80] = {"provium", "run",        "--slice", "t",        "--disk-io",
                                 "1MB/s",   "--download", "1Mbps",   "--upload", "1Mbps"};
        struct house house;
        struct job job;
        size_t n = 10;

        links_open(&house,
                   HOUSE_CONF "[Capacity]\nDiskIO=1GB/s\nNetwork=1Gbps\n[Broker]\n"
                              "BestEffort=yes\n",
                   NULL);
        sh("truncate -s 1M " HOUSE_DIR "/image");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--disk-io", "1MB/s",
                         "--disk-image", HOUSE_DIR "/image", "--", "sh", "-c",
                         "echo {qmp.fd} {qmp.fd} {disk.0};" WHAT("qmp.fd")),
                   0);
        expect_in(job.out, "4 4 /proc/self/fd/3\nsocket:[");
        /* As many descriptors as a VM can ask for. */
        for (int i = 0; i < 16; i++) {
                words[n++] = "--disk-image";
                words[n++] = HOUSE_DIR "/image";
        }
        for (int i = 0; i < 2; i++) {
                words[n++] = "--net";
                words[n++] = "br0,queues=8";
        }
        words[n++] = "--";
        words[n++] = "sh";
        words[n++] = "-c";
        words[n] = "echo {tap.1.fds} {disk.15} {qmp.fd} {vhost.1.fds};" WHAT("qmp.fd")
                WHAT("tap.fd") WHAT("vhost.fd") "readlink {disk.15}; ls /proc/self/fd";
        expect_int(job_run(&job, words), 0);
        expect_in(job.out, "11:12:13:14:15:16:17:18 /proc/self/fd/34 35 44:45:46:47:48:49:50:51\n"
                           "socket:[");
        expect_in(job.out, "]\n/dev/net/tun\n/dev/vhost-net\n" HOUSE_DIR "/image\n");
        expect_none_left();
        links_close(&house);
}

static void a_launch_that_fails_leaves_none(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(
                SHELL(&job, "provium", "run", "--slice", "t", "--", "no-such-program", "{qmp.fd}"),
                127);
        expect_none_left();
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "/etc/passwd", "{qmp.fd}"),
                   126);
        expect_none_left();
        /* One whose socket cannot be made is not started. */
        expect_int(rmdir(QMP_DIR), 0);
        expect_int(symlink("/nowhere", QMP_DIR), 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "true", "{qmp.fd}"), 125);
        expect_in(job.err, "cannot make the QMP socket '" QMP_DIR "/");
        expect_int(unlink(QMP_DIR), 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "true", "{qmp.fd}"), 0);
        expect_none_left();
        house_close(&house);
}

static void it_outlives_the_broker_and_goes_with_its_vm(void) {
        struct house house;
        struct job job, other, ask;
        struct news news;

        house_open(&house, NULL, NULL);
        START(&job, RUN_A);
        JOB_RUN(&other, "--name", "b", "--mem", "16M", "--detach", "--", "sh", "-c",
                "test {qmp.fd} && exec vm rest");
        expect_int(job_wait(&other, HOUSE_WAIT_MS), 0);
        expect_status("a");
        expect_int(count_sockets(), 2);
        house_kill(&house);
        /* What belongs to no VM, and one that ends while nobody looks. */
        sh("touch " QMP_DIR "/98s3ac2pqvkui41j " QMP_DIR "/98s3ac2pqvkui41j.new;"
           "kill -9 $(pidof vm)");
        house_start(&house);
        expect_status("a");
        expect(wait_until(one_left, NULL, HOUSE_WAIT_MS));
        house_stop(&house);
        house_start(&house);
        expect_status("a");
        expect_int(SHELL(&ask, "provium", "upgrade"), 0);
        expect_status("a");
        news_open(&news);
        expect_int(SHELL(&ask, "provium", "qmp", PATIENT, "a", "quit"), 0);
        news_wait(&news, "claim_released", "a");
        job_wait(&job, HOUSE_WAIT_MS);
        expect_int(count_sockets(), 0);
        news_close(&news);
        house_close(&house);
}

static void behind_the_walls_it_is_its_users_alone(void) {
        struct house house;
        struct job job, ask;
        struct stat st;
        char *path;

        need_int(chdir("/"), 0);
        sh("mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor");
        house_open(&house, NULL, "[Access]\nUsers=*\n");
        START(&job, AS_1000, RUN_A);
        expect_status("a");
        expect_int(SHELL(&ask, AS_1000, "provium", "qmp", PATIENT, "a", "query-status"), 0);
        expect_in(ask.out, "\"status\"");
        path = socket_of("a");
        need(path != NULL);
        need_int(stat(path, &st), 0);
        expect_int(st.st_uid, 1000);
        expect_int(st.st_mode, S_IFSOCK | 0600);
        /* Nobody else: neither through the broker nor past it. */
        expect_int(SHELL(&ask, AS_1001, "provium", "qmp", "a", "query-status"), 66);
        expect_in(ask.err, "no VM or claim 'a'");
        expect_int(connect_as(1001, path), EACCES);
        expect_int(connect_as(1000, path), 0);
        expect_int(SHELL(&ask, AS_1001, "ls", QMP_DIR), 2);
        expect_int(SHELL(&ask, AS_1000, "provium", "qmp", PATIENT, "a", "quit"), 0);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        expect_str(job.err, "");
        expect(access(path, F_OK) < 0);
        free(path);
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_is_talked_to_over_the_socket_that_it_inherited),
          TEST(it_serves_one_and_the_next_is_told_so), TEST(a_vm_without_one_is_told_how_to_get_it),
          TEST(its_number_fits_beside_disks_and_taps), TEST(a_launch_that_fails_leaves_none),
          TEST(it_outlives_the_broker_and_goes_with_its_vm),
          TEST(behind_the_walls_it_is_its_users_alone), )

/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 512M --timeout 120 */
/*
 * What a hypervisor that has fallen can still reach: a program in its place (helpers/fallen) tries
 * everything, and each attempt is to fail as the table says.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define WALLED "[Access]\nUsers=*\n"
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define PROBES_MAX 40
#define SUID_ID "/run/suid-id"
#define PROBE "/run/fallen" /* below /tmp it would be hidden with what is there */

struct probe {
        char attempt[80];
        const char *answer;
};

/* Somebody on the host who listens on the loopback; the port. */
static int listen_host(int *portp) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        need(fd >= 0);
        need_int(bind(fd, (struct sockaddr *)&address, size), 0);
        need_int(listen(fd, 4), 0);
        need_int(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        *portp = ntohs(address.sin_port);
        return fd;
}

static void walls_open(struct house *house, const char *slice) {
        need_int(chdir("/"), 0);
        sh("cp $(command -v fallen) " PROBE "; mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor");
        house_open(house, NULL, slice);
}

static bool is_logged(void *text) {
        return house_log_has(text);
}

static void log_wait(const char *text) {
        expect_that(wait_until(is_logged, (void *)(uintptr_t)text, HOUSE_WAIT_MS), "'%s' is logged",
                    text);
}

static void try_all(const char *const *before, const struct probe *probes, size_t n) {
        const char *words[PROBES_MAX + 40], *line;
        char wanted[128];
        struct job job;
        size_t at = 0;

        for (; *before; before++)
                words[at++] = *before;
        for (size_t i = 0; i < n; i++)
                words[at++] = probes[i].attempt;
        words[at] = NULL;
        expect_int(job_run(&job, words), 0);
        for (size_t i = 0; i < n; i++) {
                snprintf(wanted, sizeof(wanted), "%s: %s\n", probes[i].attempt, probes[i].answer);
                line = strstr(job.out, probes[i].attempt);
                expect_that(strstr(job.out, wanted), "%s is to be %s: '%.*s' %s", probes[i].attempt,
                            probes[i].answer, line ? (int)strcspn(line, "\n") : 0, line ?: "",
                            job.err);
        }
}

static void a_hypervisor_that_has_fallen_reaches_nothing(void) {
        struct probe probes[PROBES_MAX];
        struct house house;
        struct job other;
        int port, fd;
        size_t n = 0;

        sh("echo secret >/tmp/secret; chmod 644 /tmp/secret");
        fd = listen_host(&port);
        walls_open(&house, WALLED "[Sandbox]\nPrivateTmp=yes\nPrivateNetwork=yes\n");
        JOB(&other, AS_1000, "provium", "run", "--slice", "t", "--name", "other", "--", PROBE,
            "rest");
        job_wait_out(&other, "ready");
        const struct probe fixed[] = {
                {"read=/etc/shadow", "EACCES"},
                {"read=/tmp/secret", "ENOENT"},
                {"write=/etc/passwd", "EACCES"},
                {"read=/dev/mem", "ENOENT"},
                {"read=/dev/net/tun", "ENOENT"},
                {"read=/dev/vda", "ENOENT"},
                {"read=/dev/null", "done"},
                {"write=/proc/sys/kernel/hostname", "EACCES"},
                {"write=/proc/sysrq-trigger", "EACCES"},
                {"mount", "EPERM"},
                {"unshare_mounts", "EPERM"},
                {"chroot", "EPERM"},
                {"raw_socket", "EPERM"},
                {"packet_socket", "EPERM"},
                {"mknod", "EPERM"},
                {"setuid", "EPERM"},
                {"hostname", "EPERM"},
                {"bpf", "EPERM"},
                {"unshare_users", "EPERM"},
                {"perf", "EPERM"},
                {"keys", "EPERM"},
                {"cgroup", "ENOENT"},
                {"processes", "ESRCH"},
                {"inherited=3", "EBADF"},
                {"capability", "EPERM"},
                {"core", "EPERM"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
                probes[n++] = fixed[i];
        snprintf(probes[n].attempt, sizeof(probes[n].attempt), "connect=%d", port);
        probes[n++].answer = "ENETUNREACH";
        snprintf(probes[n].attempt, sizeof(probes[n].attempt), "signal=%d", house.broker);
        probes[n++].answer = "ESRCH";
        snprintf(probes[n].attempt, sizeof(probes[n].attempt), "trace=%d", house.broker);
        probes[n++].answer = "EPERM";
        snprintf(probes[n].attempt, sizeof(probes[n].attempt), "read=/proc/%d/mem", house.broker);
        probes[n++].answer = "ENOENT";
        try_all((const char *const[]){AS_1000, "provium", "run", "--slice", "t", "--", PROBE, NULL},
                probes, n);
        job_kill(&other, SIGTERM);
        job_wait(&other, HOUSE_WAIT_MS);
        close(fd);
        house_close(&house);
}

static void root_may_run_nothing_unless_the_policy_says_so(void) {
        static const struct probe probes[] = {
                {"capability", "EPERM"},     {"mount", "EPERM"},          {"mknod", "EPERM"},
                {"raw_socket", "EPERM"},     {"chroot", "EPERM"},         {"hostname", "EPERM"},
                {"read=/dev/mem", "ENOENT"}, {"unshare_mounts", "EPERM"},
        };
        struct house house;
        struct job job;

        walls_open(&house, WALLED);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "true"), 77);
        expect_in(job.err, "would run as root");
        expect_in(job.err, "AllowRoot=");
        house_slice("t", WALLED "[Sandbox]\nAllowRoot=yes\n");
        house_reload(&house);
        try_all((const char *const[]){"provium", "run", "--slice", "t", "--", PROBE, NULL}, probes,
                ARRAY_SIZE(probes));
        house_close(&house);
}

static void a_setuid_program_gains_nothing(void) {
        struct house house;
        struct job job;

        walls_open(&house, WALLED);
        sh("cp /usr/bin/id " SUID_ID "; chmod 4755 " SUID_ID);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--", SUID_ID, "-u"), 0);
        expect_str(job.out, "1000\n");
        sh("rm " SUID_ID);
        house_close(&house);
}

static void it_runs_as_whom_the_policy_says(void) {
        struct job job, one, two;
        struct house house;

        walls_open(&house, WALLED "[Sandbox]\nUser=nobody\n");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "id -u; id -g"),
                   0);
        expect_str(job.out, "65534\n65534\n");
        house_slice("t", WALLED "[Sandbox]\nUser=dynamic\n");
        house_conf(HOUSE_CONF "[Broker]\nDynamicUsers=70000-70001\n");
        house_reload(&house);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "before", "--",
                         "id", "-u"),
                   0);
        expect_that(strcmp(job.out, "70000\n") == 0 || strcmp(job.out, "70001\n") == 0, "%s",
                    job.out);
        JOB(&one, AS_1000, "provium", "run", "--slice", "t", "--name", "one", "--", "sh", "-c",
            "id -u; exec " PROBE " rest");
        JOB(&two, AS_1000, "provium", "run", "--slice", "t", "--detach", "--no-console", "--name",
            "two", "--", "sh", "-c", "id -u; exec " PROBE " rest");
        job_wait_out(&one, "ready");
        job_wait_out(&two, "ready");
        expect(strncmp(one.out, two.out, 5) != 0);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--", "true"), 125);
        expect_in(job.err, "all 2 users of DynamicUsers= are in use");
        /* Who they are is known after a restart. */
        house_kill(&house);
        house_start(&house);
        expect_int(SHELL(&job, AS_1000, "provium", "show", "two"), 0);
        expect_in(job.out, "user                       7000");
        expect_in(job.out, "capabilities               none");
        expect_in(job.out, "seccomp                    filtered");
        expect_in(job.out, "namespaces                 mnt pid ipc uts cgroup\n");
        house_end_all(&house);
        house_close(&house);
}

static void a_first_process_that_handles_no_signal_ends_all_the_same(void) {
        uint64_t begin;
        struct house house;
        struct job job, killer;
        int status;

        walls_open(&house, WALLED "[VM]\nGracePeriod=20s\n");
        JOB(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "a", "--", PROBE, "rest");
        job_wait_out(&job, "ready");
        begin = now_ms();
        expect_int(SHELL(&killer, AS_1000, "provium", "kill", "a"), 0);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        expect(now_ms() - begin < 5000);
        JOB(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "a", "--", PROBE, "rest");
        job_wait_out(&job, "ready");
        begin = now_ms();
        job_kill(&job, SIGINT);
        /* By the signal's number where it came before the news that the VM was started. */
        status = job_wait(&job, HOUSE_WAIT_MS);
        expect_that(status == 128 + 9 || status == 128 + SIGINT, "%d", status);
        expect(now_ms() - begin < 5000);
        /* One that handles it has its grace. */
        JOB(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "a", "--", "sh", "-c",
            "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
        job_wait_out(&job, "ready");
        expect_int(SHELL(&killer, AS_1000, "provium", "kill", "a"), 0);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 3);
        expect_in(job.out, "bye");
        house_close(&house);
}

static void files_are_as_read_only_and_private_as_the_policy_says(void) {
        struct house house;
        struct job job;

        walls_open(&house, WALLED "[Sandbox]\nReadOnlyRoot=yes\nPrivateTmp=yes\n");
        sh("mkdir -p /run/mine; chown 1000 /run/mine; echo data >/run/mine/image; chown 1000 "
           "/run/mine/image");
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--", "sh", "-c",
                         "cat /run/mine/image; echo x >/run/mine/image; echo y >/tmp/y && cat "
                         "/tmp/y; ls /dev; test -c /dev/null && test -c /dev/ptmx"),
                   0);
        expect_in(job.out, "data\ny\n");
        expect_in(job.err, "Read-only file system");
        expect_in(job.out, "urandom");
        expect(access("/tmp/y", F_OK) < 0);
        /* The directory that it was started in is hidden: that is said. */
        expect_int(SHELL(&job, "sh", "-c",
                         "mkdir -p /tmp/d; chmod 777 /tmp/d; cd /tmp/d; exec setpriv --reuid=1000 "
                         "--regid=1000 --clear-groups provium run --slice t -- true"),
                   125);
        expect_in(job.err, "working directory");
        house_slice("t", WALLED "[Sandbox]\nPrivateDevices=no\nPrivatePIDs=no\n");
        house_reload(&house);
        expect_int(SHELL(&job, "sh", "-c",
                         "cd /tmp/d; exec setpriv --reuid=1000 "
                         "--regid=1000 --clear-groups provium run --slice t -- sh -c 'echo z >z'"),
                   0);
        sh("rm -r /tmp/d");
        house_close(&house);
}

static void devices_are_those_that_the_policy_names_wherever_they_are_found(void) {
        static const struct probe probes[] = {
                {"write=/dev/null", "done"},   {"read=/run/n/zero", "EPERM"},
                {"read=/run/n/null", "done"},  {"read=/run/n/mem", "EPERM"},
                {"read=/run/n/kmsg", "EPERM"}, {"read=/dev/zero", "ENOENT"},
                {"read=/dev/ptmx", "done"},
        };
        struct house house;
        struct job job;

        walls_open(&house, WALLED "[Sandbox]\nDevices=null\n");
        sh("mkdir -p /run/n; mount -t tmpfs -o dev none /run/n; cd /run/n; mknod null c 1 3; mknod "
           "zero c 1 5; mknod mem c 1 1;"
           "mknod kmsg c 1 11; chmod 666 *");
        try_all((const char *const[]){AS_1000, "provium", "run", "--slice", "t", "--", PROBE, NULL},
                probes, ARRAY_SIZE(probes));
        /* A block device that is its disk, and no other. */
        sh("mknod /run/n/ram0 b 1 0; mknod /run/n/ram1 b 1 1; chmod 666 /run/n/ram*;"
           "modprobe brd rd_nr=2 rd_size=1024 2>/dev/null; true");
        house_conf(HOUSE_CONF "[Broker]\nBestEffort=yes\n");
        house_reload(&house);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--disk-io", "1MB/s",
                         "--disk-image", "/run/n/ram0", "--", PROBE, "read={disk.0}",
                         "read=/run/n/ram1"),
                   0);
        expect_in(job.out, "/fd/3: done\n");
        expect_in(job.out, "read=/run/n/ram1: EPERM\n");
        sh("umount /run/n");
        house_close(&house);
}

static void a_list_that_is_wrong_is_told_and_one_that_kills_names_the_call(void) {
        const json_t *event;
        struct house house;
        struct news news;
        struct job job;

        walls_open(&house, WALLED);
        house_slice("t", WALLED "[Sandbox]\nSeccomp=nothing\n");
        expect_int(kill(house.broker, SIGHUP), 0);
        log_wait("Seccomp=nothing");
        sh("mkdir -p " HOUSE_ETC
           "/seccomp; printf 'default allow\\nkill sethostname\\n' >" HOUSE_ETC
           "/seccomp/mine; printf 'default allow\\nkill nonsense\\n' >" HOUSE_ETC "/seccomp/bad");
        house_slice("t", WALLED "[Sandbox]\nSeccomp=bad\n");
        expect_int(kill(house.broker, SIGHUP), 0);
        log_wait("nonsense");
        house_slice("t", WALLED "[Sandbox]\nSeccomp=mine\n");
        house_reload(&house);
        news_open(&news);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "bad", "--",
                         PROBE, "hostname"),
                   128 + SIGSYS);
        news_wait(&news, "vm_shutdown", "bad");
        event = news_wait(&news, "vm_seccomp", "bad");
        expect_str(json_string_value(json_object_get(event, "syscall")), "sethostname");
        /* The same signal, without a list, is no violation. */
        house_slice("t", WALLED "[Sandbox]\nSeccomp=none\nPrivatePIDs=no\n");
        house_reload(&house);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "own", "--",
                         "sh", "-c", "kill -SYS $$"),
                   128 + SIGSYS);
        news_wait(&news, "vm_shutdown", "own");
        house_slice("t", WALLED "[Sandbox]\nSeccomp=mine\n");
        house_reload(&house);
        expect_int(SHELL(&job, AS_1000, "provium", "run", "--slice", "t", "--name", "again", "--",
                         PROBE, "hostname"),
                   128 + SIGSYS);
        event = news_wait(&news, "vm_seccomp", NULL); /* it would be told in its turn */
        expect_str(json_string_value(json_object_get(event, "name")), "again");
        news_close(&news);
        house_close(&house);
}

UNIT_MAIN(TEST(a_hypervisor_that_has_fallen_reaches_nothing),
          TEST(root_may_run_nothing_unless_the_policy_says_so),
          TEST(a_setuid_program_gains_nothing), TEST(it_runs_as_whom_the_policy_says),
          TEST(a_first_process_that_handles_no_signal_ends_all_the_same),
          TEST(devices_are_those_that_the_policy_names_wherever_they_are_found),
          TEST(a_list_that_is_wrong_is_told_and_one_that_kills_names_the_call),
          TEST(files_are_as_read_only_and_private_as_the_policy_says), )

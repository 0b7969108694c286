/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 512M --timeout 120 */
/*
 * Device programs where they are asked: by processes that are in the group, at open and at mknod.
 * What a process in the group was told comes back as its errno. Longer than other tests: one
 * feature, whose tests share the ways to ask.
 */
#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/bpf.h>
#include <cgroup/device_rule.h>
#include <cgroup/devices.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stacks.h"
#include "unit.h"

#define TOP "/sys/fs/cgroup/dev"
#define GROUPS_MANY 100
#define OPENS 2000

static struct why why;

static void fresh(void) {
        const char *rig = getenv("PROVIUM_RIG");

        if (!rig || strcmp(rig, "guest") != 0)
                unit_skip("this does not run in the rig");
        why = (struct why){};
        if (mkdir(TOP, 0755) < 0)
                need_int(errno, EEXIST);
}

static int group(const char *path) {
        int fd;

        need_that(mkdir(path, 0755) == 0, "mkdir %s: %s", path, strerror(errno));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(fd >= 0);
        return fd;
}

/* A group is busy until its last process has been reaped by the kernel, too. */
static void group_gone(int fd, const char *path) {
        uint64_t begin = now_usec();

        fd_close(fd);
        while (rmdir(path) < 0) {
                need_that(errno == EBUSY && now_usec() - begin < 5000000, "rmdir %s: %s", path,
                          strerror(errno));
                sleep_usec(1000);
        }
}

static int load(const char *const *words, size_t n) {
        int dev_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC), prog_fd = -1;
        struct device_rule rules[16];

        need(n <= 16 && dev_fd >= 0);
        for (size_t i = 0; i < n; i++)
                need_that(device_rule_parse(&rules[i], dev_fd, words[i], &why) == 0, "%s",
                          why.text);
        need_that(devices_load(rules, n, &prog_fd, &why) == 0, "%s", why.text);
        close(dev_fd);
        return prog_fd;
}
#define LOAD(...)                                                                                  \
        load((const char *const[]){__VA_ARGS__},                                                   \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void attach(int dir_fd, int prog_fd) {
        need_that(devices_attach(dir_fd, prog_fd, &why) == 0, "%s", why.text);
}

static bool attached(int dir_fd, uint32_t id) {
        bool is = false;

        need_that(devices_check(dir_fd, id, &is, &why) == 0, "%s", why.text);
        return is;
}

static uint32_t id_of(int prog_fd) {
        uint32_t id = 0;

        need_that(devices_id(prog_fd, &id, &why) == 0, "%s", why.text);
        need(id > 0);
        return id;
}

/* ---- a process in the group ---- */

/* Forks into the group, as the launcher does: the child was never anywhere else. */
static pid_t fork_into(int dir_fd) {
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)dir_fd,
        };

        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

enum act { OPEN, MKNOD_CHAR, MKNOD_BLOCK };

/* 0 or the errno that a process of the group gets. */
static int try(int dir_fd, enum act act, const char *path, int flags, dev_t dev) {
        int status = 0;
        pid_t pid;

        fflush(stdout);
        pid = fork_into(dir_fd);
        need(pid >= 0);
        if (pid == 0) {
                int r;

                if (act == OPEN)
                        r = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                else
                        r = mknod(path, (act == MKNOD_CHAR ? S_IFCHR : S_IFBLK) | 0600, dev);
                _exit(r < 0 ? errno : 0);
        }
        need_int(waitpid(pid, &status, 0), pid);
        need(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int try_open(int dir_fd, const char *path, int flags) {
        return try(dir_fd, OPEN, path, flags, 0);
}

/* ---- what is asked ---- */

static void what_is_listed_opens_and_the_rest_does_not(void) {
        int prog_fd, fd, own;

        fresh();
        fd = group(TOP "/a");
        prog_fd = LOAD("null", "zero r", "c 1:9 w");
        expect_int(try_open(fd, "/dev/full", O_RDWR), 0);
        attach(fd, prog_fd);
        expect_int(try_open(fd, "/dev/null", O_RDWR), 0);
        expect_int(try_open(fd, "/dev/null", O_RDONLY), 0);
        expect_int(try_open(fd, "/dev/zero", O_RDONLY), 0);
        expect_int(try_open(fd, "/dev/zero", O_WRONLY), EPERM);
        expect_int(try_open(fd, "/dev/zero", O_RDWR), EPERM);
        expect_int(try_open(fd, "/dev/urandom", O_RDONLY), EPERM);
        expect_int(try_open(fd, "/dev/urandom", O_WRONLY), 0);
        expect_int(try_open(fd, "/dev/full", O_RDONLY), EPERM);
        expect_int(try_open(fd, "/dev/mem", O_RDONLY), EPERM);
        /* Files and directories are no devices. */
        expect_int(try_open(fd, "/etc/passwd", O_RDONLY), 0);
        expect_int(try_open(fd, "/dev", O_RDONLY | O_DIRECTORY), 0);
        /* We are outside. */
        own = open("/dev/full", O_RDONLY | O_CLOEXEC);
        expect(own >= 0);
        close(own);
        close(prog_fd);
        group_gone(fd, TOP "/a");
}

static void to_make_a_device_wants_its_own_letter(void) {
        int prog_fd, fd;

        fresh();
        mkdir("/dev/nodes", 0755);
        fd = group(TOP "/a");
        prog_fd = LOAD("c 1:3 rw", "c 1:5 m", "b *:* rw");
        attach(fd, prog_fd);
        expect_int(try(fd, MKNOD_CHAR, "/dev/nodes/null", 0, makedev(1, 3)), EPERM);
        expect_int(try(fd, MKNOD_CHAR, "/dev/nodes/zero", 0, makedev(1, 5)), 0);
        expect_int(try(fd, MKNOD_BLOCK, "/dev/nodes/block", 0, makedev(7, 0)), EPERM);
        expect_int(try_open(fd, "/dev/nodes/zero", O_RDONLY), EPERM);
        expect_int(access("/dev/nodes/null", F_OK), -1);
        unlink("/dev/nodes/zero");
        rmdir("/dev/nodes");
        close(prog_fd);
        group_gone(fd, TOP "/a");
}

static void no_rules_deny_everything_and_all_rules_nothing(void) {
        int none_fd = -1, all_fd, fd;

        fresh();
        fd = group(TOP "/a");
        need_int(devices_load(NULL, 0, &none_fd, &why), 0);
        attach(fd, none_fd);
        expect_int(try_open(fd, "/dev/null", O_RDONLY), EPERM);
        group_gone(fd, TOP "/a");
        fd = group(TOP "/a");
        all_fd = LOAD("c *:* rwm", "b *:* rwm");
        attach(fd, all_fd);
        expect_int(try_open(fd, "/dev/null", O_RDWR), 0);
        expect_int(try_open(fd, "/dev/full", O_RDONLY), 0);
        close(none_fd);
        close(all_fd);
        group_gone(fd, TOP "/a");
}

static void a_descriptor_that_is_open_stays_a_right(void) {
        int prog_fd, fd, zero_fd, status = -1;
        char path[64], byte = 1;
        pid_t pid;

        fresh();
        fd = group(TOP "/a");
        prog_fd = LOAD("null");
        attach(fd, prog_fd);
        zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        pid = fork_into(fd);
        if (pid == 0)
                _exit(read(zero_fd, &byte, 1) == 1 && byte == 0 ? 0 : 1);
        waitpid(pid, &status, 0);
        expect_int(status, 0);
        /* Its device opened anew is another matter. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", zero_fd);
        expect_int(try_open(fd, path, O_RDONLY), EPERM);
        close(zero_fd);
        close(prog_fd);
        group_gone(fd, TOP "/a");
}

/* ---- how long it stays ---- */

static int by_id(uint32_t id) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.prog_id = id;
        return (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));
}

/* The kernel lets go of a removed group's programs by a worker. */
static bool ends_within(uint32_t id, uint64_t usec) {
        uint64_t begin = now_usec();
        int fd;

        while ((fd = by_id(id)) >= 0) {
                close(fd);
                if (now_usec() - begin > usec)
                        return false;
                sleep_usec(1000);
        }
        return errno == ENOENT;
}

static void it_stays_without_its_descriptor_and_goes_with_the_directory(void) {
        uint64_t begin;
        int prog_fd, fd;
        uint32_t id;

        fresh();
        fd = group(TOP "/a");
        prog_fd = LOAD("null");
        id = id_of(prog_fd);
        expect(!attached(fd, id));
        attach(fd, prog_fd);
        close(prog_fd);
        expect(attached(fd, id));
        expect_int(try_open(fd, "/dev/null", O_RDWR), 0);
        expect_int(try_open(fd, "/dev/zero", O_RDONLY), EPERM);
        begin = now_usec();
        group_gone(fd, TOP "/a");
        expect(ends_within(id, 10000000));
        unit_note("gone %ju us after its directory", (uintmax_t)(now_usec() - begin));
}

static void a_program_without_group_goes_with_its_descriptor(void) {
        int prog_fd;
        uint32_t id;

        fresh();
        prog_fd = LOAD("null");
        id = id_of(prog_fd);
        close(prog_fd);
        expect(ends_within(id, 10000000));
}

static void detach(int dir_fd, int prog_fd) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.target_fd = (uint32_t)dir_fd;
        attr.attach_bpf_fd = (uint32_t)prog_fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        need_int(syscall(SYS_bpf, BPF_PROG_DETACH, &attr, sizeof(attr)), 0);
}

static void a_check_finds_that_somebody_took_it_away(void) {
        int prog_fd, other_fd, fd;
        uint32_t id;

        fresh();
        fd = group(TOP "/a");
        prog_fd = LOAD("null");
        other_fd = LOAD("zero");
        id = id_of(prog_fd);
        expect(id != id_of(other_fd));
        attach(fd, prog_fd);
        /* Twice is once. */
        attach(fd, prog_fd);
        attach(fd, other_fd);
        expect(attached(fd, id));
        expect(attached(fd, id_of(other_fd)));
        detach(fd, prog_fd);
        expect(!attached(fd, id));
        expect(attached(fd, id_of(other_fd)));
        attach(fd, prog_fd);
        expect(attached(fd, id));
        close(prog_fd);
        close(other_fd);
        group_gone(fd, TOP "/a");
}

static void a_group_that_is_gone_is_an_answer(void) {
        int prog_fd, fd;
        bool is;

        fresh();
        fd = group(TOP "/a");
        prog_fd = LOAD("null");
        need_int(rmdir(TOP "/a"), 0);
        expect_int(devices_attach(fd, prog_fd, &why), CGROUP_E_GONE);
        expect_int(devices_check(fd, id_of(prog_fd), &is, &why), CGROUP_E_GONE);
        close(fd);
        fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        expect_int(devices_attach(fd, prog_fd, &why), CGROUP_E_HOST);
        expect_in(why.text, "cannot attach a device program");
        close(fd);
        close(prog_fd);
}

/* ---- with others ---- */

static void what_an_ancestor_denies_stays_denied(void) {
        int above_fd, below_fd, above, below;

        fresh();
        above = group(TOP "/a");
        below = group(TOP "/a/b");
        above_fd = LOAD("null", "zero");
        below_fd = LOAD("null", "full");
        attach(above, above_fd);
        attach(below, below_fd);
        expect_int(try_open(below, "/dev/null", O_RDWR), 0);
        expect_int(try_open(below, "/dev/full", O_RDONLY), EPERM);
        expect_int(try_open(below, "/dev/zero", O_RDONLY), EPERM);
        expect_int(try_open(above, "/dev/zero", O_RDONLY), 0);
        /* An ancestor's is in force below, but it is not attached there. */
        expect(!attached(below, id_of(above_fd)));
        /* And the other way round: ours was first. */
        detach(above, above_fd);
        expect_int(try_open(below, "/dev/full", O_RDONLY), 0);
        attach(above, above_fd);
        expect_int(try_open(below, "/dev/full", O_RDONLY), EPERM);
        close(above_fd);
        close(below_fd);
        group_gone(below, TOP "/a/b");
        group_gone(above, TOP "/a");
}

static void an_ancestor_that_allows_no_other_is_told(void) {
        int prog_fd, above, below;
        union bpf_attr attr;

        fresh();
        above = group(TOP "/a");
        below = group(TOP "/a/b");
        prog_fd = LOAD("null");
        memset(&attr, 0, sizeof(attr));
        attr.target_fd = (uint32_t)above;
        attr.attach_bpf_fd = (uint32_t)prog_fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        need_int(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)), 0);
        expect_int(devices_attach(below, prog_fd, &why), CGROUP_E_HOST);
        expect_int(why.errnum, EPERM);
        expect_in(why.text, "on a group above that allows no other below it");
        expect(!attached(below, id_of(prog_fd)));
        close(prog_fd);
        group_gone(below, TOP "/a/b");
        group_gone(above, TOP "/a");
}

/* ---- refusals ---- */

static void the_verifier_tells_its_reason(void) {
        /* Leaves without a value; and reads behind the context. */
        static const struct bpf_insn empty[] = {{.code = BPF_JMP | BPF_EXIT}};
        static const struct bpf_insn behind[] = {
                {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 0, .src_reg = 1, .off = 64},
                {.code = BPF_JMP | BPF_EXIT},
        };
        int prog_fd = -77;

        fresh();
        expect_int(bpf_load_device(empty, 1, &prog_fd, &why), CGROUP_E_HOST);
        expect_in(why.text, "R0 !read_ok");
        expect_int(why.errnum, EACCES);
        expect_int(bpf_load_device(behind, 2, &prog_fd, &why), CGROUP_E_HOST);
        expect_in(why.text, "invalid bpf_context access");
        unit_note("%s", why.text);
        expect_int(prog_fd, -77);
}

static void who_may_not_load_is_told(void) {
        int status = 0;
        pid_t pid;

        fresh();
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                struct device_rule rule = {'c', 1, 3, DEVICE_READ};
                int fd = -1, r;

                if (setresuid(65534, 65534, 65534) < 0)
                        _exit(2);
                r = devices_load(&rule, 1, &fd, &why);
                _exit(r == CGROUP_E_HOST && why.errnum == EPERM && fd == -1 ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        expect_int(status, 0);
}

static void what_is_no_rule_is_not_loaded(void) {
        static const struct device_rule bad[] = {
                {'a', 1, 3, DEVICE_READ},
                {'c', 4096, 3, DEVICE_READ},
                {'c', 1, 1 << 20, DEVICE_READ},
                {'c', 1, 3, 0},
                {'c', 1, 3, 8},
        };
        static struct device_rule many[DEVICES_RULES_MAX + 1];
        int prog_fd = -77;

        fresh();
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const struct device_rule rules[] = {{'c', 1, 3, DEVICE_READ}, bad[i]};

                expect_int(devices_load(rules, 2, &prog_fd, &why), CGROUP_E_LIMIT);
                expect_in(why.text, "device rule 2 is none");
        }
        expect_int(devices_load(many, DEVICES_RULES_MAX + 1, &prog_fd, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "257 device rules are more than 256");
        expect_int(prog_fd, -77);
}

/* ---- how many, how much ---- */

/* Nanoseconds of one open and close of /dev/null in the group. */
static double open_cost(int dir_fd) {
        int pipe_fds[2], status;
        uint64_t usec = 0;
        pid_t pid;

        need_int(pipe2(pipe_fds, O_CLOEXEC), 0);
        fflush(stdout);
        pid = fork_into(dir_fd);
        need(pid >= 0);
        if (pid == 0) {
                usec = now_usec();
                for (int i = 0; i < OPENS; i++)
                        close(open("/dev/null", O_RDWR | O_CLOEXEC));
                usec = now_usec() - usec;
                _exit(write(pipe_fds[1], &usec, sizeof(usec)) != sizeof(usec));
        }
        waitpid(pid, &status, 0);
        need_int(status, 0);
        need_int(read(pipe_fds[0], &usec, sizeof(usec)), sizeof(usec));
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return (double)usec * 1000 / OPENS;
}

static void as_many_rules_as_there_may_be_are_all_heeded(void) {
        static struct device_rule rules[DEVICES_RULES_MAX];
        int prog_fd = -1, fd, bare_fd;
        double bare, full;
        uint64_t begin;

        fresh();
        /* Of all lengths, the wanted ones first and last. */
        for (uint32_t i = 0; i < DEVICES_RULES_MAX; i++)
                rules[i] = (struct device_rule){i % 2 ? 'b' : 'c', 200 + i, i % 3 ? i : DEVICE_ANY,
                                                1 + i % DEVICE_ALL};
        rules[0] = (struct device_rule){'c', 1, 5, DEVICE_READ};
        rules[DEVICES_RULES_MAX - 1] = (struct device_rule){'c', 1, 3, DEVICE_READ | DEVICE_WRITE};
        bare_fd = group(TOP "/bare");
        fd = group(TOP "/a");
        begin = now_usec();
        need_that(devices_load(rules, DEVICES_RULES_MAX, &prog_fd, &why) == 0, "%s", why.text);
        unit_note("%d rules are loaded in %ju us", DEVICES_RULES_MAX,
                  (uintmax_t)(now_usec() - begin));
        attach(fd, prog_fd);
        expect_int(try_open(fd, "/dev/zero", O_RDONLY), 0);
        expect_int(try_open(fd, "/dev/zero", O_WRONLY), EPERM);
        expect_int(try_open(fd, "/dev/null", O_RDWR), 0);
        expect_int(try_open(fd, "/dev/full", O_RDONLY), EPERM);
        bare = open_cost(bare_fd);
        full = open_cost(fd);
        unit_note("an open takes %.0f ns without a program, %.0f ns behind %d rules", bare, full,
                  DEVICES_RULES_MAX);
        close(prog_fd);
        group_gone(fd, TOP "/a");
        group_gone(bare_fd, TOP "/bare");
}

/* All ways to look alike, so that nothing of one rule helps with the next. */
static void the_most_rules_of_any_kind_are_taken(void) {
        static struct device_rule rules[DEVICES_RULES_MAX];
        uint64_t worst = 0;

        fresh();
        for (uint32_t kind = 0; kind < 8; kind++) {
                uint64_t begin = now_usec();
                int prog_fd = -1;

                for (uint32_t i = 0; i < DEVICES_RULES_MAX; i++)
                        rules[i] = (struct device_rule){
                                i % 2 ? 'c' : 'b', kind & 1 ? i : DEVICE_ANY,
                                kind & 2 ? i : DEVICE_ANY, kind & 4 ? 1 + i % 6 : DEVICE_ALL};
                expect_that(devices_load(rules, DEVICES_RULES_MAX, &prog_fd, &why) == 0,
                            "kind %u: %s", kind, why.text);
                worst = max_u64(worst, now_usec() - begin);
                fd_close(prog_fd);
        }
        unit_note("%d rules are loaded in %ju us at the worst", DEVICES_RULES_MAX,
                  (uintmax_t)worst);
}

static void one_program_serves_many_groups(void) {
        struct device_rule rules[DEVICE_DEFAULTS_MAX];
        int fds[GROUPS_MANY], prog_fd = -1, dev_fd;
        uint64_t loading, attaching;
        char path[64];
        uint32_t id;
        size_t n;

        fresh();
        dev_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need_int(device_rule_default(dev_fd, true, rules, ARRAY_SIZE(rules), &n, &why), 0);
        close(dev_fd);
        for (int i = 0; i < GROUPS_MANY; i++) {
                snprintf(path, sizeof(path), TOP "/g%d", i);
                fds[i] = group(path);
        }
        loading = now_usec();
        need_that(devices_load(rules, n, &prog_fd, &why) == 0, "%s", why.text);
        loading = now_usec() - loading;
        attaching = now_usec();
        for (int i = 0; i < GROUPS_MANY; i++)
                attach(fds[i], prog_fd);
        attaching = now_usec() - attaching;
        unit_note("%zu rules: loaded in %ju us, attached in %.1f us to each of %d groups", n,
                  (uintmax_t)loading, (double)attaching / GROUPS_MANY, GROUPS_MANY);
        id = id_of(prog_fd);
        close(prog_fd);
        for (int i = 0; i < GROUPS_MANY; i++)
                expect(attached(fds[i], id));
        expect_int(try_open(fds[7], "/dev/null", O_RDWR), 0);
        expect_int(try_open(fds[7], "/dev/net/tun", O_RDWR), 0);
        expect_int(try_open(fds[7], "/dev/ptmx", O_RDWR), 0);
        expect_int(try_open(fds[7], "/dev/kmsg", O_WRONLY), EPERM);
        /* The others' program does not care for the end of one. */
        group_gone(fds[0], TOP "/g0");
        expect_int(try_open(fds[1], "/dev/kmsg", O_WRONLY), EPERM);
        for (int i = 1; i < GROUPS_MANY; i++) {
                snprintf(path, sizeof(path), TOP "/g%d", i);
                group_gone(fds[i], path);
        }
        expect(ends_within(id, 10000000));
}

UNIT_MAIN(TEST(what_is_listed_opens_and_the_rest_does_not),
          TEST(to_make_a_device_wants_its_own_letter),
          TEST(no_rules_deny_everything_and_all_rules_nothing),
          TEST(a_descriptor_that_is_open_stays_a_right),
          TEST(it_stays_without_its_descriptor_and_goes_with_the_directory),
          TEST(a_program_without_group_goes_with_its_descriptor),
          TEST(a_check_finds_that_somebody_took_it_away), TEST(a_group_that_is_gone_is_an_answer),
          TEST(what_an_ancestor_denies_stays_denied),
          TEST(an_ancestor_that_allows_no_other_is_told), TEST(the_verifier_tells_its_reason),
          TEST(who_may_not_load_is_told), TEST(what_is_no_rule_is_not_loaded),
          TEST(as_many_rules_as_there_may_be_are_all_heeded),
          TEST(the_most_rules_of_any_kind_are_taken), TEST(one_program_serves_many_groups))

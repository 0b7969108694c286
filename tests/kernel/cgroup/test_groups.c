/* SPDX-License-Identifier: MIT */
/* rig: --timeout 100 --beside */
/*
 * The cgroup room on a real hierarchy: limits are what they read back as, records live with their
 * directory, news comes without being asked for, refusals name their reason.
 */
#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/limits.h>
#include <cgroup/record.h>
#include <cgroup/root.h>
#include <cgroup/stats.h>
#include <cgroup/watch.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit.h"

#define MOUNT "/sys/fs/cgroup"
#define MIB (UINT64_C(1) << 20)

static struct why why;

static void need_rig(void) {
        if (!getenv("PROVIUM_RIG") || strcmp(getenv("PROVIUM_RIG"), "guest") != 0)
                unit_skip("this does not run in the rig");
        why = (struct why){};
}

static void open_root(struct cgroup_root *root) {
        need_rig();
        *root = (struct cgroup_root)CGROUP_ROOT_NULL;
        need_that(cgroup_root_open(root, NULL, "test", true, &why) == 0, "%s", why.text);
}

static void close_root(struct cgroup_root *root) {
        cgroup_root_close(root);
        need_that(rmdir(MOUNT "/test") == 0, "the root is empty again: %s", strerror(errno));
}

static pid_t sleeper_in(const char *path) {
        pid_t pid = fork();
        char text[16];

        if (pid == 0)
                for (;;)
                        pause();
        snprintf(text, sizeof(text), "%d", pid);
        need_int(file_write_at(AT_FDCWD, path, text), 0);
        return pid;
}

static void end(pid_t pid) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void a_root_is_made_with_its_controllers_and_found_again(void) {
        struct cgroup_root root, again = CGROUP_ROOT_NULL;
        unsigned char key[CGROUP_ROOT_KEY_SIZE], same[CGROUP_ROOT_KEY_SIZE];
        char text[256];

        open_root(&root);
        expect_str(root.path, MOUNT "/test");
        expect_int(file_read_at(root.dir_fd, "cgroup.subtree_control", text, sizeof(text)), 0);
        expect_in(text, "cpu");
        expect_in(text, "memory");
        expect_in(text, "io");
        expect_in(text, "pids");
        expect_int(cgroup_root_key(&root, key, &why), 0);
        expect(!cgroup_root_was_waiting(&root));
        expect_int(cgroup_root_mark_waiting(&root, true, &why), 0);
        expect_int(cgroup_root_mark_waiting(&root, true, &why), 0);
        cgroup_root_close(&root);
        /* What is kept with the tree outlives whoever made it. */
        expect_int(cgroup_root_open(&again, MOUNT, "test", true, &why), 0);
        expect(cgroup_root_was_waiting(&again));
        expect_int(cgroup_root_mark_waiting(&again, false, &why), 0);
        expect_int(cgroup_root_mark_waiting(&again, false, &why), 0);
        expect(!cgroup_root_was_waiting(&again));
        expect_int(cgroup_root_key(&again, same, &why), 0);
        expect_int(memcmp(key, same, sizeof(key)), 0);
        close_root(&again);
}

static void two_brokers_on_one_root_are_one_too_many(void) {
        struct cgroup_root root, second = CGROUP_ROOT_NULL;
        int status = -1;
        pid_t pid;

        open_root(&root);
        pid = fork();
        if (pid == 0) {
                int r = cgroup_root_open(&second, NULL, "test", true, &why);

                _exit(r == CGROUP_E_BUSY && strstr(why.text, "another provium-broker") ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        expect_int(status, 0);
        close_root(&root);
}

/* A child that shares our files and has not executed anything yet must not keep the next one out.
 */
static void the_lock_goes_with_its_process_and_not_with_its_children(void) {
        int ready[2], status = -1;
        struct cgroup_root root = CGROUP_ROOT_NULL;
        pid_t pid, child;

        need_rig();
        need_int(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                if (cgroup_root_open(&root, NULL, "test", true, &why))
                        _exit(1);
                child = fork();
                if (child == 0)
                        for (;;)
                                pause();
                if (write(ready[1], &child, sizeof(child)) < 0)
                        _exit(2);
                _exit(0);
        }
        need_int(read(ready[0], &child, sizeof(child)), sizeof(child));
        waitpid(pid, &status, 0);
        need_int(status, 0);
        expect_int(cgroup_root_open(&root, NULL, "test", true, &why), 0);
        kill(child, SIGKILL);
        close_root(&root);
        close(ready[0]);
        close(ready[1]);
}

static void a_process_in_an_inner_group_is_named(void) {
        struct cgroup_root root = CGROUP_ROOT_NULL;
        char wanted[64];
        pid_t pid;

        need_rig();
        need_int(mkdir(MOUNT "/inner", 0755), 0);
        pid = sleeper_in(MOUNT "/inner/cgroup.procs");
        expect_int(cgroup_root_open(&root, NULL, "inner", true, &why), CGROUP_E_BUSY);
        snprintf(wanted, sizeof(wanted), "process %d (", pid);
        expect_in(why.text, wanted);
        expect_in(why.text, "inner");
        expect_int(root.dir_fd, -1);
        expect_int(cgroup_root_open(&root, NULL, "inner/below", true, &why), CGROUP_E_BUSY);
        expect_in(why.text, wanted);
        /* Nothing was left behind, and it works as soon as the process has moved. */
        expect_int(access(MOUNT "/inner/below", F_OK), -1);
        end(pid);
        expect_int(cgroup_root_open(&root, NULL, "inner", true, &why), 0);
        cgroup_root_close(&root);
        expect_int(rmdir(MOUNT "/inner"), 0);
}

static void a_hybrid_or_missing_hierarchy_is_refused_with_what_mends_it(void) {
        struct cgroup_root root = CGROUP_ROOT_NULL;

        need_rig();
        expect_int(cgroup_root_open(&root, "/tmp", "test", true, &why), CGROUP_E_UNSUPPORTED);
        expect_in(why.text, "no cgroup v2 mount");
        /* Version 1 over it, as on a hybrid host: controllers are where we do not look. */
        need_int(umount2(MOUNT, MNT_DETACH), 0);
        need_int(mount("tmpfs", MOUNT, "tmpfs", 0, NULL), 0);
        expect_int(cgroup_root_open(&root, NULL, "test", true, &why), CGROUP_E_UNSUPPORTED);
        expect_in(why.text, "cgroup_no_v1=all");
        expect_in(why.text, "mount -t cgroup2");
        need_int(umount2(MOUNT, 0), 0);
        need_int(mount("none", MOUNT, "cgroup2", 0, NULL), 0);
        expect_int(cgroup_root_open(&root, "/nowhere", "test", true, &why), CGROUP_E_UNSUPPORTED);
        expect_int(cgroup_root_open(&root, NULL, "not/there/yet", true, &why), CGROUP_E_GONE);
        expect_int(cgroup_root_open(&root, NULL, "test", false, &why), CGROUP_E_GONE);
        expect_int(root.dir_fd, -1);
}

static int group_in(struct cgroup_root *root, const char *name) {
        int fd = -1;

        need_that(cgroup_create_at(root->dir_fd, name, &fd, &why) == 0, "%s", why.text);
        return fd;
}

static void limits_read_back_as_they_were_set(void) {
        static const struct {
                const char *file, *text;
        } wanted[] = {
                {"memory.max", "67108864"}, {"memory.high", "max"},      {"memory.swap.max", "0"},
                {"memory.low", "33554432"}, {"memory.oom.group", "1"},   {"pids.max", "80"},
                {"cpu.weight", "123"},      {"cpu.max", "52000 100000"},
        };
        struct limits limits = {
                .cpu_weight = 123,
                .memory_max_bytes = 64 * MIB,
                .memory_high_bytes = LIMIT_NONE,
                .memory_low_bytes = 32 * MIB,
                .oom_group = 1,
                .pids_max = 80,
        };
        struct cgroup_root root;
        char text[64];
        int fd;

        open_root(&root);
        fd = group_in(&root, "g");
        limits_set_cpu(&limits, 500, 40);
        expect_int(limits_apply(fd, &limits, &why), 0);
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                expect_int(file_read_at(fd, wanted[i].file, text, sizeof(text)), 0);
                expect_that(strcmp(text, wanted[i].text) == 0, "%s reads '%s'", wanted[i].file,
                            text);
        }
        expect_int(limits_verify(fd, &limits, &why), 0);
        /* Somebody else's hand is seen, file by file, and named. */
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                static const char *const other[] = {"69206016", "1048576", "4096", "0",
                                                    "0",        "81",      "124",  "53000 100000"};

                expect_int(file_write_at(fd, wanted[i].file, other[i]), 0);
                expect_int(limits_verify(fd, &limits, &why), CGROUP_E_LIMIT);
                expect_in(why.text, wanted[i].file);
                expect_in(why.text, other[i]);
                expect_int(limits_apply(fd, &limits, &why), 0);
        }
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        close_root(&root);
}

static void a_limit_that_does_not_take_is_refused_with_the_kernels_reason(void) {
        struct limits limits = LIMITS_KEEP_ALL;
        struct cgroup_root root;
        int fd;

        open_root(&root);
        fd = group_in(&root, "g");
        limits.cpu_weight = 0;
        expect_int(limits_apply(fd, &limits, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "cpu.weight");
        expect_int(why.errnum, ERANGE);
        limits.cpu_weight = LIMIT_KEEP;
        limits.cpu_quota_usec = 999;
        limits.cpu_period_usec = 100000;
        expect_int(limits_apply(fd, &limits, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "cpu.max");
        limits.cpu_quota_usec = LIMIT_KEEP;
        /* Not a page: the kernel rounds down, and less than claimed is no limit. */
        limits.memory_max_bytes = 10 * MIB + 1;
        expect_int(limits_apply(fd, &limits, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "10485761");
        expect_in(why.text, "10485760");
        /* One level too deep: no controllers. */
        limits.memory_max_bytes = 16 * MIB;
        need_int(mkdirat(fd, "deep", 0755), 0);
        {
                int deep = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                expect_int(limits_apply(deep, &limits, &why), CGROUP_E_LIMIT);
                expect_in(why.text, "controller");
                fd_close(deep);
        }
        expect_int(unlinkat(fd, "deep", AT_REMOVEDIR), 0);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        expect_int(limits_apply(fd, &limits, &why), CGROUP_E_GONE);
        fd_close(fd);
        close_root(&root);
}

static void the_smallest_and_largest_claims_can_be_set(void) {
        static const uint64_t cpus[] = {1, 9, 10, 999, 1000, 8000, 512000, 10000000};
        static const uint64_t memories[] = {4096, 16 * MIB, UINT64_C(1) << 40, UINT64_C(1) << 50};
        struct cgroup_root root;
        int fd;

        open_root(&root);
        fd = group_in(&root, "g");
        for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
                struct limits limits = LIMITS_KEEP_ALL;

                limits_set_cpu(&limits, cpus[i], 40);
                expect_that(limits_apply(fd, &limits, &why) == 0, "%ju: %s", (uintmax_t)cpus[i],
                            why.text);
        }
        for (size_t i = 0; i < ARRAY_SIZE(memories); i++) {
                struct limits limits = LIMITS_KEEP_ALL;

                limits.memory_max_bytes = memories[i];
                expect_that(limits_apply(fd, &limits, &why) == 0, "%ju: %s", (uintmax_t)memories[i],
                            why.text);
        }
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        close_root(&root);
}

static void a_group_that_exists_or_is_gone_is_said_to_be(void) {
        struct cgroup_root root;
        bool populated = true;
        int fd, other = -1;
        pid_t pid;

        open_root(&root);
        fd = group_in(&root, "g");
        expect_int(cgroup_create_at(root.dir_fd, "g", &other, &why), CGROUP_E_EXISTS);
        expect_int(cgroup_open_at(root.dir_fd, "h", &other, &why), CGROUP_E_GONE);
        expect_int(other, -1);
        expect_int(cgroup_populated(fd, &populated, &why), 0);
        expect(!populated);
        pid = sleeper_in(MOUNT "/test/g/cgroup.procs");
        expect_int(cgroup_populated(fd, &populated, &why), 0);
        expect(populated);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), CGROUP_E_BUSY);
        expect_int(cgroup_kill(fd, &why), 0);
        waitpid(pid, NULL, 0);
        while (cgroup_remove_at(root.dir_fd, "g", &why) == CGROUP_E_BUSY)
                poll(NULL, 0, 1);
        expect_int(cgroup_kill(fd, &why), CGROUP_E_GONE);
        expect_int(cgroup_populated(fd, &populated, &why), CGROUP_E_GONE);
        fd_close(fd);
        close_root(&root);
}

static void all_processes_of_a_group_are_listed(void) {
        enum { N = 300 }; /* more than one read(2) of cgroup.procs */
        struct cgroup_root root;
        int fd, pids[N + 10];
        pid_t children[N];
        size_t n = 0;

        open_root(&root);
        fd = group_in(&root, "g");
        for (int i = 0; i < N; i++)
                children[i] = sleeper_in(MOUNT "/test/g/cgroup.procs");
        expect_int(cgroup_processes(fd, pids, ARRAY_SIZE(pids), &n, &why), 0);
        expect_uint(n, N);
        for (int i = 0; i < N; i++) {
                bool found = false;

                for (size_t k = 0; k < n; k++)
                        found |= pids[k] == children[i];
                need(found);
        }
        expect_int(cgroup_processes(fd, pids, 7, &n, &why), 0);
        expect_uint(n, 7);
        expect_int(cgroup_kill(fd, &why), 0);
        for (int i = 0; i < N; i++)
                waitpid(children[i], NULL, 0);
        while (cgroup_remove_at(root.dir_fd, "g", &why) == CGROUP_E_BUSY)
                poll(NULL, 0, 1);
        fd_close(fd);
        close_root(&root);
}

static void a_record_lives_with_its_directory(void) {
        struct record record = {.id = "aaaaaaaaaaaaaaaa", .name = "n", .slice = "s", .order = 5},
                      again;
        struct cgroup_root root;
        bool known;
        pid_t pid;
        int fd;

        open_root(&root);
        fd = group_in(&root, "g");
        expect_int(record_read(fd, &again, &known, &why), CGROUP_E_RECORD);
        expect(!known);
        expect_int(record_read_main(fd, &pid, &why), 0);
        expect_int(pid, 0);
        expect_int(record_write(fd, &record, &why), 0);
        expect_int(record_read(fd, &again, &known, &why), 0);
        expect_uint(again.order, 5);
        expect_int(fsetxattr(fd, RECORD_MAIN_ATTRIBUTE, "4711", 4, 0), 0);
        expect_int(record_read_main(fd, &pid, &why), 0);
        expect_int(pid, 4711);
        expect_int(fsetxattr(fd, RECORD_MAIN_ATTRIBUTE, "47x1", 4, 0), 0);
        expect_int(record_read_main(fd, &pid, &why), CGROUP_E_RECORD);
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        fd = group_in(&root, "g");
        expect_int(record_read(fd, &again, &known, &why), CGROUP_E_RECORD);
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        close_root(&root);
}

struct heard {
        unsigned n;
        int ids[32];
        enum watch_news news[32];
        char files[32][32];
};

static void hear(void *userdata, int id, enum watch_news news, const char *file) {
        struct heard *heard = userdata;

        if (heard->n == 32)
                return;
        heard->ids[heard->n] = id;
        heard->news[heard->n] = news;
        snprintf(heard->files[heard->n++], 32, "%s", file ?: "");
}

static bool heard_of(struct watch *watch, struct heard *heard, int id, enum watch_news news,
                     const char *file) {
        for (int tries = 0; tries < 100; tries++) {
                struct pollfd pollfd = {watch->fd, POLLIN, 0};

                for (unsigned i = 0; i < heard->n; i++)
                        if (heard->ids[i] == id && heard->news[i] == news &&
                            strcmp(heard->files[i], file) == 0)
                                return true;
                if (poll(&pollfd, 1, 5000) <= 0 || watch_read(watch, hear, heard) < 0)
                        return false;
        }
        return false;
}

static int count_watches(const struct watch *watch) {
        char path[64], text[4096];
        int n = 0;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", watch->fd);
        if (file_read_at(AT_FDCWD, path, text, sizeof(text)))
                return -1;
        for (char *at = text; (at = strstr(at, "inotify wd:")); at++)
                n++;
        return n;
}

static void news_of_groups_comes_by_itself(void) {
        struct watch watch = WATCH_NULL;
        struct heard heard = {};
        struct cgroup_root root;
        int fd, id, status, held[WATCH_HELD];
        pid_t pid;

        open_root(&root);
        need_int(watch_open(&watch), 0);
        fd = group_in(&root, "g");
        need_int(watch_hold(fd, held, &why), 0);
        need_int(watch_add(&watch, fd, true, &id, &why), 0);
        expect_int(watch_read(&watch, hear, &heard), 0);
        expect_uint(heard.n, 0);
        expect_int(file_write_at(fd, "pids.max", "7"), 0);
        expect(heard_of(&watch, &heard, id, WATCH_MODIFIED, "pids.max"));
        expect(heard_of(&watch, &heard, id, WATCH_CLOSED, "pids.max"));
        expect_int(file_write_at(fd, "pids.max", "max"), 0);
        heard.n = 0;
        pid = sleeper_in(MOUNT "/test/g/cgroup.procs");
        expect(heard_of(&watch, &heard, id, WATCH_MODIFIED, "cgroup.events"));
        heard = (struct heard){};
        end(pid);
        expect(heard_of(&watch, &heard, id, WATCH_MODIFIED, "cgroup.events"));
        /* An OOM kill. */
        heard = (struct heard){};
        expect_int(file_write_at(fd, "memory.max", "8388608"), 0);
        pid = fork();
        if (pid == 0) {
                char text[16];

                snprintf(text, sizeof(text), "%d", getpid());
                if (file_write_at(fd, "cgroup.procs", text))
                        _exit(1);
                for (size_t i = 0;; i++)
                        memset(malloc(1 << 20), 1, 1 << 20);
        }
        waitpid(pid, &status, 0);
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        expect(heard_of(&watch, &heard, id, WATCH_MODIFIED, "memory.events"));
        {
                struct memory_events events = {};

                expect_int(stats_memory_events(fd, &events, &why), 0);
                expect_uint(events.oom_kill, 1);
        }
        heard = (struct heard){};
        fd_close(fd);
        while (cgroup_remove_at(root.dir_fd, "g", &why) == CGROUP_E_BUSY)
                poll(NULL, 0, 1);
        /* The watch is ended by us, or never. */
        expect_int(count_watches(&watch), 1);
        watch_remove(&watch, id);
        expect(heard_of(&watch, &heard, id, WATCH_GONE, ""));
        expect_int(count_watches(&watch), 0);
        fd_close_many(held, WATCH_HELD);
        watch_close(&watch);
        close_root(&root);
}

static void news_that_was_lost_is_said_to_be_lost(void) {
        struct watch watch = WATCH_NULL;
        struct heard heard = {};
        struct cgroup_root root;
        int fd, id;

        open_root(&root);
        expect_int(file_write_at(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", "8"), 0);
        need_int(watch_open(&watch), 0);
        expect_int(file_write_at(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", "16384"), 0);
        fd = group_in(&root, "g");
        need_int(watch_add(&watch, fd, true, &id, &why), 0);
        for (int i = 0; i < 20; i++) {
                expect_int(file_write_at(fd, "pids.max", "7"), 0);
                expect_int(file_write_at(fd, "cpu.weight", "7"), 0);
        }
        expect(heard_of(&watch, &heard, -1, WATCH_LOST, ""));
        watch_close(&watch);
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        close_root(&root);
}

static void collect(void *userdata, const char *file, const char *text) {
        char *all = userdata;

        snprintf(all + strlen(all), 8192 - strlen(all), "%s=%s;", file, text);
}

static void what_cannot_be_read_is_unknown_and_never_zero(void) {
        static char all[8192];
        struct cgroup_root root;
        int fd;

        open_root(&root);
        fd = group_in(&root, "g");
        /* Pressure files are there and refuse to be read (EOPNOTSUPP) once accounting is off. */
        expect_int(file_write_at(fd, "cgroup.pressure", "0"), 0);
        stats_each_statistic(fd, collect, all);
        expect_in(all, "cpu.stat=usage_usec 0");
        expect_in(all, "memory.current=0");
        if (strstr(all, "cpu.pressure="))
                expect_in(all, "cpu.pressure=error: ");
        all[0] = '\0';
        stats_each_limit(fd, collect, all);
        expect_in(all, "memory.max=max;");
        expect_in(all, "cpu.max=max 100000;");
        fd_close(fd);
        expect_int(cgroup_remove_at(root.dir_fd, "g", &why), 0);
        close_root(&root);
}

UNIT_MAIN(TEST(a_root_is_made_with_its_controllers_and_found_again),
          TEST(two_brokers_on_one_root_are_one_too_many),
          TEST(the_lock_goes_with_its_process_and_not_with_its_children),
          TEST(a_process_in_an_inner_group_is_named), TEST(limits_read_back_as_they_were_set),
          TEST(a_limit_that_does_not_take_is_refused_with_the_kernels_reason),
          TEST(the_smallest_and_largest_claims_can_be_set),
          TEST(a_group_that_exists_or_is_gone_is_said_to_be),
          TEST(all_processes_of_a_group_are_listed), TEST(a_record_lives_with_its_directory),
          TEST(news_of_groups_comes_by_itself), TEST(news_that_was_lost_is_said_to_be_lost),
          TEST(what_cannot_be_read_is_unknown_and_never_zero),
          TEST(a_hybrid_or_missing_hierarchy_is_refused_with_what_mends_it), )

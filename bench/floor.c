/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bench/floor.h>
#include <bench/sample.h>
#include <launcher/child.h>

#define STACK_SIZE (32 * 1024)

/* As the broker sets them for the claim that bench/launch.c makes (see bench/etc). */
static const struct {
        const char *file, *text;
} limits[] = {
        {"memory.max", "16777216"}, {"memory.high", "16777216"},  {"memory.swap.max", "0"},
        {"memory.low", "16777216"}, {"memory.oom.group", "1"},    {"pids.max", "80"},
        {"cpu.weight", "6"},        {"cpu.max", "104000 100000"},
};

static void switch_on(const char *path) {
        char file[600];
        int fd;

        snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "+cpu +memory +io +pids", 22) < 0)
                err(1, "cannot switch the controllers on: %s", file);
        close(fd);
}

void floor_init(struct floor *floor, const char *path, const char *program, bool with_limits) {
        char parent[512], *slash;

        *floor = (struct floor){.program = program, .limits = with_limits};
        floor->argv[0] = (char *)program;
        snprintf(parent, sizeof(parent), "%s", path);
        slash = strrchr(parent, '/');
        if (slash)
                *slash = '\0';
        (void)mkdir(parent, 0755);
        if (with_limits)
                switch_on(parent);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                err(1, "cannot create %s", path);
        if (with_limits)
                switch_on(path);
        floor->parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (floor->parent_fd < 0)
                err(1, "cannot open %s", path);
}

static int child(void *userdata) {
        struct floor *floor = userdata;

        execve(floor->program, floor->argv, (char *[]){NULL});
        return 127;
}

static void set_limits(int dir_fd) {
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                int fd = openat(dir_fd, limits[i].file, O_WRONLY | O_CLOEXEC);

                if (fd < 0 || write(fd, limits[i].text, strlen(limits[i].text)) < 0)
                        err(1, "floor: cannot write %s", limits[i].file);
                close(fd);
        }
}

void floor_launch(struct floor *floor, struct floor_times *times) {
        static char stack[STACK_SIZE]
                __attribute__((__aligned__(16))); /* the child's, while we wait */
        struct clone_args clone = {
                .flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP | CLONE_PIDFD |
                         CLONE_CLEAR_SIGHAND,
                .exit_signal = SIGCHLD,
                .stack = (uintptr_t)stack,
                .stack_size = STACK_SIZE,
        };
        siginfo_t info = {};
        int dir_fd, pidfd = -1;

        clone.pidfd = (uintptr_t)&pidfd;
        times->began_ns = sample_now_ns();
        if (mkdirat(floor->parent_fd, "floor.vm", 0755) < 0)
                err(1, "floor: cannot create a group");
        dir_fd = openat(floor->parent_fd, "floor.vm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                err(1, "floor: cannot open a group");
        if (floor->limits)
                set_limits(dir_fd);
        clone.cgroup = (uint64_t)dir_fd;
        if (launcher_clone3(&clone, sizeof(clone), child, floor) < 0)
                err(1, "floor: clone3");
        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 || info.si_status != 0)
                errx(1, "floor: the program ended with %d", info.si_status);
        close(pidfd);
        close(dir_fd);
        if (unlinkat(floor->parent_fd, "floor.vm", AT_REMOVEDIR) < 0)
                err(1, "floor: cannot remove the group");
        times->ended_ns = sample_now_ns();
}

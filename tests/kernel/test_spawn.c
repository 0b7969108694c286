/* SPDX-License-Identifier: MIT */
/* rig: --timeout 100 --beside */
/*
 * From an open group to a running process: nothing of the parent leaks into the child, nothing of
 * the child disturbs the parent, and the parent never waits.
 */
#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/cgroup.h>
#include <cgroup/record.h>
#include <cgroup/root.h>
#include <cgroup/watch.h>
#include <dirent.h>
#include <fcntl.h>
#include <launcher/spawn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static struct why why;

struct stage {
        struct cgroup_root root;
        struct spawner spawner;
        struct watch watch;
        int group_fd, watch_id, null_fd;
        bool exempt;
        struct process process;
        char *argv[8], *envp[4], *paths[4];
        gid_t groups[3];
        int pipe_fds[2];
};

static void stage_open(struct stage *stage) {
        if (!getenv("PROVIUM_RIG") || strcmp(getenv("PROVIUM_RIG"), "guest") != 0)
                unit_skip("this does not run in the rig");
        *stage = (struct stage){.root = CGROUP_ROOT_NULL, .process = PROCESS_NULL};
        why = (struct why){};
        need_that(cgroup_root_open(&stage->root, NULL, "spawn", true, &why) == 0, "%s", why.text);
        spawner_init(&stage->spawner, &stage->exempt);
        expect(stage->exempt);
        need_int(cgroup_create_at(stage->root.dir_fd, "g", &stage->group_fd, &why), 0);
        need_int(watch_open(&stage->watch), 0);
        need_int(watch_add(&stage->watch, stage->group_fd, true, &stage->watch_id, &why), 0);
        need_int(pipe2(stage->pipe_fds, O_CLOEXEC), 0);
        stage->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        stage->paths[0] = (char *)"/nowhere/vm";
        stage->paths[1] = malloc(1024);
        snprintf(stage->paths[1], 1024, "%s/vm", getenv("PROVIUM_HELPERS"));
        stage->argv[0] = (char *)"vm";
        stage->argv[1] = (char *)"report";
        stage->process.args = (struct child_args){
                .argv = stage->argv,
                .envp = stage->envp,
                .paths = stage->paths,
                .cgroup_fd = stage->group_fd,
                .mark_name = RECORD_MAIN_ATTRIBUTE,
                .bell_file = "cgroup.procs",
                .cwd_fd = -1,
                .stdio = {stage->null_fd, stage->pipe_fds[1], stage->pipe_fds[1]},
                .nofile = {1024, 4096},
        };
}

static void on_news(void *userdata, int id, enum watch_news news, const char *file) {
        bool *rung = userdata;

        *rung |= news == WATCH_CLOSED && strcmp(file, "cgroup.procs") == 0;
}

/* Waits for the bell; then the result is final. */
static int result(struct stage *stage) {
        for (bool rung = false; !rung;) {
                struct pollfd pollfd = {stage->watch.fd, POLLIN, 0};

                if (poll(&pollfd, 1, 20000) <= 0 || watch_read(&stage->watch, on_news, &rung) < 0)
                        return -1;
        }
        /* The kernel closes files and gives memory back in one execve; the bell may come first. */
        while (stage->process.args.note->shares_memory)
                poll(NULL, 0, 1);
        return spawn_result(&stage->spawner, &stage->process, &why);
}

static int reap(struct stage *stage) {
        int status = -1;

        waitpid(stage->process.pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void stage_close(struct stage *stage) {
        process_deinit(&stage->process);
        spawner_deinit(&stage->spawner);
        watch_close(&stage->watch);
        fd_close_many(stage->pipe_fds, 2);
        fd_close(stage->null_fd);
        free(stage->paths[1]);
        while (cgroup_remove_at(stage->root.dir_fd, "g", &why) == CGROUP_E_BUSY)
                poll(NULL, 0, 1);
        fd_close(stage->group_fd);
        cgroup_root_close(&stage->root);
        expect_int(rmdir("/sys/fs/cgroup/spawn"), 0);
}

static void read_all(struct stage *stage, char *text, size_t size) {
        size_t used = 0;
        ssize_t n;

        stage->pipe_fds[1] = fd_close(stage->pipe_fds[1]);
        while ((n = read(stage->pipe_fds[0], text + used, size - 1 - used)) > 0)
                used += (size_t)n;
        text[used] = '\0';
}

static unsigned open_fds(void) {
        unsigned n = 0;

        for (int fd = 0; fd < 4096; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void the_child_is_what_was_asked_for_and_nothing_more(void) {
        struct stage stage;
        char text[4096], own[16];
        sigset_t blocked;
        int leak;
        pid_t pid;

        /* What must not come along: a signal mask, ignored signals (systemd has its services ignore
         * SIGPIPE), descriptors, our exemption. */
        signal(SIGPIPE, SIG_IGN);
        stage_open(&stage);
        sigfillset(&blocked);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        leak = open("/etc/passwd", O_RDONLY);
        expect(leak > 2);
        stage.process.args.set_identity = true;
        stage.process.args.uid = 1234;
        stage.process.args.gid = 2345;
        stage.groups[0] = 3456;
        stage.groups[1] = 4567;
        stage.process.args.groups = stage.groups;
        stage.process.args.n_groups = 2;
        stage.process.args.cwd_fd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        need_that(result(&stage) == 0, "%s", why.text);
        expect_int(record_read_main(stage.group_fd, &pid, &why), 0);
        expect_int(pid, stage.process.pid);
        read_all(&stage, text, sizeof(text));
        sigprocmask(SIG_UNBLOCK, &blocked, NULL);
        signal(SIGPIPE, SIG_DFL);
        expect_int(reap(&stage), 0);
        expect_in(text, "Uid:\t1234\t1234\t1234\t1234");
        expect_in(text, "Gid:\t2345\t2345\t2345\t2345");
        expect_in(text, "Groups:\t3456 4567");
        expect_in(text, "SigBlk:\t0000000000000000");
        expect_in(text, "SigIgn:\t0000000000000000");
        expect_in(text, "NoNewPrivs:\t1");
        expect_in(text, "CapEff:\t0000000000000000");
        expect_in(text, "cgroup=0::/spawn/g");
        expect_in(text, "cwd=/usr\n");
        expect_in(text, "session=1");
        expect_in(text, "fds=0 1 2 \n");
        expect_in(text, "oom_score_adj=0\n");
        /* The parent is still exempt: the child shared its memory when it was changed. */
        expect_int(file_read_at(AT_FDCWD, "/proc/self/oom_score_adj", own, sizeof(own)), 0);
        expect_str(own, "-1000");
        fd_close(leak);
        fd_close(stage.process.args.cwd_fd);
        stage_close(&stage);
}

/*
 * This program again, as the child: says what it has, "NUMBER=INODE " for every descriptor, and is
 * gone before there is a test.
 */
static void __attribute__((__constructor__)) tell_descriptors(void) {
        struct dirent *entry;
        struct stat st;
        char cwd[256];
        DIR *dir;

        if (!getenv("TELL_DESCRIPTORS"))
                return;
        dir = opendir("/proc/self/fd");
        while (dir && (entry = readdir(dir))) {
                int fd = atoi(entry->d_name);

                if (entry->d_name[0] != '.' && fd != dirfd(dir) && fstat(fd, &st) == 0)
                        printf("%d=%llu ", fd, (unsigned long long)st.st_ino);
        }
        printf("cwd=%s\n", getcwd(cwd, sizeof(cwd)));
        fflush(stdout);
        _exit(0);
}

#define N_PASS 16

/* Starts ourselves with these descriptors; what it said must begin with what it was given. */
static void expect_passed(struct stage *stage, const int *pass, size_t n, const char *cwd) {
        char text[4096], wanted[2048];
        size_t used = 0;
        struct stat st;

        stage->paths[0] = (char *)"/proc/self/exe";
        stage->envp[0] = (char *)"TELL_DESCRIPTORS=1";
        stage->process.args.pass = pass;
        stage->process.args.n_pass = n;
        for (int fd = 0; fd < 3 + (int)n; fd++) {
                need_int(fstat(fd < 3 ? stage->process.args.stdio[fd] : pass[fd - 3], &st), 0);
                used += (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%d=%llu ", fd,
                                         (unsigned long long)st.st_ino);
        }
        snprintf(wanted + used, sizeof(wanted) - used, "cwd=%s\n", cwd);
        need_int(spawn_start(&stage->spawner, &stage->process, &why), 0);
        need_that(result(stage) == 0, "%s", why.text);
        read_all(stage, text, sizeof(text));
        expect_int(reap(stage), 0);
        expect_str(text, wanted);
}

/*
 * The places 3 to 18 hold everything the parent has: its files, in the reverse of the order in
 * which they are passed, the caller's directory, the group's, the pipes; and the number that the
 * bell gets.
 */
static void descriptors_are_passed_in_their_order_whatever_lies_in_their_places(void) {
        int files[5], pass[N_PASS], cwd, spare;
        struct stage stage;

        for (int i = 0; i < 4; i++)
                files[i] = memfd_create("passed", MFD_CLOEXEC);
        cwd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
        spare = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        stage_open(&stage);
        files[4] = memfd_create("passed", 0);
        close(spare); /* where the bell goes */
        need(files[0] >= 3 && cwd < 3 + N_PASS && spare < 3 + N_PASS);
        for (size_t i = 0; i < N_PASS; i++)
                pass[i] = files[4 - i % 5];
        pass[0] = files[0]; /* mostly where it is to be */
        stage.process.args.cwd_fd = cwd;
        expect_passed(&stage, pass, N_PASS, "/usr");
        fd_close_many(files, 5);
        close(cwd);
        stage_close(&stage);
}

static void descriptors_from_far_away_are_passed_and_those_near_are_not(void) {
        int files[3] = {-1, -1, -1}, cwd;
        struct stage stage;

        stage_open(&stage);
        for (int i = 0; i < 3; i++) {
                int fd = memfd_create("passed", 0); /* without CLOEXEC: leaks if nobody looks */

                files[i] = fcntl(fd, F_DUPFD, 700 - 100 * i);
                close(fd);
        }
        cwd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
        stage.process.args.cwd_fd = cwd;
        expect_passed(&stage, files, 2, "/usr");
        fd_close_many(files, 3);
        close(cwd);
        stage_close(&stage);
}

static void expect_exec_error(const char *path, int errnum, int code) {
        struct stage stage;

        stage_open(&stage);
        free(stage.paths[1]);
        stage.paths[1] = NULL;
        stage.paths[0] = (char *)path;
        stage.argv[0] = (char *)path;
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        expect_int(result(&stage), SPAWN_E_EXEC);
        expect_int(why.errnum, errnum);
        expect_in(why.text, path);
        expect_int(spawn_exit_code(why.errnum), code);
        expect_int(reap(&stage), 127);
        stage_close(&stage);
}

static void a_command_that_cannot_be_executed_is_told_with_its_errno(void) {
        expect_exec_error("/nowhere/vm", ENOENT, 127);
        expect_exec_error("/etc/passwd/vm", ENOENT, 127);
        expect_exec_error("/etc/passwd", EACCES, 126);
        expect_exec_error("/tmp", EACCES, 126);
        need_int(chmod("/etc/hostname", 0755), 0);
        expect_exec_error("/etc/hostname", ENOEXEC, 126);
}

static void a_step_that_fails_is_named(void) {
        struct stage stage;

        stage_open(&stage);
        stage.process.args.cwd_fd = stage.null_fd; /* no directory */
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        expect_int(result(&stage), SPAWN_E_STEP);
        expect_int(why.errnum, ENOTDIR);
        expect_in(why.text, "working directory");
        expect_int(reap(&stage), 127);
        process_deinit(&stage.process);

        stage.process.args.cwd_fd = -1;
        stage.process.args.stdio[1] = 999;
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        expect_int(result(&stage), SPAWN_E_STEP);
        expect_int(why.errnum, EBADF);
        expect_in(why.text, "stdout");
        expect_int(reap(&stage), 127);
        process_deinit(&stage.process);

        stage.process.args.stdio[1] = stage.pipe_fds[1];
        stage.process.args.pass = (const int[]){stage.null_fd, 999};
        stage.process.args.n_pass = 2;
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        expect_int(result(&stage), SPAWN_E_STEP);
        expect_int(why.errnum, EBADF);
        expect_in(why.text, "other descriptors");
        expect_int(reap(&stage), 127);
        stage_close(&stage);
}

static void a_group_without_room_refuses_the_clone_and_nothing_is_left_over(void) {
        struct stage stage;
        unsigned fds;

        stage_open(&stage);
        fds = open_fds();
        need_int(file_write_at(stage.group_fd, "pids.max", "0"), 0);
        expect_int(spawn_start(&stage.spawner, &stage.process, &why), SPAWN_E_LIMIT);
        expect_int(why.errnum, EAGAIN);
        expect_int(stage.process.pidfd, -1);
        expect(!stage.process.args.note->shares_memory);
        /* An inner group takes no processes. */
        need_int(file_write_at(stage.group_fd, "pids.max", "max"), 0);
        stage.process.args.cgroup_fd = stage.root.dir_fd;
        expect_int(spawn_start(&stage.spawner, &stage.process, &why), SPAWN_E_HOST);
        expect_int(why.errnum, EBUSY);
        stage.process.args.cgroup_fd = stage.null_fd;
        expect_int(spawn_start(&stage.spawner, &stage.process, &why), SPAWN_E_HOST);
        expect_uint(open_fds(), fds);
        stage_close(&stage);
}

static uint64_t now_us(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/*
 * A path that never answers, without a file system that hangs: the group is frozen, so the child
 * stands still between clone and execve. The parent goes on, is told AGAIN, and can end it.
 */
static void a_child_that_hangs_before_execve_holds_up_nobody(void) {
        struct stage stage;
        uint64_t begin;

        stage_open(&stage);
        need_int(file_write_at(stage.group_fd, "cgroup.freeze", "1"), 0);
        begin = now_us();
        need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
        expect(now_us() - begin < 1000000);
        expect_int(spawn_result(&stage.spawner, &stage.process, &why), SPAWN_E_AGAIN);
        /* Others start meanwhile, on stacks of their own. */
        {
                struct process other = PROCESS_NULL;
                int fd = -1, status;

                need_int(cgroup_create_at(stage.root.dir_fd, "h", &fd, &why), 0);
                other.args = stage.process.args;
                other.args.cgroup_fd = fd;
                other.args.note = NULL;
                need_int(spawn_start(&stage.spawner, &other, &why), 0);
                while (other.args.note->shares_memory)
                        poll(NULL, 0, 1);
                expect_int(spawn_result(&stage.spawner, &other, &why), 0);
                waitpid(other.pid, &status, 0);
                expect_int(status, 0);
                process_deinit(&other);
                while (cgroup_remove_at(stage.root.dir_fd, "h", &why) == CGROUP_E_BUSY)
                        poll(NULL, 0, 1);
                fd_close(fd);
        }
        expect_int(spawn_result(&stage.spawner, &stage.process, &why), SPAWN_E_AGAIN);
        /* cgroup.kill reaches the frozen, too. */
        expect_int(cgroup_kill(stage.group_fd, &why), 0);
        expect_int(reap(&stage), 128 + SIGKILL);
        expect_int(stage.process.args.note->shares_memory, 0);
        expect_int(spawn_result(&stage.spawner, &stage.process, &why), 0);
        stage_close(&stage);
}

static void hundreds_of_launches_leave_no_descriptor_and_no_memory(void) {
        struct stage stage;
        uint64_t begin = now_us();
        unsigned fds;

        stage_open(&stage);
        stage.argv[1] = (char *)"exit";
        stage.argv[2] = (char *)"3";
        fds = open_fds();
        for (int i = 0; i < 500; i++) {
                need_int(spawn_start(&stage.spawner, &stage.process, &why), 0);
                need_int(reap(&stage), 3);
                need_int(spawn_result(&stage.spawner, &stage.process, &why), 0);
                process_deinit(&stage.process);
                /* The bells of all of them are not wanted here. */
                if (i % 100 == 0) {
                        bool rung = false;

                        need(watch_read(&stage.watch, on_news, &rung) >= 0);
                }
        }
        expect_uint(open_fds(), fds);
        expect_uint(stage.spawner.n_stacks, 1);
        unit_note("%.1f ms each", (double)(now_us() - begin) / 5e5);
        stage_close(&stage);
}

UNIT_MAIN(TEST(the_child_is_what_was_asked_for_and_nothing_more),
          TEST(descriptors_are_passed_in_their_order_whatever_lies_in_their_places),
          TEST(descriptors_from_far_away_are_passed_and_those_near_are_not),
          TEST(a_command_that_cannot_be_executed_is_told_with_its_errno),
          TEST(a_step_that_fails_is_named),
          TEST(a_group_without_room_refuses_the_clone_and_nothing_is_left_over),
          TEST(a_child_that_hangs_before_execve_holds_up_nobody),
          TEST(hundreds_of_launches_leave_no_descriptor_and_no_memory), )

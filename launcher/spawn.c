/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <launcher/spawn.h>

#define STACK_SIZE (64 * 1024)
#define GUARD_SIZE 4096

static const char *const step_names[_CHILD_STEP_N] = {
        [CHILD_MARK] = "note the process on its group",
        [CHILD_BELL] = "open the group's file",
        [CHILD_QUOTA] = "put its disk images under a project quota",
        [CHILD_OPEN] = "open its disk images as who asked for it",
        [CHILD_SESSION] = "start a session",
        [CHILD_STDIO] = "pass stdin, stdout and stderr",
        [CHILD_PASS] = "pass the other descriptors",
        [CHILD_CLOSE] = "close inherited descriptors",
        [CHILD_RLIMITS] = "set resource limits",
        [CHILD_NAMESPACES] = "enter a namespace of cgroups",
        [CHILD_MOUNTS] = "part its mounts from the host's",
        [CHILD_READ_ONLY] = "make the file system read-only",
        [CHILD_PROC] = "mount /proc",
        [CHILD_CGROUPFS] = "hide the cgroups",
        [CHILD_DEV] = "make a /dev of its own",
        [CHILD_TMP] = "make a /tmp of its own",
        [CHILD_BOUNDING] = "give up capabilities for ever",
        [CHILD_CAPABILITIES] = "give up its capabilities",
        [CHILD_BATCH] = "set its scheduling",
        [CHILD_SECCOMP] = "load its seccomp filter",
        [CHILD_GROUPS] = "set the supplementary groups",
        [CHILD_GID] = "set the group id",
        [CHILD_UID] = "set the user id",
        [CHILD_CWD] = "enter the working directory",
        [CHILD_NONEWPRIVS] = "set no_new_privs",
        [CHILD_SIGNALS] = "reset the signal mask",
        [CHILD_EXEC] = "execute",
};

static void *stack_take(struct spawner *spawner) {
        void *stack;

        if (spawner->n_stacks > 0)
                return spawner->stacks[--spawner->n_stacks];

        stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
                return NULL;
        /* The lowest page stays out of reach: running over the end is a crash, not a corruption. */
        if (mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
                munmap(stack, GUARD_SIZE + STACK_SIZE);
                return NULL;
        }
        return stack;
}

static void stack_drop(struct spawner *spawner, void *stack) {
        if (!stack)
                return;
        if (spawner->n_stacks < SPAWN_STACKS_MAX)
                spawner->stacks[spawner->n_stacks++] = stack;
        else
                munmap(stack, GUARD_SIZE + STACK_SIZE);
}

static void ignore(int signo) {
}

/*
 * CLONE_CLEAR_SIGHAND takes handlers back in the child but leaves ignored signals ignored, which
 * execve keeps as well: systemd starts its services with SIGPIPE ignored, and every VM would
 * inherit that. A handler that does nothing is the same for us.
 */
static void handle_ignored_signals(void) {
        /* posix_spawn() leaves the two that are the C library's own ignored, and it lets nobody
         * handle them: by default, as in every program that a shell has started. */
        for (int signo = 32; signo <= 33; signo++) {
                const struct {
                        void (*handler)(int);
                        unsigned long flags;
                        void (*restorer)(void);
                        uint64_t mask;
                } by_default = {.handler = SIG_DFL};

                (void)syscall(SYS_rt_sigaction, signo, &by_default, NULL, sizeof(uint64_t));
        }
        for (int signo = 1; signo < NSIG; signo++) {
                struct sigaction action;

                if (sigaction(signo, NULL, &action) < 0 || action.sa_handler != SIG_IGN)
                        continue;
                action = (struct sigaction){.sa_handler = ignore, .sa_flags = SA_RESTART};
                sigaction(signo, &action, NULL);
        }
}

void spawner_init(struct spawner *spawner, bool *exemptp) {
        char text[16] = "";

        handle_ignored_signals();
        *spawner = (struct spawner){};
        *exemptp = file_write_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") == 0;
        spawner->reset_oom =
                file_read_at(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) ||
                text[0] != '0';
}

void spawner_deinit(struct spawner *spawner) {
        while (spawner->n_stacks > 0)
                munmap(spawner->stacks[--spawner->n_stacks], GUARD_SIZE + STACK_SIZE);
}

/* What the child finds ready, since it can write no numbers itself. */
static void prepare(struct process *process) {
        struct child_args *args = &process->args;

        if (!args->note)
                args->note = &process->own_note;
        *args->note = (struct child_note){.shares_memory = 1};
        for (size_t i = 0; args->quota && i < args->quota->n_files; i++)
                snprintf(args->quota->paths[i], CHILD_PATH_MAX, "/proc/self/fd/%d",
                         args->quota->fds[i]);
        for (size_t i = 0; args->open && i < args->open->n_files; i++)
                snprintf(args->open->files[i].path, sizeof(args->open->files[i].path),
                         "/proc/self/fd/%d", args->open->files[i].fd);
}

int spawn_start(struct spawner *spawner, struct process *process, struct why *why) {
        struct clone_args clone = {};
        struct child_note *note;
        int pidfd = -1;
        void *stack;
        long pid;

        assert(process->args.n_pass <= CHILD_PASS_MAX);
        stack = stack_take(spawner);
        if (!stack)
                return fault(-ENOMEM);

        prepare(process);
        note = process->args.note;
        clone.flags = CLONE_VM | CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND |
                      CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
        /* That of the cgroups is made once it is in its group: see launcher/child_walls.h. */
        if (process->args.walls)
                clone.flags |= process->args.walls->namespaces & ~(uint64_t)CLONE_NEWCGROUP;
        clone.pidfd = (uintptr_t)&pidfd;
        clone.parent_tid = (uintptr_t)&note->pid;
        clone.child_tid = (uintptr_t)&note->shares_memory;
        clone.exit_signal = SIGCHLD;
        clone.stack = (uintptr_t)stack + GUARD_SIZE;
        clone.stack_size = STACK_SIZE;
        clone.cgroup = (uint64_t)process->args.cgroup_fd;

        pid = launcher_clone3(&clone, sizeof(clone), launcher_child, &process->args);
        if (pid < 0) {
                note->shares_memory = 0;
                stack_drop(spawner, stack);
                return why_errno(why, pid == -EAGAIN ? SPAWN_E_LIMIT : SPAWN_E_HOST, (int)-pid,
                                 "cannot start a process in its group");
        }
        process->pid = (pid_t)pid;
        process->pidfd = pidfd;
        process->stack = stack;
        return 0;
}

int spawn_explain(const struct child_args *args, const struct child_note *note, struct why *why) {
        int errnum = (int)note->failed_errnum;
        uint32_t step = note->failed_step, file = note->failed_file;

        if (errnum == 0)
                return 0;
        if (step == CHILD_EXEC)
                return why_errno(why, SPAWN_E_EXEC, errnum, "cannot execute '%s'", args->argv[0]);
        if (step == CHILD_QUOTA && errnum == EDQUOT)
                return why_set(why, SPAWN_E_STEP,
                               "its disk images already take more than the disk space it claims");
        if (step == CHILD_OPEN && args->open && file > 0 && file <= args->open->n_files)
                return why_errno(why, SPAWN_E_STEP, errnum,
                                 "disk image %u: who asked for the VM cannot open it for %s",
                                 args->open->files[file - 1].name,
                                 args->open->files[file - 1].read_only ? "reading"
                                                                       : "reading and writing");
        return why_errno(why, SPAWN_E_STEP, errnum, "cannot %s",
                         step < _CHILD_STEP_N ? step_names[step] : "do what no release knows");
}

int spawn_result(struct spawner *spawner, struct process *process, struct why *why) {
        const struct child_note *note = process->args.note ?: &process->own_note;
        int r;

        if (note->shares_memory)
                return SPAWN_E_AGAIN;

        stack_drop(spawner, take(process->stack));
        r = spawn_explain(&process->args, note, why);
        if (r || !spawner->reset_oom)
                return r;
        /* ESRCH: it has ended already, and nobody is left to be exempt. */
        r = spawn_reset_oom(process->pid);
        if (r && r != ENOENT && r != ESRCH)
                return why_errno(why, SPAWN_E_STEP, r, "cannot reset oom_score_adj");
        return 0;
}

int spawn_exit_code(int errnum) {
        return errnum == ENOENT || errnum == ENOTDIR ? 127 : 126;
}

int spawn_reset_oom(pid_t pid) {
        char path[40];

        snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
        return file_write_at(AT_FDCWD, path, "0");
}

void process_deinit(struct process *process) {
        assert(!process->args.note || !process->args.note->shares_memory);
        process->pidfd = fd_close(process->pidfd);
}

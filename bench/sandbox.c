/* SPDX-License-Identifier: MIT */
/*
 * What the walls cost: from clone3 to the first instruction of main() of a program behind all of
 * them. Ours are those of the slice bench/walled/slices/walled.slice, made by broker/sandbox and
 * launcher/ themselves: namespaces of mounts, processes, IPC, host name, network and cgroups, /proc
 * and /dev of its own, no cgroups to be seen, another user, no capabilities, no_new_privs, the
 * seccomp list `generic`, and a device program on its group. Everybody takes turns in one run, with
 * a pause before each, in which the kernel takes the last one's namespaces apart.
 *
 *   p50_us, p99_us   to main(): ours and bare from before clone3, the peers from before the fork of
 *                    their command, which makes everything (crun its group, too). "paired" is the
 *                    median of the ratios within one round
 *   whole_p50_us     from before the group is made to after it is removed; bare and bubblewrap have
 *                    none
 *   without_us       ours, against ours with one wall left out: what that wall costs to main().
 *                    "all": the launcher without walls and filter; "group": the whole of ours
 *                    against that without making, fencing and removing the group
 *
 * bare: clone3 with the same namespaces, VM and VFORK, and execve; no group, no step between.
 *
 *     bench-sandbox CONFIG-DIR VENDOR-DIR GROUP PROGRAM ROUNDS IDLE_MSEC [NAME=COMMAND]...
 *     bench-sandbox --filter CONFIG-DIR VENDOR-DIR
 *
 * A peer's command gets PROGRAM's notes as descriptor 3 and the filter, raw, as descriptor 4;
 * --filter writes the latter to stdout.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <bench/peer.h>
#include <broker/filters.h>
#include <broker/lease.h>
#include <broker/options.h>
#include <broker/sandbox.h>
#include <broker/slice.h>
#include <policies/policy.h>

#define SLICE "walled"
#define GROUP_NAME "abcdefghijklmnop.vm"
#define NOTES_FD 3
#define FILTER_FD 4
#define PEERS_MAX 4
#define STACK_SIZE (32 * 1024)
#define WARM_UP 5
#define USER 1000

/* Ours, with a wall left out. */
enum variant {
        WITHOUT_NOTHING,
        WITHOUT_NETWORK,
        WITHOUT_OTHERS, /* namespaces of IPC, host name, cgroups */
        WITHOUT_PROC,
        WITHOUT_DEV,
        WITHOUT_MOUNTS, /* nor what is mounted in them */
        WITHOUT_CAPABILITIES,
        WITHOUT_SECCOMP,
        WITHOUT_ALL,
        _VARIANT_N,
};

static const char *const variant_names[_VARIANT_N] = {
        [WITHOUT_NETWORK] = "network", [WITHOUT_OTHERS] = "ipc, uts, cgroup",
        [WITHOUT_PROC] = "proc",       [WITHOUT_DEV] = "dev",
        [WITHOUT_MOUNTS] = "mounts",   [WITHOUT_CAPABILITIES] = "capabilities",
        [WITHOUT_SECCOMP] = "seccomp", [WITHOUT_ALL] = "all",
};

struct contender {
        struct sample start, whole, paired;
        double last; /* usec to main() in this round */
};

struct bench {
        struct options options;
        struct broker broker;
        struct slice slice;
        struct spawner spawner;
        int group_fd, null_fd, root_fd, filter_fd;
        const char *program;
        volatile uint64_t *notes;

        struct contender ours[_VARIANT_N], bare, others[PEERS_MAX];
        struct sample without_group; /* usec, of ours: from clone3 to the end */
        struct peer peers[PEERS_MAX];
        size_t n_peers;
};

static double usec_between(uint64_t from_ns, uint64_t to_ns) {
        return (double)(int64_t)(to_ns - from_ns) / 1000;
}

static void load(struct bench *bench, const char *config_dir, const char *vendor_dir) {
        static const struct launcher_place nowhere = {.fd = -1, .path = "/nonexistent"};
        static struct policy_errors errors;
        struct why why = {};
        char line[1200];

        bench->options.config_dir = config_dir;
        bench->options.vendor_dir = vendor_dir;
        bench->broker.options = &bench->options;
        TAILQ_INIT(&bench->broker.leases);
        if (launcher_new(&bench->broker.launcher, &nowhere, "", &why))
                errx(1, "out of memory");
        if (policy_load(&bench->broker.policy, config_dir, vendor_dir, &errors))
                errx(1, "%s", policy_error_format(&errors.list[0], line, sizeof(line)));
        if (filters_load(&bench->broker.filters, &bench->options, bench->broker.policy, &why))
                errx(1, "%s", why.text);
        bench->slice.policy = policy_find_slice(bench->broker.policy, SLICE);
        if (!bench->slice.policy)
                errx(1, "there is no slice '%s' in %s", SLICE, config_dir);
}

static const struct sock_fprog *filter(const struct bench *bench) {
        return filters_seccomp(bench->broker.filters, bench->slice.policy->sandbox.seccomp);
}

static void leave_out(struct child_args *args, struct child_walls *walls, enum variant variant) {
        switch (variant) {
        case WITHOUT_NOTHING:
                break;
        case WITHOUT_NETWORK:
                walls->namespaces &= ~(uint64_t)CLONE_NEWNET;
                break;
        case WITHOUT_OTHERS:
                walls->namespaces &= ~(uint64_t)(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
                break;
        case WITHOUT_PROC:
                walls->own_proc = false;
                break;
        case WITHOUT_DEV:
                walls->own_dev = false;
                break;
        case WITHOUT_MOUNTS:
                walls->namespaces &= ~(uint64_t)CLONE_NEWNS;
                break;
        case WITHOUT_CAPABILITIES:
                walls->drop_capabilities = false;
                break;
        case WITHOUT_ALL:
                args->walls = NULL;
                args->seccomp = NULL;
                break;
        case WITHOUT_SECCOMP:
                args->seccomp = NULL;
                break;
        case _VARIANT_N:
                assert(false);
        }
}

static void wait_for_end(int pidfd, const char *who) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 || info.si_code != CLD_EXITED ||
            info.si_status != 0)
                errx(1, "%s: the program ended with %d", who, info.si_status);
}

/* As broker/provision does it, without limits and record. */
static void launch_ours(struct bench *bench, enum variant variant, bool count) {
        static const int pass[] = {NOTES_FD};
        char *argv[] = {(char *)bench->program, (char *)"3", NULL}, *envp[] = {NULL};
        char *paths[] = {argv[0], NULL};
        struct contender *contender = &bench->ours[variant];
        struct lease lease = {.broker = &bench->broker, .slice = &bench->slice};
        struct process one = PROCESS_NULL, *process = &one;
        uint64_t whole_ns, began_ns, ended_ns;
        struct why why = {};

        bench->notes[0] = 0;
        lease.fds = (struct lease_fds)LEASE_FDS_NULL;
        lease.fds.fd[REQUEST_FD_CWD] = bench->root_fd;
        lease.record.uid = lease.record.gid = USER;
        whole_ns = sample_now_ns();
        if (cgroup_create_at(bench->group_fd, GROUP_NAME, &lease.dir_fd, &why) ||
            sandbox_make(&lease, &why))
                errx(1, "%s", why.text);
        process->args = (struct child_args){
                .argv = argv,
                .envp = envp,
                .paths = paths,
                .cgroup_fd = lease.dir_fd,
                .mark_name = RECORD_MAIN_ATTRIBUTE,
                .bell_file = "cgroup.procs",
                .stdio = {bench->null_fd, bench->null_fd, bench->null_fd},
                .pass = pass,
                .n_pass = 1,
                .cwd_fd = bench->root_fd,
                .set_identity = true,
                .uid = lease.record.run_uid,
                .gid = lease.record.run_gid,
                .groups = lease.groups,
                .n_groups = lease.n_groups,
                .nofile = {1024, 4096},
                .walls = lease.walls,
                .seccomp = sandbox_filter(&lease),
        };
        leave_out(&process->args, lease.walls, variant);
        began_ns = sample_now_ns();
        if (spawn_start(&bench->spawner, process, &why))
                errx(1, "%s", why.text);
        /* Of a process that has ended no memory is shared, and there is nobody to reset. */
        if (waitid(P_PIDFD, (id_t)process->pidfd, &(siginfo_t){}, WEXITED | WNOWAIT) < 0)
                err(1, "waitid");
        if (spawn_result(&bench->spawner, process, &why))
                errx(1, "without %s: %s", variant_names[variant] ?: "nothing", why.text);
        wait_for_end(process->pidfd, "ours");
        ended_ns = sample_now_ns();
        if (cgroup_remove_at(bench->group_fd, GROUP_NAME, &why))
                errx(1, "%s", why.text);
        process_deinit(process);
        fd_close(lease.dir_fd);
        filters_unref(lease.filters);
        free(lease.walls);
        free(lease.groups);
        free(lease.cwd);
        contender->last = usec_between(began_ns, bench->notes[0]);
        if (!count)
                return;
        sample_add(&contender->start, contender->last);
        sample_add(&contender->whole, usec_between(whole_ns, sample_now_ns()));
        if (variant == WITHOUT_NOTHING)
                sample_add(&bench->without_group, usec_between(began_ns, ended_ns));
}

static int bare_child(void *userdata) {
        const struct bench *bench = userdata;

        execve(bench->program, (char *[]){(char *)bench->program, (char *)"3", NULL},
               (char *[]){NULL});
        return 127;
}

static void launch_bare(struct bench *bench, bool count) {
        static char stack[STACK_SIZE] __attribute__((__aligned__(16)));
        struct clone_args clone = {
                .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_NEWNS |
                         CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                         CLONE_NEWNET,
                .exit_signal = SIGCHLD,
                .stack = (uintptr_t)stack,
                .stack_size = STACK_SIZE,
        };
        int pidfd = -1;
        uint64_t began_ns;

        clone.pidfd = (uintptr_t)&pidfd;
        bench->notes[0] = 0;
        began_ns = sample_now_ns();
        if (launcher_clone3(&clone, sizeof(clone), bare_child, bench) < 0)
                err(1, "bare: clone3");
        wait_for_end(pidfd, "bare");
        close(pidfd);
        bench->bare.last = usec_between(began_ns, bench->notes[0]);
        if (!count)
                return;
        sample_add(&bench->bare.start, bench->bare.last);
        sample_add(&bench->bare.whole, usec_between(began_ns, sample_now_ns()));
}

static void launch_peer(struct bench *bench, size_t i, bool count) {
        struct contender *contender = &bench->others[i];
        uint64_t began_ns;

        bench->notes[0] = 0;
        if (lseek(FILTER_FD, 0, SEEK_SET) < 0)
                err(1, "lseek");
        began_ns = sample_now_ns();
        peer_launch(&bench->peers[i], count);
        if (!bench->notes[0])
                errx(1, "%s: the program was not executed", bench->peers[i].name);
        contender->last = usec_between(began_ns, bench->notes[0]);
        if (count)
                sample_add(&contender->start, contender->last);
}

static void measure(struct bench *bench, unsigned rounds, unsigned idle_msec) {
        size_t n = _VARIANT_N + 1 + bench->n_peers;
        struct timespec idle = {idle_msec / 1000, (long)(idle_msec % 1000) * 1000000};

        for (unsigned round = 0; round < rounds + WARM_UP; round++) {
                bool count = round >= WARM_UP;
                double ours;

                /* Who goes first changes, and so does, every other round, who follows whom. */
                for (size_t i = 0; i < n; i++) {
                        size_t who = round % 2 ? (round + n - i) % n : (round + i) % n;

                        nanosleep(&idle, NULL);
                        if (who < _VARIANT_N)
                                launch_ours(bench, who, count);
                        else if (who == _VARIANT_N)
                                launch_bare(bench, count);
                        else
                                launch_peer(bench, who - _VARIANT_N - 1, count);
                }
                if (!count)
                        continue;
                ours = bench->ours[WITHOUT_NOTHING].last;
                sample_add(&bench->bare.paired, ours / bench->bare.last);
                for (size_t i = 0; i < bench->n_peers; i++)
                        sample_add(&bench->others[i].paired, ours / bench->others[i].last);
                for (size_t i = 1; i < _VARIANT_N; i++)
                        sample_add(&bench->ours[i].paired, ours / bench->ours[i].last);
        }
}

static void report_against(struct bench *bench, const char *name, struct contender *other,
                           struct sample *whole) {
        struct contender *ours = &bench->ours[WITHOUT_NOTHING];
        char paired[40];

        snprintf(paired, sizeof(paired), "\"paired\":%.3f", sample_quantile(&other->paired, 0.5));
        sample_report("sandbox", "p50_us", 0.5, &ours->start, name, &other->start, paired);
        sample_report("sandbox", "p99_us", 0.99, &ours->start, name, &other->start, "");
        sample_report("sandbox", "whole_p50_us", 0.5, &ours->whole, name, whole, "");
}

static void report(struct bench *bench) {
        struct contender *ours = &bench->ours[WITHOUT_NOTHING];
        char paired[40];

        report_against(bench, "bare", &bench->bare, &bench->bare.whole);
        for (size_t i = 0; i < bench->n_peers; i++)
                report_against(bench, bench->peers[i].name, &bench->others[i],
                               &bench->peers[i].whole);
        for (enum variant i = WITHOUT_NOTHING + 1; i < _VARIANT_N; i++) {
                snprintf(paired, sizeof(paired), "\"paired\":%.3f",
                         sample_quantile(&bench->ours[i].paired, 0.5));
                sample_report("sandbox", "without_us", 0.5, &ours->start, variant_names[i],
                              &bench->ours[i].start, paired);
        }
        sample_report("sandbox", "without_us", 0.5, &ours->whole, "group", &bench->without_group,
                      "");
}

/* Where the peers look for them: they inherit these two and nothing else. */
static int place(int fd, int to) {
        if (fd < 0 || dup2(fd, to) < 0)
                err(1, "cannot place descriptor %d", to);
        return fd == to ? to : (close(fd), to);
}

static void open_all(struct bench *bench, const char *group) {
        const struct sock_fprog *program = filter(bench);
        size_t size = program->len * sizeof(*program->filter);
        bool exempt;

        bench->notes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, NOTES_FD, 0);
        if (bench->notes == MAP_FAILED || write(FILTER_FD, program->filter, size) != (ssize_t)size)
                err(1, "memfd_create");
        bench->group_fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bench->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        bench->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (bench->group_fd < 0 || bench->null_fd < 0 || bench->root_fd < 0)
                err(1, "cannot open %s", group);
        spawner_init(&bench->spawner, &exempt);
}

int main(int argc, char **argv) {
        static struct bench bench;

        if (argc == 4 && strcmp(argv[1], "--filter") == 0) {
                load(&bench, argv[2], argv[3]);
                fwrite(filter(&bench)->filter, sizeof(struct sock_filter), filter(&bench)->len,
                       stdout);
                return 0;
        }
        if (argc < 7 || argc > 7 + PEERS_MAX)
                errx(64, "usage: bench-sandbox CONFIG-DIR VENDOR-DIR GROUP PROGRAM ROUNDS "
                         "IDLE_MSEC [NAME=COMMAND]...");
        place(memfd_create("notes", 0), NOTES_FD);
        place(memfd_create("filter", 0), FILTER_FD);
        if (ftruncate(NOTES_FD, 4096) < 0)
                err(1, "ftruncate");
        load(&bench, argv[1], argv[2]);
        open_all(&bench, argv[3]);
        bench.program = argv[4];
        for (int i = 7; i < argc; i++)
                peer_init(&bench.peers[bench.n_peers++], argv[i]);
        measure(&bench, (unsigned)atoi(argv[5]), (unsigned)atoi(argv[6]));
        report(&bench);
        return 0;
}

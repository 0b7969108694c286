/* SPDX-License-Identifier: MIT */
/*
 * The part of a launch that a machine without cgroup v2 controllers can show (a hybrid host): the
 * group, the record, the watch, the clone into it, the exec, the end, through our own rooms cgroup/
 * and launcher/, against a floor that makes the group, clones and removes it. Left out: the
 * limits, the admission, the socket. bench-native GROUP PROGRAM ROUNDS IDLE_MSEC
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <bench/floor.h>
#include <bench/sample.h>
#include <cgroup/record.h>
#include <cgroup/watch.h>
#include <launcher/spawn.h>

#define NAME "abcdefghijklmnop.vm"
#define WARM_UP 5

struct native {
        struct floor floor;
        struct spawner spawner;
        struct watch watch;
        struct record record;
        struct process process;
        int stdio[3], watch_id;
        bool rung;
};

static void on_news(void *userdata, int id, enum watch_news news, const char *file) {
        struct native *native = userdata;

        if (id == native->watch_id && news == WATCH_CLOSED)
                native->rung = true;
}

static void wait_for_exec(struct native *native) {
        struct why why = {};
        int r;

        for (native->rung = false;;) {
                struct pollfd pollfd = {native->watch.fd, POLLIN, 0};

                r = native->rung ? spawn_result(&native->spawner, &native->process, &why)
                                 : SPAWN_E_AGAIN;
                if (r == 0)
                        return;
                if (r != SPAWN_E_AGAIN)
                        errx(1, "%s", why.text);
                native->rung = false;
                if (poll(&pollfd, 1, 5000) <= 0 || watch_read(&native->watch, on_news, native) < 0)
                        errx(1, "the bell does not ring");
        }
}

static void launch(struct native *native, struct floor_times *times) {
        char *argv[] = {(char *)native->floor.program, (char *)"1", NULL}, *envp[] = {NULL};
        char *paths[] = {argv[0], NULL};
        struct process *process = &native->process;
        struct why why = {};
        siginfo_t info = {};
        int dir_fd = -1;

        times->began_ns = sample_now_ns();
        if (cgroup_create_at(native->floor.parent_fd, NAME, &dir_fd, &why) ||
            record_write(dir_fd, &native->record, &why) ||
            watch_add(&native->watch, dir_fd, true, &native->watch_id, &why))
                errx(1, "%s", why.text);
        *process = (struct process)PROCESS_NULL;
        process->args = (struct child_args){
                .argv = argv,
                .envp = envp,
                .paths = paths,
                .cgroup_fd = dir_fd,
                .mark_name = RECORD_MAIN_ATTRIBUTE,
                .bell_file = "cgroup.procs",
                .stdio = {native->stdio[0], native->stdio[1], native->stdio[2]},
                .cwd_fd = -1,
                .set_identity = true,
                .nofile = {1024, 4096},
        };
        if (spawn_start(&native->spawner, process, &why))
                errx(1, "%s", why.text);
        wait_for_exec(native);
        if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) < 0 || info.si_status != 0)
                errx(1, "the program ended with %d", info.si_status);
        if (cgroup_remove_at(native->floor.parent_fd, NAME, &why))
                errx(1, "%s", why.text);
        process_deinit(process);
        fd_close(dir_fd);
        times->ended_ns = sample_now_ns();
}

static void measure(struct native *native, const char *way, unsigned rounds, unsigned idle_msec,
                    volatile uint64_t *notes) {
        static struct sample samples[2][3];

        memset(samples, 0, sizeof(samples));
        for (unsigned i = 0; i < 2 * (rounds + WARM_UP); i++) {
                struct timespec idle = {idle_msec / 1000, (long)(idle_msec % 1000) * 1000000};
                struct sample *sample = samples[i % 2];
                struct floor_times times;

                if (idle_msec)
                        nanosleep(&idle, NULL);
                if (i % 2)
                        floor_launch(&native->floor, &times);
                else
                        launch(native, &times);
                if (i < 2 * WARM_UP)
                        continue;
                sample_add(&sample[0], (double)(times.ended_ns - times.began_ns) / 1000);
                sample_add(&sample[1], (double)(int64_t)(notes[0] - times.began_ns) / 1000);
                sample_add(&sample[2], (double)(int64_t)(times.ended_ns - notes[1]) / 1000);
        }
        sample_report("native", "p50_us", 0.5, &samples[0][0], "floor", &samples[1][0], way);
        sample_report("native", "p99_us", 0.99, &samples[0][0], "floor", &samples[1][0], way);
        sample_report("native", "start_p50_us", 0.5, &samples[0][1], "floor", &samples[1][1], way);
        sample_report("native", "end_p50_us", 0.5, &samples[0][2], "floor", &samples[1][2], way);
}

int main(int argc, char **argv) {
        static struct native native;
        volatile uint64_t *notes;
        bool exempt;
        int notes_fd, null;

        if (argc != 5)
                errx(64, "usage: bench-native GROUP PROGRAM ROUNDS IDLE_MSEC");
        notes_fd = fcntl(memfd_create("notes", 0), F_DUPFD, 10);
        null = fcntl(open("/dev/null", O_RDWR), F_DUPFD_CLOEXEC, 10);
        if (notes_fd < 0 || null < 0 || ftruncate(notes_fd, 4096) < 0)
                err(1, "memfd_create");
        notes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, notes_fd, 0);
        if (notes == MAP_FAILED)
                err(1, "mmap");
        floor_init(&native.floor, argv[1], argv[2], false);
        native.floor.argv[1] = (char *)"10";
        if (dup2(notes_fd, 10) < 0)
                err(1, "dup2");
        native.stdio[0] = native.stdio[2] = null;
        native.stdio[1] = notes_fd;
        strcpy(native.record.id, "abcdefghijklmnop");
        strcpy(native.record.name, "native");
        strcpy(native.record.slice, "bench");
        strcpy(native.record.command, "bench-static 1");
        spawner_init(&native.spawner, &exempt);
        if (watch_open(&native.watch) < 0)
                err(1, "inotify");
        measure(&native, "\"way\":\"idle\"", (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]),
                notes);
        measure(&native, "\"way\":\"burst\"", (unsigned)atoi(argv[3]) * 4, 0, notes);
        return 0;
}

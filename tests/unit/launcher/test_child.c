/* SPDX-License-Identifier: MIT */
/*
 * What the child does with its descriptors, without root and without execve: launcher_child() runs
 * in a fork, finds nothing to execute, comes back, and the fork looks at its own table as execve
 * would have found it. Every way in which what is passed, the caller's directory and the bell can
 * lie in each other's places is tried.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <launcher/spawn.h>

#include "unit.h"

#define N_PASS 3
#define PLACES 6 /* 3 to 8: the range that is filled, and as much above it */
#define FAR 200  /* where the test keeps what is its own */

struct room {
        char path[64], bell[80];
        int files[CHILD_PASS_MAX], report[2];
        int directory, null, inotify, end;
        ino_t inodes[CHILD_PASS_MAX], cwd;
};

static int away(int fd) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, FAR + 100);

        close(fd);
        return moved;
}

static void room_open(struct room *room) {
        struct stat st;

        *room = (struct room){.path = "/tmp/provium-child-XXXXXX"};
        need(mkdtemp(room->path) != NULL);
        snprintf(room->bell, sizeof(room->bell), "%s/bell", room->path);
        room->directory = away(open(room->path, O_RDONLY | O_DIRECTORY));
        room->null = away(open("/dev/null", O_RDWR));
        need(room->directory > 0 && room->null > 0);
        close(openat(room->directory, "bell", O_WRONLY | O_CREAT, 0600));
        room->inotify = away(inotify_init1(IN_NONBLOCK));
        need(inotify_add_watch(room->inotify, room->bell, IN_OPEN | IN_CLOSE_WRITE) > 0);
        for (size_t i = 0; i < CHILD_PASS_MAX; i++) {
                room->files[i] = away(memfd_create("passed", 0));
                need_int(fstat(room->files[i], &st), 0);
                room->inodes[i] = st.st_ino;
        }
        need_int(fstat(room->directory, &st), 0);
        room->cwd = st.st_ino;
        need_int(pipe(room->report), 0);
        room->report[0] = away(room->report[0]);
        room->report[1] = away(room->report[1]);
        room->end = room->report[1] + 1;
}

static void room_close(struct room *room) {
        for (size_t i = 0; i < CHILD_PASS_MAX; i++)
                close(room->files[i]);
        close(room->directory);
        close(room->null);
        close(room->inotify);
        close(room->report[0]);
        close(room->report[1]);
        unlink(room->bell);
        rmdir(room->path);
}

/* What the bell has said since: O opened, C closed after writing. */
static void bell_events(int inotify, char *text) {
        char buffer[4096] __attribute__((__aligned__(8)));
        ssize_t n = read(inotify, buffer, sizeof(buffer));

        for (char *at = buffer; n > 0 && at < buffer + n;) {
                struct inotify_event *event = (struct inotify_event *)at;

                *text++ = event->mask & IN_OPEN ? 'O' : 'C';
                at += sizeof(*event) + event->len;
        }
        *text = '\0';
}

/* Runs in the fork, which it ends: 0 if everything is as it should be, else a step's number plus 1,
 * or a number that says what is wrong. */
static int look(struct room *room, struct child_args *args, const ino_t *wanted) {
        char events[64];
        struct stat st;

        bell_events(room->inotify, events);
        if (launcher_child(args) != 127 || args->note->failed_step != CHILD_EXEC ||
            args->note->failed_errnum != ENOENT)
                return 1 + (int)args->note->failed_step;
        for (size_t i = 0; i < args->n_pass; i++) {
                int fd = CHILD_PASS_FIRST + (int)i;

                if (fstat(fd, &st) < 0 || st.st_ino != wanted[i])
                        return 50;
                if (fcntl(fd, F_GETFD) != 0)
                        return 51; /* execve would close it */
        }
        for (int fd = CHILD_PASS_FIRST + (int)args->n_pass; fd < room->end + 64; fd++)
                if (fcntl(fd, F_GETFD) == 0)
                        return 52; /* something else survives execve */
        if (args->cwd_fd >= 0 && (stat(".", &st) < 0 || st.st_ino != room->cwd))
                return 53;
        bell_events(room->inotify, events);
        if (strcmp(events, "O") != 0)
                return 54; /* it rang too early */
        close_range(3, (unsigned)room->inotify - 1, 0);
        close_range((unsigned)room->inotify + 1, ~0U, 0);
        bell_events(room->inotify, events);
        return strcmp(events, "C") == 0 ? 0 : 55;
}

/* The files from @at[] on at these numbers, the caller's directory at @cwd (0: none). */
static int run(struct room *room, const int *at, size_t n, int cwd) {
        char *none[] = {NULL}, *argv[] = {(char *)"x", NULL}, *paths[] = {(char *)"/nowhere", NULL};
        struct child_note note = {};
        struct child_args args = {
                .note = &note,
                .argv = argv,
                .envp = none,
                .paths = paths,
                .cgroup_fd = room->directory,
                .bell_file = "bell",
                .stdio = {room->null, room->null, room->null},
                .pass = at,
                .n_pass = n,
                .cwd_fd = cwd ? cwd : -1,
                .nofile = {1024, 1024},
        };
        int status = -1;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                for (int fd = 3; fd < FAR + 100; fd++)
                        close(fd);
                for (size_t i = 0; i < n; i++)
                        dup3(room->files[i], at[i], O_CLOEXEC);
                if (cwd)
                        dup3(room->directory, cwd, O_CLOEXEC);
                _exit(look(room, &args, room->inodes));
        }
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void whatever_lies_in_whose_place_all_arrive_and_the_bell_is_silent(void) {
        int at[N_PASS], tried = 0;
        struct room room;

        room_open(&room);
        for (int way = 0; way < PLACES * PLACES * PLACES; way++) {
                at[0] = 3 + way % PLACES;
                at[1] = 3 + way / PLACES % PLACES;
                at[2] = 3 + way / PLACES / PLACES;
                if (at[0] == at[1] || at[0] == at[2] || at[1] == at[2])
                        continue;
                for (int cwd = 3; cwd <= 3 + PLACES; cwd++) {
                        int result;

                        if (cwd == at[0] || cwd == at[1] || cwd == at[2])
                                continue;
                        result = run(&room, at, N_PASS, cwd);
                        expect_that(result == 0, "at %d, %d, %d with the directory at %d: %d",
                                    at[0], at[1], at[2], cwd, result);
                        tried++;
                }
        }
        expect_int(tried, 480);
        room_close(&room);
}

static void without_a_directory_or_without_anything_it_works_as_well(void) {
        const int at[] = {5, 3, 4};
        struct room room;

        room_open(&room);
        expect_int(run(&room, at, 3, 0), 0);
        expect_int(run(&room, NULL, 0, 3), 0);
        expect_int(run(&room, NULL, 0, 0), 0);
        room_close(&room);
}

static void as_many_as_are_allowed_arrive_in_order(void) {
        int at[CHILD_PASS_MAX];
        struct room room;

        room_open(&room);
        for (int i = 0; i < CHILD_PASS_MAX; i++)
                at[i] = 3 + CHILD_PASS_MAX - 1 - i;
        expect_int(run(&room, at, CHILD_PASS_MAX, 0), 0);
        /* One place to the left, and to the right. */
        for (int i = 0; i < CHILD_PASS_MAX; i++)
                at[i] = 4 + i;
        expect_int(run(&room, at, CHILD_PASS_MAX, 3), 0);
        for (int i = 0; i < CHILD_PASS_MAX; i++)
                at[i] = 3 + (i + 1) % CHILD_PASS_MAX;
        expect_int(run(&room, at, CHILD_PASS_MAX, 3 + CHILD_PASS_MAX), 0);
        room_close(&room);
}

static void what_is_not_open_is_refused_in_its_step(void) {
        struct room room;
        int at[] = {-1, 7};

        room_open(&room);
        /* In the fork nothing can be duplicated to -1, nor to a number beyond the limit. */
        expect_int(run(&room, at, 2, 0), 1 + CHILD_PASS);
        at[0] = 3;
        at[1] = 1 << 30;
        expect_int(run(&room, at, 2, 0), 1 + CHILD_PASS);
        room_close(&room);
}

UNIT_MAIN(TEST(whatever_lies_in_whose_place_all_arrive_and_the_bell_is_silent),
          TEST(without_a_directory_or_without_anything_it_works_as_well),
          TEST(as_many_as_are_allowed_arrive_in_order),
          TEST(what_is_not_open_is_refused_in_its_step), )

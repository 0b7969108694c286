/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 600 */
/*
 * The keeper of a detached VM's console at its edges: readers that are too slow or too many,
 * windows that change, people who leave by a signal, VMs behind all walls, and its own end.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <proto/console.h>

#include "house.h"
#include "links.h"
#include "screen.h"

#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define DETACH                                                                                     \
        "provium", "run", "--slice", "t", "--name", "a", "--cpus", "1", "--mem", "64M", "--detach"
#define MANY 3000000 /* bytes; more than all sockets and the log hold */

static bool log_has(void *userdata) {
        const char *text = userdata;
        struct job job;

        return SHELL(&job, "sh", "-c",
                     "provium console --log a | tr -d '\\0\\r' | grep -qxF \"$1\"", "sh",
                     text) == 0;
}

static void start(const char *script) {
        struct job job;

        expect_int(SHELL(&job, DETACH, "--", "sh", "-c", script), 0);
        need(wait_until(log_has, (void *)"hello", HOUSE_WAIT_MS));
}

static void the_vm_is_told_the_size_of_the_window_and_each_new_one(void) {
        const struct winsize window = {.ws_row = 40, .ws_col = 120};
        struct screen screen;
        struct house house;
        char size[32];

        house_open(&house, NULL, NULL);
        /* Its shell is told nothing by a signal: no terminal is its own. */
        start("echo hello; while read line; do echo size $(stty size); done");
        SCREEN(&screen, "provium", "console", "a");
        screen_wait(&screen, "hello\r\n");
        screen_type(&screen, "\r");
        snprintf(size, sizeof(size), "size %d %d\r\n", SCREEN_ROWS, SCREEN_COLUMNS);
        screen_wait(&screen, size);
        need_int(ioctl(screen.fd, TIOCSWINSZ, &window), 0);
        /* The signal and the key take different ways: asked until the first is there. */
        for (uint64_t until = now_ms() + HOUSE_WAIT_MS; now_ms() < until;) {
                screen_type(&screen, "\r");
                screen_wait(&screen, "size ");
                while (!strchr(screen.text, '\n') && now_ms() < until)
                        screen_read(&screen, 100);
                if (strncmp(screen.text, "40 120", 6) == 0)
                        break;
        }
        expect_that(strncmp(screen.text, "40 120", 6) == 0, "the screen shows '%s'", screen.text);
        screen_type(&screen, "\x1d");
        expect_int(screen_end(&screen), 0);
        house_close(&house);
        console_expect_none_left();
}

static void who_leaves_by_a_signal_leaves_the_terminal_as_it_was(void) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct house house;

        house_open(&house, NULL, NULL);
        start("echo hello; exec vm rest");
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                struct termios before, raw, after;
                struct screen screen;

                SCREEN(&screen, "provium", "console", "a");
                need_int(tcgetattr(screen.fd, &before), 0);
                screen_wait(&screen, "hello\r\n"); /* it is attached, so the terminal is raw */
                need_int(tcgetattr(screen.fd, &raw), 0);
                expect_uint(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
                need_int(kill(screen.pid, signals[i]), 0);
                need(pidfd_wait(screen.pidfd, HOUSE_WAIT_MS));
                need_int(tcgetattr(screen.fd, &after), 0);
                expect_uint(after.c_iflag, before.c_iflag);
                expect_uint(after.c_oflag, before.c_oflag);
                expect_uint(after.c_lflag, before.c_lflag);
                expect_int(screen_end(&screen), 128 + signals[i]);
                expect_int(count_vms(), 1);
        }
        house_close(&house);
        console_expect_none_left();
}

/* ---- readers ---- */

struct reading {
        uint64_t data, lost;
        bool live;
        char last[16]; /* of the data */
};

/* Takes packets until the data of one ends with @last, which is the last that was written. */
static void read_until(int fd, struct reading *reading, const char *last) {
        while (!memmem(reading->last, sizeof(reading->last), last, strlen(last))) {
                struct pollfd ready = {fd, POLLIN, 0};
                char packet[CONSOLE_PACKET_MAX + 1] = "";
                struct console_gap gap;
                ssize_t n;

                need_that(poll(&ready, 1, HOUSE_WAIT_MS) > 0,
                          "nothing comes after %llu bytes and %llu lost ones",
                          (unsigned long long)reading->data, (unsigned long long)reading->lost);
                n = recv(fd, packet, sizeof(packet) - 1, 0);
                need_that(n > 0, "the console ends after %llu bytes",
                          (unsigned long long)reading->data);
                if (packet[0] == CONSOLE_LIVE) {
                        reading->live = true;
                } else if (packet[0] == CONSOLE_GAP) {
                        need_int(n, 1 + sizeof(gap));
                        memcpy(&gap, packet + 1, sizeof(gap));
                        expect(gap.bytes > 0);
                        reading->lost += gap.bytes;
                } else {
                        size_t tail = n - 1 < 15 ? (size_t)n - 1 : 15;

                        need_int(packet[0], CONSOLE_DATA);
                        reading->data += (uint64_t)n - 1;
                        memcpy(reading->last, packet + n - tail, tail);
                        reading->last[tail] = '\0';
                }
        }
}

static void who_reads_too_slowly_is_told_how_much_is_missing(void) {
        struct reading reading = {};
        struct house house;
        struct job watch;
        char *path, script[200];
        int fd;

        house_open(&house, NULL, NULL);
        snprintf(script, sizeof(script),
                 "stty -echo -onlcr; echo hello; read line; head -c %d /dev/zero; echo; "
                 "exec vm rest",
                 MANY);
        start(script);
        path = console_socket_of("a");
        need(path != NULL);
        fd = console_connect(path);
        need(fd >= 0);
        JOB(&watch, "sh", "-c", "provium console --read-only a >" HOUSE_DIR "/out & echo $!; wait");
        job_wait_out(&watch, "\n");
        read_until(fd, &reading, "hello\n");
        need(wait_until(log_has, (void *)"hello", HOUSE_WAIT_MS));
        need_int(kill(atoi(watch.out), SIGSTOP), 0);
        need_int(send(fd, "d\n", 2, 0), 2);
        need(wait_until(log_has, (void *)"ready", 120000));
        /* Nothing is printed any more, so what is kept and what is lost is settled. */
        read_until(fd, &reading, "ready\n");
        expect(reading.live);
        expect(reading.lost > 0);
        expect_uint(reading.data + reading.lost, strlen("hello\n\nready\n") + MANY);
        /* And so says the command. */
        need_int(kill(atoi(watch.out), SIGCONT), 0);
        job_wait_err(&watch, "bytes were lost here");
        close(fd);
        free(path);
        house_close(&house);
        console_expect_none_left();
}

static bool ninth_is_served(void *userdata) {
        struct job job;

        return SHELL(&job, "provium", "console", "--log", "a") == 0;
}

static void the_ninth_watcher_is_told_so_and_is_let_in_when_one_leaves(void) {
        int fds[CONSOLE_WATCHERS_MAX];
        struct house house;
        struct job job;
        char *path;

        house_open(&house, NULL, NULL);
        start("echo hello; exec vm rest");
        path = console_socket_of("a");
        need(path != NULL);
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++) {
                struct reading reading = {};

                fds[i] = console_connect(path);
                need(fds[i] >= 0);
                read_until(fds[i], &reading, "hello\r\n");
        }
        expect_int(SHELL(&job, "provium", "console", "a"), 75);
        expect_in(job.err, "8 watch this console already");
        expect_int(SHELL(&job, "provium", "console", "--log", "a"), 75);
        close(fds[3]);
        expect(wait_until(ninth_is_served, NULL, HOUSE_WAIT_MS));
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++)
                if (i != 3)
                        close(fds[i]);
        free(path);
        house_close(&house);
        console_expect_none_left();
}

/* ---- walls, and the keeper's own end ---- */

static void a_vm_behind_all_walls_has_one_too(void) {
        static const char script[] = "echo hello; echo I am $$; echo again >/dev/stderr; read line;"
                                     "touch /x || echo read-only; exit 5";
        struct house house;
        struct job job;

        need_int(chdir("/"), 0);
        sh("mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor");
        house_open(&house, NULL,
                   "[Access]\nUsers=*\n[Sandbox]\nReadOnlyRoot=yes\nPrivateTmp=yes\n"
                   "PrivatePIDs=yes\nPrivateNetwork=yes\n");
        expect_int(SHELL(&job, AS_1000, DETACH, "--", "sh", "-c", script), 0);
        need(wait_until(log_has, (void *)"again", HOUSE_WAIT_MS));
        expect(log_has((void *)"I am 1"));
        expect_int(SHELL(&job, AS_1000, "sh", "-c", "echo | provium console a"), 5);
        expect_in(job.out, "read-only");
        console_expect_none_left();
        house_close(&house);
}

static bool is_there(void *userdata) {
        return access(userdata, F_OK) == 0;
}

static void a_vm_whose_keeper_is_killed_runs_on_and_people_are_told(void) {
        struct house house;
        struct job job, watch;

        house_open(&house, NULL, NULL);
        /* It never reads, so that it finds the end by a write only. */
        start("echo hello; while echo tick; do sleep 0.1; done 2>" HOUSE_DIR "/said; : >" HOUSE_DIR
              "/over; exec vm rest");
        expect_int(SHELL(&job, "provium", "show", "a"), 0);
        expect(!strstr(job.out, "nobody keeps it"));
        JOB(&watch, "provium", "console", "--read-only", "a");
        job_wait_out(&watch, "tick");
        sh("pkill -KILL -x provium-console");
        need(wait_until(is_there, (void *)(HOUSE_DIR "/over"), HOUSE_WAIT_MS));
        sh("grep -q 'I/O error' " HOUSE_DIR "/said");
        expect_int(job_wait(&watch, HOUSE_WAIT_MS), 0);
        expect_in(watch.err, "'a' runs on, but its console has ended");
        expect_int(SHELL(&job, "provium", "show", "a"), 0);
        expect_in(job.out, "nobody keeps it any more");
        expect_int(SHELL(&job, "provium", "console", "a"), 69);
        expect_in(job.err, "its keeper was killed");
        expect_int(count_vms(), 1);
        /* The next broker finds the same, and an end is an end. */
        house_kill(&house);
        house_start(&house);
        expect_int(SHELL(&job, "provium", "console", "--log", "a"), 69);
        expect_int(SHELL(&job, "provium", "kill", "a"), 0);
        console_expect_none_left();
        house_close(&house);
}

UNIT_MAIN(TEST(the_vm_is_told_the_size_of_the_window_and_each_new_one),
          TEST(who_leaves_by_a_signal_leaves_the_terminal_as_it_was),
          TEST(who_reads_too_slowly_is_told_how_much_is_missing),
          TEST(the_ninth_watcher_is_told_so_and_is_let_in_when_one_leaves),
          TEST(a_vm_behind_all_walls_has_one_too),
          TEST(a_vm_whose_keeper_is_killed_runs_on_and_people_are_told), )

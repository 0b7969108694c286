/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * The launcher beside the broker: each may end while the other goes on.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"

#define SOCKET HOUSE_DIR "/launcher"
#define GO HOUSE_DIR "/go"
#define PIDS HOUSE_DIR "/launchers" /* one line for each that was started */

/* Runs until it is told to go, and ends with 3. */
#define WAITS "sh", "-c", "echo ready; while ! [ -e " GO " ]; do sleep 0.1; done; exit 3"

static const char *const called[] = {"sh", "-c", "exec \"$@\" --launcher-socket " SOCKET, "sh",
                                     NULL};

/* What a service manager does: starts a launcher whenever somebody calls and there is none. */
static void activate(int listen_fd) {
        for (;;) {
                struct pollfd pollfd = {listen_fd, POLLIN, 0};
                char number[16];
                pid_t pid;
                FILE *file;

                poll(&pollfd, 1, -1);
                pid = fork();
                if (pid == 0) {
                        snprintf(number, sizeof(number), "%d", getpid());
                        setenv("LISTEN_PID", number, 1);
                        setenv("LISTEN_FDS", "1", 1);
                        unsetenv("NOTIFY_SOCKET"); /* that is for the broker */
                        dup2(listen_fd, 3);
                        execlp("provium-broker", "provium-broker", "--launcher", NULL);
                        _exit(1);
                }
                file = fopen(PIDS, "a");
                if (file) {
                        fprintf(file, "%d\n", pid);
                        fclose(file);
                }
                waitpid(pid, NULL, 0);
        }
}

struct place {
        struct house house;
        pid_t activator;
};

static void place_open(struct place *place) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
        int fd;

        house_open(&place->house, NULL, NULL);
        house_stop(&place->house);
        unlink(SOCKET);
        unlink(GO);
        unlink(PIDS);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        need(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             listen(fd, 8) == 0);
        place->activator = fork();
        if (place->activator == 0)
                activate(fd);
        close(fd);
        house_start_with(&place->house, called);
}

/* The last one that was started. */
static pid_t launcher(void) {
        char text[1024];
        const char *last;

        file_get(PIDS, text, sizeof(text));

        last = strrchr(text, '\n');
        return (pid_t)atoi(last ? last + 1 : text);
}

static void place_close(struct place *place) {
        house_close(&place->house);
        kill(place->activator, SIGKILL);
        waitpid(place->activator, NULL, 0);
        kill(launcher(), SIGKILL);
}

static void let_go(void) {
        int fd = creat(GO, 0600);

        need(fd >= 0);
        close(fd);
}

static bool is_empty(void *userdata) {
        char text[256];

        (void)userdata;
        file_get(HOUSE_ROOT "/t.slice/cgroup.events", text, sizeof(text));
        return strstr(text, "populated 0") != NULL;
}

static void how_a_vm_ended_while_the_broker_was_away_is_told_to_its_client(void) {
        struct place place;
        struct job run;

        place_open(&place);
        JOB_RUN(&run, "--name", "a", "--", WAITS);
        job_wait_out(&run, "ready");
        house_kill(&place.house);
        let_go();
        need(wait_until(is_empty, NULL, HOUSE_WAIT_MS));
        house_start_with(&place.house, called);
        expect_int(job_wait(&run, HOUSE_WAIT_MS), 3);
        place_close(&place);
}

static bool has_no_zombies(void *userdata) {
        struct job job;

        (void)userdata;
        return SHELL(&job, "sh", "-c",
                     "! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -q .") == 0;
}

static void nobody_who_ended_meanwhile_stays_a_zombie(void) {
        struct place place;
        struct job job;

        place_open(&place);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "a", "--detach", "--",
                         WAITS),
                   0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "b", "--detach",
                         "--no-console", "--", WAITS),
                   0);
        house_kill(&place.house);
        let_go();
        need(wait_until(is_empty, NULL, HOUSE_WAIT_MS));
        house_start_with(&place.house, called);
        expect(wait_until(has_no_zombies, NULL, HOUSE_WAIT_MS));
        place_close(&place);
}

static bool has_another(void *userdata) {
        return launcher() != *(pid_t *)userdata && house_log_has("another launcher was found");
}

static void when_the_launcher_is_killed_its_vms_run_on_and_another_starts_the_next(void) {
        pid_t first;
        struct place place;
        struct job run, job;
        char text[4096];

        place_open(&place);
        JOB_RUN(&run, "--name", "a", "--", WAITS);
        job_wait_out(&run, "ready");
        first = launcher();
        kill(first, SIGKILL);
        need(wait_until(has_another, &first, HOUSE_WAIT_MS));
        expect(house_log_has("the launcher has ended; its VMs run on"));
        vm_file("a", "cgroup.procs", text, sizeof(text));
        expect(text[0]);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "exit 5"), 5);
        /* Its parent is gone, and with it how it ends; but that it ends is seen, and its place is
         * free. */
        let_go();
        expect(job_wait(&run, HOUSE_WAIT_MS) >= 0);
        expect_int(count_vms(), 0);
        place_close(&place);
}

static bool b_is_on_its_way(void *userdata) {
        char text[256] = "";

        (void)userdata;
        if (count_vms() != 2)
                return false;
        vm_file("b", "cgroup.procs", text, sizeof(text));
        return text[0] != '\0';
}

/* A frozen group holds the child where it is: before execve. */
static void what_a_launcher_was_starting_when_it_was_killed_is_told_and_leaves_nothing(void) {
        pid_t first;
        struct place place;
        struct job a, b, job;

        place_open(&place);
        JOB_RUN(&a, "--name", "a", "--", WAITS);
        job_wait_out(&a, "ready");
        need_int(file_put(HOUSE_ROOT "/t.slice/cgroup.freeze", "1"), 0);
        JOB_RUN(&b, "--name", "b", "--", "true");
        need(wait_until(b_is_on_its_way, NULL, HOUSE_WAIT_MS));
        first = launcher();
        kill(first, SIGKILL);
        need(wait_until(has_another, &first, HOUSE_WAIT_MS));
        expect_int(job_wait(&b, HOUSE_WAIT_MS), 125);
        expect_in(b.err, "the launcher ended while it was starting it");
        need_int(file_put(HOUSE_ROOT "/t.slice/cgroup.freeze", "0"), 0);
        expect_int(count_vms(), 1);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "exit 5"), 5);
        let_go();
        expect(job_wait(&a, HOUSE_WAIT_MS) >= 0);
        place_close(&place);
}

static void a_broker_leaves_with_a_launcher_of_its_own_and_the_next_finds_its_vms(void) {
        struct house house;
        struct job run, job;
        int status = -1;

        house_open(&house, NULL, NULL);
        unlink(GO);
        JOB_RUN(&run, "--name", "a", "--", WAITS);
        job_wait_out(&run, "ready");
        expect_int(SHELL(&job, "pkill", "-KILL", "-f", "provium-broker --launcher"), 0);
        need(pidfd_wait(house.pidfd, HOUSE_WAIT_MS));
        need_int(waitpid(house.broker, &status, 0), house.broker);
        expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        expect(house_log_has("leaving, to be started with another launcher"));
        house_start(&house);
        expect_int(count_vms(), 1);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "exit 5"), 5);
        let_go();
        expect(job_wait(&run, HOUSE_WAIT_MS) >= 0);
        house_close(&house);
}

static void over_an_upgrade_it_is_renewed_and_still_the_parent(void) {
        struct place place;
        struct job run, job;

        place_open(&place);
        JOB_RUN(&run, "--name", "a", "--", WAITS);
        job_wait_out(&run, "ready");
        expect_int(SHELL(&job, "provium", "upgrade"), 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "exit 5"), 5);
        SHELL(&job, "sh", "-c", "tr '\\0' ' ' </proc/$(tail -n1 " PIDS ")/cmdline");
        expect_in(job.out, "--launcher-fds");
        let_go();
        expect_int(job_wait(&run, HOUSE_WAIT_MS), 3);
        place_close(&place);
}

static void who_lacks_cap_sys_admin_is_turned_away_though_he_is_root(void) {
        struct place place;
        struct job job;

        place_open(&place);
        /* It says that init sent it, which the kernel does not let it; then it says nothing. */
        expect_int(SHELL(&job, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "python3", "-c",
                         "import socket,struct,sys\n"
                         "s=socket.socket(socket.AF_UNIX); s.connect('" SOCKET "')\n"
                         "try: s.sendmsg([b'b'],[(1,2,struct.pack('iii',1,0,0))])\n"
                         "except PermissionError: pass\n"
                         "else: sys.exit(2)\n"
                         "s.send(b'b'); s.settimeout(10); sys.exit(0 if s.recv(1)==b'' else 3)"),
                   0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c", "exit 5"), 5);
        place_close(&place);
}

UNIT_MAIN(TEST(how_a_vm_ended_while_the_broker_was_away_is_told_to_its_client),
          TEST(nobody_who_ended_meanwhile_stays_a_zombie),
          TEST(when_the_launcher_is_killed_its_vms_run_on_and_another_starts_the_next),
          TEST(what_a_launcher_was_starting_when_it_was_killed_is_told_and_leaves_nothing),
          TEST(a_broker_leaves_with_a_launcher_of_its_own_and_the_next_finds_its_vms),
          TEST(over_an_upgrade_it_is_renewed_and_still_the_parent),
          TEST(who_lacks_cap_sys_admin_is_turned_away_though_he_is_root), )

/* SPDX-License-Identifier: MIT */
/*
 * `provium qmp` against a hypervisor that is the test itself, and that may be anything.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>

#include "fake.h"
#include "unit.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define NEGOTIATED "{\"return\": {}}\r\n"

/* The broker, the hypervisor, and the connection to it. */
struct scene {
        struct fake fake;
        struct peer peer;
        char path[96];
        int listen_fd, fd;
};

static void scene_open(struct scene *scene) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *scene = (struct scene){.peer = PEER_NULL, .fd = -1};
        fake_init(&scene->fake);
        snprintf(scene->path, sizeof(scene->path), "%s/qmp", scene->fake.dir);
        scene->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        need(scene->listen_fd >= 0);
        strcpy(address.sun_path, scene->path);
        need_int(bind(scene->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        need_int(listen(scene->listen_fd, 4), 0);
}

static void scene_close(struct scene *scene) {
        fd_close(scene->fd);
        fd_close(scene->listen_fd);
        unlink(scene->path);
        peer_deinit(&scene->peer);
        fake_deinit(&scene->fake);
}

/* The broker's part: where the socket is. */
static void tell_path(struct scene *scene) {
        peer_expect(&scene->fake, &scene->peer, "Show");
        peer_reply(&scene->peer, json_pack("{s{ss ss}}", "vm", "name", "web", "qmp", scene->path),
                   false);
}

static void wait_for(int fd, const char *what) {
        struct pollfd pollfd = {fd, POLLIN, 0};

        need_that(poll(&pollfd, 1, FAKE_PATIENCE_MSEC) == 1, "no %s came", what);
}

static void say(struct scene *scene, const char *text) {
        need_int(send(scene->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What is sent next is this line. */
static void hear(struct scene *scene, const char *wanted) {
        char line[4096] = "";
        size_t n = 0;

        do {
                wait_for(scene->fd, wanted);
                need_int(read(scene->fd, line + n, 1), 1);
        } while (line[n++] != '\n' && n < sizeof(line) - 1);
        line[n - 1] = '\0';
        expect_str(line, wanted);
}

static void let_in(struct scene *scene) {
        tell_path(scene);
        wait_for(scene->listen_fd, "connection");
        scene->fd = accept4(scene->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        need(scene->fd >= 0);
}

static void negotiate(struct scene *scene) {
        let_in(scene);
        say(scene, GREETING);
        hear(scene, "{\"execute\":\"qmp_capabilities\"}");
        say(scene, NEGOTIATED);
}

static void a_command_prints_what_it_returns_and_passes_events_over(void) {
        struct scene scene;

        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "web", "query-status", NULL);
        negotiate(&scene);
        hear(&scene, "{\"execute\":\"query-status\"}");
        say(&scene, "{\"event\": \"RESUME\"}\r\n{\"return\": {\"status\": ");
        say(&scene, "\"run\\u001bning\\u202e\"}}\r\n");
        expect_int(fake_wait(&scene.fake), 0);
        expect_str(scene.fake.output, "{\n  \"status\": \"run\\u001Bning\\u202E\"\n}\n");
        scene_close(&scene);
}

/* What QEMU said to nobody in particular before it was asked for anything. */
static void events_before_the_greeting_are_passed_over(void) {
        struct scene scene;

        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "web", "query-status", NULL);
        let_in(&scene);
        say(&scene, "{\"event\": \"RESUME\"}\r\n{\"event\": \"RTC_CHANGE\"}\r\n" GREETING);
        hear(&scene, "{\"execute\":\"qmp_capabilities\"}");
        say(&scene, NEGOTIATED);
        hear(&scene, "{\"execute\":\"query-status\"}");
        say(&scene, "{\"return\": {}}\r\n");
        expect_int(fake_wait(&scene.fake), 0);
        scene_close(&scene);
}

static void arguments_go_with_it_and_json_is_one_line(void) {
        struct scene scene;

        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "--json", "web", "balloon", "{ \"value\": 5 }", NULL);
        negotiate(&scene);
        hear(&scene, "{\"execute\":\"balloon\",\"arguments\":{\"value\":5}}");
        say(&scene, "{\"return\": [1, \"a\"]}\r\n");
        expect_int(fake_wait(&scene.fake), 0);
        expect_str(scene.fake.output, "[1,\"a\"]\n");
        scene_close(&scene);
}

static void an_error_of_the_hypervisor_is_told_with_status_1(void) {
        struct scene scene;

        for (int json = 0; json < 2; json++) {
                scene_open(&scene);
                fake_start(&scene.fake, "qmp", "web", "bogus", json ? "--json" : NULL, NULL);
                negotiate(&scene);
                hear(&scene, "{\"execute\":\"bogus\"}");
                say(&scene, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                            "\"no\\u001b[2J bogus\"}}\r\n");
                expect_int(fake_wait(&scene.fake), 1);
                expect_in(scene.fake.errors, "provium: qmp: no\\x1b[2J bogus\n");
                expect_str(scene.fake.output, json ? "{\"error\":\"CommandNotFound\","
                                                     "\"message\":\"no\\u001B[2J bogus\"}\n"
                                                   : "");
                scene_close(&scene);
        }
}

static void a_vm_without_a_socket_is_66_and_told_how_to_get_one(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Show", NULL, json_pack("{s{ss}}", "vm", "state", "running"),
                               "qmp", "web", NULL),
                   66);
        expect_in(fake.errors, "'web' has no QMP socket; its command gets one with -chardev "
                               "socket,id=qmp,fd={qmp.fd},server=on,wait=off");
        expect_int(fake_answer(&fake, "Show", NULL, json_pack("{s{ss}}", "vm", "state", "waiting"),
                               "qmp", "web", NULL),
                   66);
        expect_in(fake.errors, "still waits");
        expect_int(fake_answer(&fake, "Show", NULL, json_pack("{}"), "qmp", "web", NULL), 66);
        expect_int(fake_answer(&fake, "Show", "Denied", json_pack("{ss}", "message", "not yours"),
                               "qmp", "web", NULL),
                   77);
        fake_deinit(&fake);
}

static void a_hypervisor_that_is_gone_is_69(void) {
        struct scene scene;

        scene_open(&scene);
        scene.listen_fd = fd_close(scene.listen_fd);
        fake_start(&scene.fake, "qmp", "web", NULL);
        tell_path(&scene);
        expect_int(fake_wait(&scene.fake), 69);
        expect_in(scene.fake.errors, "nobody listens at ");
        unlink(scene.path);
        fake_start(&scene.fake, "qmp", "web", "quit", NULL);
        tell_path(&scene);
        expect_int(fake_wait(&scene.fake), 69);
        scene_close(&scene);
}

static void silence_is_waited_for_no_longer_than_was_said(void) {
        struct scene scene;

        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "--timeout", "50ms", "web", "stop", NULL);
        let_in(&scene);
        expect_int(fake_wait(&scene.fake), 69);
        expect_in(scene.fake.errors, "no greeting within 50ms; QMP serves one client at a time");
        scene_close(&scene);

        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "--timeout=300ms", "web", "stop", NULL);
        negotiate(&scene);
        hear(&scene, "{\"execute\":\"stop\"}");
        say(&scene, "{\"event\": \"STOP\"}\n{\"ret");
        expect_int(fake_wait(&scene.fake), 69);
        expect_in(scene.fake.errors, "no answer within 300ms");
        scene_close(&scene);
}

static void what_is_no_qmp_is_69(void) {
        static const char *const rows[][2] = {
                {"{\"hello\": 1}\n", "does not greet as QMP does"},
                {"QEMU 7.2 monitor\n", "is no QMP: "},
                {"[]\n", "does not greet"},
                {"\n", "is no QMP: "},
                {"{\"QMP\": 1, \"QMP\": 2}\n", "duplicate"},
        };
        struct scene scene;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                scene_open(&scene);
                fake_start(&scene.fake, "qmp", "web", "stop", NULL);
                let_in(&scene);
                say(&scene, rows[i][0]);
                expect_int(fake_wait(&scene.fake), 69);
                expect_in(scene.fake.errors, rows[i][1]);
                scene_close(&scene);
        }
        /* One that leaves in the middle of its answer. */
        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "web", "stop", NULL);
        negotiate(&scene);
        hear(&scene, "{\"execute\":\"stop\"}");
        say(&scene, "{\"return\"");
        scene.fd = fd_close(scene.fd);
        expect_int(fake_wait(&scene.fake), 69);
        scene_close(&scene);
}

static void a_line_that_does_not_end_is_bounded(void) {
        static char flood[1 << 16];
        struct scene scene;

        memset(flood, ' ', sizeof(flood));
        scene_open(&scene);
        fake_start(&scene.fake, "qmp", "web", "stop", NULL);
        let_in(&scene);
        while (send(scene.fd, flood, sizeof(flood), MSG_NOSIGNAL) > 0)
                ;
        expect_int(fake_wait(&scene.fake), 69);
        expect_in(scene.fake.errors, "a line that does not end");
        scene_close(&scene);
}

static void lines_are_relayed_one_at_a_time_and_events_as_they_come(void) {
        static const char input[] = "{\"execute\": \"stop\"}\n\n  \n{\"execute\": \"cont\"}";
        struct scene scene;
        struct pollfd pollfd = {.events = POLLIN};
        int pipes[2];

        scene_open(&scene);
        need_int(pipe2(pipes, O_CLOEXEC), 0);
        scene.fake.input_fd = pipes[0];
        fake_start(&scene.fake, "qmp", "web", NULL);
        negotiate(&scene);
        need_int(write(pipes[1], input, sizeof(input) - 1), sizeof(input) - 1);
        hear(&scene, "{\"execute\": \"stop\"}");
        /* The next one waits for the answer, which no event is. */
        say(&scene, "{\"event\": \"STOP\"}\r\n");
        pollfd.fd = scene.fd;
        expect_int(poll(&pollfd, 1, 50), 0);
        say(&scene, "{\"return\": {}}\r\n");
        /* The last line is whole only when the input ends. */
        close(pipes[1]);
        hear(&scene, "{\"execute\": \"cont\"}");
        say(&scene, "{\"error\": {\"desc\": \"\033[2J\"}}\r\n");
        expect_int(fake_wait(&scene.fake), 0);
        expect_str(scene.fake.output, "{\"event\": \"STOP\"}\n{\"return\": {}}\n"
                                      "{\"error\": {\"desc\": \"?[2J\"}}\n");
        close(pipes[0]);
        scene_close(&scene);
}

static void a_relay_ends_with_its_hypervisor(void) {
        struct scene scene;
        int pipes[2];

        for (int answered = 0; answered < 2; answered++) {
                scene_open(&scene);
                need_int(pipe2(pipes, O_CLOEXEC), 0);
                scene.fake.input_fd = pipes[0];
                fake_start(&scene.fake, "qmp", "web", NULL);
                negotiate(&scene);
                need_int(write(pipes[1], "{\"execute\": \"quit\"}\n", 20), 20);
                hear(&scene, "{\"execute\": \"quit\"}");
                if (answered)
                        say(&scene, "{\"return\": {}}\n");
                scene.fd = fd_close(scene.fd);
                expect_int(fake_wait(&scene.fake), answered ? 0 : 69);
                expect_str(scene.fake.errors,
                           answered ? "" : "provium: qmp: the hypervisor closed the connection\n");
                close(pipes[0]);
                close(pipes[1]);
                scene_close(&scene);
        }
}

static void input_that_is_no_json_object_is_not_sent(void) {
        static const char *const rows[] = {"query-status\n", "[1]\n", "5\n", "\033[2J\n", "{"};
        struct scene scene;
        int pipes[2];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char byte;

                scene_open(&scene);
                need_int(pipe2(pipes, O_CLOEXEC), 0);
                scene.fake.input_fd = pipes[0];
                fake_start(&scene.fake, "qmp", "web", NULL);
                negotiate(&scene);
                need(write(pipes[1], rows[i], strlen(rows[i])) > 0);
                close(pipes[1]);
                expect_int(fake_wait(&scene.fake), 64);
                expect_in(scene.fake.errors, "no JSON object such as {\"execute\":");
                expect(!strchr(scene.fake.errors, '\033'));
                expect_int(read(scene.fd, &byte, 1), 0);
                close(pipes[0]);
                scene_close(&scene);
        }
}

UNIT_MAIN(TEST(a_command_prints_what_it_returns_and_passes_events_over),
          TEST(events_before_the_greeting_are_passed_over),
          TEST(arguments_go_with_it_and_json_is_one_line),
          TEST(an_error_of_the_hypervisor_is_told_with_status_1),
          TEST(a_vm_without_a_socket_is_66_and_told_how_to_get_one),
          TEST(a_hypervisor_that_is_gone_is_69),
          TEST(silence_is_waited_for_no_longer_than_was_said), TEST(what_is_no_qmp_is_69),
          TEST(a_line_that_does_not_end_is_bounded),
          TEST(lines_are_relayed_one_at_a_time_and_events_as_they_come),
          TEST(a_relay_ends_with_its_hypervisor), TEST(input_that_is_no_json_object_is_not_sent), )

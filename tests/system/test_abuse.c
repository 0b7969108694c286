/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 250 */
/*
 * Input that nobody should send, and hosts that nobody should have: each gets a clear answer,
 * leaves nothing behind, and holds up nobody else.
 */
#include <fcntl.h>
#include <poll.h>
#include <proto/request.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"

static void absurd_options_get_a_clear_error_and_leave_nothing(void) {
        static char long_name[301];
        static const char *const options[][2] = {
                {"--cpus", "-1"},
                {"--cpus", "0"},
                {"--cpus", "nan"},
                {"--cpus", "1e3"},
                {"--cpus", ""},
                {"--cpus", "inf"},
                {"--cpus", "99999999999999999999"},
                {"--cpus", "1 "},
                {"--mem", "-5"},
                {"--mem", "0"},
                {"--mem", "1Q"},
                {"--mem", "18446744073709551616"},
                {"--mem", "1.G"},
                {"--disk", "-1"},
                {"--disk-io", "10"},
                {"--download", "1Xbps"},
                {"--upload", "-1Mbps"},
                {"--gpus", "1.5"},
                {"--gpus", "-1"},
                {"--priority", "1001"},
                {"--wait", "-1s"},
                {"--wait", "soon"},
                {"--name", ""},
                {"--name", "../x"},
                {"--name", "a/b"},
                {"--name", "memory.max"},
                {"--name", "a\nb"},
                {"--name", "."},
                {"--name", long_name},
                {"--slice", "../t"},
                {"--slice", ""},
                {"--slice", long_name},
                {"--slice", "t.slice//x"},
                {"--nonsense", "1"},
        };
        struct house house;
        struct job job;

        memset(long_name, 'n', 300);
        house_open(&house, NULL, NULL);
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                int status = SHELL(&job, "provium", "run", options[i][0], options[i][1], "--", "vm",
                                   "exit", "0");
                bool clear = strlen(job.err) > 10 && !strstr(job.err, "assert");

                /* A name may look like a cgroup file: it never becomes one. */
                if (strcmp(options[i][1], "memory.max") == 0)
                        expect(status == 0 || status == 64 || status == 75 || status == 66);
                else
                        expect_that(status == 64 && clear, "%s '%s' is refused as misuse (%d: %s)",
                                    options[i][0], options[i][1], status, job.err);
        }
        expect_int(count_vms(), 0);
        house_close(&house);
}

/* The same past the client's own checks: what the broker itself says to what it is sent. */
static void absurd_calls_are_answered_and_leave_nothing(void) {
        static const char *const claims[] = {
                "{\"cpu\":-1}",
                "{\"cpu\":0}",
                "{\"cpu\":1.5}",
                "{\"cpu\":\"1\"}",
                "{\"cpu\":9223372036854775807}",
                "{\"memory\":9223372036854775807}",
                "{\"memory\":0}",
                "{\"memory\":-9223372036854775808}",
                "{\"memory\":9223372036854775808}",
                "{\"memory\":1e300}",
                "{\"ram\":5}",
                "{\"disk\":9223372036854775807}",
                "{\"gpu\":1000000}",
                "{\"gpu\":9223372036854775807,\"disk_io\":9223372036854775807}",
                "[]",
                "7",
                "\"all\"",
                "{\"download\":9223372036854775807,\"upload\":-1}",
        };
        static const char *const members[] = {
                "\"name\":\"../x\"",
                "\"name\":\"\\u0000\"",
                "\"name\":\"a\\nb\"",
                "\"name\":7",
                "\"slice\":\"/\"",
                "\"slice\":\"nowhere\"",
                "\"wait_usec\":-1",
                "\"wait_usec\":\"x\"",
                "\"priority\":99999999",
                "\"ticket\":\"x\"",
                "\"ticket\":\"abcdefghijklmnop.1.0.00\"",
                "\"detach\":1",
                "\"dry_run\":null",
                "\"environment\":[1]",
                "\"environment\":[\"=x\"]",
                "\"environment\":[\"NOEQUALS\"]",
                "\"command\":[]",
                "\"command\":[\"\"]",
                "\"command\":\"vm\"",
                "\"command\":[\"a\\u0000b\"]",
                "\"unknown\":1",
        };
        struct house house;
        char text[1024];
        int fds[4];

        house_open(&house, NULL, NULL);
        for (int i = 0; i < 4; i++)
                fds[i] = open(i < 3 ? "/dev/null" : "/", O_RDONLY | O_CLOEXEC);
        for (size_t i = 0;
             i < sizeof(claims) / sizeof(claims[0]) + sizeof(members) / sizeof(members[0]); i++) {
                size_t n = sizeof(claims) / sizeof(claims[0]);
                json_t *parameters, *reply;
                const char *word;
                struct line line;
                bool timeout;

                if (i < n)
                        snprintf(
                                text, sizeof(text),
                                "{\"slice\":\"t\",\"command\":[\"vm\",\"exit\"],\"environment\":[],"
                                "\"wait_usec\":0,\"claim\":%s}",
                                claims[i]);
                else
                        snprintf(
                                text, sizeof(text),
                                "{\"slice\":\"t\",\"command\":[\"/nowhere/vm\"],\"environment\":[],"
                                "\"wait_usec\":0,%s}",
                                members[i - n]);
                need(line_open(&line));
                parameters = json_loads(text, JSON_ALLOW_NUL, NULL);
                if (parameters && !strstr(text, "\"command\":[],")) {
                        line_call(&line, "Run", parameters, true, fds, 4);
                } else {
                        /* What no library writes: as it is, without descriptors. */
                        char call[2048];
                        int length =
                                snprintf(call, sizeof(call),
                                         "{\"method\":\"dev.provium.Broker.Run\",\"more\":true,"
                                         "\"parameters\":%s}",
                                         text);

                        json_decref(parameters);
                        need(line_raw(&line, call, (size_t)length + 1));
                }
                reply = line_reply(&line, HOUSE_WAIT_MS, &timeout);
                word = reply ? reply_word(reply) : NULL;
                expect_that(word &&
                                    (strcmp(word, "Invalid") == 0 || strcmp(word, "Refused") == 0 ||
                                     strcmp(word, "NotFound") == 0 ||
                                     strcmp(word, "ExecFailed") == 0) &&
                                    reply_text(reply, "message") &&
                                    strlen(reply_text(reply, "message")) > 10,
                            "%s is answered with an error (%s: %s)", text,
                            word
                                    ?: timeout ? "nothing"
                                               : "the end",
                            reply ? reply_text(reply, "message") : "");
                json_decref(reply);
                line_close(&line);
        }
        for (int i = 0; i < 4; i++)
                close(fds[i]);
        expect_int(count_vms(), 0);
        house_close(&house);
}

static void every_method_survives_parameters_of_every_kind(void) {
        static const char *const methods[] = {"Run",
                                              "Attach",
                                              "List",
                                              "Show",
                                              "Resources",
                                              "Kill",
                                              "Signal",
                                              "Explain",
                                              "Events",
                                              "PolicyReload",
                                              "PolicyShow",
                                              "Nothing",
                                              "",
                                              "org.varlink.service.GetInfo",
                                              "org.varlink.service.GetInterfaceDescription",
                                              "org.varlink.service.X"};
        static const char *const parameters[] = {"{}",
                                                 "{\"vm\":null}",
                                                 "{\"vm\":7}",
                                                 "{\"vm\":\"../../x\"}",
                                                 "{\"vm\":\"\"}",
                                                 "{\"vm\":\"x\",\"signal\":99}",
                                                 "{\"vm\":\"x\",\"signal\":-1}",
                                                 "{\"since\":-1}",
                                                 "{\"since\":\"x\"}",
                                                 "{\"instance\":[]}",
                                                 "{\"slice\":{}}",
                                                 "{\"interface\":5}",
                                                 "{\"a\":{\"b\":[1,2,3]}}",
                                                 "[]",
                                                 "5",
                                                 "null"};
        struct house house;
        unsigned fds;

        house_open(&house, NULL, NULL);
        fds = count_fds(house.broker);
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                for (size_t k = 0; k < sizeof(parameters) / sizeof(parameters[0]); k++) {
                        char call[512];
                        struct line line;
                        json_t *reply;
                        int length;

                        length = snprintf(call, sizeof(call),
                                          "{\"method\":\"%s%s\",\"parameters\":%s}",
                                          strchr(methods[i], '.') ? "" : PROTO_INTERFACE ".",
                                          methods[i], parameters[k]);
                        need(line_open(&line));
                        need(line_raw(&line, call, (size_t)length + 1));
                        reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
                        need_that(reply != NULL, "%s is answered", call);
                        json_decref(reply);
                        line_close(&line);
                }
        expect(count_vms() == 0);
        expect_within(count_fds(house.broker), 1, fds + 2);
        house_close(&house);
}

static void half_messages_and_garbage_cost_only_their_sender(void) {
        static const char *const texts[] = {
                "{",
                "\0\0\0\0",
                "{}",
                "{\"method\":",
                "nonsense",
                "[[[[[[[[[[[[[[[[[[[[[[[[",
                "{\"method\":\"dev.provium.Broker.List\",\"oneway\":true}"};
        static char flood[STREAM_MESSAGE_MAX + 4096];
        struct line half[200], line;
        struct house house;
        json_t *reply;
        bool timeout;

        house_open(&house, NULL, NULL);
        for (int i = 0; i < 200; i++) {
                need(line_open(&half[i]));
                need(line_raw(&half[i], "{\"method\":\"dev.provium.Br", 25));
        }
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                need(line_open(&line));
                need(line_raw(&line, texts[i], strlen(texts[i]) + 1));
                reply = line_reply(&line, HOUSE_WAIT_MS, &timeout);
                expect_that(reply ? reply_word(reply) != NULL : !timeout, "'%s' is refused",
                            texts[i]);
                json_decref(reply);
                line_close(&line);
        }
        /* A message without an end: the peer is closed at the bound. */
        memset(flood, 'a', sizeof(flood));
        need(line_open(&line));
        line_raw(&line, flood, sizeof(flood));
        reply = line_reply(&line, HOUSE_WAIT_MS, &timeout);
        expect(!timeout);
        json_decref(reply);
        line_close(&line);
        /* The halves are still waited for, and finished. */
        for (int i = 0; i < 200; i++) {
                need(line_raw(&half[i], "oker.List\"}", 12));
                reply = line_reply(&half[i], HOUSE_WAIT_MS, NULL);
                need(reply && !json_object_get(reply, "error"));
                json_decref(reply);
                line_close(&half[i]);
        }
        house_close(&house);
}

static void floods_of_descriptors_are_closed_and_counted(void) {
        struct house house;
        struct line line;
        int fds[64];
        unsigned before;

        house_open(&house, NULL, NULL);
        for (int i = 0; i < 64; i++)
                fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        json_decref(ask("List", NULL));
        before = count_fds(house.broker);
        for (int round = 0; round < 50; round++) {
                char control[CMSG_SPACE(sizeof(fds))] = {};
                struct iovec iov = {(void *)"{", 1};
                struct msghdr msg = {.msg_iov = &iov,
                                     .msg_iovlen = 1,
                                     .msg_control = control,
                                     .msg_controllen = sizeof(control)};
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
                memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
                need(line_open(&line));
                need(sendmsg(line.stream.fd, &msg, MSG_NOSIGNAL) == 1);
                json_decref(line_reply(&line, HOUSE_WAIT_MS, NULL));
                line_close(&line);
        }
        /* Run with too few, a method that takes none. */
        for (int n = 0; n < 8; n++) {
                json_t *reply;

                need(line_open(&line));
                line_call(&line, n == 4 ? "List" : "Run", NULL, true, fds, (size_t)n);
                reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
                need(reply != NULL);
                json_decref(reply);
                line_close(&line);
        }
        json_decref(ask("List", NULL));
        expect_within(count_fds(house.broker), 1, before + 1);
        for (int i = 0; i < 64; i++)
                close(fds[i]);
        house_close(&house);
}

static void one_users_connections_end_at_that_user(void) {
        enum { MANY = 1000, ALLOWED = 100 };
        static const char list[] = "{\"method\":\"dev.provium.Broker.List\"}";
        struct house house;
        int pipe_fds[2], status = -1;
        unsigned refused = 0;
        uint64_t begin;
        pid_t pid;
        char byte;

        house_open(&house, "[Broker]\nMaxConnectionsPerUser=100\n" HOUSE_CONF, NULL);
        need_int(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                static struct line lines[MANY];
                struct rlimit limit = {4096, 4096};

                setrlimit(RLIMIT_NOFILE, &limit);
                if (setresuid(1234, 1234, 1234) < 0)
                        _exit(1);
                for (int i = 0; i < MANY; i++) {
                        bool timeout;
                        json_t *reply;

                        if (!line_open(&lines[i]))
                                _exit(2);
                        line_raw(&lines[i], list, sizeof(list));
                        reply = line_reply(&lines[i], 5000, &timeout);
                        if (timeout || (reply && json_object_get(reply, "error") &&
                                        !strstr(reply_text(reply, "message"), "connections")))
                                _exit(3);
                        refused += !reply || json_object_get(reply, "error");
                        json_decref(reply);
                }
                if (refused != MANY - ALLOWED || write(pipe_fds[1], "x", 1) != 1)
                        _exit(4);
                for (;;)
                        pause();
        }
        close(pipe_fds[1]);
        expect_int(read(pipe_fds[0], &byte, 1), 1);
        /* Others are served meanwhile, and quickly. */
        begin = now_ms();
        for (int i = 0; i < 20; i++)
                json_decref(ask("List", NULL));
        expect(now_ms() - begin < 2000);
        json_decref(ask_as(4321, "List", NULL));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        expect_that(WIFSIGNALED(status), "the flood was refused in the end (%d)",
                    WEXITSTATUS(status));
        close(pipe_fds[0]);
        house_close(&house);
}

static void one_users_queue_ends_at_that_user(void) {
        struct house house;
        struct job job;
        json_t *reply;
        pid_t pid;
        int status;

        house_open(&house, "[Broker]\nMaxQueuedPerUser=3\n" HOUSE_CONF, NULL);
        JOB_RUN(&job, "--json", "--cpus", "4", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        pid = fork();
        if (pid == 0) {
                struct line lines[5];
                int words = 0;

                if (setresuid(1234, 1234, 1234) < 0)
                        _exit(100);
                for (int i = 0; i < 5; i++) {
                        line_open(&lines[i]);
                        line_run(&lines[i], json_pack("{s:s s:[s] s:[]}", "slice", "t", "command",
                                                      "vm", "environment"));
                        reply = line_reply(&lines[i], HOUSE_WAIT_MS, NULL);
                        words = words * 2 +
                                (reply && strcmp(reply_word(reply), "Refused") == 0 &&
                                 strcmp(reply_text(reply, "reason"), "user_quota") == 0);
                }
                _exit(words);
        }
        waitpid(pid, &status, 0);
        expect_int(WEXITSTATUS(status), 3); /* the last two */
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

/* What one user has another can neither see nor end. */
static void a_user_touches_only_its_own(void) {
        static const char *const methods[] = {"Show", "Explain", "Kill", "Signal", "Attach"};
        struct house house;
        struct job job;
        json_t *reply;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "mine", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        for (size_t i = 0; i < 5; i++) {
                json_t *parameters = json_pack("{s:s}", "vm", "mine");

                if (strcmp(methods[i], "Signal") == 0)
                        json_object_set_new(parameters, "signal", json_integer(9));
                reply = ask_as(1234, methods[i], parameters);
                expect_str(reply_word(reply), "NotFound");
                json_decref(reply);
        }
        reply = ask_as(1234, "List", NULL);
        expect_uint(json_array_size(json_object_get(json_object_get(reply, "parameters"), "vms")),
                    0);
        json_decref(reply);
        reply = ask_as(1234, "PolicyReload", NULL);
        expect_str(reply_word(reply), "Denied");
        json_decref(reply);
        reply = ask_as(1234, "Upgrade", NULL);
        expect_str(reply_word(reply), "Denied");
        json_decref(reply);
        expect_int(count_vms(), 1);
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 15);
        house_close(&house);
}

static void without_descriptors_new_claims_are_refused_with_the_reason_and_vms_go_on(void) {
        static const char *const limited[] = {"prlimit", "--nofile=48:48", NULL};
        struct line lines[60], idle[60];
        struct house house;
        struct job job, other;
        unsigned refused = 0, n = 0, n_idle;
        uint64_t until, begin;

        house_open(&house, NULL, NULL);
        house_stop(&house);
        house_start_with(&house, limited);
        JOB_RUN(&job, "--json", "--name", "first", "--", "vm", "listen");
        job_wait_out(&job, "\"started\"");
        /* One VM after the other, until there is no descriptor left. */
        for (n = 0; n < 60 && refused == 0; n++) {
                char path[1024];
                json_t *reply;
                bool timeout;

                snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
                need(line_open(&lines[n]));
                line_run(&lines[n],
                         json_pack("{s:s s:[s,s] s:[s] s:{s:i}}", "slice", "t", "command", "vm",
                                   "rest", "environment", path, "claim", "cpu", 10));
                reply = line_reply(&lines[n], HOUSE_WAIT_MS, &timeout);
                need_that(!timeout, "claim %u is answered", n);
                need_that(reply != NULL, "claim %u is told why it was refused", n);
                if (strcmp(reply_word(reply), "started") != 0) {
                        refused++;
                        expect_str(reply_word(reply), "Failed");
                        expect_in(reply_text(reply, "message"), "open files");
                }
                json_decref(reply);
        }
        expect_int(refused, 1);
        expect(n > 3);
        /* None at all, not even for the connection, nor for what comes with the call. */
        for (n_idle = 0; n_idle < 60; n_idle++) {
                struct pollfd pollfd;

                need(line_open(&idle[n_idle]));
                pollfd = (struct pollfd){idle[n_idle].stream.fd, POLLIN, 0};
                begin = now_ms();
                expect_int(SHELL(&other, "provium", "run", "--slice", "t", "--", "vm", "exit", "0"),
                           125);
                expect_in(other.err, "open files");
                expect(now_ms() - begin < 10000);
                if (poll(&pollfd, 1, 0) > 0)
                        break; /* turned away itself */
        }
        expect(n_idle < 60);
        for (unsigned i = 0; i <= n_idle && i < 60; i++)
                line_close(&idle[i]);
        /* What runs is well, and room comes back. */
        job_kill(&job, SIGUSR1);
        for (unsigned i = 0; i < n; i++)
                line_close(&lines[i]);
        job_wait_out(&job, "got 10");
        for (until = now_ms() + HOUSE_WAIT_MS; count_vms() > 1 && now_ms() < until;)
                poll(NULL, 0, 20);
        expect_int(
                SHELL(&(struct job){}, "provium", "run", "--slice", "t", "--", "vm", "exit", "5"),
                5);
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 7);
        house_close(&house);
}

static void a_run_directory_that_is_full_or_read_only_stops_no_vm(void) {
        struct house house;
        struct job job;
        static char filler[1 << 20];
        int fd;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "first", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        /* The run directory read-only: the socket that is there goes on. */
        need_int(mount(HOUSE_DIR "/run", HOUSE_DIR "/run", NULL, MS_BIND, NULL), 0);
        need_int(mount(NULL, HOUSE_DIR "/run", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
        expect_int(
                SHELL(&(struct job){}, "provium", "run", "--slice", "t", "--", "vm", "exit", "5"),
                5);
        /* A start says what is wrong; the VM does not notice. */
        house_kill(&house);
        expect_int(house_try_start(&house, NULL), 1);
        expect(house_log_has("cannot listen at '" HOUSE_SOCKET "'"));
        need_int(umount(HOUSE_DIR "/run"), 0);
        /* Full. */
        need_int(mount("tmpfs", HOUSE_DIR "/run", "tmpfs", 0, "size=64k"), 0);
        fd = open(HOUSE_DIR "/run/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        while (write(fd, filler, sizeof(filler)) > 0)
                ;
        close(fd);
        house_start(&house);
        expect_int(count_vms(), 1);
        expect_int(
                SHELL(&(struct job){}, "provium", "run", "--slice", "t", "--", "vm", "exit", "5"),
                5);
        house_kill(&house);
        need_int(umount(HOUSE_DIR "/run"), 0);
        house_start(&house);
        job_kill(&job, SIGTERM);
        expect(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        house_close(&house);
}

static void a_bad_policy_on_reload_leaves_the_last_good_one_in_force(void) {
        static const char *const bad[] = {
                "[Capacity]\nCPU=nan\n",
                "[Capacity]\nCPU=-1\n",
                "[Capacity]\nCPU\n",
                "[Capac",
                "[Ratio]\nMemory=1x\n",
                "[Nothing]\nA=1\n",
                "Memory=1G\n",
                "[Capacity]\nMemory=\x01\n",
                "[Broker]\nMaxVMs=99999999\n",
        };
        struct house house;
        struct job job;
        json_t *reply;
        char *before;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "first", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        before = ledger_text();
        for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]) + 1; i++) {
                char *after;

                if (i < sizeof(bad) / sizeof(bad[0])) {
                        house_conf(bad[i]);
                } else if (i == sizeof(bad) / sizeof(bad[0])) {
                        unlink(HOUSE_ETC "/broker.conf");
                        need_int(symlink("/etc/passwd", HOUSE_ETC "/broker.conf"), 0);
                } else {
                        unlink(HOUSE_ETC "/broker.conf");
                        house_conf(HOUSE_CONF);
                        need_int(chown(HOUSE_ETC "/broker.conf", 1234, 1234), 0);
                }
                reply = ask("PolicyReload", NULL);
                expect_that(strcmp(reply_word(reply) ?: "", "BadPolicy") == 0,
                            "bad policy %zu is refused", i);
                expect_in(json_string_value(json_array_get(
                                  json_object_get(json_object_get(reply, "parameters"), "errors"),
                                  0)),
                          HOUSE_ETC "/broker.conf");
                json_decref(reply);
                after = ledger_text();
                expect_str(after, before);
                free(after);
        }
        unlink(HOUSE_ETC "/broker.conf");
        house_conf(HOUSE_CONF);
        house_reload(&house);
        expect_int(
                SHELL(&(struct job){}, "provium", "run", "--slice", "t", "--", "vm", "exit", "5"),
                5);
        /* A start with one is refused, and says which file and line. */
        house_kill(&house);
        house_conf("[Capacity]\nCPU=4\nMemory=nan\n");
        expect_int(house_try_start(&house, NULL), 78);
        expect(house_log_has(HOUSE_ETC "/broker.conf:3"));
        house_conf(HOUSE_CONF);
        house_start(&house);
        free(before);
        job_kill(&job, SIGTERM);
        expect(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        house_close(&house);
}

static void a_limit_lowered_below_use_kills_nobody_and_admits_nothing_more(void) {
        struct house house;
        struct news news;
        struct job jobs[3], late;

        house_open(&house, NULL, NULL);
        news_open(&news);
        for (int i = 0; i < 3; i++) {
                JOB_RUN(&jobs[i], "--json", "--cpus", "1", "--", "vm", "rest");
                job_wait_out(&jobs[i], "\"started\"");
        }
        house_conf("[Capacity]\nCPU=2\nMemory=400M\n[Ratio]\nCPU=1\n[Claim]\nMemory=16M\nDiskIO="
                   "0\n[Enforce]\nMemoryOverhead=0\n");
        house_reload(&house);
        expect_int(count_vms(), 3);
        expect_int(allocated("cpu"), 3000);
        expect_int(SHELL(&late, "provium", "run", "--slice", "t", "--cpus", "0.1", "--no-wait",
                         "--", "vm"),
                   75);
        JOB_RUN(&late, "--name", "late", "--cpus", "1", "--", "vm", "exit", "0");
        news_wait(&news, "claim_queued", "late");
        job_kill(&jobs[0], SIGTERM);
        expect(job_wait(&jobs[0], HOUSE_WAIT_MS) >= 0);
        expect_int(job_wait(&late, 300), -1);
        job_kill(&jobs[1], SIGTERM);
        expect(job_wait(&jobs[1], HOUSE_WAIT_MS) >= 0);
        expect_int(job_wait(&late, HOUSE_WAIT_MS), 0);
        job_kill(&jobs[2], SIGTERM);
        expect(job_wait(&jobs[2], HOUSE_WAIT_MS) >= 0);
        news_close(&news);
        house_close(&house);
}

static void what_a_stranger_changes_is_set_again_within_a_second_and_told(void) {
        static const struct {
                const char *file, *text, *wanted;
        } changes[] = {
                {"cpu.max", "max", "104000 100000"},
                {"memory.max", "max", "33554432"},
                {"pids.max", "5", "80"},
                {"cpu.weight", "1", NULL},
                {"memory.swap.max", "max", "0"},
                {"memory.low", "0", NULL},
        };
        struct house house;
        struct news news;
        struct job job;
        char path[1024], text[64], before[64], *dir;
        uint64_t begin;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--json", "--name", "mine", "--cpus", "1", "--mem", "32M", "--", "vm",
                "rest");
        job_wait_out(&job, "\"started\"");
        dir = vm_path("mine");
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                const json_t *event;

                snprintf(path, sizeof(path), "%s/%s", dir, changes[i].file);
                file_get(path, before, sizeof(before));
                begin = now_ms();
                need_int(file_put(path, changes[i].text), 0);
                event = news_wait(&news, "drift", NULL);
                expect(now_ms() - begin < 1000);
                expect_str(json_string_value(json_object_get(event, "vm")), "mine");
                expect(json_is_true(json_object_get(event, "repaired")));
                expect_in(json_string_value(json_object_get(event, "detail")), changes[i].file);
                file_get(path, text, sizeof(text));
                expect_str(text, changes[i].wanted ?: before);
        }
        /* The slice above it. */
        need_int(file_put(HOUSE_ROOT "/t.slice/cpu.weight", "7"), 0);
        expect_str(json_string_value(json_object_get(news_wait(&news, "drift", NULL), "slice")),
                   "t");
        /* A controller switched off takes every limit below with it: all of them come back. */
        begin = now_ms();
        need_int(file_put(HOUSE_ROOT "/t.slice/cgroup.subtree_control", "-memory"), 0);
        expect_int(access(strcat(strcpy(path, dir), "/memory.max"), F_OK), -1);
        news_wait(&news, "drift", NULL);
        expect(now_ms() - begin < 1000);
        for (uint64_t until = begin + 1000; now_ms() < until;) {
                file_get(path, text, sizeof(text));
                if (strcmp(text, "33554432") == 0)
                        break;
                poll(NULL, 0, 10);
        }
        expect_str(text, "33554432");
        free(dir);
        job_kill(&job, SIGTERM);
        expect(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        news_close(&news);
        house_close(&house);
}

#define LISTS 101

static int by_size(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* The median: in a mean one pause of the machine would count as the broker's. */
static uint64_t time_lists(void) {
        uint64_t took[LISTS];

        for (size_t i = 0; i < LISTS; i++) {
                uint64_t begin = now_us();

                json_decref(ask("List", NULL));
                took[i] = now_us() - begin;
        }
        qsort(took, LISTS, sizeof(*took), by_size);
        return took[LISTS / 2];
}

static void a_slow_reader_of_events_gets_a_gap_and_slows_nobody(void) {
        struct house house;
        struct line slow;
        uint64_t quiet, loud, seen = 0, missed = 0, last = 0;
        json_t *reply;

        house_open(&house, NULL, NULL);
        need(line_open(&slow));
        line_call(&slow, "Events", NULL, true, NULL, 0);
        reply = line_reply(&slow, HOUSE_WAIT_MS, NULL);
        need(reply != NULL);
        json_decref(reply);
        quiet = time_lists();
        /* A claim that is refused in the queue makes events cheaply: queued, released. */
        {
                struct job full;
                struct line line;

                JOB_RUN(&full, "--json", "--cpus", "4", "--", "vm", "rest");
                job_wait_out(&full, "\"started\"");
                for (int i = 0; i < 3500; i++) {
                        need(line_open(&line));
                        line_run(&line, json_pack("{s:s s:[s] s:[]}", "slice", "t", "command", "vm",
                                                  "environment"));
                        json_decref(line_reply(&line, HOUSE_WAIT_MS, NULL));
                        line_close(&line);
                }
                loud = time_lists();
                job_kill(&full, SIGTERM);
                expect(job_wait(&full, HOUSE_WAIT_MS) >= 0);
        }
        while ((reply = line_reply(&slow, 500, NULL))) {
                const json_t *list = json_object_get(json_object_get(reply, "parameters"),
                                                     "events"),
                             *event;
                size_t i;

                json_array_foreach(list, i, event) {
                        if (strcmp(json_string_value(json_object_get(event, "kind")),
                                   "pool_state") == 0)
                                continue;
                        if (strcmp(json_string_value(json_object_get(event, "kind")), "gap") == 0) {
                                uint64_t from = (uint64_t)json_integer_value(
                                        json_object_get(event, "from"));
                                uint64_t to =
                                        (uint64_t)json_integer_value(json_object_get(event, "to"));

                                expect_uint(from, last + 1);
                                missed += to - from + 1;
                                last = to;
                        } else {
                                uint64_t seq =
                                        (uint64_t)json_integer_value(json_object_get(event, "seq"));

                                expect(last == 0 || seq == last + 1);
                                last = seq;
                                seen++;
                        }
                }
                json_decref(reply);
        }
        unit_note("%ju events seen, %ju missed; a call took %ju us before and %ju with it",
                  (uintmax_t)seen, (uintmax_t)missed, (uintmax_t)quiet, (uintmax_t)loud);
        expect(missed > 0);
        expect(seen + missed > 7000);
        expect(loud < quiet * 3 + 2000);
        line_close(&slow);
        house_close(&house);
}

UNIT_MAIN(TEST(absurd_options_get_a_clear_error_and_leave_nothing),
          TEST(absurd_calls_are_answered_and_leave_nothing),
          TEST(every_method_survives_parameters_of_every_kind),
          TEST(half_messages_and_garbage_cost_only_their_sender),
          TEST(floods_of_descriptors_are_closed_and_counted),
          TEST(one_users_connections_end_at_that_user), TEST(one_users_queue_ends_at_that_user),
          TEST(a_user_touches_only_its_own),
          TEST(without_descriptors_new_claims_are_refused_with_the_reason_and_vms_go_on),
          TEST(a_run_directory_that_is_full_or_read_only_stops_no_vm),
          TEST(a_bad_policy_on_reload_leaves_the_last_good_one_in_force),
          TEST(a_limit_lowered_below_use_kills_nobody_and_admits_nothing_more),
          TEST(what_a_stranger_changes_is_set_again_within_a_second_and_told),
          TEST(a_slow_reader_of_events_gets_a_gap_and_slows_nobody), )

/* SPDX-License-Identifier: MIT */
/*
 * The life of `provium run` against a broker that the test plays line by line.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <proto/request.h>

#include "fake.h"
#include "unit.h"

static const char *text_of(const struct peer *peer, const char *key) {
        return json_string_value(json_object_get(peer->call.parameters, key));
}

static int64_t number_of(const struct peer *peer, const char *key) {
        const json_t *value = json_object_get(peer->call.parameters, key);

        return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* Waits until it has printed @text, and so has done what comes before. */
static void await(struct fake *fake, const char *buffer, const char *text) {
        for (int i = 0; i < FAKE_PATIENCE_MSEC / 5 && !strstr(buffer, text); i++) {
                poll(NULL, 0, 5);
                fake_read(fake);
        }
        need_that(strstr(buffer, text), "it did not print \"%s\"", text);
}

/* A VM that was started: the usual beginning. */
static void start_vm(struct fake *fake, struct peer *peer) {
        fake_init(fake);
        fake_start(fake, "run", "--", "vmm", NULL);
        peer_expect(fake, peer, "Run");
        peer_started(peer, "t1", "vm1");
}

/* The same, and it has heard of it (which it prints only with --json). */
static void start_json_vm(struct fake *fake, struct peer *peer) {
        fake_init(fake);
        fake_start(fake, "run", "--json", "--", "vmm", NULL);
        peer_expect(fake, peer, "Run");
        peer_started(peer, "t1", "vm1");
        await(fake, fake->output, "started");
}

static void end(struct fake *fake, struct peer *peer) {
        peer_deinit(peer);
        fake_deinit(fake);
}

static void exit_code_of_the_vm_becomes_ours(void) {
        static const int codes[] = {0, 1, 7, 255};

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
                struct peer peer = PEER_NULL;
                struct fake fake;

                start_vm(&fake, &peer);
                peer_exited(&peer, codes[i]);
                expect_int(fake_wait(&fake), codes[i]);
                expect_str(fake.output, "");
                expect_str(fake.errors, "");
                end(&fake, &peer);
        }
}

static void signal_of_the_vm_becomes_128_and_more(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        peer_reply(&peer,
                   json_pack("{ss s{ss si sb ss}}", "state", "exited", "run", "id", "vm1", "signal",
                             9, "oom", 1, "reason", "out of memory (memory.max 600M)"),
                   false);
        expect_int(fake_wait(&fake), 137);
        expect_str(fake.errors,
                   "provium: run: VM 'web' was killed: out of memory (memory.max 600M)\n");
        end(&fake, &peer);
}

static void lost_status_is_125_with_a_sentence(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        peer_reply(&peer,
                   json_pack("{ss s{ss sb ss}}", "state", "exited", "run", "id", "vm1", "oom", 0,
                             "reason", "adopted"),
                   false);
        expect_int(fake_wait(&fake), 125);
        expect_in(fake.errors, "lost");
        end(&fake, &peer);
}

static void request_carries_what_the_options_say(void) {
        struct peer peer = PEER_NULL;
        const json_t *claim;
        struct fake fake;

        fake_init(&fake);
        setenv("PROVIUM_TEST", "seen", 1);
        fake_start(&fake, "run", "--slice", "gold", "--name=web", "--cpus", "2.5", "--mem", "1G",
                   "--download", "100Mbps", "--disk-io", "1MB/s", "--priority", "-4", "--wait",
                   "30s", "--time", "2m", "vmm", "--mem", "5", NULL);
        peer_expect(&fake, &peer, "Run");
        expect(peer.call.more);
        expect_str(text_of(&peer, "slice"), "gold");
        expect_str(text_of(&peer, "name"), "web");
        expect_int(number_of(&peer, "priority"), -4);
        expect_within(number_of(&peer, "wait_usec"), 29000000, 30000000);
        expect_int(number_of(&peer, "time_usec"), 120000000);
        claim = json_object_get(peer.call.parameters, "claim");
        expect_int(json_integer_value(json_object_get(claim, "cpu")), 2500);
        expect_int(json_integer_value(json_object_get(claim, "memory")), 1 << 30);
        expect_int(json_integer_value(json_object_get(claim, "download")), 12500000);
        expect_int(json_integer_value(json_object_get(claim, "disk_io")), 1000000);
        expect(!json_object_get(claim, "upload"));
        expect_uint(json_array_size(json_object_get(peer.call.parameters, "command")), 3);
        end(&fake, &peer);
}

static void bridges_are_named_one_by_one(void) {
        struct peer peer = PEER_NULL;
        const json_t *nets;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "--net", "pvbr0", "--net=br@1,queues=8", "--net", "pvbr0", "vmm",
                   NULL);
        peer_expect(&fake, &peer, "Run");
        nets = json_object_get(peer.call.parameters, "net");
        need_uint(json_array_size(nets), 3);
        expect_str(json_string_value(json_object_get(json_array_get(nets, 0), "bridge")), "pvbr0");
        expect_str(json_string_value(json_object_get(json_array_get(nets, 1), "bridge")), "br@1");
        expect_int(json_integer_value(json_object_get(json_array_get(nets, 1), "queues")), 8);
        expect_str(json_string_value(json_object_get(json_array_get(nets, 2), "bridge")), "pvbr0");
        end(&fake, &peer);
}

static void no_network_is_not_the_slices_default(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect(!json_object_get(peer.call.parameters, "net"));
        end(&fake, &peer);
        fake_init(&fake);
        fake_start(&fake, "run", "--net", "none", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect(json_is_array(json_object_get(peer.call.parameters, "net")));
        expect_uint(json_array_size(json_object_get(peer.call.parameters, "net")), 0);
        end(&fake, &peer);
}

static void default_waits_for_ever_and_no_wait_not_at_all(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect(!json_object_get(peer.call.parameters, "wait_usec"));
        end(&fake, &peer);
        fake_init(&fake);
        fake_start(&fake, "run", "--no-wait", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect_int(number_of(&peer, "wait_usec"), 0);
        end(&fake, &peer);
}

static bool same_file(int fd, const char *path) {
        struct stat a, b;

        return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
               a.st_dev == b.st_dev;
}

static void standard_streams_and_directory_go_along(void) {
        struct peer peer = PEER_NULL;
        char path[128];
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        need_uint(peer.n_fds, _REQUEST_FDS_N);
        expect(same_file(peer.fds[REQUEST_FD_STDIN], "/dev/null"));
        snprintf(path, sizeof(path), "%s/output", fake.dir);
        expect(same_file(peer.fds[REQUEST_FD_STDOUT], path));
        snprintf(path, sizeof(path), "%s/errors", fake.dir);
        expect(same_file(peer.fds[REQUEST_FD_STDERR], path));
        expect(same_file(peer.fds[REQUEST_FD_CWD], "."));
        expect(fcntl(peer.fds[REQUEST_FD_CWD], F_GETFL) & O_PATH);
        end(&fake, &peer);
}

static void make_disk(const struct fake *fake, const char *name, char path[128]) {
        snprintf(path, 128, "%s/%s", fake->dir, name);
        need_int(fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0000)), -1);
}

static void disks_go_along_in_their_order(void) {
        char first[128], second[128];
        struct peer peer = PEER_NULL;
        const json_t *claim, *disks;
        struct fake fake;

        fake_init(&fake);
        make_disk(&fake, "first", first);
        make_disk(&fake, "second", second);
        fake_start(&fake, "run", "--disk-image", second, "--disk-read", "20MB/s", "--disk-image",
                   first, "--disk-iops", "500", "--disk-image", second, "vmm", "{disk.1}", NULL);
        peer_expect(&fake, &peer, "Run");
        need_uint(peer.n_fds, _REQUEST_FDS_N + 3);
        expect(same_file(peer.fds[REQUEST_FD_CWD], "."));
        expect(same_file(peer.fds[_REQUEST_FDS_N], second));
        expect(same_file(peer.fds[_REQUEST_FDS_N + 1], first));
        expect(same_file(peer.fds[_REQUEST_FDS_N + 2], second));
        for (size_t i = _REQUEST_FDS_N; i < peer.n_fds; i++)
                expect(fcntl(peer.fds[i], F_GETFL) & O_PATH);
        disks = json_object_get(peer.call.parameters, "disks");
        need_uint(json_array_size(disks), 3);
        expect_str(json_string_value(json_array_get(disks, 0)), second);
        expect_str(json_string_value(json_array_get(disks, 1)), first);
        claim = json_object_get(peer.call.parameters, "claim");
        expect_int(json_integer_value(json_object_get(claim, "disk_read")), 20000000);
        expect_int(json_integer_value(json_object_get(claim, "disk_iops")), 500);
        expect(!json_object_get(claim, "disk_write") && !json_object_get(claim, "disk_io"));
        unlink(first);
        unlink(second);
        end(&fake, &peer);
}

static void as_many_disks_as_there_may_be_go_along(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;
        char disk[] = "--disk-image=/";
        char dir[] = "/tmp/provium-learn-XXXXXX", learn[128];

        need(mkdtemp(dir));
        snprintf(learn, sizeof(learn), "--seccomp=learn:%s/list", dir);
        fake_init(&fake);
        fake_start(&fake, "run", disk, disk, disk, disk, disk, disk, disk, disk, disk, disk, disk,
                   disk, disk, disk, disk, disk, learn, "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect_uint(peer.n_fds, REQUEST_RUN_FDS_MAX);
        expect(json_is_true(json_object_get(peer.call.parameters, "learn")));
        kill(fake.child, SIGTERM);
        expect_int(fake_wait(&fake), 143);
        end(&fake, &peer);
        /* Nothing was learned: nothing is left. */
        expect_int(rmdir(dir), 0);
}

/* A path may mean another file by the time the call is sent again. */
static void disk_is_resolved_once(void) {
        char path[128], other[128];
        struct peer peer = PEER_NULL;
        struct stat file, again;
        struct fake fake;

        fake_init(&fake);
        make_disk(&fake, "disk", path);
        make_disk(&fake, "other", other);
        fake_start(&fake, "run", "--disk-image", path, "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        need_uint(peer.n_fds, _REQUEST_FDS_N + 1);
        need_int(fstat(peer.fds[_REQUEST_FDS_N], &file), 0);
        peer_queued(&peer, "t1", 1, "pool_full");
        need_int(rename(other, path), 0);
        peer_expect(&fake, &peer, "Run");
        expect_str(text_of(&peer, "ticket"), "t1");
        need_uint(peer.n_fds, _REQUEST_FDS_N + 1);
        need_int(fstat(peer.fds[_REQUEST_FDS_N], &again), 0);
        expect_uint(again.st_ino, file.st_ino);
        expect(!same_file(peer.fds[_REQUEST_FDS_N], path));
        unlink(path);
        end(&fake, &peer);
}

/* How many descriptors of the child are of @path. */
static size_t count_open(const struct fake *fake, const char *path) {
        char directory[64];
        struct dirent *entry;
        size_t n = 0;
        DIR *dir;

        snprintf(directory, sizeof(directory), "/proc/%d/fd", fake->child);
        dir = opendir(directory);
        need(dir);
        while ((entry = readdir(dir))) {
                char target[256] = "";

                if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0)
                        n += strcmp(target, path) == 0;
        }
        closedir(dir);
        return n;
}

static void disk_is_let_go_when_the_vm_has_started(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;
        char path[128];

        fake_init(&fake);
        make_disk(&fake, "disk", path);
        fake_start(&fake, "run", "--json", "--disk-image", path, "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_queued(&peer, "t1", 1, "pool_full");
        await(&fake, fake.output, "queued");
        expect_uint(count_open(&fake, path), 1);
        peer_started(&peer, "t1", "vm1");
        await(&fake, fake.output, "started");
        peer_expect(&fake, &peer, "Attach");
        expect_uint(peer.n_fds, 0);
        expect_uint(count_open(&fake, path), 0);
        unlink(path);
        end(&fake, &peer);
}

static void standard_input_is_left_to_the_vm(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;
        char text[8] = "";
        int pipe_fds[2];

        need_int(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
        need_int(write(pipe_fds[1], "typed", 5), 5);
        fake_init(&fake);
        fake.input_fd = pipe_fds[0];
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_queued(&peer, "t1", 1, "pool_full");
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        expect_int(read(pipe_fds[0], text, sizeof(text) - 1), 5);
        expect_str(text, "typed");
        fd_close_many(pipe_fds, 2);
        end(&fake, &peer);
}

static void each_error_has_its_exit_status(void) {
        static const struct {
                const char *error, *reason;
                int status;
        } rows[] = {
                {"Refused", "pool_full", 75},
                {"Refused", "too_large", 75},
                {"Refused", "not_allowed", 77},
                {"Refused", "policy", 77},
                {"Invalid", "", 64},
                {"Denied", "", 77},
                {"NotFound", "", 66},
                {"Exists", "", 73},
                {"Failed", "", 125},
                {"BadPolicy", "", 78},
                {"Surprise", "", 125},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fake fake;
                int status;

                fake_init(&fake);
                status = fake_answer(
                        &fake, "Run", rows[i].error,
                        json_pack("{ss ss}", "reason", rows[i].reason, "message", "no\033[2J"),
                        "run", "vmm", NULL);
                expect_that(status == rows[i].status, "%s: %d", rows[i].error, status);
                expect_str(fake.errors, "provium: run: no\\x1b[2J\n");
                fake_deinit(&fake);
        }
}

static void failed_exec_has_the_brokers_exit_status(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Run", "ExecFailed",
                               json_pack("{si si ss}", "errno", 2, "exit_code", 127, "message",
                                         "no vmm"),
                               "run", "vmm", NULL),
                   127);
        expect_str(fake.errors, "provium: run: no vmm\n");
        fake_deinit(&fake);
}

static void no_broker_is_69_at_once(void) {
        struct fake fake;

        fake_init(&fake);
        fake_leave(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        expect_int(fake_wait(&fake), 69);
        expect_in(fake.errors, "provium: run: cannot connect to");
        fake_deinit(&fake);
}

static void signals_go_to_the_vm(void) {
        static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                                      SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
        struct peer peer = PEER_NULL, second = PEER_NULL;
        struct fake fake;

        start_json_vm(&fake, &peer);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                kill(fake.child, numbers[i]);
                peer_expect(&fake, &second, "Signal");
                expect_str(text_of(&second, "vm"), "vm1");
                expect_int(number_of(&second, "signal"), numbers[i]);
                peer_reply(&second, NULL, false);
                peer_expect_closed(&second);
        }
        peer_deinit(&second);
        peer_exited(&peer, 3);
        expect_int(fake_wait(&fake), 3);
        expect_str(fake.errors, "");
        end(&fake, &peer);
}

static void signal_that_cannot_be_delivered_is_told(void) {
        struct peer peer = PEER_NULL, second = PEER_NULL;
        struct fake fake;

        start_json_vm(&fake, &peer);
        kill(fake.child, SIGUSR1);
        peer_expect(&fake, &second, "Signal");
        peer_error(&second, "Denied", json_pack("{ss}", "message", "not yours"));
        peer_expect_closed(&second);
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        expect_in(fake.errors, "signal 10 did not reach the VM: not yours");
        peer_deinit(&second);
        end(&fake, &peer);
}

static void ending_signal_in_the_queue_takes_the_claim_back(void) {
        static const int numbers[][2] = {{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 129}};

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                struct peer peer = PEER_NULL;
                struct fake fake;

                fake_init(&fake);
                fake_start(&fake, "run", "vmm", NULL);
                peer_expect(&fake, &peer, "Run");
                if (i % 2)
                        peer_queued(&peer, "t1", 3, "pool_full");
                kill(fake.child, SIGUSR1); /* means nothing yet */
                kill(fake.child, numbers[i][0]);
                expect_int(fake_wait(&fake), numbers[i][1]);
                peer_expect_closed(&peer);
                end(&fake, &peer);
        }
}

static void signal_that_our_parent_ignored_stays_ignored(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        signal(SIGHUP, SIG_IGN);
        fake_start(&fake, "run", "vmm", NULL);
        signal(SIGHUP, SIG_DFL);
        peer_expect(&fake, &peer, "Run");
        kill(fake.child, SIGHUP);
        peer_queued(&peer, "t1", 3, "pool_full");
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 5);
        expect_int(fake_wait(&fake), 5);
        end(&fake, &peer);
}

static void broker_that_returns_is_asked_for_the_running_vm(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        fake_leave(&fake);
        peer_deinit(&peer);
        fake_return(&fake);
        peer_expect(&fake, &peer, "Attach");
        expect(peer.call.more);
        expect_str(text_of(&peer, "vm"), "vm1");
        expect_str(text_of(&peer, "ticket"), "t1");
        peer_started(&peer, "t2", "vm1");
        peer_exited(&peer, 4);
        expect_int(fake_wait(&fake), 4);
        expect_str(fake.errors, "");
        end(&fake, &peer);
}

static void vm_that_ended_meanwhile_is_125_with_a_sentence(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        peer_expect(&fake, &peer, "Attach");
        peer_error(&peer, "NotFound", json_pack("{ss}", "message", "no VM 'vm1'"));
        expect_int(fake_wait(&fake), 125);
        expect_in(fake.errors, "ended while the broker was away");
        end(&fake, &peer);
}

static void waiting_claim_comes_back_with_its_ticket_and_less_time(void) {
        struct peer peer = PEER_NULL;
        int64_t first;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "--wait", "1h", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        first = number_of(&peer, "wait_usec");
        expect(!text_of(&peer, "ticket"));
        peer_queued(&peer, "t1", 3, "pool_full");
        peer_queued(&peer, "t2", 2, "pool_full");
        peer_expect(&fake, &peer, "Run");
        expect_str(text_of(&peer, "ticket"), "t2");
        expect_uint(peer.n_fds, _REQUEST_FDS_N);
        expect(number_of(&peer, "wait_usec") < first);
        peer_started(&peer, "t2", "vm1");
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        end(&fake, &peer);
}

static void claim_that_was_told_nothing_is_sent_again(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        for (int i = 0; i < 4; i++)
                peer_expect(&fake, &peer, "Run");
        expect(!text_of(&peer, "ticket"));
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 9);
        expect_int(fake_wait(&fake), 9);
        end(&fake, &peer);
}

static void broker_that_stays_away_is_69_after_our_patience(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "--reconnect", "300ms", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_started(&peer, "t1", "vm1");
        fake_leave(&fake);
        peer_deinit(&peer);
        expect_int(fake_wait(&fake), 69);
        expect_in(fake.errors, "may still run");
        end(&fake, &peer);
}

/* It accepts and closes, again and again: a connection alone must not restore our patience. */
static void broker_that_only_accepts_wears_our_patience_out(void) {
        struct peer peer = PEER_NULL;
        struct pollfd pollfd;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "--reconnect", "300ms", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_deinit(&peer);
        pollfd = (struct pollfd){fake.listen_fd, POLLIN, 0};
        while (poll(&pollfd, 1, 1000) == 1)
                close(accept(fake.listen_fd, NULL, NULL));
        expect_int(fake_wait(&fake), 69);
        end(&fake, &peer);
}

static void signal_while_the_broker_is_away_arrives_later(void) {
        struct peer peer = PEER_NULL, second = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        fake_leave(&fake);
        peer_deinit(&peer);
        await(&fake, fake.errors, "is away");
        kill(fake.child, SIGTERM);
        await(&fake, fake.errors, "the signal goes to the VM when it is back");
        fake_return(&fake);
        /* Which of the two connects first is open. */
        for (int i = 0; i < 2; i++) {
                struct peer any = PEER_NULL;
                struct pollfd pollfd = {fake.listen_fd, POLLIN, 0};
                const char *message;
                size_t length;

                need_int(poll(&pollfd, 1, FAKE_PATIENCE_MSEC), 1);
                stream_init(&any.stream, accept(fake.listen_fd, NULL, NULL));
                while (stream_next(&any.stream, &message, &length)) {
                        pollfd.fd = any.stream.fd;
                        need_int(poll(&pollfd, 1, FAKE_PATIENCE_MSEC), 1);
                        need_int(stream_fill(&any.stream, NULL), 0);
                }
                need_int(call_parse(&any.call, message, length, NULL), 0);
                if (strstr(any.call.method, "Attach"))
                        peer = any;
                else
                        second = any;
        }
        need(second.call.method && peer.call.method);
        expect_int(number_of(&second, "signal"), SIGTERM);
        peer_reply(&second, NULL, false);
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 143);
        expect_int(fake_wait(&fake), 143);
        peer_deinit(&second);
        end(&fake, &peer);
}

static void second_ending_signal_while_the_broker_is_away_leaves(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        fake_leave(&fake);
        peer_deinit(&peer);
        await(&fake, fake.errors, "is away");
        kill(fake.child, SIGINT);
        await(&fake, fake.errors, "the signal goes to the VM when it is back");
        kill(fake.child, SIGINT);
        expect_int(fake_wait(&fake), 130);
        end(&fake, &peer);
}

static void detached_vm_is_named_and_left(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "--detach", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        expect(json_is_true(json_object_get(peer.call.parameters, "detach")));
        peer_started(&peer, "t1", "vm1");
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "web\n");
        peer_expect_closed(&peer);
        end(&fake, &peer);
}

static int dry_run(struct fake *fake, const char *verdict, const char *option) {
        return fake_answer(fake, "Run", NULL,
                           json_pack("{ss s{ss ss ss s{si si} s{ss ss}}}", "state", "dry_run",
                                     "run", "verdict", verdict, "reason", "none", "detail", "",
                                     "charge", "cpu", 1500, "memory", 1 << 30, "limits",
                                     "memory.max", "1073741824", "cpu.max", "150000 100000"),
                           "run", "--dry-run", option, "vmm", NULL);
}

static void dry_run_prints_charge_and_limits(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(dry_run(&fake, "start", "--mem=1G"), 0);
        expect(!strstr(fake.output, "network_upload")); /* the link is not full duplex */
        expect_in(fake.output, "start\n");
        expect_in(fake.output, "cpu                  1.5\n");
        expect_in(fake.output, "memory.max           1073741824  (1G)\n");
        expect_in(fake.output, "cpu.max              150000 100000  (1.5 CPUs)\n");
        expect_int(dry_run(&fake, "wait", "--mem=1G"), 0);
        expect_int(dry_run(&fake, "wait", "--no-wait"), 75);
        expect_int(dry_run(&fake, "refuse", "--mem=1G"), 75);
        fake_deinit(&fake);
}

static void json_gives_one_object_per_line(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;
        size_t lines = 0;

        fake_init(&fake);
        fake_start(&fake, "run", "--json", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_queued(&peer, "t1", 3, "pool_full");
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.errors, "");
        for (char *line = strtok(fake.output, "\n"); line; line = strtok(NULL, "\n"), lines++) {
                json_t *object = json_loads(line, 0, NULL);

                expect(json_string_value(json_object_get(object, "state")));
                json_decref(object);
        }
        expect_uint(lines, 3);
        end(&fake, &peer);
}

static void without_a_terminal_only_a_new_reason_is_a_line(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_queued(&peer, "t1", 3, "pool_full");
        peer_queued(&peer, "t1", 2, "pool_full");
        peer_queued(&peer, "t1", 1, "psi_pressure");
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.errors, "provium: run: waiting: pool_full, place 4: memory: 2G asked\n"
                                "provium: run: waiting: psi_pressure, place 2: memory: 2G asked\n");
        end(&fake, &peer);
}

static void on_a_terminal_one_line_is_kept_up_to_date(void) {
        struct winsize size = {.ws_row = 24, .ws_col = 40};
        struct peer peer = PEER_NULL;
        char text[4096] = "";
        struct fake fake;
        int master, slave;
        ssize_t n;

        need_int(openpty(&master, &slave, NULL, NULL, &size), 0);
        fcntl(master, F_SETFD, FD_CLOEXEC);
        fake_init(&fake);
        fake.error_fd = slave;
        fake_start(&fake, "run", "vmm", NULL);
        peer_expect(&fake, &peer, "Run");
        peer_queued(&peer, "t1", 3, "pool_full");
        peer_queued(&peer, "t1", 2, "pool_full");
        peer_started(&peer, "t1", "vm1");
        peer_exited(&peer, 0);
        expect_int(fake_wait(&fake), 0);
        n = read(master, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        /* Cut to the width, so that it can be taken away again. */
        expect_str(text, "\r\033[Kprovium: waiting 0s: pool_full, place 4"
                         "\r\033[Kprovium: waiting 0s: pool_full, place 3\r\033[K");
        close(master);
        close(slave);
        end(&fake, &peer);
}

static void unknown_state_and_member_are_passed_over(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        peer_reply(&peer, json_pack("{ss s{}}", "state", "paused", "run"), true);
        peer_reply(&peer, json_pack("{si}", "surprise", 1), true);
        peer_exited(&peer, 6);
        expect_int(fake_wait(&fake), 6);
        end(&fake, &peer);
}

static void reply_that_is_nonsense_is_125(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        start_vm(&fake, &peer);
        need_int(write(peer.stream.fd, "]\033[2J[\0", 8), 8);
        expect_int(fake_wait(&fake), 125);
        expect(!strchr(fake.errors, '\033'));
        end(&fake, &peer);
}

UNIT_MAIN(TEST(exit_code_of_the_vm_becomes_ours), TEST(signal_of_the_vm_becomes_128_and_more),
          TEST(lost_status_is_125_with_a_sentence), TEST(request_carries_what_the_options_say),
          TEST(bridges_are_named_one_by_one), TEST(no_network_is_not_the_slices_default),
          TEST(default_waits_for_ever_and_no_wait_not_at_all),
          TEST(standard_streams_and_directory_go_along), TEST(disks_go_along_in_their_order),
          TEST(as_many_disks_as_there_may_be_go_along), TEST(disk_is_resolved_once),
          TEST(disk_is_let_go_when_the_vm_has_started), TEST(standard_input_is_left_to_the_vm),
          TEST(each_error_has_its_exit_status), TEST(failed_exec_has_the_brokers_exit_status),
          TEST(no_broker_is_69_at_once), TEST(signals_go_to_the_vm),
          TEST(signal_that_cannot_be_delivered_is_told),
          TEST(ending_signal_in_the_queue_takes_the_claim_back),
          TEST(signal_that_our_parent_ignored_stays_ignored),
          TEST(broker_that_returns_is_asked_for_the_running_vm),
          TEST(vm_that_ended_meanwhile_is_125_with_a_sentence),
          TEST(waiting_claim_comes_back_with_its_ticket_and_less_time),
          TEST(claim_that_was_told_nothing_is_sent_again),
          TEST(broker_that_stays_away_is_69_after_our_patience),
          TEST(broker_that_only_accepts_wears_our_patience_out),
          TEST(signal_while_the_broker_is_away_arrives_later),
          TEST(second_ending_signal_while_the_broker_is_away_leaves),
          TEST(detached_vm_is_named_and_left), TEST(dry_run_prints_charge_and_limits),
          TEST(json_gives_one_object_per_line),
          TEST(without_a_terminal_only_a_new_reason_is_a_line),
          TEST(on_a_terminal_one_line_is_kept_up_to_date),
          TEST(unknown_state_and_member_are_passed_over), TEST(reply_that_is_nonsense_is_125))

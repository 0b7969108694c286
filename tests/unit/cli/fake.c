/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cli/cli.h>
#include <proto/request.h>

#include "fake.h"
#include "unit.h"

#define WORDS_MAX 64

void fake_return(struct fake *fake) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        need(fake->listen_fd >= 0);
        strcpy(address.sun_path, fake->socket);
        need_int(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        need_int(listen(fake->listen_fd, 16), 0);
}

void fake_leave(struct fake *fake) {
        fake->listen_fd = fd_close(fake->listen_fd);
        unlink(fake->socket);
}

void fake_init(struct fake *fake) {
        *fake = (struct fake){.listen_fd = -1, .input_fd = -1, .error_fd = -1};
        strcpy(fake->dir, "/tmp/provium-cli-XXXXXX");
        need(mkdtemp(fake->dir));
        snprintf(fake->socket, sizeof(fake->socket), "%s/control", fake->dir);
        fake_return(fake);
}

void fake_deinit(struct fake *fake) {
        static const char *const names[] = {"output", "errors"};
        char path[128];

        if (fake->child > 0) {
                kill(fake->child, SIGKILL);
                waitpid(fake->child, NULL, 0);
        }
        fake_leave(fake);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", fake->dir, names[i]);
                unlink(path);
        }
        rmdir(fake->dir);
}

static int open_output(const struct fake *fake, const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", fake->dir, name);
        return open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

static void start(struct fake *fake, va_list args) {
        char socket_option[96];
        char program[] = "provium", *argv[WORDS_MAX] = {program, socket_option};
        int argc = 2;

        snprintf(socket_option, sizeof(socket_option), "--socket=%s", fake->socket);
        while ((argv[argc] = va_arg(args, char *)))
                argc++;

        fake->child = fork();
        need(fake->child >= 0);
        if (fake->child == 0) {
                int input = fake->input_fd >= 0 ? fake->input_fd
                                                : open("/dev/null", O_RDONLY | O_CLOEXEC);
                int output = open_output(fake, "output");
                int errors = fake->error_fd >= 0 ? fake->error_fd : open_output(fake, "errors");

                dup2(input, 0);
                dup2(output, 1);
                dup2(errors, 2);
                close_range(3, ~0U, 0);
                exit(cli_main(argc, argv, stdout, stderr));
        }
}

void fake_start(struct fake *fake, ...) {
        va_list args;

        fflush(stdout);
        va_start(args, fake);
        start(fake, args);
        va_end(args);
}

static void read_output(const struct fake *fake, const char *name, char *buffer, size_t size) {
        char path[128];
        ssize_t n;
        int fd;

        buffer[0] = '\0';
        snprintf(path, sizeof(path), "%s/%s", fake->dir, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        n = read(fd, buffer, size - 1);
        buffer[n > 0 ? n : 0] = '\0';
        close(fd);
}

void fake_read(struct fake *fake) {
        read_output(fake, "output", fake->output, sizeof(fake->output));
        read_output(fake, "errors", fake->errors, sizeof(fake->errors));
}

int fake_wait(struct fake *fake) {
        struct pollfd pollfd = {.events = POLLIN};
        siginfo_t info = {};

        pollfd.fd = (int)syscall(SYS_pidfd_open, fake->child, 0);
        need(pollfd.fd >= 0);
        if (poll(&pollfd, 1, FAKE_PATIENCE_MSEC) != 1) {
                fake_read(fake);
                close(pollfd.fd);
                need_that(false, "provium does not end; it said: %s", fake->errors);
        }
        close(pollfd.fd);
        need_int(waitid(P_PID, (id_t)fake->child, &info, WEXITED), 0);
        fake->child = 0;
        fake_read(fake);
        return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

static void wait_for(int fd, short events, const char *what) {
        struct pollfd pollfd = {fd, events, 0};

        need_that(poll(&pollfd, 1, FAKE_PATIENCE_MSEC) == 1, "no %s came", what);
}

static void read_call(struct peer *peer) {
        const char *message;
        struct why why = {};
        size_t length;

        while (stream_next(&peer->stream, &message, &length)) {
                wait_for(peer->stream.fd, POLLIN, "call");
                need_int(stream_fill(&peer->stream, &why), 0);
        }
        peer->n_fds = stream_take_fds(&peer->stream, peer->fds);
        need_that(call_parse(&peer->call, message, length, &why) == 0, "%s", why.text);
}

void peer_expect(struct fake *fake, struct peer *peer, const char *method) {
        char name[CALL_METHOD_MAX];

        peer_deinit(peer);
        wait_for(fake->listen_fd, POLLIN, method);
        stream_init(&peer->stream,
                    accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        read_call(peer);
        snprintf(name, sizeof(name), "%s.%s", PROTO_INTERFACE, method);
        need_str(peer->call.method, name);
}

static void send_text(struct peer *peer, char *text, size_t length) {
        need(text);
        need_int(stream_queue(&peer->stream, text, length), 0);
        while (stream_flush(&peer->stream, NULL) == STREAM_E_AGAIN)
                wait_for(peer->stream.fd, POLLOUT, "room");
        free(text);
}

void peer_reply(struct peer *peer, json_t *parameters, bool continues) {
        size_t length = 0;
        char *text = reply_format(parameters, continues, &length);

        send_text(peer, text, length);
}

void peer_error(struct peer *peer, const char *name, json_t *parameters) {
        char full[CALL_METHOD_MAX], *text;
        size_t length = 0;

        snprintf(full, sizeof(full), "%s.%s", PROTO_INTERFACE, name);
        text = error_format(full, parameters, &length);
        send_text(peer, text, length);
}

void peer_expect_closed(struct peer *peer) {
        wait_for(peer->stream.fd, POLLIN, "end of the connection");
        expect_int(stream_fill(&peer->stream, NULL), STREAM_E_CLOSED);
}

void peer_deinit(struct peer *peer) {
        fd_close_many(peer->fds, peer->n_fds);
        peer->n_fds = 0;
        call_deinit(&peer->call);
        stream_deinit(&peer->stream);
}

int fake_answer(struct fake *fake, const char *method, const char *error, json_t *parameters, ...) {
        struct peer peer = PEER_NULL;
        va_list args;

        fflush(stdout);
        va_start(args, parameters);
        start(fake, args);
        va_end(args);
        peer_expect(fake, &peer, method);
        if (error)
                peer_error(&peer, error, parameters);
        else
                peer_reply(&peer, parameters, false);
        peer_deinit(&peer);
        return fake_wait(fake);
}

void peer_queued(struct peer *peer, const char *ticket, int position, const char *reason) {
        peer_reply(peer,
                   json_pack("{ss s{ss ss si ss ss}}", "state", "queued", "run", "ticket", ticket,
                             "ticket_id", "q1", "position", position, "reason", reason, "detail",
                             "memory: 2G asked"),
                   true);
}

void peer_started(struct peer *peer, const char *ticket, const char *id) {
        peer_reply(peer,
                   json_pack("{ss s{ss ss ss ss si}}", "state", "started", "run", "ticket", ticket,
                             "id", id, "name", "web", "slice", "default", "pid", 4711),
                   true);
}

void peer_exited(struct peer *peer, int exit_code) {
        peer_reply(peer,
                   json_pack("{ss s{ss si sb ss}}", "state", "exited", "run", "id", "vm1",
                             "exit_code", exit_code, "oom", 0, "reason", "exit"),
                   false);
}

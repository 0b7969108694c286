/* SPDX-License-Identifier: MIT */
/*
 * The loop of an attached console: the VM's output to ours, our input to the VM, signals, the size
 * of the window, and at the end how the VM ended.
 *
 * Nothing here waits but poll(2): the output is written when it takes something, so that a reader
 * of ours that stops is stopped itself, and a signal still ends us; input that the VM does not take
 * is left where it is, but on a terminal it is read on, so that the escape key always leaves.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <cli/cli.h>
#include <cli/console.h>
#include <cli/human.h>
#include <cli/interrupt.h>

#define OUTPUT_PART 4096           /* what a pipe that is ready takes without waiting */
#define END_USEC UINT64_C(3000000) /* from the end of the console to that of the VM */

struct loop {
        struct interrupt interrupt;
        int signal_fd;       /* SIGWINCH, SIGCONT */
        uint64_t ended_usec; /* when the console ended; 0: not yet */
};

/* ---- the terminal ---- */

static void send_size(struct console *console) {
        char packet[1 + sizeof(struct console_size)] = {CONSOLE_SIZE};
        struct console_size size;
        struct winsize window;

        if (console->window_fd < 0 || console->fd < 0 ||
            ioctl(console->window_fd, TIOCGWINSZ, &window) < 0 || window.ws_row == 0)
                return;
        size = (struct console_size){.rows = window.ws_row, .columns = window.ws_col};
        memcpy(packet + 1, &size, sizeof(size));
        (void)send(console->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void open_terminal(struct console *console) {
        char key[8];

        terminal_init(&console->terminal, console->options.read_only ? -1 : STDIN_FILENO);
        if (console->terminal.fd < 0)
                return;
        console->window_fd = console->terminal.fd;
        if (console->options.escape == TERMINAL_NO_KEY)
                cli_say(console->cli, "attached to '%s'", console->vm);
        else
                cli_say(console->cli, "attached to '%s'; %s leaves", console->vm,
                        terminal_format_key(console->options.escape, key));
        terminal_make_raw(&console->terminal);
        send_size(console);
}

static int open_signals(struct loop *loop) {
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGCONT);
        loop->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (loop->signal_fd < 0)
                return fault(-errno);
        sigprocmask(SIG_BLOCK, &set, NULL);
        r = interrupt_init(&loop->interrupt);
        return r;
}

/* A shell that continues us has made the terminal its own meanwhile. */
static void take_signals(struct console *console, struct loop *loop) {
        struct signalfd_siginfo info;

        while (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGCONT)
                        terminal_make_raw(&console->terminal);
                send_size(console);
        }
        if (interrupt_came(&loop->interrupt))
                console_finish(console, 128 + loop->interrupt.signo);
}

/* ---- both ways ---- */

static void send_input(struct console *console) {
        char packet[CONSOLE_PACKET_MAX] = {CONSOLE_DATA};

        if (console->n_input == 0 || console->fd < 0)
                return;
        memcpy(packet + 1, console->input, console->n_input);
        if (send(console->fd, packet, 1 + console->n_input, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
            (errno != EAGAIN && errno != EINTR))
                console->n_input = 0;
}

static void take_input(struct console *console) {
        bool terminal = console->terminal.fd >= 0;
        char bytes[CONSOLE_DATA_MAX];
        const char *escape = NULL;
        ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                console->input_ended = true;
                if (terminal)
                        console_finish(console, 128 + SIGHUP);
                return;
        }
        if (terminal && console->options.escape != TERMINAL_NO_KEY)
                escape = memchr(bytes, console->options.escape, (size_t)n);
        if (escape)
                n = escape - bytes;
        /* Keys that a VM does not take, and for which there is no room any more, are lost. */
        n = (ssize_t)min_u64((uint64_t)n, sizeof(console->input) - console->n_input);
        memcpy(console->input + console->n_input, bytes, (size_t)n);
        console->n_input += (size_t)n;
        send_input(console);
        if (escape)
                console_finish(console, STATUS_OK);
}

static void put_output(struct console *console) {
        size_t n = min_u64(console->n_output - console->output_done, OUTPUT_PART);
        ssize_t done = write(fileno(console->cli->out), console->output + console->output_done, n);

        if (done < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (done < 0) {
                int error = errno;

                terminal_restore(&console->terminal);
                console_finish(console, error == EPIPE ? STATUS_OUTPUT
                                                       : cli_fail(console->cli, STATUS_OUTPUT,
                                                                  "cannot write the output: %s",
                                                                  strerror(error)));
                return;
        }
        console->output_done += (size_t)done;
}

/* ---- the end ---- */

/* What the console's end means; false: to be looked at again when there is news. */
static bool see_end(struct console *console, struct loop *loop) {
        uint64_t now = cli_now_usec();

        if (loop->ended_usec == 0)
                loop->ended_usec = now;
        if (!console->fate.ended && now < loop->ended_usec + END_USEC)
                return false;
        terminal_restore(&console->terminal);
        if (console->fate.known)
                console_finish(console, console->fate.status);
        else if (console->fate.ended || !fate_still_runs(&console->fate))
                console_finish(console, cli_fail(console->cli, STATUS_BROKER,
                                                 "the console of '%s' has ended; its exit status "
                                                 "is not known",
                                                 console->vm));
        else
                console_finish(console,
                               cli_fail(console->cli, STATUS_OK,
                                        "'%s' runs on, but its console has ended: it has closed "
                                        "it, or the console's keeper was killed",
                                        console->vm));
        return true;
}

/* ---- the loop ---- */

enum { POLL_SIGNAL, POLL_INTERRUPT, POLL_FATE, POLL_INPUT, POLL_CONSOLE, POLL_OUTPUT, _POLL_N };

static int poll_timeout_msec(const struct console *console, const struct loop *loop) {
        uint64_t now = cli_now_usec(), at = fate_deadline(&console->fate);

        if (loop->ended_usec)
                at = min_u64(at, loop->ended_usec + END_USEC);
        if (at == UINT64_MAX)
                return -1;
        return at > now ? (int)((at - now + 999) / 1000) : 0;
}

static int wait_for_news(struct console *console, const struct loop *loop) {
        bool printing = console->output_done < console->n_output;
        bool reading = !console->input_ended && !console->options.read_only && console->fd >= 0 &&
                       (console->n_input == 0 || console->terminal.fd >= 0);
        struct pollfd fds[_POLL_N] = {
                [POLL_SIGNAL] = {loop->signal_fd, POLLIN, 0},
                [POLL_INTERRUPT] = {loop->interrupt.fd, POLLIN, 0},
                [POLL_FATE] = {console->fate.client.stream.fd,
                               client_poll_events(&console->fate.client), 0},
                [POLL_INPUT] = {reading ? STDIN_FILENO : -1, POLLIN, 0},
                [POLL_CONSOLE] = {printing && console->n_input == 0 ? -1 : console->fd, 0, 0},
                [POLL_OUTPUT] = {printing ? fileno(console->cli->out) : -1, POLLOUT, 0},
        };
        int n;

        fds[POLL_CONSOLE].events =
                (short)((printing ? 0 : POLLIN) | (console->n_input > 0 ? POLLOUT : 0));
        n = poll(fds, _POLL_N, poll_timeout_msec(console, loop));
        if (n < 0)
                return errno == EINTR ? 0 : fault(-errno);
        if (fds[POLL_OUTPUT].revents)
                put_output(console);
        if (!console->done && fds[POLL_INPUT].revents)
                take_input(console);
        if (fds[POLL_CONSOLE].revents & POLLOUT)
                send_input(console);
        if (!console->done && !printing && fds[POLL_CONSOLE].revents & (POLLIN | POLLHUP | POLLERR))
                console_take(console);
        return 0;
}

static int run(struct console *console, struct loop *loop) {
        int r = 0;

        while (r == 0 && !console->done) {
                take_signals(console, loop);
                r = fate_step(&console->fate, cli_now_usec());
                if (r < 0 || console->done)
                        break;
                if (console->fd < 0 && console->output_done == console->n_output &&
                    see_end(console, loop))
                        break;
                r = wait_for_news(console, loop);
        }
        return r;
}

int console_attach(struct console *console) {
        struct loop loop = {.interrupt = INTERRUPT_NULL, .signal_fd = -1};
        int r;

        fflush(console->cli->out);
        r = open_signals(&loop);
        if (r == 0) {
                open_terminal(console);
                r = run(console, &loop);
        }
        terminal_restore(&console->terminal);
        if (r < 0)
                console->status = cli_fault(console->cli, r);
        else if (console->terminal.fd >= 0 && console->status == STATUS_OK && console->fd >= 0)
                cli_say(console->cli, "left; '%s' runs on", console->vm);
        fd_close(loop.signal_fd);
        /* The signals stay blocked: one that comes now must not change what we exit with. */
        fd_close(loop.interrupt.fd);
        return console->status;
}

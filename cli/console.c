/* SPDX-License-Identifier: MIT */
/*
 * provium console: the terminal that the broker gave to a detached VM, and the last of what the VM
 * printed there. The VM's own keeper serves it, so the broker is only asked where, and how the VM
 * ended.
 *
 * What a VM prints is a stranger's text. Attached, it goes to the terminal as it is: that is what a
 * console is, and a boot loader's menu needs it. --log on a terminal shows text only.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/console.h>
#include <cli/human.h>

#define ATTACH_LINES 20
#define LOG_MSEC 10000 /* between two packets of the log */

enum { OPTION_ESCAPE = 1, OPTION_LOG, OPTION_LINES, OPTION_READ_ONLY };

const struct option_row console_option_rows[] = {
        {OPTION_ESCAPE, "escape", "KEY", "what leaves, such as ^a, or none (^])"},
        {OPTION_LOG, "log", NULL, "only print what is kept of the VM's output"},
        {OPTION_LINES, "lines", "N", "of that only the last lines (20; with --log, all)"},
        {OPTION_READ_ONLY, "read-only", NULL, "send nothing to the VM"},
        {},
};

void console_finish(struct console *console, int status) {
        console->done = true;
        console->status = status;
}

/* ---- what the keeper sends ---- */

/* The oldest goes first, should a keeper ever send more than it says it keeps. */
static void add_log(struct console *console, const char *bytes, size_t n) {
        size_t over =
                n + console->n_log > CONSOLE_LOG_MAX ? n + console->n_log - CONSOLE_LOG_MAX : 0;

        memmove(console->log, console->log + over, console->n_log - over);
        memcpy(console->log + console->n_log - over, bytes, n);
        console->n_log += n - over;
}

static void add_output(struct console *console, const char *bytes, size_t n) {
        assert(console->output_done == console->n_output && n <= sizeof(console->output));
        memcpy(console->output, bytes, n);
        console->n_output = n;
        console->output_done = 0;
}

static void go_live(struct console *console) {
        const char *tail;
        size_t n;

        console->live = true;
        if (console->options.log_only) {
                console_finish(console, STATUS_OK);
        } else {
                tail = console_tail(console, &n);
                add_output(console, tail, n);
        }
}

static void tell_gap(struct console *console, const char *packet, size_t n) {
        struct console_gap gap;

        if (n != sizeof(gap))
                return;
        memcpy(&gap, packet, n);
        fprintf(console->cli->err, "%sprovium: console: %llu bytes were lost here%s",
                console->terminal.raw ? "\r\n" : "", (unsigned long long)gap.bytes,
                console->terminal.raw ? "\r\n" : "\n");
        fflush(console->cli->err);
}

void console_take(struct console *console) {
        char packet[CONSOLE_PACKET_MAX];
        ssize_t n = recv(console->fd, packet, sizeof(packet), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                console->fd = fd_close(console->fd);
                if (!console->live)
                        go_live(console);
        } else if (packet[0] == CONSOLE_LIVE && !console->live) {
                go_live(console);
        } else if (packet[0] == CONSOLE_GAP) {
                tell_gap(console, packet + 1, (size_t)n - 1);
        } else if (packet[0] == CONSOLE_FULL) {
                console_finish(console, cli_fail(console->cli, STATUS_FULL,
                                                 "%d watch this console already, as many as may",
                                                 CONSOLE_WATCHERS_MAX));
        } else if (packet[0] == CONSOLE_DATA && n > 1) {
                if (console->live)
                        add_output(console, packet + 1, (size_t)n - 1);
                else
                        add_log(console, packet + 1, (size_t)n - 1);
        }
}

/* ---- the log ---- */

const char *console_tail(const struct console *console, size_t *np) {
        size_t at = console->n_log;
        uint64_t lines = 0;

        /* The newline at the very end ends the last line and begins none. */
        for (; at > 0; at--)
                if (console->log[at - 1] == '\n' && at < console->n_log &&
                    ++lines >= console->options.lines)
                        break;
        if (console->options.lines == 0)
                at = console->n_log;
        *np = console->n_log - at;
        return console->log + at;
}

/* A terminal's output without what only a terminal understands. */
static void print_safe(FILE *file, char *text, size_t n) {
        size_t kept = 0;

        for (size_t i = 0; i < n; i++)
                if (text[i] != '\r')
                        text[kept++] = text[i] ? text[i] : '?';
        text[kept] = '\0';
        human_print_text(file, text);
        if (kept > 0 && text[kept - 1] != '\n')
                fputc('\n', file);
}

static int print_log(struct console *console) {
        FILE *out = console->cli->out;
        const char *tail;
        size_t n;

        while (!console->done && console->fd >= 0) {
                struct pollfd fd = {console->fd, POLLIN, 0};
                int r = poll(&fd, 1, LOG_MSEC);

                if (r == 0)
                        return cli_fail(console->cli, STATUS_NO_BROKER,
                                        "the console does not answer; its VM may be frozen");
                if (r > 0)
                        console_take(console);
        }
        if (console->status)
                return console->status;
        tail = console_tail(console, &n);
        if (isatty(fileno(out)))
                print_safe(out, console->log + (tail - console->log), n);
        else
                fwrite(tail, 1, n, out);
        return STATUS_OK;
}

/* ---- the command line ---- */

static int set_option(struct console_options *options, int option, const char *value,
                      struct why *why) {
        switch (option) {
        case OPTION_ESCAPE:
                return terminal_parse_key(value, &options->escape, why);
        case OPTION_LOG:
                options->log_only = true;
                return 0;
        case OPTION_LINES:
                return units_parse_count(value, &options->lines, why);
        default:
                options->read_only = true;
                return 0;
        }
}

static int parse_options(struct cli *cli, struct words *words, struct console_options *options) {
        bool lines_given = false;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                struct why why = {};

                lines_given = lines_given || option == OPTION_LINES;
                if (set_option(options, option, words->value, &why)) {
                        words->status = cli_misused(cli, "--%s: %s",
                                                    console_option_rows[option - 1].name, why.text);
                        return -1;
                }
        }
        if (!lines_given)
                options->lines = options->log_only ? CONSOLE_ALL_LINES : ATTACH_LINES;
        return option ?: words_count(cli, words, 1, 1);
}

static int connect_to(struct cli *cli, const char *path, int *fdp) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        char safe[HUMAN_TEXT_MAX];

        if (fd < 0)
                return cli_fault(cli, -errno);
        if (strlen(path) >= sizeof(address.sun_path))
                return cli_fail(cli, STATUS_BROKER, "the broker's reply makes no sense: %s",
                                human_safe(path, safe));
        strcpy(address.sun_path, path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return cli_fail(cli, errno == EACCES ? STATUS_DENIED : STATUS_NO_BROKER,
                                errno == ECONNREFUSED
                                        ? "nobody keeps this console any more: no process of the "
                                          "VM has it open, or its keeper was killed"
                                        : "cannot connect to %s: %s",
                                human_safe(path, safe), strerror(errno));
        *fdp = take_fd(fd);
        return STATUS_OK;
}

static int find_console(struct console *console, const json_t *vm) {
        const char *path = human_string(vm, "console");
        char safe[HUMAN_TEXT_MAX];

        if (*path)
                return connect_to(console->cli, path, &console->fd);
        return cli_fail(console->cli, STATUS_NOT_FOUND,
                        strcmp(human_string(vm, "state"), "waiting") == 0
                                ? "'%s' still waits to be started"
                                : "'%s' has no console; a VM that is started with --detach has "
                                  "one, without --no-console",
                        human_safe(console->vm, safe));
}

static void console_freep(struct console **consolep) {
        struct console *console = *consolep;

        if (!console)
                return;
        fate_deinit(&console->fate);
        fd_close(console->fd);
        free(console);
}

int command_console(struct cli *cli, struct words *words) {
        _cleanup_(console_freep) struct console *console = calloc(1, sizeof(*console));
        struct reply reply = REPLY_NULL;
        const json_t *vm;
        int status;

        if (!console)
                return cli_fault(cli, -ENOMEM);
        console->cli = cli;
        console->fd = console->window_fd = -1;
        console->fate = (struct fate)FATE_NULL;
        console->options.escape = TERMINAL_ESCAPE;
        if (parse_options(cli, words, &console->options) < 0)
                return words->status;
        console->vm = words->argv[0];
        status = cli_ask(cli, "Show", json_pack("{ss}", "vm", console->vm), &reply);
        if (status)
                return status;
        vm = json_object_get(reply.parameters, "vm");
        console->id = human_string(vm, "id");
        console->fate.cli = cli;
        console->fate.id = console->id;
        status = find_console(console, vm);
        if (!status)
                status = console->options.log_only ? print_log(console) : console_attach(console);
        reply_deinit(&reply);
        return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * provium qmp: a VM's own hypervisor, over the socket that it inherited from the broker. The broker
 * says where that is, and has no part in what is said over it.
 *
 * With a command on the command line its return is printed, and events are passed over. Without
 * one, lines of the standard input are sent one at a time, the next when the answer to the last has
 * come, and all that comes is printed.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/monitor.h>

#define INPUT_MAX (1024 * 1024) /* bytes of a line that is sent */
#define TIMEOUT_USEC UINT64_C(10000000)
#define TIMEOUT_MAX_USEC (UINT64_C(1) << 50)

enum { OPTION_TIMEOUT = 1 };

const struct option_row qmp_option_rows[] = {
        {OPTION_TIMEOUT, "timeout", "DURATION", "how long to wait for each answer (10s)"},
        {},
};

/* @text as a JSON object, a new reference; or NULL and, fit to be shown, what is wrong with it. */
static json_t *load_object(const char *text, char wrong[HUMAN_TEXT_MAX]) {
        char safe[HUMAN_TEXT_MAX];
        json_error_t error;
        json_t *value = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

        if (json_is_object(value))
                return value;
        snprintf(wrong, HUMAN_TEXT_MAX, "%s",
                 value ? "it is another value" : human_safe(error.text, safe));
        json_decref(value);
        return NULL;
}

static int run_one(struct monitor *monitor, const char *text) {
        struct cli *cli = monitor->cli;
        json_t *answer = NULL;
        int status;

        status = monitor_ask(monitor, text, &answer);
        if (status)
                return status;
        if (json_object_get(answer, "error")) {
                status = monitor_failed(cli, answer);
        } else {
                /* Nothing but ASCII: no character of it can do anything to a terminal. */
                if (json_dumpf(json_object_get(answer, "return"), cli->out,
                               JSON_ENCODE_ANY | JSON_ENSURE_ASCII |
                                       (cli->json ? JSON_COMPACT : JSON_INDENT(2))) < 0)
                        status = cli_fail(cli, STATUS_OUTPUT, "cannot print the answer");
                fputc('\n', cli->out);
        }
        json_decref(answer);
        return status;
}

/* ---- line by line ---- */

/* Prints what has come. *waitingp: an answer is outstanding. */
static void print_lines(struct monitor *monitor, bool *waitingp) {
        FILE *out = monitor->cli->out;
        const char *line;

        while ((line = lines_next(&monitor->lines))) {
                json_t *object = json_loads(line, 0, NULL);

                if (monitor_is_answer(object))
                        *waitingp = false;
                json_decref(object);
                human_print_text(out, line);
                fputc('\n', out);
        }
        fflush(out);
}

/* Sends the next line that is not blank. *sentp: there was one. */
static int send_input(struct monitor *monitor, struct lines *input, bool *sentp) {
        char wrong[HUMAN_TEXT_MAX];
        const char *line;

        while ((line = lines_next(input))) {
                json_t *object;

                if (line[strspn(line, " \t\r")] == '\0')
                        continue;
                object = load_object(line, wrong);
                if (!object)
                        return cli_fail(monitor->cli, STATUS_USAGE,
                                        "a line is no JSON object such as "
                                        "{\"execute\":\"query-status\"}: %s",
                                        wrong);
                json_decref(object);
                *sentp = true;
                return monitor_send(monitor, line);
        }
        return STATUS_OK;
}

static int read_input(struct cli *cli, struct lines *input) {
        int r = lines_fill(input);

        if (r < 0)
                return cli_fault(cli, r);
        if (r == LINES_E_TOO_BIG)
                return cli_fail(cli, STATUS_USAGE, "a line is longer than %d bytes", INPUT_MAX);
        if (r == LINES_E_READ)
                return cli_fail(cli, STATUS_USAGE, "cannot read the input: %s", strerror(errno));
        return STATUS_OK;
}

/* Until something can be read from the hypervisor; from the input, too, if nothing is outstanding.
 */
static int wait_for_either(struct monitor *monitor, struct lines *input, bool waiting,
                           bool *inputp) {
        struct pollfd fds[] = {{monitor->lines.fd, POLLIN, 0}, {input->fd, POLLIN, 0}};

        *inputp = false;
        if (waiting)
                return monitor_wait(monitor);
        while (poll(fds, 2, -1) < 0)
                if (errno != EINTR)
                        return cli_fault(monitor->cli, -errno);
        *inputp = !fds[0].revents;
        return STATUS_OK;
}

static int relay(struct monitor *monitor, struct lines *input) {
        bool waiting = false, readable;
        int status;

        for (;;) {
                print_lines(monitor, &waiting);
                if (ferror(monitor->cli->out))
                        return STATUS_OUTPUT;
                /* After "quit" that is how it ends. */
                if (monitor->lines.ended)
                        return waiting ? monitor_lost(monitor) : STATUS_OK;
                status = waiting ? STATUS_OK : send_input(monitor, input, &waiting);
                if (status)
                        return status;
                if (!waiting && input->ended)
                        return STATUS_OK;
                status = wait_for_either(monitor, input, waiting, &readable);
                if (status)
                        return status;
                status = readable ? read_input(monitor->cli, input) : monitor_fill(monitor);
                if (status)
                        return status;
        }
}

static int talk(struct monitor *monitor) {
        struct lines input;
        int status;

        lines_init(&input, STDIN_FILENO, INPUT_MAX);
        if (isatty(STDIN_FILENO))
                cli_say(monitor->cli, "connected; one JSON object per line, Ctrl-D ends");
        status = relay(monitor, &input);
        lines_deinit(&input);
        return status;
}

/* ---- the command line ---- */

/* The message of the command that was given; *textp to be freed, NULL if there is none. */
static int make_message(struct cli *cli, const struct words *words, char **textp) {
        json_t *message, *arguments = NULL;
        char wrong[HUMAN_TEXT_MAX];

        if (words->argc < 2)
                return STATUS_OK;
        if (words->argc == 3) {
                arguments = load_object(words->argv[2], wrong);
                if (!arguments)
                        return cli_misused(
                                cli, "the arguments are no JSON object such as {\"value\":5}: %s",
                                wrong);
        }
        message = json_pack("{ss so*}", "execute", words->argv[1], "arguments", arguments);
        if (!message)
                return cli_misused(cli, "the command is not UTF-8");
        *textp = json_dumps(message, JSON_COMPACT);
        json_decref(message);
        return *textp ? STATUS_OK : cli_fault(cli, -ENOMEM);
}

/* Where its socket is; *pathp to be freed. */
static int find_socket(struct cli *cli, const char *vm, char **pathp) {
        struct reply reply = REPLY_NULL;
        char safe[HUMAN_TEXT_MAX];
        const json_t *object;
        int status;

        status = cli_ask(cli, "Show", json_pack("{ss}", "vm", vm), &reply);
        if (status)
                return status;
        object = json_object_get(reply.parameters, "vm");
        if (*human_string(object, "qmp")) {
                *pathp = strdup(human_string(object, "qmp"));
                status = *pathp ? STATUS_OK : cli_fault(cli, -ENOMEM);
        } else if (strcmp(human_string(object, "state"), "waiting") == 0) {
                status = cli_fail(cli, STATUS_NOT_FOUND, "'%s' still waits to be started",
                                  human_safe(vm, safe));
        } else {
                status = cli_fail(cli, STATUS_NOT_FOUND,
                                  "'%s' has no QMP socket; its command gets one with -chardev "
                                  "socket,id=qmp,fd={qmp.fd},server=on,wait=off -mon "
                                  "chardev=qmp,mode=control",
                                  human_safe(vm, safe));
        }
        reply_deinit(&reply);
        return status;
}

static int parse_options(struct cli *cli, struct words *words, struct monitor *monitor) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0)
                if (units_parse_duration(words->value, &monitor->timeout_usec, &why)) {
                        words->status = cli_misused(cli, "--timeout: %s", why.text);
                        return -1;
                }
        monitor->timeout_usec = min_u64(monitor->timeout_usec, TIMEOUT_MAX_USEC);
        return option ?: words_count(cli, words, 1, 3);
}

int command_qmp(struct cli *cli, struct words *words) {
        _cleanup_(monitor_deinitp) struct monitor monitor = MONITOR_NULL;
        _cleanup_(freep) char *text = NULL, *path = NULL;
        int status;

        monitor.cli = cli;
        monitor.timeout_usec = TIMEOUT_USEC;
        if (parse_options(cli, words, &monitor) < 0)
                return words->status;
        status = make_message(cli, words, &text);
        if (status == 0)
                status = find_socket(cli, words->argv[0], &path);
        if (status == 0)
                status = monitor_open(&monitor, path);
        if (status)
                return status;
        return text ? run_one(&monitor, text) : talk(&monitor);
}

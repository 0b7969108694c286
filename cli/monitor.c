/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <base/fd.h>
#include <base/units.h>
#include <cli/cli.h>
#include <cli/human.h>
#include <cli/monitor.h>

#define ANSWER_MAX (8 * 1024 * 1024) /* bytes of a line; query-qmp-schema answers with 250 K */

static int no_hypervisor(struct monitor *monitor, const char *what) {
        return cli_fail(monitor->cli, STATUS_NO_BROKER, "the hypervisor %s", what);
}

static int late(struct monitor *monitor, const char *what, const char *hint) {
        char text[UNITS_TEXT_MAX];

        return cli_fail(monitor->cli, STATUS_NO_BROKER, "no %s within %s%s", what,
                        units_format_duration(monitor->timeout_usec, text, sizeof(text)), hint);
}

/* ---- the connection ---- */

static int cannot_connect(struct cli *cli, const char *path, int error) {
        char safe[HUMAN_TEXT_MAX];

        if (error == ECONNREFUSED || error == ENOENT)
                return cli_fail(cli, STATUS_NO_BROKER,
                                "nobody listens at %s: its hypervisor has ended, or made nothing "
                                "of {qmp.fd}",
                                human_safe(path, safe));
        return cli_fail(cli, error == EACCES ? STATUS_DENIED : STATUS_NO_BROKER,
                        "cannot connect to %s: %s%s", human_safe(path, safe), strerror(error),
                        error == EAGAIN ? "; others wait for it already" : "");
}

static int connect_to(struct monitor *monitor, const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return cannot_connect(monitor->cli, path, ENAMETOOLONG);
        strcpy(address.sun_path, path);
        /* Not blocking: with a full backlog connect(2) would wait as long as it takes. */
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return cannot_connect(monitor->cli, path, errno);
        lines_init(&monitor->lines, take_fd(fd), ANSWER_MAX);
        return STATUS_OK;
}

void monitor_deinit(struct monitor *monitor) {
        fd_close(monitor->lines.fd);
        lines_deinit(&monitor->lines);
}

/* True: @events came before @until_usec. */
static bool wait_for(const struct monitor *monitor, short events, uint64_t until_usec) {
        struct pollfd pollfd = {monitor->lines.fd, events, 0};

        for (;;) {
                uint64_t now = cli_now_usec();
                uint64_t left_ms = until_usec > now ? (until_usec - now) / 1000 + 1 : 0;
                int n = poll(&pollfd, 1, (int)min_u64(left_ms, 1000000));

                if (n > 0)
                        return true;
                if (left_ms == 0 || (n < 0 && errno != EINTR))
                        return false;
        }
}

static uint64_t deadline(const struct monitor *monitor) {
        return cli_now_usec() + monitor->timeout_usec;
}

int monitor_wait(struct monitor *monitor) {
        return wait_for(monitor, POLLIN, deadline(monitor)) ? STATUS_OK
                                                            : late(monitor, "answer", "");
}

int monitor_fill(struct monitor *monitor) {
        int r = lines_fill(&monitor->lines);

        if (r < 0)
                return cli_fault(monitor->cli, r);
        if (r == LINES_E_TOO_BIG)
                return no_hypervisor(monitor, "sends a line that does not end");
        return r == LINES_E_READ ? monitor_lost(monitor) : STATUS_OK;
}

int monitor_lost(struct monitor *monitor) {
        return no_hypervisor(monitor, "closed the connection");
}

int monitor_send(struct monitor *monitor, const char *text) {
        uint64_t until = deadline(monitor);
        size_t length = strlen(text), sent = 0;

        while (sent <= length) {
                bool end = sent == length;
                ssize_t n = send(monitor->lines.fd, end ? "\n" : text + sent,
                                 end ? 1 : length - sent, MSG_NOSIGNAL);

                if (n >= 0)
                        sent += (size_t)n;
                else if (errno != EAGAIN && errno != EINTR)
                        return monitor_lost(monitor);
                else if (!wait_for(monitor, POLLOUT, until))
                        return no_hypervisor(monitor, "does not read what is sent to it");
        }
        return STATUS_OK;
}

/* ---- what is said ---- */

bool monitor_is_answer(const json_t *object) {
        return !object || json_object_get(object, "return") || json_object_get(object, "error");
}

/* The next line as JSON, a new reference; @what it is, and what may be wrong if it does not come.
 */
static int next_object(struct monitor *monitor, uint64_t until_usec, const char *what,
                       const char *hint, json_t **objectp) {
        char safe[HUMAN_TEXT_MAX];
        json_error_t error;
        const char *line;
        json_t *object;

        while (!(line = lines_next(&monitor->lines))) {
                int status;

                if (monitor->lines.ended)
                        return monitor_lost(monitor);
                if (!wait_for(monitor, POLLIN, until_usec))
                        return late(monitor, what, hint);
                status = monitor_fill(monitor);
                if (status)
                        return status;
        }
        object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (!object)
                return cli_fail(monitor->cli, STATUS_NO_BROKER,
                                "what the hypervisor says is no QMP: %s",
                                human_safe(error.text, safe));
        *objectp = object;
        return STATUS_OK;
}

int monitor_ask(struct monitor *monitor, const char *text, json_t **answerp) {
        uint64_t until = deadline(monitor);
        json_t *object;
        int status;

        status = monitor_send(monitor, text);
        if (status)
                return status;
        for (;;) {
                status = next_object(monitor, until, "answer", "", &object);
                if (status)
                        return status;
                if (monitor_is_answer(object))
                        break;
                json_decref(object);
        }
        *answerp = object;
        return STATUS_OK;
}

int monitor_failed(struct cli *cli, const json_t *answer) {
        const json_t *error = json_object_get(answer, "error");
        char safe[HUMAN_TEXT_MAX];

        if (cli->json) {
                json_t *object = json_pack("{ss ss}", "error", human_string(error, "class"),
                                           "message", human_string(error, "desc"));

                cli_print_json(cli, object);
                json_decref(object);
        }
        return cli_fail(cli, STATUS_PROBLEM, "%s", human_member(error, "desc", safe));
}

static int no_greeting(struct monitor *monitor, const json_t *object) {
        char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII), safe[HUMAN_TEXT_MAX];
        int status;

        status = cli_fail(monitor->cli, STATUS_NO_BROKER,
                          "the hypervisor does not greet as QMP does, but with '%.80s'; it wants "
                          "-mon chardev=qmp,mode=control",
                          text ? human_safe(text, safe) : "?");
        free(text);
        return status;
}

int monitor_open(struct monitor *monitor, const char *path) {
        uint64_t until = deadline(monitor);
        json_t *greeting = NULL, *answer = NULL;
        int status;

        status = connect_to(monitor, path);
        if (status)
                return status;
        /* QEMU broadcasts an event also to a monitor that nobody has opened yet, and keeps it: so
         * whoever is early finds, say, RESUME before the greeting. */
        do {
                json_decref(greeting);
                greeting = NULL;
                status = next_object(monitor, until, "greeting",
                                     "; QMP serves one client at a time: is another connected?",
                                     &greeting);
                if (status)
                        return status;
        } while (json_object_get(greeting, "event"));
        if (!json_object_get(greeting, "QMP"))
                status = no_greeting(monitor, greeting);
        json_decref(greeting);
        if (status)
                return status;
        status = monitor_ask(monitor, "{\"execute\":\"qmp_capabilities\"}", &answer);
        if (status == 0 && json_object_get(answer, "error"))
                status = monitor_failed(monitor->cli, answer);
        json_decref(answer);
        return status;
}

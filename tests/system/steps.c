/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"

#define OUTPUT HOUSE_DIR "/strace"

static void attach(struct job *strace, pid_t whom, bool children, const char *call,
                   const char *what, int when) {
        char pid[16], inject[128];

        snprintf(pid, sizeof(pid), "%d", whom);
        snprintf(inject, sizeof(inject), "inject=%s:%s:when=%d", call, what, when);
        unlink(OUTPUT);
        /* With -f the tables of what is traced are by process: the child counts from one. */
        JOB(strace, "strace", children ? "-f" : "-y", "-p", pid, "-o", OUTPUT, "-e", inject);
        job_wait_err(strace, "attached");
}

void steps_attach(struct job *strace, const struct house *house, const char *call, const char *what,
                  int when) {
        attach(strace, house->broker, false, call, what, when);
}

/* The only one of the broker's children with that word among its own. */
pid_t steps_launcher(const struct house *house) {
        char path[64], text[256] = "";
        pid_t pid = 0, child;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", house->broker, house->broker);
        file = fopen(path, "re");
        while (file && pid == 0 && fscanf(file, "%d", &child) == 1) {
                snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
                file_get(path, text, sizeof(text));
                if (memmem(text, sizeof(text), "--launcher", 10))
                        pid = child;
        }
        if (file)
                fclose(file);
        need_that(pid > 0, "the broker has a launcher");
        return pid;
}

void steps_attach_launcher(struct job *strace, const struct house *house, const char *call,
                           const char *what, int when) {
        attach(strace, steps_launcher(house), false, call, what, when);
}

void steps_attach_child(struct job *strace, const struct house *house, const char *call,
                        const char *what, int when) {
        attach(strace, steps_launcher(house), true, call, what, when);
}

void steps_detach(struct job *strace) {
        job_kill(strace, SIGINT);
        if (job_wait(strace, HOUSE_WAIT_MS) < 0) {
                job_kill(strace, SIGKILL);
                job_wait(strace, HOUSE_WAIT_MS);
        }
}

bool steps_injected(void) {
        static char text[1 << 20];

        file_get(OUTPUT, text, sizeof(text));
        return strstr(text, "INJECTED");
}

struct outcome steps_launch(struct house *house, json_t *net) {
        struct outcome outcome = {.exit_code = -1};
        char path[1024];
        struct line line;
        json_t *reply, *parameters;
        bool timeout;

        snprintf(path, sizeof(path), "%s/vm", getenv("PROVIUM_HELPERS"));
        if (!line_open(&line)) {
                json_decref(net);
                outcome.broker_gone = pidfd_wait(house->pidfd, 1000);
                return outcome;
        }
        parameters = json_pack("{s:s s:[s,s,s] s:[]}", "slice", "t", "command", path, "exit", "3",
                               "environment");
        if (net)
                json_object_set_new(parameters, "net", net);
        line_run(&line, parameters);
        while ((reply = line_reply(&line, 45000, &timeout))) {
                const char *word = reply_word(reply) ?: "";

                snprintf(outcome.word, sizeof(outcome.word), "%s", word);
                if (json_object_get(reply, "error") || strcmp(word, "exited") == 0) {
                        snprintf(outcome.message, sizeof(outcome.message), "%s",
                                 reply_text(reply, "message") ?: "");
                        outcome.exit_code = reply_number(reply, "exit_code");
                        outcome.told = true;
                        json_decref(reply);
                        break;
                }
                json_decref(reply);
        }
        expect_that(reply || !timeout, "the client is told something, or closed");
        line_close(&line);
        outcome.broker_gone = pidfd_wait(house->pidfd, outcome.told ? 0 : 300);
        return outcome;
}

struct outcome steps_launch_disk(struct house *house, const char *image) {
        struct outcome outcome = {};
        char path[1024];
        struct job job;
        int status;

        snprintf(path, sizeof(path), "%s/vm", getenv("PROVIUM_HELPERS"));
        JOB(&job, "setpriv", "--reuid=1000", "--regid=1000", "--groups=1000,5000", "provium", "run",
            "--slice", "t", "--disk-image", image, "--", path, "exit", "3", "{disk.0.fd}");
        status = job_wait(&job, 45000);
        expect_that(status >= 0, "the client ends");
        outcome.told = status >= 0;
        outcome.exit_code = status;
        snprintf(outcome.message, sizeof(outcome.message), "%.500s", job.err);
        outcome.broker_gone = pidfd_wait(house->pidfd, 0);
        return outcome;
}

int steps_leaving_ms(const struct outcome *outcome, const char *call) {
        if (!outcome->injected)
                return 0;
        return strcmp(call, "epoll_wait") == 0 ? 3000 : 200;
}

void steps_bury(struct house *house) {
        int status;

        waitpid(house->broker, &status, 0);
        close(house->pidfd);
        house_start(house);
}

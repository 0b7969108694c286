/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "house.h"
#include "pane.h"

#define SERVER HOUSE_DIR "/tmux"
#define SHOT HOUSE_DIR "/pane"
#define TMUX "tmux", "-u", "-f", "/dev/null", "-S", SERVER

void pane_open(struct pane *pane, int columns, int rows, const char *command) {
        char width[16], height[16];
        struct job job;

        memset(pane, 0, sizeof(*pane));
        setenv("LC_ALL", "C.UTF-8", 1);
        unsetenv("TMUX");
        snprintf(width, sizeof(width), "%d", columns);
        snprintf(height, sizeof(height), "%d", rows);
        need_int(SHELL(&job, TMUX, "new-session", "-d", "-x", width, "-y", height, command), 0);
        need_int(SHELL(&job, TMUX, "display", "-p", "#{pid}"), 0);
        pane->server = pidfd_open(atoi(job.out), 0);
        need(pane->server >= 0);
        need_int(SHELL(&job, TMUX, "set", "-g", "status", "off"), 0);
        need_int(SHELL(&job, TMUX, "set", "-g", "remain-on-exit", "on"), 0);
        pane_resize(columns, rows);
}

void pane_close(struct pane *pane) {
        struct job job;

        SHELL(&job, TMUX, "kill-server");
        /* It goes on for a moment, and whoever opens the next one would meet it. */
        need(pidfd_wait(pane->server, HOUSE_WAIT_MS));
        close(pane->server);
}

void pane_look(struct pane *pane) {
        struct job job;

        need_int(SHELL(&job, TMUX, "capture-pane", ";", "save-buffer", SHOT), 0);
        file_get(SHOT, pane->text, sizeof(pane->text));
}

static void wait_for(struct pane *pane, const char *text, bool there) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;

        do
                pane_look(pane);
        while ((strstr(pane->text, text) != NULL) != there && now_ms() < until);
        if ((strstr(pane->text, text) != NULL) != there)
                pane_keep(pane, "top-failed.txt");
        need_that((strstr(pane->text, text) != NULL) == there, "the terminal %s '%s'",
                  there ? "does not show" : "goes on showing", text);
}

void pane_wait(struct pane *pane, const char *text) {
        wait_for(pane, text, true);
}

void pane_wait_gone(struct pane *pane, const char *text) {
        wait_for(pane, text, false);
}

const char *pane_row(const struct pane *pane, const char *start) {
        static char row[1024];

        for (const char *line = pane->text; *line;
             line += strcspn(line, "\n"), line += *line != 0) {
                const char *text = line + strspn(line, " >");

                if (strncmp(text, start, strlen(start)) != 0)
                        continue;
                snprintf(row, sizeof(row), "%.*s", (int)strcspn(text, "\n"), text);
                return row;
        }
        return "";
}

void pane_press(const char *key) {
        struct job job;

        need_int(SHELL(&job, TMUX, "send-keys", key), 0);
}

void pane_type(const char *text) {
        struct job job;

        need_int(SHELL(&job, TMUX, "send-keys", "-l", text), 0);
}

void pane_resize(int columns, int rows) {
        char width[16], height[16];
        struct job job;

        snprintf(width, sizeof(width), "%d", columns);
        snprintf(height, sizeof(height), "%d", rows);
        need_int(SHELL(&job, TMUX, "resize-window", "-x", width, "-y", height), 0);
}

bool pane_is_screen(void) {
        struct job job;

        need_int(SHELL(&job, TMUX, "display", "-p", "#{alternate_on}"), 0);
        return job.out[0] == '1';
}

void pane_keep(const struct pane *pane, const char *name) {
        unit_note("---- artefact %s ----\n%s\n---- end of artefact ----", name, pane->text);
}

/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "screen.h"

int console_count_sockets(void) {
        DIR *dir = opendir(HOUSE_DIR "/run/console");
        struct dirent *entry;
        int n = 0;

        if (!dir)
                return 0;
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

int console_count_keepers(void) {
        struct job job;

        SHELL(&job, "pgrep", "-cx", "provium-console");
        return atoi(job.out);
}

static bool none_left(void *userdata) {
        return console_count_sockets() == 0 && console_count_keepers() == 0;
}

void console_expect_none_left(void) {
        expect_that(wait_until(none_left, NULL, HOUSE_WAIT_MS),
                    "%d sockets and %d keepers are left", console_count_sockets(),
                    console_count_keepers());
}

char *console_socket_of(const char *name) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        const char *path = json_string_value(json_object_get(vm, "console"));
        char *copy = path ? strdup(path) : NULL;

        json_decref(reply);
        return copy;
}

int console_connect(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                int error = errno;

                close(fd);
                errno = error;
                return -1;
        }
        return fd;
}

void screen_start(struct screen *screen, const char *const *words) {
        const struct winsize window = {.ws_row = SCREEN_ROWS, .ws_col = SCREEN_COLUMNS};

        memset(screen, 0, sizeof(*screen));
        screen->pid = forkpty(&screen->fd, NULL, NULL, &window);
        if (screen->pid == 0) {
                setenv("PROVIUM_SOCKET", HOUSE_SOCKET, 1);
                execvp(words[0], (char *const *)words);
                _exit(127);
        }
        need(screen->pid > 0);
        screen->pidfd = pidfd_open(screen->pid, 0);
}

void screen_read(struct screen *screen, int timeout_ms) {
        struct pollfd fd = {screen->fd, POLLIN, 0};
        ssize_t n;

        if (poll(&fd, 1, timeout_ms) <= 0)
                return;
        n = read(screen->fd, screen->text + screen->n, sizeof(screen->text) - 1 - screen->n);
        if (n > 0)
                screen->n += (size_t)n;
        screen->text[screen->n] = '\0'; /* behind it may be what was shown before */
}

void screen_wait(struct screen *screen, const char *text) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;
        char *found;

        while (!(found = strstr(screen->text, text)) && now_ms() < until)
                screen_read(screen, 100);
        need_that(found, "the screen does not show '%s' but '%s'", text, screen->text);
        if (!found)
                return; /* for those who do not know that need_that() leaves */
        found += strlen(text);
        screen->n -= (size_t)(found - screen->text);
        memmove(screen->text, found, screen->n + 1);
}

void screen_type(const struct screen *screen, const char *text) {
        ssize_t n = write(screen->fd, text, strlen(text));

        need_that(n == (ssize_t)strlen(text), "the screen takes '%s': %s; it shows '%s'", text,
                  n < 0 ? strerror(errno) : "in part", screen->text);
}

int screen_end(struct screen *screen) {
        int status = 0;

        need(pidfd_wait(screen->pidfd, HOUSE_WAIT_MS));
        need_int(waitpid(screen->pid, &status, 0), screen->pid);
        screen_read(screen, 0);
        close(screen->fd);
        close(screen->pidfd);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

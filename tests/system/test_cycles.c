/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 250 */
/*
 * The broker after thousands of lives: no group that does not die, no descriptor, no watch and no
 * memory more than after the first hundred.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define CYCLES 6000
#define CLIENTS 8
#define WARM 1500

static int null_fd, root_fd;

static void ask_for_one(struct line *line, unsigned i) {
        const int fds[] = {null_fd, null_fd, null_fd, root_fd};
        char path[1024];

        /* One in ten fails in execve: that way round leaves nothing, either. */
        snprintf(path, sizeof(path), "%s/%s", getenv("PROVIUM_HELPERS"), i % 10 ? "vm" : "no-vm");
        line_call(line, "Run",
                  json_pack("{s:s s:[s,s,s] s:[]}", "slice", "t", "command", path, "exit", "0",
                            "environment"),
                  true, fds, 4);
}

static unsigned count_watches(pid_t pid) {
        char command[128], text[16] = "";
        FILE *file;

        snprintf(command, sizeof(command),
                 "cat /proc/%d/fdinfo/* 2>/dev/null | grep -c 'inotify wd:'", pid);
        file = popen(command, "re");
        if (!fgets(text, sizeof(text), file))
                text[0] = '\0';
        pclose(file);
        return (unsigned)atoi(text);
}

struct state {
        unsigned fds, watches;
        uint64_t rss;
        json_int_t dying;
};

static struct state state_of(const struct house *house) {
        struct state state = {
                .fds = count_fds(house->broker),
                .watches = count_watches(house->broker),
                .rss = rss_kib(house->broker),
                .dying = file_key(HOUSE_ROOT "/cgroup.stat", "nr_dying_descendants"),
        };

        unit_note("%u descriptors, %u watches, %ju KiB, %jd dying groups", state.fds, state.watches,
                  (uintmax_t)state.rss, (intmax_t)state.dying);
        return state;
}

static void thousands_of_lives_leave_the_broker_as_it_was(void) {
        static struct line lines[CLIENTS];
        struct house house;
        struct state warm = {}, end;
        unsigned asked = 0, ended = 0, wrong = 0;
        json_int_t most_dying = 0;
        uint64_t begin;

        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* What would be used up is made scarce. */
        need_int(file_put("/proc/sys/fs/inotify/max_user_watches", "1000"), 0);
        /* A heap that is gathered into a huge page is larger without having grown. */
        file_put("/sys/kernel/mm/transparent_hugepage/enabled", "never");
        house_open(&house, NULL, NULL);
        begin = now_ms();
        for (int i = 0; i < CLIENTS; i++) {
                need(line_open(&lines[i]));
                ask_for_one(&lines[i], asked++);
        }
        while (ended < CYCLES) {
                struct pollfd fds[CLIENTS];

                for (int i = 0; i < CLIENTS; i++)
                        fds[i] = (struct pollfd){lines[i].stream.fd, POLLIN, 0};
                need_that(poll(fds, CLIENTS, HOUSE_WAIT_MS) > 0, "life goes on after %u", ended);
                for (int i = 0; i < CLIENTS; i++) {
                        json_t *reply;

                        while (fds[i].revents && (reply = line_reply(&lines[i], 0, NULL))) {
                                const char *word = reply_word(reply);
                                bool over =
                                        strcmp(word, "queued") != 0 && strcmp(word, "started") != 0;

                                wrong += over && strcmp(word, "exited") != 0 &&
                                         strcmp(word, "ExecFailed") != 0;
                                if (over && wrong < 5 && strcmp(word, "exited") != 0 &&
                                    strcmp(word, "ExecFailed") != 0)
                                        printf("          %s: %s\n", word,
                                               reply_text(reply, "message"));
                                json_decref(reply);
                                if (!over)
                                        continue;
                                if (++ended == WARM)
                                        warm = state_of(&house);
                                if (ended % 500 == 0) {
                                        json_int_t dying = file_key(HOUSE_ROOT "/cgroup.stat",
                                                                    "nr_dying_descendants");

                                        most_dying = dying > most_dying ? dying : most_dying;
                                }
                                ask_for_one(&lines[i], asked++);
                        }
                }
        }
        end = state_of(&house);
        unit_note("%u lives, %.0f a second; at most %jd dying groups at a time", ended,
                  ended * 1e3 / (double)(now_ms() - begin), (intmax_t)most_dying);
        expect_int(wrong, 0);
        expect_within(end.fds, 1, warm.fds + 6 * CLIENTS);
        expect_within(end.watches, 1, warm.watches + CLIENTS);
        expect_within(end.rss, 1, warm.rss + 512);
        /* Page cache of the program's own start keeps a few for a while. */
        expect_within(most_dying, 0, 300);
        for (int i = 0; i < CLIENTS; i++)
                line_close(&lines[i]);
        house_close(&house);
        close(null_fd);
        close(root_fd);
}

UNIT_MAIN(TEST(thousands_of_lives_leave_the_broker_as_it_was), )

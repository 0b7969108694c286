/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include <bench/peer.h>

extern char **environ;

void peer_init(struct peer *peer, char *text) {
        char *save = NULL, *word;
        size_t n = 0;

        peer->name = strsep(&text, "=");
        if (!text)
                errx(64, "--peer NAME=COMMAND: there is no '=' in '%s'", peer->name);
        for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                if (n + 3 > PEER_WORDS_MAX)
                        errx(64, "--peer %s: too many words", peer->name);
                peer->words[n++] = strcmp(word, ";") == 0 ? NULL : word;
        }
}

void peer_launch(struct peer *peer, bool count) {
        uint64_t began = sample_now_ns();

        for (char **command = peer->words; *command;) {
                int status, r;
                pid_t pid;

                r = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
                if (r)
                        errx(1, "%s: cannot execute %s: %s", peer->name, command[0], strerror(r));
                if (waitpid(pid, &status, 0) < 0 || status != 0)
                        errx(1, "%s: %s ended with status %#x", peer->name, command[0],
                             (unsigned)status);
                while (*command)
                        command++;
                command++;
        }
        if (count)
                sample_add(&peer->whole, (double)(sample_now_ns() - began) / 1000);
}

/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/hold.h>
#include <cli/human.h>
#include <proto/request.h>

void hold_start(struct hold *hold, struct cli *cli, char *const *argv) {
        posix_spawnattr_t attributes;
        char safe[HUMAN_TEXT_MAX];
        sigset_t none;
        int r;

        hold->cli = cli;
        fflush(cli->out);
        sigemptyset(&none);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawnp(&hold->pid, argv[0], NULL, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        if (r) {
                hold->pid = 0;
                hold->ended = true;
                hold->status = cli_fail(cli, r == ENOENT ? 127 : 126, "cannot execute %s: %s",
                                        human_safe(argv[0], safe), strerror(r));
                return;
        }
        /* Of our own child, which nobody else waits for: it is there, also if it has ended. */
        hold->pidfd = pidfd_open(hold->pid, 0);
}

bool hold_runs(const struct hold *hold) {
        return hold->pid > 0 && !hold->ended;
}

void hold_signal(struct hold *hold, int signal_number, bool from_kernel) {
        if (hold_runs(hold) && !from_kernel)
                (void)kill(hold->pid, signal_number);
}

static void look(struct hold *hold) {
        int status;

        if (!hold_runs(hold) || waitpid(hold->pid, &status, WNOHANG) != hold->pid)
                return;
        hold->ended = true;
        hold->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        hold->pidfd = fd_close(hold->pidfd);
}

static int ask(struct hold *hold, const char *id) {
        struct release_request request = {.grace_usec = REQUEST_DEFAULT};
        struct why why = {};
        int r;

        strcpy(request.owner, id);
        r = client_connect(&hold->client, hold->cli->socket, &why);
        if (r)
                return r < 0 ? r : 0; /* whoever follows the broker's life tries again */
        hold->asked = true;
        r = client_call(&hold->client, "Release", release_request_format(&request), false, NULL, 0,
                        &why);
        return r < 0 ? r : 0;
}

int hold_step(struct hold *hold, const char *id, bool *donep) {
        struct reply reply = REPLY_NULL;
        struct why why = {};
        int r;

        look(hold);
        if (!hold->ended)
                return 0;
        if (!hold->asked) {
                r = ask(hold, id);
                if (r < 0 || !hold->asked)
                        return r;
        }
        r = client_step(&hold->client, &reply, &why);
        if (r < 0 || r == CLIENT_E_AGAIN)
                return r < 0 ? r : 0;
        client_deinit(&hold->client);
        /* One that is not there any more is over as well; a broker that has left is asked again. */
        *donep = r == 0;
        hold->asked = r == 0;
        reply_deinit(&reply);
        return 0;
}

void hold_deinit(struct hold *hold) {
        hold->pidfd = fd_close(hold->pidfd);
        client_deinit(&hold->client);
}

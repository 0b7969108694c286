/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/human.h>
#include <cli/learn.h>
#include <proto/request.h>

#define SUFFIX ".seccomp"
#define COMMAND_MAX 200 /* bytes of the command in the list's first line */

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

int learn_parse(const char *value, const char **pathp, struct why *why) {
        static const char learn[] = "learn";
        const char *rest = value + strlen(learn);
        char quoted[64];

        if (strncmp(value, learn, strlen(learn)) != 0 || (*rest && (*rest != ':' || !rest[1])))
                return why_set(why, REQUEST_E_INVALID,
                               "'%s' is unknown; valid is learn or learn:FILE (which list is in "
                               "force is said by the slice: Seccomp=)",
                               text_escape(value, quoted, sizeof(quoted)));
        *pathp = *rest ? rest + 1 : "";
        return 0;
}

static bool choose_path(struct learn *learn, const char *path) {
        const struct run_request *request = learn->request;
        int n;

        if (*path)
                return text_copy(learn->path, sizeof(learn->path), path);
        n = snprintf(learn->path, sizeof(learn->path), "%s" SUFFIX,
                     *request->name ? request->name : base_name(request->argv[0]));
        return n < (int)sizeof(learn->path);
}

int learn_begin(struct learn *learn, struct cli *cli, const struct run_request *request,
                const char *path) {
        char safe[HUMAN_TEXT_MAX];
        struct why why = {};

        if (!request->learn)
                return STATUS_OK;
        learn->cli = cli;
        learn->request = request;
        if (!choose_path(learn, path))
                return cli_misused(cli, "--seccomp: the name of the file is too long");
        if (seccomp_listen_open(&learn->listener, &learn->peer_fd, &why))
                return cli_fail(cli, STATUS_BROKER, "--seccomp: %s", why.text);
        if (request->dry_run)
                return STATUS_OK;
        learn->file_fd = open(learn->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (learn->file_fd >= 0)
                return STATUS_OK;
        if (errno == EEXIST)
                return cli_fail(cli, STATUS_EXISTS,
                                "--seccomp: %s is there already; move it away, or name another "
                                "file: --seccomp learn:FILE",
                                human_safe(learn->path, safe));
        return cli_fail(cli, STATUS_OUTPUT, "--seccomp: cannot make %s: %s",
                        human_safe(learn->path, safe), strerror(errno));
}

void learn_started(struct learn *learn) {
        char safe[HUMAN_TEXT_MAX];

        learn->peer_fd = fd_close(learn->peer_fd);
        if (learn->request && !learn->cli->json)
                cli_say(learn->cli, "learning its system calls, for %s; no list is in force",
                        human_safe(learn->path, safe));
}

int learn_poll_fd(const struct learn *learn) {
        return seccomp_listen_poll_fd(&learn->listener);
}

void learn_step(struct learn *learn) {
        struct why why = {};

        if (learn_poll_fd(learn) >= 0 && seccomp_listen_step(&learn->listener, &why))
                cli_say(learn->cli, "%s; the VM's calls fail from now on", why.text);
}

/* The command as a comment: what the list is for. */
static void write_command(FILE *file, char *const *argv) {
        char text[COMMAND_MAX], safe[HUMAN_TEXT_MAX];
        size_t used = 0;

        for (text[0] = '\0'; *argv && used < sizeof(text) - 1; argv++) {
                snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "", *argv);
                used = strlen(text);
        }
        fprintf(file, "# %s%s\n", human_safe(text, safe), *argv ? "..." : "");
}

static int write_list(struct learn *learn) {
        _cleanup_(freep) char *text = NULL;
        FILE *file;
        int r;

        r = seccomp_learn_format(&text, &learn->listener.learned);
        if (r < 0)
                return r;
        file = fdopen(learn->file_fd, "w");
        if (!file)
                return fault(-errno);
        learn->file_fd = -1;
        write_command(file, learn->request->argv);
        fputs(text, file);
        return fclose(file) == 0 ? 0 : -errno;
}

/* What it would be called in force: the file's name without its suffix, if that is a name. */
static void suggest_name(const struct learn *learn, char name[TEXT_NAME_MAX + 1]) {
        const char *base = base_name(learn->path);
        size_t length = strlen(base);

        if (length > strlen(SUFFIX) && strcmp(base + length - strlen(SUFFIX), SUFFIX) == 0)
                length -= strlen(SUFFIX);
        if (length > TEXT_NAME_MAX)
                length = 0;
        memcpy(name, base, length);
        name[length] = '\0';
        if (text_check_name("list", name, NULL) || strcmp(name, "none") == 0)
                strcpy(name, "NAME");
}

static void tell(const struct learn *learn, int status) {
        char name[TEXT_NAME_MAX + 1], safe[HUMAN_TEXT_MAX];
        const char *path = human_safe(learn->path, safe);
        size_t n = learn->listener.learned.n_called;

        suggest_name(learn, name);
        if (learn->cli->json) {
                json_t *object = json_pack("{s:s s:I s:s}", "state", "learned", "calls",
                                           (json_int_t)n, "file", path);

                if (object)
                        cli_print_json(learn->cli, object);
                json_decref(object);
                return;
        }
        cli_say(learn->cli, "learned %zu system call%s, now in %s", n, n == 1 ? "" : "s", path);
        cli_say(learn->cli,
                "read it; then 'install -m 644 %s " CLI_CONFIG_DIR "/seccomp/%s', and Seccomp=%s "
                "in [Sandbox] of a slice",
                path, name, name);
        if (status == 128 + SIGSYS)
                cli_say(learn->cli, "SIGSYS ended it: calls of another architecture (i386, x32) "
                                    "kill, and no list can allow them");
}

int learn_end(struct learn *learn, int status) {
        char safe[HUMAN_TEXT_MAX];
        int r = 0;

        seccomp_listen_close(&learn->listener);
        learn->peer_fd = fd_close(learn->peer_fd);
        if (learn->file_fd < 0)
                return status;
        if (learn->listener.learned.n_called == 0) {
                if (status == STATUS_OK)
                        cli_say(learn->cli, "nothing was learned");
                (void)unlink(learn->path);
        } else {
                r = write_list(learn);
                if (r == 0)
                        tell(learn, status);
        }
        learn->file_fd = fd_close(learn->file_fd);
        if (r == 0)
                return status;
        return cli_fail(learn->cli, STATUS_OUTPUT, "--seccomp: cannot write %s: %s",
                        human_safe(learn->path, safe), strerror(-r));
}

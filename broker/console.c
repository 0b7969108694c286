/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/console.h>
#include <broker/console_keeper.h>
#include <broker/lease.h>
#include <launcher/launcher_errands.h>

#define ROWS 24
#define COLUMNS 80

static const struct endpoint endpoint = {
        .directory = "console", .label = "console", .type = SOCK_SEQPACKET};

/* What the keeper is shut off from: it needs nothing but its two descriptors. */
static const struct child_walls walls = {.drop_capabilities = true};

/* The other side is opened through the master, so no path is looked up and no mount matters. It is
 * the VM's, so that the VM may open it again (/dev/stderr). */
static int make_pty(struct lease *lease, struct console *console, struct why *why) {
        const struct winsize window = {.ws_row = ROWS, .ws_col = COLUMNS};
        struct launcher *launcher = lease->broker->launcher;
        char path[64];
        int unlock = 0, r;

        snprintf(path, sizeof(path), "%s/ptmx", launcher_dev(launcher));
        console->master_fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (console->master_fd < 0)
                return why_errno(why, ENDPOINT_E_HOST, errno,
                                 errno == ENOSPC ? "cannot make a console: all terminals are in "
                                                   "use; raise kernel.pty.max"
                                                 : "cannot make a console");
        if (ioctl(console->master_fd, TIOCSPTLCK, &unlock) == 0)
                console->slave_fd =
                        ioctl(console->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (console->slave_fd < 0 || fchmod(console->slave_fd, 0600) < 0 ||
            ioctl(console->master_fd, TIOCSWINSZ, &window) < 0)
                return why_errno(why, ENDPOINT_E_HOST, errno, "cannot make a console");
        r = launcher_chown(launcher, console->slave_fd, lease->record.run_uid,
                           lease->record.run_gid);
        if (r)
                return why_errno(why, ENDPOINT_E_HOST, r, "cannot give a console to its VM");
        return 0;
}

static char *const no_environment[] = {NULL};
static char *const keeper_paths[] = {(char *)"/proc/self/exe", NULL};

static int start_keeper(struct lease *lease, struct console *console, struct why *why) {
        struct broker *broker = lease->broker;
        struct child_args *args = &console->keeper.args;
        int r;

        snprintf(console->owner, sizeof(console->owner), "%u", lease->record.uid);
        console->argv[0] = (char *)"provium-broker";
        console->argv[1] = (char *)"--keep-console";
        console->argv[2] = console->owner;
        *args = (struct child_args){
                .argv = console->argv,
                .envp = no_environment,
                .paths = keeper_paths,
                .cgroup_fd = lease->dir_fd,
                .bell_file = "cgroup.procs",
                .cwd_fd = -1,
                .set_identity = true,
                .walls = &walls,
        };
        args->stdio[KEEPER_MASTER_FD] = console->master_fd;
        args->stdio[KEEPER_LISTEN_FD] = console->listen_fd;
        args->stdio[STDERR_FILENO] = console->listen_fd; /* it says nothing */
        r = launcher_start(broker->launcher, &console->keeper, true, why);
        if (r)
                return r;
        console->launching = true;
        broker->n_launching++;
        return 0;
}

int console_make(struct lease *lease, struct why *why) {
        struct console *console;
        int r;

        if (!lease->request.console)
                return 0;
        console = calloc(1, sizeof(*console));
        if (!console)
                return fault(-ENOMEM);
        console->master_fd = console->slave_fd = console->listen_fd = -1;
        console->keeper = (struct launched)LAUNCHED_NULL;
        lease->console = console;
        r = make_pty(lease, console, why);
        if (r)
                return r;
        lease->has_console = true;
        r = endpoint_make(&endpoint, lease, &console->listen_fd, why);
        return r ?: start_keeper(lease, console, why);
}

int console_progress(struct lease *lease, struct why *why) {
        struct console *console = lease->console;
        int r;

        if (!console || !console->launching)
                return 0;
        r = launcher_result(lease->broker->launcher, &console->keeper, why);
        if (r == SPAWN_E_AGAIN)
                return 0;
        console->launching = false;
        lease->broker->n_launching--;
        launched_deinit(lease->broker->launcher, &console->keeper);
        if (console->slave_fd < 0)
                free(take(lease->console));
        return r;
}

void console_remove(const struct lease *lease) {
        if (lease->has_console)
                endpoint_remove(&endpoint, lease);
}

const char *console_path(const struct lease *lease, char path[ENDPOINT_PATH_MAX]) {
        return lease->has_console ? endpoint_path(&endpoint, lease, path) : NULL;
}

static void note(struct lease *lease) {
        lease->has_console = true;
}

void console_adopt(struct broker *broker) {
        endpoint_adopt(&endpoint, broker, note);
}

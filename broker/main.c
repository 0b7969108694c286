/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/console_keeper.h>
#include <broker/control.h>
#include <broker/filters.h>
#include <broker/rights.h>
#include <broker/service.h>
#include <broker/start.h>
#include <launcher/serve.h>

#define EXIT_USAGE 64
#define EXIT_BAD_POLICY 78
#define EXIT_HOST 1

/* ---- the launcher ---- */

static void tell(const char *text) {
        log_error("%s", text);
}

/* seccomp filters that are in force. */
static int count_filters(void) {
        char status[4096];
        const char *line = NULL;
        int n = 0;

        if (file_read_at(AT_FDCWD, "/proc/self/status", status, sizeof(status)) == 0)
                line = strstr(status, "\nSeccomp_filters:");
        return line && sscanf(line, " Seccomp_filters: %d", &n) == 1 ? n : 0;
}

static int renew_launcher(int listen_fd, int connection_fd) {
        char path[512], fds[32];
        char *const argv[] = {(char *)"provium-broker", (char *)"--launcher",
                              (char *)"--launcher-fds", fds, NULL};
        int r;

        r = file_own_path(path, sizeof(path));
        if (r)
                return r;
        snprintf(fds, sizeof(fds), "%d,%d", listen_fd, connection_fd);
        (void)fcntl(listen_fd, F_SETFD, 0);
        (void)fcntl(connection_fd, F_SETFD, 0);
        execv(path, argv);
        r = errno;
        (void)fcntl(listen_fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(connection_fd, F_SETFD, FD_CLOEXEC);
        return r;
}

static int launch_for_others(const struct options *options) {
        struct serve_options serving = {
                .listen_fd = -1,
                .connection_fd = -1,
                .log = tell,
                .renew = renew_launcher,
        };
        struct why why = {};
        int r;

        prctl(PR_SET_NAME, "provium-launch"); /* by /proc/self/exe it would be called "exe" */
        if (options->launcher_fds) {
                serving.renewed = true;
                if (sscanf(options->launcher_fds, "%d,%d", &serving.listen_fd,
                           &serving.connection_fd) != 2)
                        return EXIT_USAGE;
                (void)fcntl(serving.listen_fd, F_SETFD, FD_CLOEXEC);
                (void)fcntl(serving.connection_fd, F_SETFD, FD_CLOEXEC);
        } else if (sd_listen_fds(1) > 0) {
                serving.listen_fd = SD_LISTEN_FDS_START;
        } else {
                serving.connection_fd = SD_LISTEN_FDS_START;
                (void)fcntl(serving.connection_fd, F_SETFD, FD_CLOEXEC);
        }
        r = rights_limit(RIGHTS_OF_LAUNCHER, serving.renewed, &why);
        if (r) {
                log_error("launcher: %s", why.text);
                return EXIT_HOST;
        }
        serving.n_filters = count_filters();
        sd_notify(0, "READY=1");
        r = serve(&serving);
        if (r)
                log_error("launcher: %s", strerrordesc_np(r));
        return r ? EXIT_HOST : 0;
}

static int check(const struct options *options) {
        struct policy_errors *errors = calloc(1, sizeof(*errors));
        struct filters *filters = NULL;
        struct policy *policy = NULL;
        struct why why = {};
        int r;

        r = errors ? policy_load(&policy, options->config_dir, options->vendor_dir, errors)
                   : -ENOMEM;
        for (size_t i = 0; r > 0 && i < errors->n; i++) {
                char line[1200];

                fprintf(stderr, "%s\n", policy_error_format(&errors->list[i], line, sizeof(line)));
        }
        if (r == 0)
                r = filters_load(&filters, options, policy, &why);
        if (why.text[0])
                fprintf(stderr, "%s\n", why.text);
        filters_unref(filters);
        free(errors);
        policy_free(policy);
        return r < 0 ? EXIT_HOST : r ? EXIT_BAD_POLICY : 0;
}

int main(int argc, char **argv) {
        struct options options;
        struct broker *broker = calloc(1, sizeof(*broker));
        struct why why = {};
        int r;

        switch (options_parse(&options, argc, argv)) {
        case OPTIONS_EXIT:
                return 0;
        case OPTIONS_USAGE:
                return EXIT_USAGE;
        }
        if (options.hold) {
                prctl(PR_SET_NAME, "provium-hold");
                rights_give_up();
                return service_hold();
        }
        if (options.launcher)
                return launch_for_others(&options);
        if (options.keep_console)
                return console_keep(options.console_owner);
        if (options.check)
                return check(&options);

        r = broker_init(broker, &options, &why);
        if (r == 0) {
                r = broker_run(broker);
        } else if (r > 0) {
                log_error("%s", why.text);
                control_refuse_all();
        }
        sd_notify(0, "STOPPING=1");
        broker_deinit(broker);
        if (r < 0)
                log_error("stopped by a fault: %s; VMs run on", strerrordesc_np(-r));
        return r < 0 ? EXIT_HOST : r == BROKER_E_POLICY ? EXIT_BAD_POLICY : r ? EXIT_HOST : 0;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/socket.h>

#include <broker/broker.h>
#include <broker/doctor_http.h>
#include <broker/finding.h>
#include <broker/http_conn.h>
#include <launcher/launcher_errands.h>

/*
 * systemd's IPAddressDeny= drops what we send without a word to whoever waits for it; a connection
 * to ourselves that is begun, and not waited for, is refused at once then. Our sockets are of the
 * launcher's making, and so is what keeps IP from them.
 */
static bool is_walled(struct launcher *launcher, int listen_fd) {
        struct sockaddr_storage address = {};
        socklen_t length = sizeof(address);

        return getsockname(listen_fd, (struct sockaddr *)&address, &length) == 0 &&
               launcher_connect(launcher, (struct sockaddr *)&address, length) == EPERM;
}

static void check_tcp(struct findings *findings, const struct http_listener *listener) {
        const struct http_policy *policy = &findings->broker->policy->broker.http;

        if (is_walled(findings->broker->launcher, listener->fd))
                finding_problem(findings,
                                "systemctl edit provium-launcher, and add: [Service] "
                                "IPAddressAllow=localhost and the networks of its readers",
                                "nobody is reached from %s: systemd keeps IP from the broker",
                                listener->name);
        else
                finding_ok(findings, "readers are served at %s, without a password: %s",
                           listener->name,
                           policy->show == HTTP_SHOW_ALL
                                   ? "whoever reaches it sees every VM"
                                   : "whoever reaches it sees sums (Show=totals)");
}

void doctor_check_http(struct findings *findings) {
        const struct http *http = findings->broker->http;
        bool any = false;

        for (size_t i = 0; http && i < HTTP_LISTENERS_MAX; i++) {
                const struct http_listener *listener = &http->listeners[i];

                if (!listener->name[0])
                        continue;
                any = true;
                if (listener->fd < 0)
                        finding_problem(findings, "mend [HTTP] in broker.conf, and reload", "%s",
                                        listener->why.text);
                else if (listener->tcp)
                        check_tcp(findings, listener);
                else
                        finding_ok(findings, "readers are served at %s/" HTTP_UNIX,
                                   findings->broker->options->run_dir);
        }
        if (!any)
                finding_ok(findings, "nobody is served ([HTTP] Socket=no, no Listen=)");
}

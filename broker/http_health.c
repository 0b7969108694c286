/* SPDX-License-Identifier: MIT */
#include <microhttpd.h>
#include <stdio.h>
#include <sys/stat.h>

#include <broker/broker.h>
#include <broker/http.h>
#include <broker/http_health.h>

/* Why not; NULL: all is well. */
static const char *what_is_wrong(const struct broker *broker) {
        struct stat st;

        if (broker->root_ended)
                return "the cgroup of all VMs was stopped";
        if (fstat(broker->root.dir_fd, &st) < 0 || st.st_nlink == 0)
                return "the cgroup of all VMs is gone";
        if (broker->stopping)
                return "stopping";
        if (broker->gates.draining)
                return "draining";
        return NULL;
}

int http_health(struct http_request *request) {
        const char *wrong = what_is_wrong(http_broker(request));
        char *text = NULL;
        int n;

        n = asprintf(&text, "%s\n", wrong ?: "ok");
        if (n < 0)
                return fault(-ENOMEM);
        return http_answer(request, wrong ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, HTTP_TEXT,
                           text, (size_t)n);
}

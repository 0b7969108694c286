/* SPDX-License-Identifier: MIT */
#include <microhttpd.h>

#include <base/text.h>
#include <base/why.h>
#include <broker/broker.h>
#include <broker/http.h>
#include <broker/http_resources.h>
#include <broker/lease.h>
#include <broker/report.h>
#include <broker/report_resources.h>

static void *begin(struct broker *broker, uid_t sees_as, const char *what) {
        return resources_report_new(broker, sees_as, what[0] ? what : NULL);
}

static int step(void *state, char **bodyp, size_t *lengthp) {
        return resources_report_step(state, bodyp, lengthp);
}

static void end(void *state) {
        resources_report_free(state);
}

static const struct http_maker maker = {
        .type = HTTP_JSON,
        .begin = begin,
        .step = step,
        .free = end,
};

/* What one may not see is not there. */
static bool there_is(struct http_request *request, const char *instance) {
        const struct lease *lease = lease_find(http_broker(request), instance);

        return lease && lease->state != LEASE_WAITING &&
               report_visible(lease, http_sees_as(request));
}

int http_resources(struct http_request *request) {
        const char *instance = http_argument(request, "instance");
        struct why why = {};

        if (instance && text_check_name("instance", instance, &why))
                return http_answer_error(request, MHD_HTTP_BAD_REQUEST, "%s", why.text);
        if (instance && !there_is(request, instance))
                return http_answer_error(request, MHD_HTTP_NOT_FOUND,
                                         "there is no VM '%s'; valid are ids and names of VMs that "
                                         "/resources lists",
                                         instance);
        return http_make(request, &maker, instance ?: "");
}

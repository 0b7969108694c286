/* SPDX-License-Identifier: MIT */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <broker/broker.h>
#include <broker/http.h>
#include <broker/http_resources.h>
#include <broker/lease.h>
#include <broker/report.h>

struct state {
        struct broker *broker;
        uid_t sees_as;
        char instance[TEXT_NAME_MAX + 1];
};

static void *begin(struct broker *broker, uid_t sees_as, const char *what) {
        struct state *state = calloc(1, sizeof(*state));

        if (!state)
                return NULL;
        state->broker = broker;
        state->sees_as = sees_as;
        snprintf(state->instance, sizeof(state->instance), "%s", what);
        return state;
}

static int step(void *userdata, char **bodyp, size_t *lengthp) {
        struct state *state = userdata;
        json_t *object;
        char *text;

        object = report_resources(state->broker, state->sees_as,
                                  state->instance[0] ? state->instance : NULL);
        text = object ? json_dumps(json_object_get(object, "resources"), JSON_COMPACT) : NULL;
        json_decref(object);
        if (!text)
                return fault(-ENOMEM);
        *lengthp = strlen(text) + 1;
        text[*lengthp - 1] = '\n';
        *bodyp = text;
        return 0;
}

static const struct http_maker maker = {
        .type = HTTP_JSON,
        .begin = begin,
        .step = step,
        .free = free,
};

/* What one may not see is not there. */
static bool there_is(struct http_request *request, const char *instance) {
        const struct lease *lease = lease_find(http_broker(request), instance);
        uid_t uid = http_sees_as(request);

        return lease && lease->state != LEASE_WAITING && (uid == 0 || lease->record.uid == uid);
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

/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/dashboard.h>
#include <broker/history.h>
#include <broker/lease.h>
#include <broker/report.h>

#define QUEUE_SHOWN_MAX 100
#define QUEUE_LOOKED_AT_MAX 1000 /* for who may see few of many */

static json_t *report_history(const struct broker *broker) {
        return broker->history ? history_report(broker->history, broker_now_usec()) : NULL;
}

static json_t *report_queue(const struct broker *broker, uid_t sees_as) {
        json_t *array = json_array();
        const struct claim *claim;
        uint64_t position = 0;

        TAILQ_FOREACH(claim, &broker->queue.claims, all) {
                const struct lease *lease = claim_lease((struct claim *)claim);

                if (position == QUEUE_LOOKED_AT_MAX || json_array_size(array) == QUEUE_SHOWN_MAX)
                        break;
                if (sees_as == 0 || lease->record.uid == sees_as)
                        json_array_append_new(array, report_waiting(lease, position));
                position++;
        }
        return json_pack("{s:I s:I s:o}", "now_ns", (json_int_t)broker_realtime_ns(), "length",
                         (json_int_t)broker->queue.n, "first", array);
}

int dashboard_history(struct http_request *request) {
        json_t *object = report_history(http_broker(request));

        if (!object)
                return http_answer_error(request, 503, "there is no memory for the last hour");
        return http_answer_json(request, 200, object);
}

int dashboard_queue(struct http_request *request) {
        return http_answer_json(request, 200,
                                report_queue(http_broker(request), http_sees_as(request)));
}

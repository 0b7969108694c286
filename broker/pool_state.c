/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/broker.h>
#include <broker/pool_state.h>

#define KIND "pool_state"

bool pool_state_wanted(uint64_t kinds) {
        return kinds & event_kind_bit(event_kind_find(KIND));
}

static json_t *sample(const struct broker *broker) {
        struct demand used = {}, available = {};

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                used.amount[i] = ledger_allocated(&broker->ledger, i);
                available.amount[i] = ledger_host_available(&broker->ledger, i);
        }
        return json_pack(
                "{s:I s:I s:s s:o s:o s:I s:I}", "seq", (json_int_t)(broker->events.next - 1),
                "ts_ns", (json_int_t)broker_realtime_ns(), "kind", KIND, "used",
                event_format_demand(&used), "available", event_format_demand(&available), "vms",
                (json_int_t)broker->ledger.vms, "waiting", (json_int_t)broker->queue.n);
}

static int arm(struct broker *broker, uint64_t delay_usec) {
        int r;

        r = sd_event_source_set_time_relative(broker->sampler, delay_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(broker->sampler, SD_EVENT_ONESHOT);
        return r;
}

static int on_sampler(sd_event_source *source, uint64_t usec, void *userdata) {
        struct broker *broker = userdata;
        struct events_watcher *watcher;
        json_t *event = sample(broker);
        int r;

        if (!event)
                return broker_fault(broker, -ENOMEM);
        TAILQ_FOREACH(watcher, &broker->events.watchers, link)
                if (watcher->sampled)
                        watcher->sampled(watcher, event);
        json_decref(event);
        r = arm(broker, POOL_STATE_USEC);
        return r < 0 ? broker_fault(broker, r) : 0;
}

void pool_state_listen(struct broker *broker) {
        int r = 0;

        if (broker->n_sampled++ > 0)
                return;
        if (!broker->sampler)
                r = sd_event_add_time_relative(broker->event, &broker->sampler, CLOCK_BOOTTIME, 0,
                                               0, on_sampler, broker);
        /* The first one at once. */
        if (r >= 0)
                r = arm(broker, 0);
        if (r < 0)
                broker_fault(broker, r);
}

void pool_state_unlisten(struct broker *broker) {
        assert(broker->n_sampled > 0);
        if (--broker->n_sampled == 0)
                sd_event_source_set_enabled(broker->sampler, SD_EVENT_OFF);
}

void pool_state_deinit(struct broker *broker) {
        broker->sampler = sd_event_source_disable_unref(broker->sampler);
}

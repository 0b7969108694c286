/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/drain.h>

#define NOTE "draining"

void drain_begin(struct broker *broker) {
        char text[8];

        broker->gates.draining = cgroup_root_noted(&broker->root, NOTE, text, sizeof(text));
        if (broker->gates.draining)
                log_warning("this host is being drained: no VM is started until 'provium drain "
                            "--undo'");
}

int drain_set(struct broker *broker, bool draining, struct why *why) {
        const struct event_field fields[] = {event_bool("draining", draining),
                                             event_number("vms", broker->ledger.vms),
                                             event_number("waiting", broker->queue.n)};
        int r;

        if (broker->gates.draining == draining)
                return 0;
        r = cgroup_root_note(&broker->root, NOTE, draining ? "1" : NULL, why);
        if (r)
                return r;
        broker->gates.draining = draining;
        if (draining)
                log_info("draining: no VM is started any more; %llu run on",
                         (unsigned long long)broker->ledger.vms);
        else
                log_info("draining is over");
        events_add(&broker->events, "drain", NULL, broker_realtime_ns(), fields,
                   ARRAY_SIZE(fields));
        if (!draining)
                broker_settle_later(broker);
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/confine.h>
#include <broker/lease.h>

/* The policy says best effort: it starts with what can be set, and says what is not in force. */
static int go_without(struct lease *lease) {
        char missing[WHY_TEXT_MAX - 20];

        limits_apply_best(lease->dir_fd, &lease->limits, missing, sizeof(missing));
        snprintf(lease->detail, sizeof(lease->detail), "not enforced: %s", missing);
        log_warning("%s '%s': %s", lease->reservation ? "reservation" : "VM", lease->record.name,
                    lease->detail);
        return 0;
}

int confine_group(struct lease *lease, struct why *why) {
        int r;

        charge_limits(lease->broker, lease, &lease->limits);
        r = limits_apply(lease->dir_fd, &lease->limits, why);
        if (r == CGROUP_E_LIMIT && lease->broker->policy->broker.best_effort)
                r = go_without(lease);
        return r;
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/pressure.h>
#include <broker/provision.h>
#include <broker/release.h>
#include <broker/report.h>
#include <broker/reserve.h>
#include <broker/tenant.h>
#include <broker/ticket.h>
#include <broker/waiting.h>

#define LOCKED_REFUSED 16 /* in one turn of the loop */
#define PLACES_TOLD 256   /* claims at the front that are told their place every second */

static void leave_queue(struct lease *lease) {
        struct user *user = user_find(lease->broker, lease->record.uid);

        queue_remove(&lease->broker->queue, &lease->claim);
        owning_leave(lease);
        if (user && user->n_waiting > 0)
                user->n_waiting--;
        tenant_count_waiting(lease->tenant, false);
}

int claim_refuse(struct lease *lease, const char *reason, const char *message) {
        struct connection *connection = lease->follower;
        int r = 0;

        leave_queue(lease);
        /* Whoever stood behind it may fit where it did not. */
        broker_settle_later(lease->broker);
        lease_event(lease, "claim_released", event_text("reason", reason),
                    event_text("detail", message));
        lease_detach_follower(lease);
        if (connection)
                r = connection_error(connection, "Refused",
                                     shortage_json(&lease->claim.shortage, reason), message);
        lease_free(lease);
        return r;
}

int claim_timed_out(struct lease *lease) {
        const char *reason = wait_reason_name(claim_reason(lease));
        char text[WHY_TEXT_MAX], waited[UNITS_TEXT_MAX], detail[WHY_TEXT_MAX - 100];

        claim_detail(lease, queue_position(&lease->broker->queue, &lease->claim), detail,
                     sizeof(detail));
        snprintf(text, sizeof(text), "waited %s: %s",
                 units_format_duration(lease->request.wait_usec, waited, sizeof(waited)), detail);
        return claim_refuse(lease, reason, text);
}

int claim_follower_gone(struct lease *lease) {
        struct broker *broker = lease->broker;

        switch (lease->state) {
        case LEASE_WAITING:
                leave_queue(lease);
                lease_event(lease, "claim_released", event_text("reason", "client_gone"));
                lease_free(lease);
                return claims_advance(broker);
        case LEASE_STARTING:
        case LEASE_RUNNING:
                if (lease->record.detached && lease->told_started)
                        return 0;
                return release_start(lease, "client_gone", 0, lease->record.grace_usec);
        case LEASE_STOPPING:
        case LEASE_KILLING:
        case LEASE_LINGERING:
        case LEASE_UNKNOWN:
        case _LEASE_STATE_N:
                break;
        }
        return 0;
}

int claim_admitted(struct lease *lease) {
        struct broker *broker = lease->broker;

        lease->state = LEASE_STARTING;
        lease->admitted_usec = broker_now_usec();
        gates_started(&broker->gates, lease->admitted_usec);
        lease->wait_until_usec = 0;
        owning_granted(lease);
        lease_list_add(lease);
        lease_event(lease, "claim_acquired",
                    event_number("admission_us", lease->admitted_usec - lease->arrived_usec),
                    event_demand("charge", &lease->claim.demand));
        return lease->reservation ? reserve_start(lease) : provision_start(lease);
}

/* One claim has its charge; it is in no queue any more. */
static int granted(struct lease *lease) {
        struct user *user = user_find(lease->broker, lease->record.uid);

        if (user && user->n_waiting > 0)
                user->n_waiting--;
        tenant_count_waiting(lease->tenant, false);
        return claim_admitted(lease);
}

static int tell_place(struct lease *lease, uint64_t position) {
        struct broker *broker = lease->broker;
        enum wait_reason reason = claim_reason(lease);
        char ticket[REQUEST_TOKEN_MAX + 1], detail[WHY_TEXT_MAX];
        bool first = lease->told_reason == WAIT_NONE;

        if (!first && lease->told_reason == reason && lease->told_position == position)
                return 0;
        claim_detail(lease, position, detail, sizeof(detail));
        if (lease->told_reason != reason)
                lease_event(lease, first ? "claim_queued" : "claim_blocked",
                            event_text("reason", wait_reason_name(reason)),
                            event_text("detail", detail),
                            event_number("order", lease->claim.order));
        lease->told_reason = reason;
        lease->told_position = position;
        if (!lease->follower || !lease->follower->more)
                return 0;
        ticket_format(ticket, broker->key, lease->record.id, lease->record.order,
                      lease->record.uid);
        return connection_reply(lease->follower,
                                json_pack("{s:s s:{s:s s:s s:I s:s s:s}}", "state", "queued", "run",
                                          "ticket", ticket, "ticket_id", lease->record.id,
                                          "position", (json_int_t)position, "reason",
                                          wait_reason_name(reason), "detail", detail),
                                true);
}

int claims_tell_places(struct broker *broker) {
        struct claim *claim;
        uint64_t position = 0;
        int r;

        TAILQ_FOREACH(claim, &broker->queue.claims, all) {
                if (position >= PLACES_TOLD)
                        break;
                r = tell_place(claim_lease(claim), position++);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whoever is new at the end of the queue hears so at once; those ahead when their turn of telling
 * comes. */
static int tell_newcomers(struct broker *broker) {
        uint64_t position = broker->queue.n;
        struct claim *claim;

        TAILQ_FOREACH_REVERSE(claim, &broker->queue.claims, claim_list, all) {
                struct lease *lease = claim_lease(claim);
                int r;

                if (lease->told_reason != WAIT_NONE)
                        break;
                r = tell_place(lease, --position);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Circles that no request closed: the claim that came last is refused, until there is none; some
 * of them in each turn of the loop, since a refusal brings the next. */
static int refuse_locked(struct broker *broker) {
        char text[WHY_TEXT_MAX];
        struct lease *lease;
        int r = 0;

        for (unsigned i = 0; r == 0 && i < LOCKED_REFUSED; i++) {
                lease = owning_find_locked(broker, text, sizeof(text));
                if (!lease)
                        break;
                r = claim_refuse(lease, "deadlock", text);
        }
        return r;
}

int claims_advance(struct broker *broker) {
        struct claim *claim;
        bool never;
        int r;

        if (broker->window_usec == 0 && !broker->stopping && !broker->upgrading) {
                if (broker->queue.n > 0)
                        pressure_refresh(broker);
                queue_tell_time(&broker->queue, broker_now_usec());
                while ((claim = queue_next(&broker->queue, &broker->ledger, &never))) {
                        struct lease *lease = claim_lease(claim);

                        if (never) {
                                char text[WHY_TEXT_MAX];

                                shortage_describe(&claim->shortage, true, text, sizeof(text));
                                r = claim_refuse(lease, "too_large", text);
                        } else {
                                r = granted(lease);
                        }
                        if (r < 0)
                                return r;
                }
                r = refuse_locked(broker);
                if (r < 0)
                        return r;
        }
        if (broker->queue.n > 0) {
                if (!broker->marked_waiting) {
                        struct why why = {};

                        if (cgroup_root_mark_waiting(&broker->root, true, &why))
                                log_warning(
                                        "%s: after a crash, waiting claims may lose their order",
                                        why.text);
                        broker->marked_waiting = true;
                }
                broker_tick_at(broker, broker_now_usec() + 1000000);
        }
        return tell_newcomers(broker);
}

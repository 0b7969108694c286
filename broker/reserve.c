/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <broker/broker.h>
#include <broker/drift.h>
#include <broker/lease.h>
#include <broker/provision.h>
#include <broker/release.h>
#include <broker/reservation.h>
#include <broker/reserve.h>
#include <broker/reserve_group.h>

static int refuse(struct lease *lease, const struct why *why) {
        struct connection *connection = lease->follower;
        int r;

        log_error("reservation '%s': cannot be made: %s", lease->record.name, why->text);
        snprintf(lease->end_reason, sizeof(lease->end_reason), "host");
        lease_detach_follower(lease);
        r = connection ? connection_error(connection, "Failed", NULL, why->text) : 0;
        return r < 0 ? r : release_unmade(lease);
}

int reserve_start(struct lease *lease) {
        struct why why = {};
        int r;

        reservation_count(lease->reservation, &lease->claim.demand, lease->record.memory_bytes);
        if (lease->record.time_usec)
                lease->record.until_usec =
                        min_u64(INT64_MAX, lease->admitted_usec + lease->record.time_usec);
        if (lease->record.ends)
                broker_tick_at(lease->broker, lease->record.until_usec);
        r = reserve_group_make(lease, &why);
        if (r)
                return r < 0 ? r : refuse(lease, &why);
        /* Which disks they are is known now: it need not keep the client's files open. */
        lease_fds_close(&lease->fds);
        run_request_deinit(&lease->request);
        lease->state = LEASE_RUNNING;
        lease->made_usec = lease->executed_usec = broker_now_usec();
        return provision_tell_started(lease);
}

void reserve_check_children(struct lease *lease) {
        struct lease *other;

        drift_check_vm(lease);
        TAILQ_FOREACH(other, &lease->broker->leases, link)
                if (other->inside == lease->reservation)
                        drift_check_vm(other);
}

/* ---- the end ---- */

static int end_vms(struct reservation *reservation) {
        struct broker *broker = reservation->lease->broker;
        struct lease *lease, *next;
        int r = 0;

        /* Each may be gone at once, and nobody else with it. */
        for (lease = TAILQ_FIRST(&broker->leases); lease && r == 0; lease = next) {
                next = TAILQ_NEXT(lease, link);
                if (lease->inside == reservation)
                        r = release_start(lease, "reservation_over", reservation->end_signal,
                                          reservation->end_grace_usec);
        }
        return r;
}

static int settle(struct reservation *reservation) {
        struct lease *lease = reservation->lease;
        int r = 0;

        if (reservation->ending) {
                reservation->ending = false;
                r = end_vms(reservation);
        }
        if (r < 0 || reservation->n_inside > 0 || lease->state != LEASE_STOPPING)
                return r;
        lease->state = LEASE_KILLING;
        return release_try(lease);
}

int reserves_settle(struct broker *broker) {
        struct reservation *reservation;
        int r = 0;

        while (r == 0 && (reservation = LIST_FIRST(&broker->stirred))) {
                LIST_REMOVE(reservation, link);
                reservation->stirred = false;
                r = settle(reservation);
        }
        return r;
}

void reserves_adopted(struct broker *broker) {
        struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->reservation && lease->record.over)
                        reserve_group_end(lease, "released", 0, lease->record.grace_usec);
}

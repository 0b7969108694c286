/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>

#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/drift.h>
#include <broker/lease.h>
#include <broker/pressure.h>
#include <broker/provision.h>
#include <broker/release.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/slice_io.h>
#include <broker/taps_check.h>
#include <broker/tick.h>
#include <broker/upgrade.h>
#include <broker/waiting.h>

static bool due(uint64_t deadline, uint64_t now, uint64_t *nextp) {
        if (deadline == 0)
                return false;
        if (deadline <= now)
                return true;
        *nextp = min_u64(*nextp, deadline);
        return false;
}

/* The deadlines of one lease that holds a charge. It may be gone afterwards. */
static int lease_tick(struct lease *lease, uint64_t now, uint64_t *nextp) {
        struct why why = {};
        int r;

        if (due(lease->launch_until_usec, now, nextp)) {
                lease->launch_until_usec = 0;
                snprintf(lease->detail, sizeof(lease->detail),
                         "its command could not be reached in time");
                why_set(&why, SPAWN_E_STEP, "executing the command took too long");
                r = lease_note_exec(lease, SPAWN_E_STEP, &why);
                if (r < 0)
                        return r;
                return release_start(lease, "launch_failed", 0, 0);
        }
        if (due(lease->client_until_usec, now, nextp)) {
                lease->client_until_usec = 0;
                return release_start(lease, "client_gone", 0, lease->record.grace_usec);
        }
        if (lease->record.ends && lease->state < LEASE_STOPPING &&
            due(lease->record.until_usec, now, nextp))
                return release_start(lease, "time_over", 0, lease->record.grace_usec);
        if (due(lease->kill_at_usec, now, nextp))
                return release_start(lease, "kill", 0, 0);
        r = burst_tick(lease, now, nextp);
        if (r == 0)
                r = shrink_tick(lease, now, nextp);
        if (r < 0)
                return r;
        if (due(lease->retry_at_usec, now, nextp)) {
                lease->retry_at_usec = 0;
                if (lease->pidfd_source && !lease->main_gone && lease->state <= LEASE_STOPPING)
                        return release_main_ended(lease, NULL);
                return release_retry(lease);
        }
        return 0;
}

static int leases_tick(struct broker *broker, uint64_t now, uint64_t *nextp) {
        struct lease *lease, *next;
        int r;

        for (lease = TAILQ_FIRST(&broker->leases); lease; lease = next) {
                next = TAILQ_NEXT(lease, link);
                r = lease_tick(lease, now, nextp);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int waits_tick(struct broker *broker, uint64_t now, uint64_t *nextp) {
        struct claim *claim, *next;
        int r;

        for (claim = TAILQ_FIRST(&broker->queue.claims); claim; claim = next) {
                struct lease *lease = claim_lease(claim);

                next = TAILQ_NEXT(claim, all);
                if (!due(lease->wait_until_usec, now, nextp))
                        continue;
                r = claim_timed_out(lease);
                if (r < 0)
                        return r;
        }
        if (broker->queue.n > 0) {
                *nextp = min_u64(*nextp, now + 1000000);
                /* Nobody tells when memory becomes available. */
                if (broker->gates.rules.memory) {
                        r = claims_advance(broker);
                        if (r < 0)
                                return r;
                }
                return claims_tell_places(broker);
        }
        if (broker->marked_waiting && broker->window_usec == 0) {
                struct why why;

                if (cgroup_root_mark_waiting(&broker->root, false, &why))
                        log_warning("%s", why.text);
                broker->marked_waiting = false;
        }
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        struct broker *broker = userdata;
        uint64_t now = broker_now_usec(), next = UINT64_MAX;
        struct why why = {};
        int r;

        broker->tick_usec = UINT64_MAX;
        slices_settle(broker, NULL);
        drift_check_suspects(broker);
        taps_check_suspects(broker);
        slices_io_tick(broker, now, &next);
        r = leases_tick(broker, now, &next);
        if (r == 0 && due(broker->window_usec, now, &next)) {
                broker->window_usec = 0;
                r = claims_advance(broker);
        }
        pressure_tick(broker, now, &next);
        if (r == 0)
                r = waits_tick(broker, now, &next);
        if (r < 0)
                return broker_fault(broker, r);
        if (broker->upgrading && upgrade_execute(broker, &why))
                log_error("upgrade: %s", why.text);
        if (next != UINT64_MAX)
                broker_tick_at(broker, max_u64(next, now + TICK_MIN_USEC));
        return 0;
}

int tick_init(struct broker *broker) {
        int r;

        r = sd_event_add_time(broker->event, &broker->tick, CLOCK_BOOTTIME, 0, TICK_MIN_USEC / 2,
                              on_tick, broker);
        if (r >= 0)
                r = sd_event_source_set_enabled(broker->tick, SD_EVENT_OFF);
        return r < 0 ? fault(r) : 0;
}

void tick_deinit(struct broker *broker) {
        broker->tick = sd_event_source_disable_unref(broker->tick);
}

int tick_look_at_everything(struct broker *broker) {
        struct lease *lease, *next;
        struct slice *slice, *next_slice;
        int r;

        for (lease = TAILQ_FIRST(&broker->leases); lease; lease = next) {
                next = TAILQ_NEXT(lease, link);
                r = provision_progress(lease);
                if (r < 0)
                        return r;
                release_note_oom(lease);
                drift_check_vm(lease);
                r = lease->main_gone ? release_try(lease) : 0;
                if (r < 0)
                        return r;
        }
        HASH_ITER(hh, broker->slices, slice, next_slice)
                drift_check_slice(broker, slice);
        return 0;
}

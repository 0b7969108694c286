/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/diskio.h>
#include <broker/drift.h>
#include <broker/lease.h>
#include <broker/slice.h>
#include <broker/slice_io.h>

void drift_tell(struct broker *broker, const char *what, const char *name, const char *found,
                const char *failed) {
        const struct event_field fields[] = {
                event_text(what, name),
                event_text("detail", failed ?: found),
                event_bool("repaired", !failed),
        };

        events_add(&broker->events, "drift", NULL, broker_realtime_ns(), fields,
                   ARRAY_SIZE(fields));
        if (failed)
                log_error("%s '%s': %s, and cannot be repaired: %s", what, name, found, failed);
        else
                log_warning("%s '%s': %s; set again", what, name, found);
}

/* io.max is put back while the group is frozen, a moment later: broker/burst. */
static int check_disks(struct lease *lease, struct why *found) {
        int r;

        r = diskio_verify(lease, found);
        if (r != 0 && r != CGROUP_E_GONE && lease->state == LEASE_RUNNING) {
                lease->diskio->step_usec = broker_now_usec();
                broker_tick_at(lease->broker, lease->diskio->step_usec);
        }
        return r;
}

void drift_check_vm(struct lease *lease) {
        struct why found = {}, failed = {};
        bool was_open = lease->dir_fd >= 0;
        int r, repaired = 0;

        if (lease->state == LEASE_UNKNOWN || lease_open_dir(lease, NULL))
                return;
        if (lease->reservation &&
            cgroup_enable_controllers(lease->dir_fd, lease->record.id, &failed))
                log_error("reservation '%s': %s", lease->record.name, failed.text);
        r = limits_verify(lease->dir_fd, &lease->limits, &found);
        if (r != 0 && r != CGROUP_E_GONE)
                repaired = limits_apply(lease->dir_fd, &lease->limits, &failed);
        if (r == 0)
                r = check_disks(lease, &found);
        if (!was_open)
                lease_close_dir(lease);
        if (r == 0 || r == CGROUP_E_GONE)
                return;
        drift_tell(lease->broker, "vm", lease->record.name, found.text,
                   repaired ? failed.text : NULL);
}

/* A group whose parent switched a controller off and on again has lost what was set in it. */
static void check_children(struct broker *broker, struct slice *slice) {
        struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->slice == slice)
                        drift_check_vm(lease);
}

/* The slice's own files; its VMs are checked afterwards if they may be concerned. */
static void check_own(struct broker *broker, struct slice *slice) {
        struct why found = {}, failed = {};
        struct limits limits = slice->limits;
        int r;

        r = cgroup_enable_controllers(slice->dir_fd, slice->name, &failed);
        limits.cpu_weight = slice->weight;
        limits.memory_low_bytes = slice->low_bytes;
        if (!r && limits_verify(slice->dir_fd, &limits, &found) == 0)
                return;
        if (!r)
                r = limits_apply(slice->dir_fd, &limits, &failed);
        drift_tell(broker, "slice", slice->name,
                   found.text[0] ? found.text : "its controllers were switched off",
                   r ? failed.text : NULL);
}

void drift_check_slice(struct broker *broker, struct slice *slice) {
        bool children = slice->suspect_children;
        struct why found = {};

        /* Nearly always it was us: two reads say so. */
        if (!slice->suspect && slice->suspect_weights && slice->dir_fd >= 0 &&
            limits_holds_fd(slice->weight_fd, slice->weight) &&
            limits_holds_fd(slice->low_fd, slice->low_bytes)) {
                slice->suspect_weights = false;
                return;
        }
        slice->suspect = slice->suspect_weights = slice->suspect_children = false;
        if (slice->dir_fd < 0)
                return;
        check_own(broker, slice);
        if (!slice->io_stepping && slice_io_follow(broker, slice, &found))
                drift_tell(broker, "slice", slice->name, found.text, NULL);
        if (children)
                check_children(broker, slice);
}

void drift_check_suspects(struct broker *broker) {
        struct slice *slice, *next;

        HASH_ITER(hh, broker->slices, slice, next)
                if (slice->suspect || slice->suspect_weights)
                        drift_check_slice(broker, slice);
}

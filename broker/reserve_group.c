/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/confine.h>
#include <broker/diskio.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/reservation.h>
#include <broker/reserve_group.h>
#include <broker/slice.h>

int reserve_group_make(struct lease *lease, struct why *why) {
        char name[LEASE_DIRECTORY_MAX];
        int r;

        r = slice_open(lease->broker, lease->slice, why);
        if (r)
                return r;
        r = cgroup_create_at(lease->slice->dir_fd, lease_directory(lease, name, sizeof(name)),
                             &lease->dir_fd, why);
        if (r)
                return r;
        r = record_write(lease->dir_fd, &lease->record, why);
        if (r)
                return r;
        r = confine_group(lease, why);
        if (r == 0)
                r = diskio_make(lease, why);
        if (r == 0)
                r = cgroup_enable_controllers(lease->dir_fd, name, why);
        if (r)
                return r;
        slices_settle(lease->broker, lease->slice);
        r = slice_protect(lease->broker, lease->slice, why);
        return r ? r : lease_watch(lease, why);
}

int reserve_group_ready(struct lease *lease, struct why *why) {
        bool populated;

        if (cgroup_populated(lease->dir_fd, &populated, why) != CGROUP_E_GONE)
                return 0;
        log_warning("reservation '%s': its group was removed by somebody; made again",
                    lease->record.name);
        lease_unwatch(lease);
        lease_close_dir(lease);
        return reserve_group_make(lease, why);
}

/* Whoever comes after us goes on with it. */
static void note_over(struct lease *lease) {
        struct why why = {};

        if (lease->state == LEASE_UNKNOWN || lease->dir_fd < 0)
                return; /* the record says more than we know */
        lease->record.over = true;
        if (record_write(lease->dir_fd, &lease->record, &why))
                log_warning("reservation '%s': %s", lease->record.name, why.text);
}

void reserve_group_end(struct lease *lease, const char *reason, int signo, uint64_t grace_usec) {
        struct reservation *reservation = lease->reservation;

        switch (lease->state) {
        case LEASE_STARTING:
        case LEASE_RUNNING:
        case LEASE_UNKNOWN:
                if (!lease->end_reason[0])
                        snprintf(lease->end_reason, sizeof(lease->end_reason), "%s", reason);
                note_over(lease);
                owning_leave(lease);
                lease->main_gone = true;
                lease->state = LEASE_STOPPING;
                reservation->end_grace_usec = grace_usec;
                break;
        case LEASE_STOPPING:
                reservation->end_grace_usec = min_u64(reservation->end_grace_usec, grace_usec);
                break;
        case LEASE_WAITING: /* broker/waiting refuses it */
        case LEASE_KILLING:
        case LEASE_LINGERING:
        case _LEASE_STATE_N:
                return;
        }
        reservation->end_signal = signo;
        reservation->ending = reservation->over = true;
        reservation_stir(reservation);
}

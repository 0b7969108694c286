/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/diskio.h>
#include <broker/lease.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/tenant.h>
#include <cgroup/freeze.h>
#include <cgroup/iomax.h>

#define LOOK_MIN_USEC UINT64_C(200000)    /* an almost empty bucket: at most this is overdrawn */
#define STEP_USEC UINT64_C(2000000)       /* for the group to freeze; it may wait for its disk */
#define STEP_LOOK_USEC UINT64_C(20000)    /* where the kernel will not tell that it is frozen */
#define STEP_AGAIN_USEC UINT64_C(2000000) /* and twice as long each time: it stood still for it */
#define STEP_DOUBLINGS 5
#define QUIET_SHARE 20 /* quiet: less than a 20th of the claim */

static uint64_t times(uint64_t value, uint64_t usec) {
        unsigned __int128 product = (unsigned __int128)value * usec / 1000000;

        return product > UINT64_MAX / 2 ? UINT64_MAX / 2 : (uint64_t)product;
}

/* What it may move beyond its claim while it is at the ceiling, per second. */
static uint64_t excess(const struct lease *lease) {
        uint64_t burst = lease->broker->policy->broker.disk.burst_milli;
        unsigned __int128 more = (unsigned __int128)lease->record.charge.amount[RESOURCE_DISK_IO] *
                                 (burst - min_u64(burst, 1000)) / 1000;

        return more > UINT64_MAX / 2 ? UINT64_MAX / 2 : (uint64_t)more;
}

static uint64_t bucket(const struct lease *lease) {
        return times(excess(lease), lease->broker->policy->broker.disk.burst_usec);
}

/* As much of @claim as @used is of @limit. */
static uint64_t share(uint64_t used, uint64_t limit, uint64_t claim) {
        unsigned __int128 part;

        if (limit == IO_NO_LIMIT)
                return 0;
        part = (unsigned __int128)used * claim / max_u64(1, limit);
        return part > UINT64_MAX / 2 ? UINT64_MAX / 2 : (uint64_t)part;
}

uint64_t burst_used(const struct io_use *before, const struct io_use *after,
                    const struct io_limit *limit, uint64_t claim) {
        uint64_t bytes, ios;

        bytes = max_u64(
                share(after->read_bytes - before->read_bytes, limit->read_bytes_per_s, claim),
                share(after->write_bytes - before->write_bytes, limit->write_bytes_per_s, claim));
        ios = max_u64(share(after->read_ios - before->read_ios, limit->read_ios_per_s, claim),
                      share(after->write_ios - before->write_ios, limit->write_ios_per_s, claim));
        return max_u64(bytes, ios);
}

uint64_t burst_left(uint64_t left, uint64_t full, uint64_t earned, uint64_t used) {
        left += earned;
        return used >= left ? 0 : min_u64(full, left - used);
}

/* What was used since the last look, of the disk and the limit with the most. */
static int take_use(struct lease *lease, uint64_t *bytesp, struct why *why) {
        uint64_t claim = lease->record.charge.amount[RESOURCE_DISK_IO], most = 0;
        struct diskio *diskio = lease->diskio;
        struct io_limit limit;
        int r;

        diskio_limit(lease, false, &limit);
        r = lease_open_dir(lease, why);
        for (size_t i = 0; r == 0 && i < diskio->n; i++) {
                struct diskio_disk *disk = &diskio->disk[i];
                struct io_use use;

                r = iostat_read(lease->dir_fd, disk->disk.dev, &use, why);
                if (r)
                        break;
                most = max_u64(most, burst_used(&disk->seen, &use, &limit, claim));
                disk->seen = use;
        }
        *bytesp = most;
        return r;
}

/* When to look: after about that time, but with all others whose turn is near, since each wake-up
 * goes over all VMs. @later: not before. */
static uint64_t turn(uint64_t now, uint64_t after, bool later) {
        uint64_t grid = max_u64(LOOK_MIN_USEC, after / 8);
        uint64_t at = (now + after + (later ? grid - 1 : 0)) / grid * grid;

        return max_u64(at, now + LOOK_MIN_USEC);
}

void burst_begin(struct lease *lease) {
        struct diskio *diskio = lease->diskio;

        if (!diskio || !diskio->governed)
                return;
        diskio->left_bytes = bucket(lease);
        diskio->seen_usec = broker_now_usec();
        diskio->look_usec =
                turn(diskio->seen_usec, lease->broker->policy->broker.disk.burst_usec, false);
        broker_tick_at(lease->broker, diskio->look_usec);
}

json_t *burst_pack(const struct lease *lease) {
        const struct diskio *diskio = lease->diskio;
        json_t *seen;

        if (!diskio || !diskio->governed)
                return json_null();
        seen = json_array();
        for (size_t i = 0; i < diskio->n; i++) {
                const struct io_use *use = &diskio->disk[i].seen;

                json_array_append_new(
                        seen, json_pack("[I,I,I,I,I]", (json_int_t)diskio->disk[i].disk.dev,
                                        (json_int_t)use->read_bytes, (json_int_t)use->write_bytes,
                                        (json_int_t)use->read_ios, (json_int_t)use->write_ios));
        }
        return json_pack("{s:b s:I s:I s:o}", "burst", diskio->burst, "left_bytes",
                         (json_int_t)diskio->left_bytes, "seen_usec", (json_int_t)diskio->seen_usec,
                         "seen", seen);
}

static void resume_disk(struct diskio *diskio, const json_t *seen) {
        json_int_t dev, read, write, read_ios, write_ios;

        if (json_unpack((json_t *)seen, "[I,I,I,I,I]", &dev, &read, &write, &read_ios, &write_ios) <
            0)
                return;
        for (size_t i = 0; i < diskio->n; i++)
                if (diskio->disk[i].disk.dev == (dev_t)dev)
                        diskio->disk[i].seen = (struct io_use){
                                .read_bytes = (uint64_t)read,
                                .write_bytes = (uint64_t)write,
                                .read_ios = (uint64_t)read_ios,
                                .write_ios = (uint64_t)write_ios,
                        };
}

void burst_resume(struct lease *lease, const json_t *bucket) {
        struct diskio *diskio = lease->diskio;
        json_int_t left, seen_usec;
        json_t *all, *seen;
        int burst;
        size_t i;

        if (!diskio || !diskio->governed ||
            json_unpack((json_t *)bucket, "{s:b s:I s:I s:o}", "burst", &burst, "left_bytes", &left,
                        "seen_usec", &seen_usec, "seen", &all) < 0)
                return;
        diskio->burst = burst;
        diskio->left_bytes = (uint64_t)left;
        diskio->seen_usec = min_u64((uint64_t)seen_usec, broker_now_usec());
        json_array_foreach(all, i, seen)
                resume_disk(diskio, seen);
        diskio->look_usec = broker_now_usec() + LOOK_MIN_USEC;
        broker_tick_at(lease->broker, diskio->look_usec);
}

static void end_step(struct lease *lease, uint64_t again_usec) {
        struct diskio *diskio = lease->diskio;
        struct why why = {};

        if (lease->dir_fd >= 0 && freeze_end(lease->dir_fd, &why))
                log_error("VM '%s': %s", lease->record.name, why.text);
        diskio->stepping = false;
        diskio->step_usec = again_usec;
        if (again_usec)
                broker_tick_at(lease->broker, again_usec);
        if (!lease->main_gone)
                fd_close_many(lease->held_fds, WATCH_HELD);
        lease_close_dir(lease);
}

static uint64_t try_again(struct lease *lease, uint64_t now) {
        unsigned failures = lease->diskio->step_failures++;

        return now + (STEP_AGAIN_USEC << (failures < STEP_DOUBLINGS ? failures : STEP_DOUBLINGS));
}

/* The smaller limit of a resize is in force: what was given up can be sold again. */
static int give_back(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct demand less = lease->claim.demand;

        less.amount[RESOURCE_DISK_IO] = lease->record.charge.amount[RESOURCE_DISK_IO];
        diskio_charge(lease, &less);
        if (demand_equal(&less, &lease->claim.demand))
                return 0;
        if (!ledger_exchange_unchecked(lease_ledger(lease), lease_account(lease),
                                       &lease->claim.demand, &less))
                return fault(-EOVERFLOW);
        lease->claim.demand = less;
        queue_changed(&broker->queue, &lease->claim);
        broker_settle_later(broker);
        return 0;
}

/* It is frozen: nothing of it waits for the old limit. */
static int change(struct lease *lease) {
        struct why why = {};
        int r;

        r = diskio_apply(lease, &why);
        if (r)
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (r != CGROUP_E_LIMIT)
                lease->diskio->step_failures = 0;
        end_step(lease, r == CGROUP_E_LIMIT ? try_again(lease, broker_now_usec()) : 0);
        return r == 0 ? give_back(lease) : 0;
}

int burst_progress(struct lease *lease) {
        bool frozen = false;

        if (!lease->diskio || !lease->diskio->stepping)
                return 0;
        if (freeze_is_frozen(lease->dir_fd, &frozen, NULL) == 0 && frozen)
                return change(lease);
        return 0;
}

int burst_step(struct lease *lease) {
        struct diskio *diskio = lease->diskio;
        struct why why = {};
        int r;

        if (!diskio || diskio->stepping)
                return 0;
        if (shrink_freezes(lease)) {
                diskio->step_usec = broker_now_usec() + STEP_LOOK_USEC;
                broker_tick_at(lease->broker, diskio->step_usec);
                return 0;
        }
        diskio->step_usec = 0;
        r = lease_open_dir(lease, &why);
        if (r == 0 && diskio_verify(lease, NULL) == 0) {
                lease_close_dir(lease);
                return give_back(lease); /* it is so already */
        }
        if (r == 0)
                r = lease_hold(lease, &why);
        if (r == 0) {
                diskio->stepping = true;
                r = freeze_begin(lease->dir_fd, &why);
        }
        if (r < 0)
                return r;
        if (r) {
                log_error("VM '%s': %s", lease->record.name, why.text);
                end_step(lease, 0);
                return 0;
        }
        diskio->step_usec = broker_now_usec() + STEP_USEC;
        broker_tick_at(lease->broker, broker_now_usec() + STEP_LOOK_USEC);
        return burst_progress(lease);
}

/* How long the bucket lasts at least. */
static uint64_t lasts(const struct lease *lease) {
        uint64_t rate = excess(lease);
        unsigned __int128 usec;

        if (rate == 0)
                return LOOK_MIN_USEC;
        usec = (unsigned __int128)lease->diskio->left_bytes * 1000000 / rate;
        return max_u64(
                LOOK_MIN_USEC,
                (uint64_t)min_u64((uint64_t)usec, lease->broker->policy->broker.disk.burst_usec));
}

static int look(struct lease *lease, uint64_t now) {
        const struct disk_policy *policy = &lease->broker->policy->broker.disk;
        struct diskio *diskio = lease->diskio;
        uint64_t claim = lease->record.charge.amount[RESOURCE_DISK_IO];
        uint64_t elapsed = now - diskio->seen_usec, used, earned;
        struct why why = {};

        if (take_use(lease, &used, &why)) {
                log_error("VM '%s': %s", lease->record.name, why.text);
                used = 0;
        }
        lease_close_dir(lease);
        diskio->seen_usec = now;
        earned = times(claim, elapsed);
        if (!diskio->burst) {
                diskio->look_usec = turn(now, policy->quiet_usec, true);
                if (elapsed < policy->quiet_usec || used > earned / QUIET_SHARE)
                        return 0;
                diskio->burst = true;
                diskio->left_bytes = bucket(lease);
                diskio->look_usec = turn(now, lasts(lease), false);
                return burst_step(lease);
        }
        diskio->left_bytes = burst_left(diskio->left_bytes, bucket(lease), earned, used);
        if (diskio->left_bytes > 0) {
                diskio->look_usec = turn(now, lasts(lease), false);
                return 0;
        }
        diskio->burst = false;
        diskio->look_usec = turn(now, policy->quiet_usec, true);
        return burst_step(lease);
}

int burst_tick(struct lease *lease, uint64_t now_usec, uint64_t *nextp) {
        struct diskio *diskio = lease->diskio;
        int r = 0;

        if (!diskio || (lease->state != LEASE_RUNNING && lease->state != LEASE_STOPPING))
                return 0;
        r = burst_progress(lease);
        if (r == 0 && diskio->step_usec && diskio->step_usec <= now_usec) {
                /* It did not freeze in time, or a write was refused: it runs on, and again later.
                 */
                if (diskio->stepping)
                        end_step(lease, try_again(lease, now_usec));
                else
                        r = burst_step(lease);
        }
        if (r == 0 && diskio->governed && !diskio->stepping && diskio->look_usec <= now_usec)
                r = look(lease, now_usec);
        if (diskio->stepping)
                *nextp = min_u64(*nextp, now_usec + STEP_LOOK_USEC);
        else if (diskio->step_usec)
                *nextp = min_u64(*nextp, diskio->step_usec);
        if (diskio->governed)
                *nextp = min_u64(*nextp, max_u64(diskio->look_usec, now_usec + LOOK_MIN_USEC));
        return r;
}

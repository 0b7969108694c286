/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/charge.h>
#include <broker/diskio.h>
#include <broker/lease.h>
#include <broker/report.h>
#include <broker/resize.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/taps.h>
#include <broker/tenant.h>
#include <broker/usage_measure.h>

/* One direction of the network, into the record to be. */
static int set_rate(const struct lease *lease, const char *name, uint64_t asked, uint64_t *ratep,
                    struct why *why) {
        const struct slice_policy *policy = lease->slice->policy;
        uint64_t most = policy ? policy->vm_max.amount[RESOURCE_NETWORK] : POLICY_NONE;
        char rate[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

        if (asked == REQUEST_DEFAULT)
                return 0;
        if (asked < SHAPE_RATE_MIN || asked > SHAPE_RATE_MAX)
                return why_set(why, 1, "%s: %s; 8 kbit/s to 160 Gbit/s can be enforced", name,
                               units_format_rate(asked, rate, sizeof(rate)));
        if (most != POLICY_NONE && asked > most)
                return why_set(why, 1, "%s: %s asked, slice '%s' allows one VM at most %s", name,
                               units_format_rate(asked, rate, sizeof(rate)), lease->slice->name,
                               units_format_rate(most, max, sizeof(max)));
        *ratep = asked;
        return 0;
}

/* What cannot be changed while it runs. */
static int check_axes(const struct lease *lease, const struct resize_request *request,
                      struct why *why) {
        static const bool can[_RESOURCE_N] = {
                [RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true, [RESOURCE_DISK_IO] = true};
        const uint64_t *asked = request->claim.amount;
        bool network = request->download_bytes_per_s != REQUEST_DEFAULT ||
                       request->upload_bytes_per_s != REQUEST_DEFAULT;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (!can[i] && asked[i] != REQUEST_DEFAULT)
                        return why_set(why, 1,
                                       "claim.%s cannot be changed while a VM runs; cpu, memory, "
                                       "download, upload and disk_io can",
                                       resource_name(i));
        if (lease->reservation)
                return why_set(why, 1, "vm: it is a reservation, and keeps its size");
        if (lease->state != LEASE_RUNNING)
                return why_set(why, 1, "vm: it does not run (%s)", lease_state_name(lease->state));
        if (network && !lease->taps)
                return why_set(why, 1, "vm: it has no network whose rates could be changed");
        if (asked[RESOURCE_DISK_IO] != REQUEST_DEFAULT && !lease->diskio)
                return why_set(why, 1, "vm: its disk I/O is not limited, and cannot be changed");
        if (asked[RESOURCE_CPU] != REQUEST_DEFAULT && lease->limits.cpu_quota_usec == LIMIT_KEEP)
                return why_set(why, 1, "vm: its CPU is not limited, and cannot be changed");
        if (asked[RESOURCE_MEMORY] != REQUEST_DEFAULT && !lease->shrink &&
            lease->limits.memory_max_bytes == LIMIT_KEEP)
                return why_set(why, 1, "vm: its memory is not limited, and cannot be changed");
        return 0;
}

/* CPU or memory as it is asked for, within what one VM of the slice may have. */
static int hold_to_max(const struct lease *lease, enum resource resource, uint64_t asked,
                       struct why *why) {
        const struct slice_policy *policy = lease->slice->policy;
        uint64_t most = policy ? policy->vm_max.amount[resource] : POLICY_NONE;
        char amount[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

        if (asked == 0)
                return why_set(why, 1, "%s: 0 is too little for a VM", resource_name(resource));
        if (most != POLICY_NONE && asked > most)
                return why_set(why, 1, "%s: %s asked, slice '%s' allows one VM at most %s",
                               resource_name(resource),
                               resource_format(resource, asked, amount, sizeof(amount)),
                               lease->slice->name,
                               resource_format(resource, most, max, sizeof(max)));
        return 0;
}

static int set_cpu(const struct lease *lease, uint64_t asked, struct record *record,
                   struct demand *charge, struct why *why) {
        if (asked == REQUEST_DEFAULT)
                return 0;
        record->cpu_milli = charge->amount[RESOURCE_CPU] = asked;
        return hold_to_max(lease, RESOURCE_CPU, asked, why);
}

static int set_memory(const struct lease *lease, uint64_t asked, struct record *record,
                      struct demand *charge, struct why *why) {
        uint64_t memory;

        if (asked == REQUEST_DEFAULT)
                return 0;
        memory = charge_memory(lease->broker, asked);
        if (memory == UINT64_MAX)
                return why_set(why, 1, "memory: the claim is larger than any host");
        record->memory_bytes = asked;
        charge->amount[RESOURCE_MEMORY] = memory;
        return hold_to_max(lease, RESOURCE_MEMORY, asked, why);
}

static int set_disk_io(const struct lease *lease, uint64_t asked, struct record *record,
                       uint64_t *chargep, struct why *why) {
        const struct slice_policy *policy = lease->slice->policy;
        uint64_t most = policy ? policy->vm_max.amount[RESOURCE_DISK_IO] : POLICY_NONE;
        char rate[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

        if (asked == REQUEST_DEFAULT)
                return 0;
        if (asked == 0)
                return why_set(why, 1, "disk_io: 0 for a VM with disks; claim some");
        if (most != POLICY_NONE && asked > most)
                return why_set(why, 1, "disk_io: %s asked, slice '%s' allows one VM at most %s",
                               units_format_rate(asked, rate, sizeof(rate)), lease->slice->name,
                               units_format_rate(most, max, sizeof(max)));
        /* What was finer than the old number is within the new one. */
        record->disk_read_bytes_per_s = min_u64(record->disk_read_bytes_per_s, asked);
        record->disk_write_bytes_per_s = min_u64(record->disk_write_bytes_per_s, asked);
        *chargep = asked;
        return 0;
}

static bool grows(const struct demand *from, const struct demand *to) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (to->amount[i] > from->amount[i])
                        return true;
        return false;
}

/* What is charged while the old and the new are both in force: what is given up is held until the
 * smaller limit is. */
static struct demand hold(struct lease *lease, const struct demand *before,
                          const struct demand *charge) {
        static const enum resource late[] = {RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_DISK_IO};
        struct demand held = *charge;

        for (size_t i = 0; i < ARRAY_SIZE(late); i++)
                held.amount[late[i]] = max_u64(charge->amount[late[i]], before->amount[late[i]]);
        diskio_charge(lease, &held);
        return held;
}

/* CPU, memory that grows, and what goes with them. The slice's part goes up before the VM's. */
static int set_limits(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        struct limits limits, changed;
        int r;

        charge_limits(broker, lease, &limits);
        limits.memory_high_bytes = charge_memory_high(lease, limits.memory_max_bytes);
        limits_keep(&limits, &lease->limits);
        changed = limits;
        /* Written again, memory.high would reclaim, and we wait. */
        if (limits.memory_high_bytes == lease->limits.memory_high_bytes)
                changed.memory_high_bytes = LIMIT_KEEP;
        slices_settle(broker, lease->slice);
        r = slice_protect(broker, lease->slice, why);
        if (r == 0)
                r = limits_apply(lease->dir_fd, &changed, why);
        if (r == 0)
                lease->limits = limits;
        return r;
}

/*
 * Record and kernel, for all but memory that shrinks. What grows is in the record before the kernel
 * allows it, what shrinks is in force before the record says so: whoever reads the record finds at
 * least what the kernel lets the VM have.
 */
static int carry_out(struct lease *lease, const struct record *record, struct why *why) {
        uint64_t cpu_before = lease->record.cpu_milli;
        uint64_t memory = max_u64(lease->record.charge.amount[RESOURCE_MEMORY],
                                  record->charge.amount[RESOURCE_MEMORY]);
        bool shrinks = record->charge.amount[RESOURCE_MEMORY] < memory, limits;
        uint64_t memory_bytes = shrinks ? lease->record.memory_bytes : record->memory_bytes;
        int r;

        limits = record->cpu_milli != cpu_before ||
                 memory > lease->record.charge.amount[RESOURCE_MEMORY];
        lease->record = *record;
        lease->record.memory_bytes = memory_bytes;
        lease->record.charge.amount[RESOURCE_MEMORY] = memory;
        lease->record.charge.amount[RESOURCE_CPU] = lease->record.cpu_milli =
                max_u64(cpu_before, record->cpu_milli);
        r = record_write(lease->dir_fd, &lease->record, why);
        if (r == 0 && lease->taps)
                r = taps_resize(lease, why);
        lease->record.charge.amount[RESOURCE_CPU] = lease->record.cpu_milli = record->cpu_milli;
        if (r == 0 && limits)
                r = set_limits(lease, why);
        if (r == 0 && record->cpu_milli < cpu_before)
                r = record_write(lease->dir_fd, &lease->record, why);
        return r;
}

/* After an answer of carry_out(): all as it was, or the log and the drift check will say so. */
static void restore(struct lease *lease, const struct record *old, const struct limits *limits) {
        struct why why = {};

        lease->record = *old;
        lease->limits = *limits;
        if (lease->dir_fd < 0)
                return;
        if (limits_apply(lease->dir_fd, limits, &why) ||
            (lease->taps && taps_resize(lease, &why)) ||
            record_write(lease->dir_fd, &lease->record, &why))
                log_error("VM '%s': after a failed resize: %s", lease->record.name, why.text);
}

/* @held is charged. On an answer it is still; the VM is as it was. */
static int put_in_force(struct lease *lease, const struct record *record, const struct demand *held,
                        struct why *why) {
        const struct demand before = lease->claim.demand;
        const struct limits limits = lease->limits;
        const struct record old = lease->record;
        bool was_open = lease->dir_fd >= 0;
        int r;

        lease->claim.demand = *held;
        r = lease_open_dir(lease, why);
        if (r == 0)
                r = carry_out(lease, record, why);
        if (r) {
                lease->claim.demand = before;
                restore(lease, &old, &limits);
        }
        if (!was_open)
                lease_close_dir(lease);
        return r;
}

/* What is sold now, or, while memory comes down, still. */
static json_t *report_sold(const struct lease *lease) {
        const struct record *record = &lease->record;

        return json_pack("{s:o s:I s:I s:I s:I s:I}", "charge", report_demand(&record->charge),
                         "cpu", (json_int_t)record->cpu_milli, "memory",
                         (json_int_t)record->memory_bytes, "download",
                         (json_int_t)record->download_bytes_per_s, "upload",
                         (json_int_t)record->upload_bytes_per_s, "disk_io",
                         (json_int_t)record->charge.amount[RESOURCE_DISK_IO]);
}

static int tell_done(const struct lease *lease, struct connection *connection) {
        const struct record *record = &lease->record;

        log_info("VM '%s': sold now: cpu %llu, memory %llu, download %llu, upload %llu, disk_io "
                 "%llu",
                 record->name, (unsigned long long)record->cpu_milli,
                 (unsigned long long)record->memory_bytes,
                 (unsigned long long)record->download_bytes_per_s,
                 (unsigned long long)record->upload_bytes_per_s,
                 (unsigned long long)record->charge.amount[RESOURCE_DISK_IO]);
        return connection ? connection_reply(connection, report_sold(lease), false) : 0;
}

static int on_shrink(struct lease *lease, struct connection *connection, enum shrink_news news,
                     const struct why *why) {
        uint64_t in_use, target;
        json_t *sold;

        switch (news) {
        case SHRINK_GOES_ON:
                shrink_progress(lease, &in_use, &target);
                sold = report_sold(lease);
                if (sold)
                        json_object_set_new(sold, "reclaiming",
                                            json_pack("{s:I s:I}", "in_use", (json_int_t)in_use,
                                                      "target", (json_int_t)target));
                return connection_reply(connection, sold, true);
        case SHRINK_DONE:
                return tell_done(lease, connection);
        case SHRINK_FAILED:
                log_warning("VM '%s': its memory is as it was: %s", lease->record.name, why->text);
                if (!connection)
                        return 0;
                if (why->code != CGROUP_E_BUSY)
                        return connection_error(connection, "Failed", NULL, why->text);
                return connection_error(
                        connection, "Refused",
                        json_pack("{s:s s:s}", "reason", "memory_in_use", "resource", "memory"),
                        why->text);
        }
        assert(false);
        return 0;
}

/* The limits are in force: what the VM has given up but memory goes back, and memory is begun. */
static int finish(struct lease *lease, struct connection *connection, const struct demand *charge,
                  uint64_t memory_bytes) {
        struct broker *broker = lease->broker;
        struct demand less = lease->claim.demand;
        struct why why = {};
        int r;

        less.amount[RESOURCE_CPU] = charge->amount[RESOURCE_CPU];
        if (!ledger_exchange_unchecked(lease_ledger(lease), lease_account(lease),
                                       &lease->claim.demand, &less))
                return fault(-EOVERFLOW);
        lease->claim.demand = less;
        queue_changed(&broker->queue, &lease->claim);
        slice_unbalance(broker, lease->slice);
        broker_settle_later(broker);
        /* Of its disks in a moment, while its group is frozen. */
        r = burst_step(lease);
        if (r < 0)
                return r;
        if (charge->amount[RESOURCE_MEMORY] >= less.amount[RESOURCE_MEMORY])
                return tell_done(lease, connection);
        r = shrink_start(lease, connection, memory_bytes, charge->amount[RESOURCE_MEMORY],
                         on_shrink, &why);
        return r > 0 ? connection_error(connection, "Failed", NULL, why.text) : r;
}

static int refuse(struct connection *connection, const char *reason, const char *text) {
        return connection_error(connection, "Refused", json_pack("{s:s}", "reason", reason), text);
}

/* Charges what it gets more of. 0, or 1 if the connection was answered. */
static int charge_more(struct lease *lease, struct connection *connection,
                       const struct demand *held) {
        struct broker *broker = lease->broker;
        struct shortage shortage = {};
        char text[WHY_TEXT_MAX];
        int r;

        if (!lease->inside && grows(&lease->claim.demand, held) && broker->queue.n > 0)
                return refuse(connection, "pool_full",
                              "claims wait, and more for this VM may not pass them")
                               ?: 1;
        r = ledger_exchange(lease_ledger(lease), lease_account(lease), &lease->claim.demand, held,
                            &shortage);
        if (r == 0)
                return 0;
        shortage_describe(&shortage, r == LEDGER_E_NEVER, text, sizeof(text));
        return connection_error(connection, "Refused",
                                shortage_json(&shortage, r == LEDGER_E_NEVER ? "too_large"
                                                         : lease->inside     ? "reservation_full"
                                                         : r == LEDGER_E_SLICE_FULL ? "slice_full"
                                                                                    : "pool_full"),
                                text)
                       ?: 1;
}

/* What it would be sold, by the request and the policy. Answers 1 with a sentence. */
static int size(struct lease *lease, const struct resize_request *request, struct record *record,
                struct demand *charge, struct why *why) {
        int r;

        r = set_rate(lease, "download", request->download_bytes_per_s,
                     &record->download_bytes_per_s, why);
        if (r == 0)
                r = set_rate(lease, "upload", request->upload_bytes_per_s,
                             &record->upload_bytes_per_s, why);
        if (r == 0)
                r = set_disk_io(lease, request->claim.amount[RESOURCE_DISK_IO], record,
                                &charge->amount[RESOURCE_DISK_IO], why);
        if (r == 0)
                r = set_cpu(lease, request->claim.amount[RESOURCE_CPU], record, charge, why);
        if (r == 0)
                r = set_memory(lease, request->claim.amount[RESOURCE_MEMORY], record, charge, why);
        if (r)
                return r;
        charge_network(lease->broker, record, charge);
        diskio_charge(lease, charge);
        record->charge = *charge;
        return 0;
}

int resize_vm(struct lease *lease, struct connection *connection,
              const struct resize_request *request) {
        const struct demand before = lease->claim.demand;
        struct demand charge = lease->record.charge, held;
        struct record record = lease->record;
        struct broker *broker = lease->broker;
        struct why why = {};
        int r;

        if (check_axes(lease, request, &why))
                return connection_error(connection, "Invalid", json_pack("{s:s}", "field", "claim"),
                                        why.text);
        if (lease->shrink || broker->upgrading || broker->stopping)
                return refuse(connection, "resizing",
                              lease->shrink ? "memory is being taken from this VM already"
                                            : "the broker is about to leave; ask again");
        usage_count_claim(&record, broker_now_usec());
        if (size(lease, request, &record, &charge, &why))
                return refuse(connection, "not_allowed", why.text);
        held = hold(lease, &before, &charge);
        r = charge_more(lease, connection, &held);
        if (r)
                return r < 0 ? r : 0;
        r = put_in_force(lease, &record, &held, &why);
        if (r < 0)
                return r;
        if (r) {
                if (!ledger_exchange_unchecked(lease_ledger(lease), lease_account(lease), &held,
                                               &before))
                        return fault(-EOVERFLOW);
                return connection_error(connection, "Failed", NULL, why.text);
        }
        return finish(lease, connection, &charge, record.memory_bytes);
}

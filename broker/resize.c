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
#include <broker/slice.h>
#include <broker/taps.h>

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
        bool network = request->download_bytes_per_s != REQUEST_DEFAULT ||
                       request->upload_bytes_per_s != REQUEST_DEFAULT;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (i != RESOURCE_DISK_IO && request->claim.amount[i] != REQUEST_DEFAULT)
                        return why_set(why, 1,
                                       "claim.%s cannot be changed while a VM runs; download, "
                                       "upload and disk_io can",
                                       resource_name(i));
        if (lease->state != LEASE_RUNNING)
                return why_set(why, 1, "vm: it does not run (%s)", lease_state_name(lease->state));
        if (network && !lease->taps)
                return why_set(why, 1, "vm: it has no network whose rates could be changed");
        if (request->claim.amount[RESOURCE_DISK_IO] != REQUEST_DEFAULT && !lease->diskio)
                return why_set(why, 1, "vm: its disk I/O is not limited, and cannot be changed");
        return 0;
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

/* Record and kernel; on an answer both are as they were, or the drift check will say so. */
static int put_in_force(struct lease *lease, const struct record *old, struct why *why) {
        struct why failed = {};
        bool was_open = lease->dir_fd >= 0;
        int r;

        r = lease_open_dir(lease, why);
        if (r == 0)
                r = record_write(lease->dir_fd, &lease->record, why);
        if (r == 0 && lease->taps)
                r = taps_resize(lease, why);
        if (r) {
                lease->record = *old;
                if (lease->dir_fd >= 0 && (record_write(lease->dir_fd, &lease->record, &failed) ||
                                           (lease->taps && taps_resize(lease, &failed))))
                        log_error("VM '%s': after a failed resize: %s", lease->record.name,
                                  failed.text);
        }
        if (!was_open)
                lease_close_dir(lease);
        return r;
}

int resize_vm(struct lease *lease, struct connection *connection,
              const struct resize_request *request) {
        struct broker *broker = lease->broker;
        const struct record old = lease->record;
        struct account *account = &lease->slice->account;
        struct demand charge = lease->record.charge, before = lease->claim.demand, held;
        struct shortage shortage = {};
        struct record record = old;
        struct why why = {};
        char text[WHY_TEXT_MAX];
        int r;

        if (check_axes(lease, request, &why))
                return connection_error(connection, "Invalid", json_pack("{s:s}", "field", "claim"),
                                        why.text);
        if (set_rate(lease, "download", request->download_bytes_per_s, &record.download_bytes_per_s,
                     &why) ||
            set_rate(lease, "upload", request->upload_bytes_per_s, &record.upload_bytes_per_s,
                     &why) ||
            set_disk_io(lease, request->claim.amount[RESOURCE_DISK_IO], &record,
                        &charge.amount[RESOURCE_DISK_IO], &why))
                return connection_error(connection, "Refused",
                                        json_pack("{s:s}", "reason", "not_allowed"), why.text);
        charge_network(broker, &record, &charge);
        if (grows(&before, &charge) && broker->queue.n > 0)
                return connection_error(connection, "Refused",
                                        json_pack("{s:s}", "reason", "pool_full"),
                                        "claims wait, and more for this VM may not pass them");
        /* Disk I/O that is given up is held until the smaller limit is in force: broker/burst. */
        diskio_charge(lease, &charge);
        held = charge;
        held.amount[RESOURCE_DISK_IO] =
                max_u64(charge.amount[RESOURCE_DISK_IO], before.amount[RESOURCE_DISK_IO]);
        diskio_charge(lease, &held);
        r = ledger_exchange(&broker->ledger, account, &before, &held, &shortage);
        if (r) {
                shortage_describe(&shortage, r == LEDGER_E_NEVER, text, sizeof(text));
                return connection_error(connection, "Refused",
                                        shortage_json(&shortage, r == LEDGER_E_NEVER ? "too_large"
                                                                 : r == LEDGER_E_SLICE_FULL
                                                                         ? "slice_full"
                                                                         : "pool_full"),
                                        text);
        }
        record.charge = charge;
        lease->record = record;
        r = put_in_force(lease, &old, &why);
        if (r < 0)
                return r;
        if (r) {
                if (!ledger_exchange_unchecked(&broker->ledger, account, &held, &before))
                        return fault(-EOVERFLOW);
                return connection_error(connection, "Failed", NULL, why.text);
        }
        lease->claim.demand = held;
        /* In a moment, while its group is frozen. */
        r = burst_step(lease);
        if (r < 0)
                return r;
        broker_settle_later(broker);
        log_info("VM '%s': sold now: download %llu, upload %llu, disk_io %llu bytes per second",
                 record.name, (unsigned long long)record.download_bytes_per_s,
                 (unsigned long long)record.upload_bytes_per_s,
                 (unsigned long long)charge.amount[RESOURCE_DISK_IO]);
        return connection_reply(connection,
                                json_pack("{s:o s:I s:I s:I}", "charge", report_demand(&charge),
                                          "download", (json_int_t)record.download_bytes_per_s,
                                          "upload", (json_int_t)record.upload_bytes_per_s,
                                          "disk_io", (json_int_t)charge.amount[RESOURCE_DISK_IO]),
                                false);
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <admission/sizing.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/lease.h>
#include <broker/pressure_report.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>

#define MEMORY_MAX_FLOOR (UINT64_C(16) * 1024 * 1024) /* below, execve itself could run out */
#define CPU_DEFAULT_MILLI 1000
#define PIDS_BASE 64
#define PIDS_PER_CPU 16

void shortage_describe(const struct shortage *shortage, bool never, char *text, size_t size) {
        char asked[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX],
                sold[UNITS_TEXT_MAX], ratio[UNITS_TEXT_MAX];
        char owner[TENANT_OWNER_MAX];
        const char *whose = shortage->account ? tenant_owner(shortage->account, owner) : "the host";
        enum resource resource = shortage->resource;

        if (shortage->is_vms) {
                snprintf(text, size, "VMs: %s has %" PRIu64 " of at most %" PRIu64, whose,
                         shortage->allocated, shortage->effective_limit);
                return;
        }
        snprintf(text, size,
                 never ? "%s: %s asked, but %s can never give more than %s (limit %s at ratio %s, "
                         "%s allocated now)"
                       : "%s: %s asked, %s has %s left (limit %s at ratio %s, %s allocated): a "
                         "claim "
                         "for no more than that would fit now",
                 resource_name(resource),
                 resource_format(resource, shortage->requested, asked, sizeof(asked)), whose,
                 resource_format(resource, shortage->available, left, sizeof(left)),
                 resource_format(resource, shortage->effective_limit, limit, sizeof(limit)),
                 units_format_milli(shortage->ratio_milli, ratio, sizeof(ratio)),
                 resource_format(resource, shortage->allocated, sold, sizeof(sold)));
}

const char *answer_reason(int answer) {
        return answer == LEDGER_E_NEVER ? "too_large" : wait_reason_name(queue_reason(answer));
}

void answer_describe(const struct broker *broker, int answer, const struct shortage *shortage,
                     char *text, size_t size) {
        enum wait_reason reason = queue_reason(answer);

        text[0] = '\0';
        if (answer == LEDGER_E_NEVER || reason == WAIT_POOL_FULL || reason == WAIT_SLICE_FULL ||
            reason == WAIT_USER_QUOTA)
                shortage_describe(shortage, answer == LEDGER_E_NEVER, text, size);
        else if (reason == WAIT_QUEUED)
                snprintf(text, size,
                         "others wait for the pool already, and this claim may not pass them");
        else
                pressure_describe(broker, reason, shortage, text, size);
}

json_t *shortage_json(const struct shortage *shortage, const char *reason) {
        return json_pack("{s:s s:s s:I s:I s:I s:I s:I s:I}", "reason", reason, "resource",
                         shortage->is_vms ? "vms" : resource_name(shortage->resource), "requested",
                         (json_int_t)shortage->requested, "available",
                         (json_int_t)shortage->available, "allocated",
                         (json_int_t)shortage->allocated, "effective_limit",
                         (json_int_t)shortage->effective_limit, "ratio_milli",
                         (json_int_t)shortage->ratio_milli, "fits", (json_int_t)shortage->fits);
}

/* A default that outgrows what one VM may have is cut, a wish is refused. */
static int hold_to_max(const struct lease *lease, const char *name, enum resource resource,
                       uint64_t wish, uint64_t *valuep, struct why *why) {
        uint64_t most = lease->slice->policy->vm_max.amount[resource];
        char asked[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

        if (most == POLICY_NONE || *valuep <= most)
                return 0;
        if (wish == REQUEST_DEFAULT) {
                *valuep = most;
                return 0;
        }
        return why_set(why, 1, "%s: %s asked, slice '%s' allows one VM at most %s", name,
                       resource_format(resource, *valuep, asked, sizeof(asked)), lease->slice->name,
                       resource_format(resource, most, max, sizeof(max)));
}

static bool is_rate(enum resource resource) {
        return resource == RESOURCE_DISK_IO || resource == RESOURCE_NETWORK ||
               resource == RESOURCE_NETWORK_UPLOAD;
}

/* Is the disk I/O of its reservation of the data directory's disks? Else who names no disk has none
 * of it. */
static bool has_data_disks(const struct lease *lease) {
        const struct diskio *diskio = lease->inside->lease->diskio;
        const struct data_disks *data = &lease->broker->data_disks;
        size_t found = 0;

        for (size_t i = 0; diskio && i < diskio->n; i++)
                found += !!disks_find(&data->disks, diskio->disk[i].disk.dev);
        return data->code == 0 && found == data->disks.n;
}

/* Of a reservation, which was sized by somebody: its part of that, whatever else is the default. */
static uint64_t share_inside(const struct lease *lease, enum resource resource,
                             uint64_t cpu_milli) {
        if (resource == RESOURCE_DISK_IO && lease->fds.n_disks == 0 && !has_data_disks(lease))
                return 0;
        return reservation_share(lease->inside, resource, cpu_milli);
}

static uint64_t share(const struct broker *broker, enum resource resource, uint64_t cpu_milli) {
        const struct ledger *ledger = &broker->ledger;

        return sizing_share(cpu_milli, ledger->capacity.amount[RESOURCE_CPU],
                            ledger->capacity.amount[resource],
                            ledger->ratio_milli.amount[resource]);
}

/* What a VM of @cpu_milli gets of a resource: as it says, or as the slice, the broker, or its share
 * of the CPUs do. */
static uint64_t pick(const struct lease *lease, enum resource resource, uint64_t wish,
                     uint64_t cpu_milli) {
        const struct broker *broker = lease->broker;
        enum resource key = resource == RESOURCE_NETWORK_UPLOAD ? RESOURCE_NETWORK : resource;
        uint64_t value = lease->slice->policy->vm_claim.amount[key];

        if (wish != REQUEST_DEFAULT)
                return wish;
        if (value == POLICY_AUTO)
                value = broker->policy->broker.claim.amount[key];
        if (lease->inside && is_rate(resource))
                value = share_inside(lease, resource, cpu_milli);
        else if (value == POLICY_AUTO)
                value = is_rate(resource)          ? share(broker, key, cpu_milli)
                        : resource == RESOURCE_CPU ? CPU_DEFAULT_MILLI
                                                   : 0;
        return lease->inside ? reservation_cut(lease->inside, resource, value) : value;
}

/* One direction of the network, by the same keys as the other: @name is "download" or "upload". */
static int size_direction(const struct lease *lease, const char *name, uint64_t wish,
                          uint64_t cpu_milli, uint64_t *ratep, struct why *why) {
        const struct broker *broker = lease->broker;
        const struct slice_policy *slice = lease->slice->policy;
        uint64_t most = slice->vm_max.amount[RESOURCE_NETWORK];
        bool apart = broker->policy->broker.network.full_duplex && strcmp(name, "upload") == 0;
        enum resource axis = apart && lease->inside ? RESOURCE_NETWORK_UPLOAD : RESOURCE_NETWORK;

        *ratep = pick(lease, axis, wish, cpu_milli);
        /* The share of nobody knows what is 0: not limited, and so more than any maximum. */
        if (*ratep == 0 && most != POLICY_NONE && !lease->inside &&
            broker->host.source[RESOURCE_NETWORK] == SOURCE_UNKNOWN)
                *ratep = most;
        return hold_to_max(lease, name, RESOURCE_NETWORK, wish, ratep, why);
}

/* Reads, writes and operations by themselves, within the one number, or making it up. */
static int refine_disk(struct lease *lease, uint64_t *claimp, struct why *why) {
        const struct run_request *request = &lease->request;
        struct record *record = &lease->record;
        const struct {
                const char *name;
                uint64_t asked, *notep;
        } ways[] = {
                {"disk_read", request->disk_read_bytes_per_s, &record->disk_read_bytes_per_s},
                {"disk_write", request->disk_write_bytes_per_s, &record->disk_write_bytes_per_s},
        };
        bool named = request->claim.amount[RESOURCE_DISK_IO] != REQUEST_DEFAULT;
        uint64_t most = 0;

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                char asked[UNITS_TEXT_MAX], claim[UNITS_TEXT_MAX];

                if (ways[i].asked == REQUEST_DEFAULT)
                        continue;
                if (named && ways[i].asked > *claimp)
                        return why_set(why, 1, "%s: %s is more than the disk_io of %s",
                                       ways[i].name,
                                       units_format_rate(ways[i].asked, asked, sizeof(asked)),
                                       units_format_rate(*claimp, claim, sizeof(claim)));
                *ways[i].notep = ways[i].asked;
                most = max_u64(most, ways[i].asked);
        }
        if (request->disk_ios_per_s != REQUEST_DEFAULT)
                record->disk_ios_per_s = request->disk_ios_per_s;
        if (named || most == 0)
                return 0;
        /* Both named: that is all. One named: the other is the default, unless this is more. */
        if (record->disk_read_bytes_per_s && record->disk_write_bytes_per_s)
                *claimp = most;
        *claimp = max_u64(*claimp, most);
        return hold_to_max(lease, "disk_io", RESOURCE_DISK_IO, most, claimp, why);
}

void charge_network(const struct broker *broker, const struct record *record,
                    struct demand *charge) {
        uint64_t download = record->download_bytes_per_s, upload = record->upload_bytes_per_s;
        bool apart = broker->policy->broker.network.full_duplex;

        charge->amount[RESOURCE_NETWORK] = apart ? download : max_u64(download, upload);
        charge->amount[RESOURCE_NETWORK_UPLOAD] = apart ? upload : 0;
}

uint64_t charge_memory(const struct broker *broker, uint64_t memory_bytes) {
        uint64_t memory;

        if (__builtin_add_overflow(memory_bytes, broker->policy->broker.memory_overhead_bytes,
                                   &memory) ||
            memory > INT64_MAX / 2)
                return UINT64_MAX;
        /* Whole pages, and never so little that the hypervisor cannot be executed in it. */
        return limits_page_ceil(max_u64(memory, MEMORY_MAX_FLOOR));
}

/* May it be as urgent as it says? */
static int check_priority(const struct lease *lease, struct why *why) {
        const struct slice_policy *slice = lease->slice->policy;

        if (lease->broker->policy->broker.queue.priority_step_usec == 0 ||
            lease->request.priority <= (int64_t)slice->priority_max)
                return 0;
        return why_set(why, 1,
                       "priority: %d asked, slice '%s' allows at most %" PRIu64 " (MaxPriority=)",
                       (int)lease->request.priority, lease->slice->name, slice->priority_max);
}

/* What a reservation has of memory: its guests', and what the hypervisors need. */
static uint64_t reserve_memory(const struct lease *lease, uint64_t guests_bytes, uint64_t vms) {
        uint64_t overhead = lease->broker->policy->broker.memory_overhead_bytes, memory;

        if (__builtin_mul_overflow(overhead, vms, &memory) ||
            __builtin_add_overflow(memory, guests_bytes, &memory) || memory > INT64_MAX / 2)
                return UINT64_MAX;
        return limits_page_ceil(memory);
}

/* Of a reservation: what it names, and nothing else. */
static int size_reservation(struct lease *lease, struct why *why) {
        const struct run_request *request = &lease->request;
        struct demand *charge = &lease->claim.demand;
        struct record *record = &lease->record;
        int r;

        r = check_priority(lease, why);
        if (r)
                return r;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                charge->amount[i] =
                        request->claim.amount[i] == REQUEST_DEFAULT ? 0 : request->claim.amount[i];
        if (request->download_bytes_per_s != REQUEST_DEFAULT)
                record->download_bytes_per_s = request->download_bytes_per_s;
        if (request->upload_bytes_per_s != REQUEST_DEFAULT)
                record->upload_bytes_per_s = request->upload_bytes_per_s;
        record->cpu_milli = charge->amount[RESOURCE_CPU];
        record->memory_bytes = charge->amount[RESOURCE_MEMORY];
        record->reserves = true;
        record->reserved_vms = request->vms != REQUEST_DEFAULT ? request->vms
                               : record->memory_bytes == 0     ? 0
                                                               : (record->cpu_milli + 999) / 1000;
        charge->amount[RESOURCE_MEMORY] =
                reserve_memory(lease, record->memory_bytes, record->reserved_vms);
        if (charge->amount[RESOURCE_MEMORY] == UINT64_MAX)
                return why_set(why, 1, "memory: the claim is larger than any host");
        charge_network(lease->broker, record, charge);
        record->charge = *charge;
        return 0;
}

/* What is charged, and what the record says about the claim. Answers positive with a sentence. */
int charge_size(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        const struct run_request *request = &lease->request;
        struct demand *charge = &lease->claim.demand;
        struct record *record = &lease->record;
        uint64_t values[_RESOURCE_N] = {}, memory;
        int r;

        if (lease->reservation)
                return size_reservation(lease, why);
        r = check_priority(lease, why);
        if (r)
                return r;
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                if (i == RESOURCE_NETWORK || i == RESOURCE_NETWORK_UPLOAD)
                        continue;
                values[i] = pick(lease, i, request->claim.amount[i], values[RESOURCE_CPU]);
                r = hold_to_max(lease, resource_name(i), i, request->claim.amount[i], &values[i],
                                why);
                if (r)
                        return r;
        }
        r = refine_disk(lease, &values[RESOURCE_DISK_IO], why);
        if (r)
                return r;
        r = size_direction(lease, "download", request->download_bytes_per_s, values[RESOURCE_CPU],
                           &record->download_bytes_per_s, why);
        if (!r)
                r = size_direction(lease, "upload", request->upload_bytes_per_s,
                                   values[RESOURCE_CPU], &record->upload_bytes_per_s, why);
        if (r)
                return r;
        if (values[RESOURCE_CPU] == 0 || values[RESOURCE_MEMORY] == 0)
                return why_set(why, 1, "a VM needs some CPU and some memory; 0 was asked");
        memory = charge_memory(broker, values[RESOURCE_MEMORY]);
        if (memory == UINT64_MAX)
                return why_set(why, 1, "memory: the claim is larger than any host");

        record->cpu_milli = values[RESOURCE_CPU];
        record->memory_bytes = values[RESOURCE_MEMORY];
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                charge->amount[i] = values[i];
        charge->amount[RESOURCE_MEMORY] = memory;
        charge_network(broker, record, charge);
        record->charge = *charge;
        return 0;
}

static uint64_t pick_policy(uint64_t slice_value, uint64_t broker_value) {
        return slice_value != POLICY_AUTO ? slice_value : broker_value;
}

uint64_t charge_memory_high(const struct lease *lease, uint64_t max_bytes) {
        const struct slice_policy *slice = lease->slice->policy;
        uint64_t milli = pick_policy(slice ? slice->memory_high_milli : POLICY_AUTO,
                                     lease->broker->policy->broker.memory_high_milli);

        if (milli == POLICY_NONE || milli == POLICY_AUTO)
                return LIMIT_NONE;
        return limits_page_ceil((uint64_t)((unsigned __int128)max_bytes * milli / 1000));
}

void charge_limits(const struct broker *broker, const struct lease *lease, struct limits *limits) {
        const struct broker_policy *policy = &broker->policy->broker;
        const struct slice_policy *slice = lease->slice->policy;
        const struct demand *charge = &lease->claim.demand;
        uint64_t high, swap, pids;

        *limits = (struct limits)LIMITS_KEEP_ALL;
        limits_set_cpu(limits, lease->record.cpu_milli, policy->cpu_headroom_milli);
        limits->cpu_weight = slice_weight(broker, lease->record.cpu_milli);
        limits->memory_max_bytes = charge->amount[RESOURCE_MEMORY];
        limits->memory_low_bytes = limits_page_ceil(ledger_guarantee(
                &broker->ledger, RESOURCE_MEMORY, charge->amount[RESOURCE_MEMORY]));
        if (lease->reservation)
                return; /* the rest is each VM's own */
        limits->oom_group = 1;

        high = charge_memory_high(lease, limits->memory_max_bytes);
        if (high != LIMIT_NONE)
                limits->memory_high_bytes = high;
        swap = pick_policy(slice ? slice->swap_max_bytes : POLICY_AUTO, policy->swap_max_bytes);
        limits->swap_max_bytes = swap == POLICY_NONE ? LIMIT_NONE : limits_page_ceil(swap);
        pids = pick_policy(slice ? slice->pids_max : POLICY_AUTO, policy->pids_max);
        if (pids == POLICY_AUTO)
                pids = PIDS_BASE + PIDS_PER_CPU * ((lease->record.cpu_milli + 999) / 1000);
        limits->pids_max = pids == POLICY_NONE ? LIMIT_NONE : pids;
}

enum wait_reason claim_reason(const struct lease *lease) {
        const struct claim *claim = &lease->claim, *head;

        if (claim->reason != WAIT_QUEUED || !claim->lane)
                return claim->reason;
        if (lease->broker->window_usec)
                return WAIT_RECONNECT;
        /* It waits for what the one before it waits for; or, with none in its own slice, for what
         * the first of all does. */
        head = claim->lane->head;
        if (head->reason != WAIT_QUEUED && head->reason != WAIT_NONE)
                return head->reason;
        head = TAILQ_FIRST(&lease->broker->queue.claims);
        switch (head->reason) {
        case WAIT_MEMORY_AVAILABLE:
        case WAIT_PSI_PRESSURE:
        case WAIT_DRAINING:
                return head->reason;
        case WAIT_NONE:
        case WAIT_POOL_FULL:
        case WAIT_SLICE_FULL:
        case WAIT_USER_QUOTA:
        case WAIT_QUEUED:
        case WAIT_RECONNECT:
        case _WAIT_REASON_N:
                break;
        }
        return WAIT_POOL_FULL;
}

void claim_detail(const struct lease *lease, uint64_t position, char *text, size_t size) {
        text[0] = '\0';
        if (lease->claim.reason == WAIT_POOL_FULL || lease->claim.reason == WAIT_SLICE_FULL ||
            lease->claim.reason == WAIT_USER_QUOTA)
                shortage_describe(&lease->claim.shortage, false, text, size);
        else if (pressure_describe(lease->broker, lease->claim.reason, &lease->claim.shortage, text,
                                   size))
                return;
        else if (lease->broker->window_usec)
                snprintf(text, size, "the broker was started again and collects who waited before");
        else
                snprintf(text, size, "%" PRIu64 " %s before it", position,
                         position == 1 ? "claim is" : "claims are");
}

/* SPDX-License-Identifier: MIT */
/*
 * A claim that does not say everything gets the slice's defaults, then the broker's, then its share by CPU;
 * what the hypervisor itself needs is added and charged. Whether it fits is admission's to say; whom
 * it may pass as well. Here stands only what a claim is made of and who is told what.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <admission/sizing.h>
#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/claim.h>
#include <broker/provision.h>
#include <broker/release.h>
#include <broker/report.h>
#include <broker/ticket.h>

#define MEMORY_MAX_FLOOR (UINT64_C(16) * 1024 * 1024) /* below, execve itself could run out */
#define PLACES_TOLD 256 /* claims at the front that are told their place every second */
#define PIDS_BASE 64
#define PIDS_PER_CPU 16

enum wait_reason claim_reason(const struct lease *lease) {
        const struct claim *claim = &lease->claim, *head;

        if (claim->reason != WAIT_QUEUED || !claim->lane)
                return claim->reason;
        if (lease->broker->window_usec)
                return WAIT_RECONNECT;
        /* It waits for what the one before it waits for. */
        head = TAILQ_FIRST(&claim->lane->claims);
        return head->reason == WAIT_SLICE_FULL ? WAIT_SLICE_FULL : WAIT_POOL_FULL;
}

void claim_detail(const struct lease *lease, uint64_t position, char *text, size_t size) {
        text[0] = '\0';
        if (lease->claim.reason == WAIT_POOL_FULL || lease->claim.reason == WAIT_SLICE_FULL)
                shortage_describe(&lease->claim.shortage, false, text, size);
        else if (lease->broker->window_usec)
                snprintf(text, size, "the broker was started again and collects who waited before");
        else
                snprintf(text, size, "%" PRIu64 " %s before it", position,
                         position == 1 ? "claim is" : "claims are");
}

void shortage_describe(const struct shortage *shortage, bool never, char *text, size_t size) {
        char asked[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX], sold[UNITS_TEXT_MAX],
                ratio[UNITS_TEXT_MAX];
        const char *whose = shortage->is_slice ? "the slice" : "the host";
        enum resource resource = shortage->resource;

        if (shortage->is_vms) {
                snprintf(text, size, "VMs: %s has %" PRIu64 " of at most %" PRIu64, whose,
                         shortage->allocated, shortage->effective_limit);
                return;
        }
        snprintf(text, size,
                 never ? "%s: %s asked, but %s can never give more than %s (limit %s at ratio %s, "
                         "%s allocated now)"
                       : "%s: %s asked, %s has %s left (limit %s at ratio %s, %s allocated): a claim "
                         "for no more than that would fit now",
                 resource_name(resource),
                 resource_format(resource, shortage->requested, asked, sizeof(asked)), whose,
                 resource_format(resource, shortage->available, left, sizeof(left)),
                 resource_format(resource, shortage->effective_limit, limit, sizeof(limit)),
                 units_format_milli(shortage->ratio_milli, ratio, sizeof(ratio)),
                 resource_format(resource, shortage->allocated, sold, sizeof(sold)));
}

static json_t *shortage_json(const struct shortage *shortage, const char *reason) {
        return json_pack("{s:s s:s s:I s:I s:I s:I s:I s:I}", "reason", reason, "resource",
                         shortage->is_vms ? "vms" : resource_name(shortage->resource), "requested",
                         (json_int_t)shortage->requested, "available",
                         (json_int_t)shortage->available, "allocated",
                         (json_int_t)shortage->allocated, "effective_limit",
                         (json_int_t)shortage->effective_limit, "ratio_milli",
                         (json_int_t)shortage->ratio_milli, "fits", (json_int_t)shortage->fits);
}

static uint64_t pick(uint64_t asked, uint64_t slice_default, uint64_t broker_default, uint64_t share) {
        if (asked != REQUEST_DEFAULT)
                return asked;
        if (slice_default != POLICY_AUTO)
                return slice_default;
        return broker_default != POLICY_AUTO ? broker_default : share;
}

static uint64_t default_share(const struct broker *broker, enum resource resource, uint64_t cpu_milli) {
        const struct ledger *ledger = &broker->ledger;

        return sizing_share(cpu_milli, ledger->capacity.amount[RESOURCE_CPU],
                            ledger->capacity.amount[resource], ledger->ratio_milli.amount[resource]);
}

/* What is charged, and what the record says about the claim. Answers positive with a sentence. */
static int size_claim(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        const struct broker_policy *policy = &broker->policy->broker;
        const struct slice_policy *slice = lease->slice->policy;
        const struct run_request *request = &lease->request;
        struct demand *charge = &lease->claim.demand;
        uint64_t values[_RESOURCE_N], memory;

        values[RESOURCE_CPU] = pick(request->claim.amount[RESOURCE_CPU],
                                    slice->vm_claim.amount[RESOURCE_CPU],
                                    policy->claim.amount[RESOURCE_CPU], 1000);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                char asked[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];

                if (i != RESOURCE_CPU)
                        values[i] = pick(request->claim.amount[i], slice->vm_claim.amount[i],
                                         policy->claim.amount[i],
                                         i == RESOURCE_DISK_IO || i == RESOURCE_NETWORK
                                                 ? default_share(broker, i, values[RESOURCE_CPU])
                                                 : 0);
                if (slice->vm_max.amount[i] != POLICY_NONE && values[i] > slice->vm_max.amount[i]) {
                        /* A default that outgrows the maximum is cut, a wish is refused. */
                        if (request->claim.amount[i] == REQUEST_DEFAULT) {
                                values[i] = slice->vm_max.amount[i];
                                continue;
                        }
                        return why_set(why, 1, "%s: %s asked, slice '%s' allows one VM at most %s",
                                       resource_name(i),
                                       resource_format(i, values[i], asked, sizeof(asked)),
                                       lease->slice->name,
                                       resource_format(i, slice->vm_max.amount[i], max, sizeof(max)));
                }
        }
        if (values[RESOURCE_CPU] == 0 || values[RESOURCE_MEMORY] == 0)
                return why_set(why, 1, "a VM needs some CPU and some memory; 0 was asked");
        memory = values[RESOURCE_MEMORY];
        if (__builtin_add_overflow(memory, policy->memory_overhead_bytes, &memory) ||
            memory > INT64_MAX / 2)
                return why_set(why, 1, "memory: the claim is larger than any host");

        lease->record.cpu_milli = values[RESOURCE_CPU];
        lease->record.memory_bytes = values[RESOURCE_MEMORY];
        lease->record.download_bytes_per_s = request->download_bytes_per_s == REQUEST_DEFAULT
                                                     ? values[RESOURCE_NETWORK]
                                                     : request->download_bytes_per_s;
        lease->record.upload_bytes_per_s = request->upload_bytes_per_s == REQUEST_DEFAULT
                                                   ? values[RESOURCE_NETWORK]
                                                   : request->upload_bytes_per_s;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                charge->amount[i] = values[i];
        /* Whole pages, and never so little that the hypervisor cannot be executed in it. */
        charge->amount[RESOURCE_MEMORY] = limits_page_ceil(max_u64(memory, MEMORY_MAX_FLOOR));
        lease->record.charge = *charge;
        return 0;
}

static uint64_t pick_policy(uint64_t slice_value, uint64_t broker_value) {
        return slice_value != POLICY_AUTO ? slice_value : broker_value;
}

void claim_limits(const struct broker *broker, const struct lease *lease, struct limits *limits) {
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
        limits->oom_group = 1;

        high = pick_policy(slice ? slice->memory_high_milli : POLICY_AUTO, policy->memory_high_milli);
        if (high != POLICY_NONE && high != POLICY_AUTO)
                limits->memory_high_bytes = limits_page_ceil(
                        (uint64_t)((unsigned __int128)limits->memory_max_bytes * high / 1000));
        swap = pick_policy(slice ? slice->swap_max_bytes : POLICY_AUTO, policy->swap_max_bytes);
        limits->swap_max_bytes = swap == POLICY_NONE ? LIMIT_NONE : limits_page_ceil(swap);
        pids = pick_policy(slice ? slice->pids_max : POLICY_AUTO, policy->pids_max);
        if (pids == POLICY_AUTO)
                pids = PIDS_BASE + PIDS_PER_CPU * ((lease->record.cpu_milli + 999) / 1000);
        limits->pids_max = pids == POLICY_NONE ? LIMIT_NONE : pids;
}

/* 16 characters of [a-v0-9]: 80 random bits, so that no two claims of any time share one. */
static int make_id(char id[RECORD_ID_MAX + 1]) {
        static const char digits[] = "abcdefghijklmnopqrstuv0123456789";
        unsigned char bytes[RECORD_ID_MAX];

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                return fault(-EIO);
        for (size_t i = 0; i < RECORD_ID_MAX; i++)
                id[i] = digits[bytes[i] % 32];
        id[RECORD_ID_MAX] = '\0';
        return 0;
}

static void note_command(struct record *record, char *const *argv) {
        char joined[1024] = "";

        for (; *argv && strlen(joined) < RECORD_COMMAND_MAX; argv++)
                snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%.300s",
                         joined[0] ? " " : "", *argv);
        text_escape(joined, record->command, sizeof(record->command));
}

/* Id, name, place in the order: new, or those of the ticket. */
static int identify(struct lease *lease, struct connection *connection, struct why *why) {
        struct broker *broker = lease->broker;
        struct record *record = &lease->record;
        const struct run_request *request = &lease->request;
        struct lease *other;
        int r;

        if (!request->ticket[0] ||
            !ticket_parse(request->ticket, broker->key, connection->uid, record->id, &record->order)) {
                r = make_id(record->id);
                if (r < 0)
                        return r;
                record->order = broker_now_ns();
                if (record->order <= broker->last_order)
                        record->order = broker->last_order + 1;
                broker->last_order = record->order;
        }
        HASH_FIND(hh_id, broker->by_id, record->id, strlen(record->id), other);
        if (other) {
                record->id[0] = '\0';
                return why_set(why, 1, "this claim is already made, by a connection that still lives");
        }
        strcpy(record->slice, lease->slice->name);
        strcpy(record->name, request->name[0] ? request->name : record->id);
        other = lease_find(broker, record->name);
        if (other) {
                record->id[0] = '\0';
                return why_set(why, 1, "a VM named '%s' is there already (%s)", record->name,
                               lease_state_name(other->state));
        }
        record->uid = connection->uid;
        record->gid = connection->gid;
        record->created_ns = broker_realtime_ns();
        record->detached = request->detach;
        record->grace_usec = lease->slice->policy->grace_usec != POLICY_AUTO
                                     ? lease->slice->policy->grace_usec
                                     : broker->policy->broker.grace_usec;
        note_command(record, request->argv);
        lease->claim.order = record->order;
        return 0;
}

static int dry_run(struct lease *lease, struct connection *connection) {
        struct broker *broker = lease->broker;
        struct shortage shortage = {};
        char detail[WHY_TEXT_MAX] = "";
        const char *verdict, *reason = "none";
        int r;

        claim_limits(broker, lease, &lease->limits);
        r = queue_check(&broker->queue, &broker->ledger, &lease->slice->lane, &lease->claim.demand,
                        &shortage);
        verdict = r == 0 ? "start" : r == LEDGER_E_NEVER ? "refuse" : "wait";
        if (r == QUEUE_E_BEHIND)
                reason = "queued";
        else if (r)
                reason = r == LEDGER_E_SLICE_FULL ? "slice_full"
                         : r == LEDGER_E_NEVER    ? "too_large"
                                                  : "pool_full";
        if (r && r != QUEUE_E_BEHIND)
                shortage_describe(&shortage, r == LEDGER_E_NEVER, detail, sizeof(detail));
        return connection_reply(connection,
                                json_pack("{s:s s:{s:s s:s s:s s:o s:o}}", "state", "dry_run", "run",
                                          "verdict", verdict, "reason", reason, "detail", detail,
                                          "charge", report_demand(&lease->claim.demand), "limits",
                                          report_limits(&lease->limits)),
                                false);
}

/* Frees a lease that never held anything, after its connection was answered. */
static void discard(struct lease *lease) {
        if (lease->follower)
                lease_detach_follower(lease);
        lease_free(lease);
}

static int refuse_shortage(struct lease *lease, struct connection *connection, int code,
                           const struct shortage *shortage) {
        const char *reason = code == LEDGER_E_NEVER      ? "too_large"
                             : code == LEDGER_E_POOL_FULL ? "pool_full"
                                                          : "slice_full";
        char text[WHY_TEXT_MAX];

        shortage_describe(shortage, code == LEDGER_E_NEVER, text, sizeof(text));
        return connection_error(connection, "Refused", shortage_json(shortage, reason), text);
}

/* --no-wait: it starts at once or not at all. */
static int refuse_unless_fits(struct lease *lease, struct connection *connection, bool *refusedp) {
        struct broker *broker = lease->broker;
        struct shortage shortage = {};
        int r;

        r = queue_check(&broker->queue, &broker->ledger, &lease->slice->lane, &lease->claim.demand,
                        &shortage);
        *refusedp = r == LEDGER_E_NEVER || (r && lease->request.wait_usec == 0);
        if (!*refusedp)
                return 0;
        if (r == QUEUE_E_BEHIND)
                return connection_error(connection, "Refused",
                                        shortage_json(&shortage, "pool_full"),
                                        "others wait for the pool already, and this claim may not pass them");
        return refuse_shortage(lease, connection, r, &shortage);
}

static int check_queue_bounds(struct lease *lease, struct connection *connection, struct why *why) {
        struct broker *broker = lease->broker;
        const struct broker_policy *policy = &broker->policy->broker;

        if (broker->queue.n >= policy->queue_max)
                return why_set(why, 1, "the queue is full: %" PRIu64 " claims wait", broker->queue.n);
        if (connection->uid != 0 && connection->user->n_waiting >= policy->queue_user_max)
                return why_set(why, 1, "%" PRIu64 " claims of this user wait already, as many as one may",
                               connection->user->n_waiting);
        return 0;
}

static int check_access(struct connection *connection, const struct slice_policy *slice, struct why *why) {
        _cleanup_(freep) gid_t *groups = NULL;
        size_t n_groups = 0;
        int r;

        if (connection->uid != 0) {
                r = connection_groups(connection, &groups, &n_groups);
                if (r < 0)
                        return r;
        }
        return policy_check_access(slice, connection->uid, connection->gid, groups, n_groups, why);
}

static int enqueue(struct lease *lease, struct connection *connection) {
        struct broker *broker = lease->broker;

        lease->follower = connection;
        connection->following = lease;
        lease_index(lease);
        if (lease->request.wait_usec != REQUEST_WAIT_FOREVER && lease->request.wait_usec > 0)
                lease->wait_until_usec = lease->arrived_usec +
                                         min_u64(lease->request.wait_usec, UINT64_C(1) << 60);
        queue_insert(&broker->queue, &lease->slice->lane, &lease->claim);
        connection->user->n_waiting++;
        return claims_advance(broker);
}

int claim_submit(struct connection *connection, struct run_request *request, struct lease_fds *fds) {
        struct broker *broker = connection->broker;
        const struct slice_policy *policy;
        struct why why = {};
        struct lease *lease;
        struct slice *slice;
        bool refused;
        int r;

        lease = lease_new(broker);
        if (!lease) {
                run_request_deinit(request);
                fd_close_many(fds->fd, _REQUEST_FDS_N);
                return fault(-ENOMEM);
        }
        lease->request = *request;
        lease->fds = *fds;
        lease->arrived_usec = broker_now_usec();
        request = &lease->request;

        policy = policy_find_slice(broker->policy, request->slice[0] ? request->slice : "default");
        slice = policy ? slice_find(broker, policy->name) : NULL;
        if (!policy || !slice) {
                char text[200];

                snprintf(text, sizeof(text), "there is no slice '%s'; write %s/slices/%s.slice",
                         request->slice[0] ? request->slice : "default", broker->options->config_dir,
                         request->slice[0] ? request->slice : "default");
                r = connection_error(connection, "NotFound", NULL, text);
                goto discard;
        }
        lease->slice = slice;
        slice->n_leases++;

        r = check_access(connection, policy, &why);
        if (r < 0)
                goto discard;
        if (r) {
                if (log_rate_pass(&broker->client_lines, lease->arrived_usec))
                        log_warning("uid %u, pid %d: denied: %s", connection->uid, connection->pid, why.text);
                r = connection_error(connection, "Denied", NULL, why.text);
                goto discard;
        }
        r = size_claim(lease, &why);
        if (r) {
                r = connection_error(connection, "Refused", json_pack("{s:s}", "reason", "not_allowed"), why.text);
                goto discard;
        }
        r = identify(lease, connection, &why);
        if (r < 0)
                goto discard;
        if (r) {
                r = connection_error(connection, "Exists", NULL, why.text);
                goto discard;
        }
        if (request->dry_run) {
                r = dry_run(lease, connection);
                goto unnamed;
        }
        if (broker->stopping) {
                r = connection_error(connection, "Failed", NULL, "the broker is stopping");
                goto unnamed;
        }
        r = refuse_unless_fits(lease, connection, &refused);
        if (r < 0 || refused)
                goto unnamed;
        r = check_queue_bounds(lease, connection, &why);
        if (r) {
                r = connection_error(connection, "Refused", json_pack("{s:s}", "reason", "user_quota"), why.text);
                goto unnamed;
        }
        r = provision_prepare(lease, connection, &why);
        if (r < 0)
                goto unnamed;
        if (r) {
                r = connection_error(connection, "Invalid", json_pack("{s:s}", "field", "command"), why.text);
                goto unnamed;
        }
        return enqueue(lease, connection);

unnamed:
        /* It was never entered into the maps. */
        lease->record.id[0] = '\0';
        lease->record.name[0] = '\0';
discard:
        discard(lease);
        return r;
}

static void leave_queue(struct lease *lease) {
        struct user *user = control_user(lease->broker, lease->record.uid);

        queue_remove(&lease->broker->queue, &lease->claim);
        if (user && user->n_waiting > 0)
                user->n_waiting--;
}

int claim_refuse(struct lease *lease, const char *reason, const char *message) {
        struct connection *connection = lease->follower;
        json_t *fields;
        int r = 0;

        leave_queue(lease);
        fields = json_pack("{s:s s:s}", "reason", reason, "detail", message);
        lease_event(lease, "claim_released", fields);
        lease_detach_follower(lease);
        if (connection)
                r = connection_error(connection, "Refused", shortage_json(&lease->claim.shortage, reason),
                                     message);
        lease_free(lease);
        return r;
}

int claim_timed_out(struct lease *lease) {
        const char *reason = wait_reason_name(claim_reason(lease));
        char text[WHY_TEXT_MAX], waited[UNITS_TEXT_MAX], detail[WHY_TEXT_MAX - 100];

        claim_detail(lease, queue_position(&lease->broker->queue, &lease->claim), detail, sizeof(detail));
        snprintf(text, sizeof(text), "waited %s: %s",
                 units_format_duration(lease->request.wait_usec, waited, sizeof(waited)), detail);
        return claim_refuse(lease, reason, text);
}

int claim_follower_gone(struct lease *lease) {
        struct broker *broker = lease->broker;

        switch (lease->state) {
        case LEASE_WAITING:
                leave_queue(lease);
                lease_event(lease, "claim_released", json_pack("{s:s}", "reason", "client_gone"));
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

/* One claim has its charge; it is in no queue any more. */
static int granted(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct user *user = control_user(broker, lease->record.uid);

        if (user && user->n_waiting > 0)
                user->n_waiting--;
        broker->decisions++;
        lease->state = LEASE_STARTING;
        lease->admitted_usec = broker_now_usec();
        lease->wait_until_usec = 0;
        TAILQ_INSERT_TAIL(&broker->leases, lease, link);
        lease_event(lease, "claim_acquired",
                    json_pack("{s:I s:o}", "admission_us",
                              (json_int_t)(lease->admitted_usec - lease->arrived_usec), "charge",
                              report_demand(&lease->claim.demand)));
        return provision_start(lease);
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
                            json_pack("{s:s s:s s:I}", "reason", wait_reason_name(reason), "detail",
                                      detail, "order", (json_int_t)lease->claim.order));
        lease->told_reason = reason;
        lease->told_position = position;
        if (!lease->follower || !lease->follower->more)
                return 0;
        ticket_format(ticket, broker->key, lease->record.id, lease->record.order, lease->record.uid);
        return connection_reply(lease->follower,
                                json_pack("{s:s s:{s:s s:s s:I s:s s:s}}", "state", "queued", "run",
                                          "ticket", ticket, "ticket_id", lease->record.id, "position",
                                          (json_int_t)position, "reason", wait_reason_name(reason),
                                          "detail", detail),
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

/* Whoever is new at the end of the queue hears so at once; those ahead when their turn of telling comes. */
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

int claims_advance(struct broker *broker) {
        struct claim *claim;
        bool never;
        int r;

        if (broker->window_usec == 0 && !broker->stopping && !broker->upgrading) {
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
        }
        if (broker->queue.n > 0) {
                if (!broker->marked_waiting) {
                        struct why why = {};

                        if (cgroup_root_mark_waiting(&broker->root, true, &why))
                                log_warning("%s: after a crash, waiting claims may lose their order", why.text);
                        broker->marked_waiting = true;
                }
                broker_tick_at(broker, broker_now_usec() + 1000000);
        }
        return tell_newcomers(broker);
}

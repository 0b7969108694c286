/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <admission/estimate.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/explain.h>
#include <broker/inside.h>
#include <broker/lease.h>
#include <broker/report.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>

#define HOLDERS_TOLD 8

/* ---- each axis ---- */

/* "(400M - 0B) x 1 = 400M may be sold, 300M is: 100M left". */
static json_t *arithmetic(const struct lease *lease, enum resource resource) {
        const struct ledger *ledger = &lease->broker->ledger;
        uint64_t allocated = ledger_allocated(ledger, resource);
        uint64_t left = ledger_host_available(ledger, resource);
        uint64_t mine = ledger_available(ledger, lease_account(lease), resource);
        char capacity[UNITS_TEXT_MAX], reserve[UNITS_TEXT_MAX], ratio[UNITS_TEXT_MAX],
                limit[UNITS_TEXT_MAX], sold[UNITS_TEXT_MAX], rest[UNITS_TEXT_MAX],
                part[UNITS_TEXT_MAX] = "", text[200];

        if (lease->inside) {
                inside_arithmetic(lease->inside, resource, text, sizeof(text));
                return json_string(text);
        }
        if (!ledger->enforced[resource])
                return json_string("its capacity is unknown: counted, not limited");
        if (mine < left)
                resource_format(resource, mine, part, sizeof(part));
        return json_sprintf(
                "(%s - %s) x %s = %s may be sold, %s is: %s left%s%s%s",
                resource_format(resource, ledger->capacity.amount[resource], capacity,
                                sizeof(capacity)),
                resource_format(resource, ledger->reserve.amount[resource], reserve,
                                sizeof(reserve)),
                units_format_milli(ledger->ratio_milli.amount[resource], ratio, sizeof(ratio)),
                resource_format(resource, ledger->effective.amount[resource], limit, sizeof(limit)),
                resource_format(resource, allocated, sold, sizeof(sold)),
                resource_format(resource, left, rest, sizeof(rest)), *part ? ", of which " : "",
                part, *part ? " for this slice" : "");
}

static json_t *axes(const struct lease *lease) {
        const struct broker *broker = lease->broker;
        const struct ledger *ledger = lease_ledger(lease);
        json_t *array = json_array();

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t available = ledger_available(ledger, lease_account(lease), i);
                uint64_t limit = lease->slice->account.limit.amount[i];
                uint64_t most = lease->inside ? lease->inside->account.limit.amount[i]
                                              : ledger->effective.amount[i];

                if (!report_counts(broker, i))
                        continue;
                json_array_append_new(
                        array,
                        json_pack("{s:s s:I s:I s:I s:I s:f s:I s:b s:o}", "resource",
                                  resource_name(i), "requested",
                                  (json_int_t)lease->claim.demand.amount[i], "available",
                                  (json_int_t)min_u64(available, INT64_MAX), "allocated",
                                  (json_int_t)ledger_allocated(ledger, i), "effective_limit",
                                  (json_int_t)most, "oversub_ratio",
                                  (double)ledger->ratio_milli.amount[i] / 1000.0, "slice_limit",
                                  (json_int_t)(limit == LEDGER_NO_LIMIT ? -1 : (int64_t)limit),
                                  "enforced", lease->inside || ledger->enforced[i], "arithmetic",
                                  arithmetic(lease, i)));
        }
        return array;
}

/* ---- who holds it ---- */

/* The largest of what is held, largest first. */
struct holders {
        const struct lease *lease[HOLDERS_TOLD];
        uint64_t amount[HOLDERS_TOLD];
        size_t n;
        uint64_t others, others_amount; /* that may not be seen, or are smaller */
};

static void add_holder(struct holders *holders, const struct lease *lease, uint64_t amount) {
        size_t at = holders->n;

        while (at > 0 && holders->amount[at - 1] < amount)
                at--;
        if (holders->n == HOLDERS_TOLD) {
                holders->others++;
                holders->others_amount +=
                        at == HOLDERS_TOLD ? amount : holders->amount[HOLDERS_TOLD - 1];
                if (at == HOLDERS_TOLD)
                        return;
                holders->n--;
        }
        for (size_t i = holders->n; i > at; i--) {
                holders->lease[i] = holders->lease[i - 1];
                holders->amount[i] = holders->amount[i - 1];
        }
        holders->lease[at] = lease;
        holders->amount[at] = amount;
        holders->n++;
}

static json_t *pack_holder(const struct lease *holder, uint64_t amount) {
        const struct record *record = &holder->record;
        json_t *object = json_pack("{s:s s:s s:I}", "vm", record->name, "slice",
                                   holder->slice->name, "amount", (json_int_t)amount);

        if (object && record->until_usec) {
                json_object_set_new(object, "until_usec",
                                    json_integer((json_int_t)record->until_usec));
                json_object_set_new(object, "late",
                                    json_boolean(record->until_usec <= broker_now_usec()));
        }
        return object;
}

/* Does what @lease holds count against @account? Against the host's (NULL) all does. */
static bool counts_against(const struct lease *lease, const struct account *account) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account ? account_chain(&lease->tenant->account, chain) : 0;

        for (unsigned i = 0; i < n; i++)
                if (chain[i] == account)
                        return true;
        return !account;
}

/* Who has what is missing: of all that count against the limit that is in the way. */
static void add_holders(json_t *object, const struct lease *lease, uid_t uid,
                        const struct shortage *shortage) {
        const struct broker *broker = lease->broker;
        struct holders holders = {};
        const struct lease *other;
        json_t *array = json_array();

        TAILQ_FOREACH(other, &broker->leases, link) {
                uint64_t amount =
                        shortage->is_vms ? 1 : other->claim.demand.amount[shortage->resource];

                /* What is inside a reservation is held by that. */
                if (amount == 0 || (other->inside && !shortage->is_vms) ||
                    !counts_against(other, shortage->account))
                        continue;
                if (uid == 0 || other->record.uid == uid) {
                        add_holder(&holders, other, amount);
                } else {
                        holders.others++;
                        holders.others_amount += amount;
                }
        }
        for (size_t i = 0; array && i < holders.n; i++)
                json_array_append_new(array, pack_holder(holders.lease[i], holders.amount[i]));
        json_object_set_new(
                object, "short_of",
                json_string(shortage->is_vms ? "vms" : resource_name(shortage->resource)));
        json_object_set_new(object, "holders", array);
        json_object_set_new(object, "others",
                            json_pack("{s:I s:I}", "vms", (json_int_t)holders.others, "amount",
                                      (json_int_t)holders.others_amount));
}

/* ---- until when ---- */

struct case_estimate {
        struct estimate *estimate;
        struct estimate_holder *holders;
        size_t n_holders, n_running;
        uint64_t silent, late; /* holders that said nothing, and that are late */
};

/* What is being taken away leaves at any moment. */
static uint64_t leaves_at(const struct lease *lease, uint64_t now) {
        if (lease->state == LEASE_STOPPING || lease->state == LEASE_KILLING)
                return now + 1;
        return lease->record.until_usec;
}

static void collect(struct case_estimate *estimate, const struct broker *broker, uint64_t now) {
        const struct lease *other;

        TAILQ_FOREACH(other, &broker->leases, link) {
                uint64_t until = leaves_at(other, now);

                if (estimate->n_running == broker->ledger.vms)
                        break;
                if (other->inside)
                        continue; /* held by its reservation */
                estimate->n_running++;
                estimate->silent += until == 0;
                estimate->late += until > 0 && until <= now;
                if (until > 0)
                        estimate->holders[estimate->n_holders++] = (struct estimate_holder){
                                .account = &other->tenant->account,
                                .demand = &other->claim.demand,
                                .order = other->claim.order,
                                .until_usec = until,
                        };
        }
}

/* 0 with *startp, or ESTIMATE_E_*. */
static int estimate(struct case_estimate *estimate, const struct lease *lease, uint64_t now,
                    uint64_t *startp) {
        struct broker *broker = lease->broker;

        estimate->estimate = malloc(sizeof(*estimate->estimate));
        estimate->holders = calloc(broker->ledger.vms + 1, sizeof(*estimate->holders));
        if (!estimate->estimate || !estimate->holders)
                return ESTIMATE_E_LONG;
        collect(estimate, broker, now);
        queue_tell_time(&broker->queue, now);
        return estimate_start(estimate->estimate, &broker->queue, &broker->ledger,
                              &lease->tenant->lane, &lease->claim, estimate->holders,
                              estimate->n_holders, startp);
}

/* What no promise says anything about. */
static bool is_gate(enum wait_reason reason) {
        return reason == WAIT_MEMORY_AVAILABLE || reason == WAIT_PSI_PRESSURE ||
               reason == WAIT_DRAINING;
}

static const char *format_in(uint64_t usec, char *text, size_t size) {
        return units_format_duration((usec + 999999) / 1000000 * 1000000, text, size);
}

static void add_estimate(json_t *object, const struct lease *lease) {
        struct case_estimate case_estimate = {};
        uint64_t now = broker_now_usec(), start = 0;
        char text[UNITS_TEXT_MAX];
        json_t *answer = json_object();

        switch (estimate(&case_estimate, lease, now, &start)) {
        case 0:
                json_object_set_new(answer, "start_usec", json_integer((json_int_t)start));
                json_object_set_new(answer, "in_usec", json_integer((json_int_t)(start - now)));
                json_object_set_new(
                        answer, "detail",
                        json_sprintf("in %s, if all leave when they said and nobody comes first",
                                     format_in(start - now, text, sizeof(text))));
                break;
        case ESTIMATE_E_LATER:
                json_object_set_new(answer, "not_before_usec", json_integer((json_int_t)start));
                json_object_set_new(answer, "detail",
                                    json_sprintf("not within %s, and what comes then is too "
                                                 "much to be played through",
                                                 format_in(start - now, text, sizeof(text))));
                break;
        case ESTIMATE_E_OPEN:
                json_object_set_new(answer, "detail",
                                    json_sprintf("unknown: of %zu VMs that run, %" PRIu64
                                                 " did not say for how long (--time), and %" PRIu64
                                                 " should have left",
                                                 case_estimate.n_running, case_estimate.silent,
                                                 case_estimate.late));
                break;
        case ESTIMATE_E_NEVER:
                json_object_set_new(answer, "detail", json_string("never: it does not fit"));
                break;
        default:
                json_object_set_new(answer, "detail",
                                    json_string("unknown: too many run or are before it"));
                break;
        }
        free(case_estimate.holders);
        free(case_estimate.estimate);
        json_object_set_new(object, "estimate", answer);
}

/* ---- all of it ---- */

/* @shortage: what is missing, or NULL. */
static void add_wait(json_t *object, struct lease *lease, uid_t uid, enum wait_reason reason,
                     const struct shortage *shortage, uint64_t position) {
        json_object_set_new(object, "position", json_integer((json_int_t)position));
        json_object_set_new(object, "waiting", json_integer((json_int_t)lease->broker->queue.n));
        if (shortage)
                add_holders(object, lease, uid, shortage);
        if (is_gate(reason))
                json_object_set_new(object, "estimate",
                                    json_pack("{s:s}", "detail",
                                              "unknown: when the host is ready for it again"));
        else
                add_estimate(object, lease);
}

void explain_claim(json_t *object, struct lease *lease, uid_t uid, int answer,
                   const struct shortage *shortage) {
        struct broker *broker = lease->broker;
        enum wait_reason reason = queue_reason(answer);
        struct shortage own = *shortage;

        if (!object)
                return;
        json_object_set_new(object, "axes", axes(lease));
        if (answer == 0 || answer == LEDGER_E_NEVER || lease->inside)
                return;
        /* Behind others, or before a gate, it may also be short of something itself. */
        if (answer >= QUEUE_E_BEHIND)
                answer = ledger_check(&broker->ledger, &lease->tenant->account,
                                      &lease->claim.demand, &own);
        add_wait(object, lease, uid, reason, answer ? &own : NULL, broker->queue.n);
}

static json_t *explain_waiting(struct lease *lease, uid_t uid) {
        struct broker *broker = lease->broker;
        uint64_t position = queue_position(&broker->queue, &lease->claim);
        struct shortage shortage = {};
        char detail[WHY_TEXT_MAX];
        json_t *object;
        int r;

        claim_detail(lease, position, detail, sizeof(detail));
        object = json_pack("{s:s s:s s:s s:s s:s s:o}", "vm", lease->record.name, "id",
                           lease->record.id, "verdict", "waits", "reason",
                           wait_reason_name(claim_reason(lease)), "detail", detail, "axes",
                           axes(lease));
        if (!object)
                return NULL;
        r = ledger_check(&broker->ledger, &lease->tenant->account, &lease->claim.demand, &shortage);
        add_wait(object, lease, uid, lease->claim.reason, r ? &shortage : NULL, position);
        return object;
}

json_t *explain_lease(struct lease *lease, uid_t uid) {
        if (lease->state == LEASE_WAITING)
                return explain_waiting(lease, uid);
        return json_pack("{s:s s:s s:s s:s s:o s:o}", "vm", lease->record.name, "id",
                         lease->record.id, "verdict", "admitted", "reason", "none", "detail",
                         json_sprintf("%s%s%s", lease_state_name(lease->state),
                                      lease->detail[0] ? ": " : "", lease->detail),
                         "axes", axes(lease));
}

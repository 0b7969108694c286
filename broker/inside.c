/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/inside.h>
#include <broker/lease.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>

#define USERS_TOLD 4 /* VMs, in one sentence */

struct reservation *inside_find(struct lease *lease, uid_t uid) {
        const struct run_request *request = &lease->request;
        struct reservation *reservation;

        if (!request->owner[0] || request->reserves)
                return NULL;
        reservation = reservation_find(lease->broker, uid, request->owner);
        if (!reservation || reservation->lease->state == LEASE_WAITING)
                return NULL;
        if (request->slice[0] && strcmp(request->slice, reservation->lease->slice->name) != 0)
                return NULL;
        return reservation;
}

static bool has_disk(const struct diskio *diskio, dev_t dev) {
        for (size_t i = 0; diskio && i < diskio->n; i++)
                if (diskio->disk[i].disk.dev == dev)
                        return true;
        return false;
}

int inside_check_disks(const struct lease *lease, struct why *why) {
        const struct diskio *diskio = lease->diskio;

        for (size_t i = 0; lease->inside && diskio && i < diskio->n; i++)
                if (!has_disk(lease->inside->lease->diskio, diskio->disk[i].disk.dev))
                        return why_set(why, 1,
                                       "disk_io: nothing of disk %s is in the reservation '%s'; "
                                       "name the disk's files when reserving (--disk-image)",
                                       diskio->disk[i].disk.name,
                                       lease->inside->lease->record.owner);
        return 0;
}

int inside_check(const struct lease *lease, struct shortage *shortage) {
        int r;

        r = ledger_check(lease_ledger(lease), lease_account(lease), &lease->claim.demand, shortage);
        /* The numbers of VMs that host, slice and user may have. */
        return r
                       ?: ledger_check(&lease->broker->ledger, &lease->tenant->account,
                                       &reservation_nothing, shortage);
}

int inside_charge(struct lease *lease) {
        struct broker *broker = lease->broker;

        if (!ledger_restore(lease_ledger(lease), lease_account(lease), &lease->claim.demand) ||
            !ledger_restore(&broker->ledger, &lease->tenant->account, &reservation_nothing))
                return fault(-EOVERFLOW);
        return 0;
}

const char *inside_reason(const struct lease *lease, int answer, const struct shortage *shortage) {
        if (answer == 0)
                return "none";
        if (shortage->account != &lease->inside->account)
                return answer_reason(answer);
        return answer == LEDGER_E_NEVER ? "too_large" : "reservation_full";
}

/* "; in use: 'a' 1, 'b' 0.5 and 2 more" */
static void add_users(const struct lease *lease, enum resource resource, char *text, size_t size) {
        const struct lease *other;
        char amount[UNITS_TEXT_MAX];
        unsigned n = 0, more = 0;
        size_t used = strlen(text);

        TAILQ_FOREACH(other, &lease->broker->leases, link) {
                if (other->inside != lease->inside || other->claim.demand.amount[resource] == 0)
                        continue;
                if (n == USERS_TOLD) {
                        more++;
                        continue;
                }
                snprintf(text + used, size - used, "%s'%s' %s",
                         n++ ? ", " : "; in use: ", other->record.name,
                         resource_format(resource, other->claim.demand.amount[resource], amount,
                                         sizeof(amount)));
                used = strlen(text);
        }
        if (more)
                snprintf(text + used, size - used, " and %u more", more);
}

void inside_describe(const struct lease *lease, int answer, const struct shortage *shortage,
                     char *text, size_t size) {
        const struct record *record = &lease->inside->lease->record;
        enum resource resource = shortage->resource;
        char asked[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX];

        text[0] = '\0';
        if (answer == 0)
                return;
        if (shortage->account != &lease->inside->account) {
                shortage_describe(shortage, answer == LEDGER_E_NEVER, text, size);
                return;
        }
        resource_format(resource, shortage->requested, asked, sizeof(asked));
        resource_format(resource, shortage->effective_limit, all, sizeof(all));
        resource_format(resource,
                        shortage->effective_limit > shortage->allocated
                                ? shortage->effective_limit - shortage->allocated
                                : 0,
                        left, sizeof(left));
        if (answer == LEDGER_E_NEVER)
                snprintf(text, size,
                         "%s: %s asked, but the reservation '%s' is of %s in all, %s of it left",
                         resource_name(resource), asked, record->owner, all, left);
        else
                snprintf(text, size,
                         "%s: %s asked, the reservation '%s' has %s of %s left: a claim for no "
                         "more than that would fit now",
                         resource_name(resource), asked, record->owner, left, all);
        add_users(lease, resource, text, size);
}

void inside_arithmetic(const struct reservation *reservation, enum resource resource, char *text,
                       size_t size) {
        uint64_t all = reservation->account.limit.amount[resource];
        uint64_t used = ledger_allocated(&reservation->books, resource);
        char reserved_text[UNITS_TEXT_MAX], used_text[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX];

        snprintf(text, size, "%s is reserved, %s of it in use: %s left",
                 resource_format(resource, all, reserved_text, sizeof(reserved_text)),
                 resource_format(resource, used, used_text, sizeof(used_text)),
                 resource_format(resource, all > used ? all - used : 0, left, sizeof(left)));
}

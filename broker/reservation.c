/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <admission/sizing.h>
#include <broker/broker.h>
#include <broker/reservation.h>

const struct demand reservation_nothing;

struct reservation *reservation_new(struct broker *broker, struct lease *lease, const char *owner) {
        struct reservation *reservation = calloc(1, sizeof(*reservation));

        if (!reservation)
                return NULL;
        reservation->broker = broker;
        reservation->lease = lease;
        snprintf(reservation->owner, sizeof(reservation->owner), "%s", owner);
        reservation->books.vms_max = LEDGER_NO_LIMIT;
        reservation->account.kind = ACCOUNT_RESERVATION;
        reservation->account.vms_max = reservation->account.queued_max = LEDGER_NO_LIMIT;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                reservation->account.ratio_milli.amount[i] =
                        reservation->books.ratio_milli.amount[i] = 1000;
        return reservation;
}

struct reservation *reservation_free(struct reservation *reservation) {
        if (!reservation)
                return NULL;
        if (reservation->key[0])
                HASH_DELETE(hh, reservation->broker->reservations, reservation);
        if (reservation->stirred)
                LIST_REMOVE(reservation, link);
        free(reservation);
        return NULL;
}

static void make_key(char *key, size_t size, uid_t uid, const char *owner) {
        snprintf(key, size, "%u/%s", uid, owner);
}

struct reservation *reservation_find(struct broker *broker, uid_t uid, const char *owner) {
        struct reservation *reservation;
        char key[sizeof(reservation->key)];

        make_key(key, sizeof(key), uid, owner);
        HASH_FIND_STR(broker->reservations, key, reservation);
        return reservation;
}

void reservation_enter(struct reservation *reservation, uid_t uid) {
        struct broker *broker = reservation->broker;

        if (!reservation->owner[0] || reservation_find(broker, uid, reservation->owner))
                return;
        make_key(reservation->key, sizeof(reservation->key), uid, reservation->owner);
        HASH_ADD_STR(broker->reservations, key, reservation);
}

void reservation_count(struct reservation *reservation, const struct demand *charge,
                       uint64_t guests_bytes) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                reservation->account.limit.amount[i] = charge->amount[i];
        reservation->guests_bytes = guests_bytes;
}

struct reservation *reservation_join(struct reservation *reservation) {
        reservation->n_inside++;
        return reservation;
}

void reservation_leave(struct reservation *reservation) {
        assert(reservation->n_inside > 0);
        reservation->n_inside--;
        if (reservation->n_inside == 0 && reservation->over)
                reservation_stir(reservation);
}

void reservation_stir(struct reservation *reservation) {
        struct broker *broker = reservation->broker;

        if (!reservation->stirred)
                LIST_INSERT_HEAD(&broker->stirred, reservation, link);
        reservation->stirred = true;
        broker_settle_later(broker);
}

static uint64_t reserved(const struct reservation *reservation, enum resource resource) {
        return reservation->account.limit.amount[resource];
}

uint64_t reservation_share(const struct reservation *reservation, enum resource resource,
                           uint64_t cpu_milli) {
        return sizing_share(cpu_milli, reserved(reservation, RESOURCE_CPU),
                            reserved(reservation, resource), 1000);
}

uint64_t reservation_cut(const struct reservation *reservation, enum resource resource,
                         uint64_t value) {
        /* Of nothing there is no part: then what it would have is what is refused. */
        if (resource == RESOURCE_CPU)
                return min_u64(value, reserved(reservation, resource) ?: value);
        if (resource == RESOURCE_MEMORY)
                return min_u64(value, reservation->guests_bytes ?: value);
        return min_u64(value,
                       ledger_available(&reservation->books, &reservation->account, resource));
}

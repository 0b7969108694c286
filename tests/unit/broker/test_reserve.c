/* SPDX-License-Identifier: MIT */

/*
 * The books of reservations: whatever is reserved, started inside, ended or found again after a
 * crash, the host is charged what was reserved, once, and nobody inside gets more than that.
 */

#include <stdio.h>
#include <string.h>

#include <broker/broker.h>
#include <broker/inside.h>
#include <broker/lease.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>

#include "unit.h"

#define RESERVATIONS 4
#define VMS 24
#define ROUNDS 20000

static uint64_t random_state = 5;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

/* A host, one tenant of one slice, and what it holds. */
struct world {
        struct broker broker;
        struct slice slice;
        struct tenant tenant;
        struct lease reserved[RESERVATIONS], vms[VMS];
        bool stands[RESERVATIONS], runs[VMS];
};

static void make_books(struct world *world) {
        struct demand capacity, reserve = {}, ratio;
        bool enforced[_RESOURCE_N];

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                enforced[i] = true;
        for (unsigned i = 0; i < DEMAND_N; i++) {
                capacity.amount[i] = 100;
                ratio.amount[i] = 1000;
        }
        world->broker.ledger = (struct ledger){};
        ledger_configure(&world->broker.ledger, &capacity, &reserve, &ratio, enforced, VMS);
        memset(&world->tenant.account, 0, sizeof(world->tenant.account));
        memset(&world->slice.account, 0, sizeof(world->slice.account));
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                world->slice.account.limit.amount[i] = 80;
                world->tenant.account.limit.amount[i] = LEDGER_NO_LIMIT;
                world->slice.account.ratio_milli.amount[i] =
                        world->tenant.account.ratio_milli.amount[i] = 1000;
        }
        world->slice.account.vms_max = world->tenant.account.vms_max = LEDGER_NO_LIMIT;
        need(account_place(&world->tenant.account, &world->slice.account));
}

static void open_world(struct world *world) {
        *world = (struct world){};
        LIST_INIT(&world->broker.stirred);
        TAILQ_INIT(&world->broker.leases);
        world->slice.name = (char *)"t";
        make_books(world);
}

static void make_lease(struct world *world, struct lease *lease, uint64_t most) {
        *lease = (struct lease){.broker = &world->broker,
                                .slice = &world->slice,
                                .tenant = &world->tenant,
                                .state = LEASE_RUNNING};
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                lease->claim.demand.amount[i] = any(most);
}

static void make_reservation(struct lease *lease) {
        lease->reservation = reservation_new(lease->broker, lease, "o");
        need(lease->reservation);
        reservation_count(lease->reservation, &lease->claim.demand, lease->record.memory_bytes);
}

static void toggle_reservation(struct world *world, unsigned r) {
        struct lease *lease = &world->reserved[r];

        if (world->stands[r]) {
                if (lease->reservation->n_inside > 0)
                        return; /* its VMs end first */
                ledger_return(&world->broker.ledger, &world->tenant.account, &lease->claim.demand);
                lease->reservation = reservation_free(lease->reservation);
                world->stands[r] = false;
                return;
        }
        make_lease(world, lease, 40);
        if (ledger_charge(&world->broker.ledger, &world->tenant.account, &lease->claim.demand,
                          NULL))
                return;
        make_reservation(lease);
        world->stands[r] = true;
}

static void end_vm(struct world *world, unsigned v) {
        struct lease *lease = &world->vms[v];

        if (lease->inside)
                ledger_return(&world->broker.ledger, &world->tenant.account, &reservation_nothing);
        ledger_return(lease_ledger(lease), lease_account(lease), &lease->claim.demand);
        if (lease->inside)
                reservation_leave(take(lease->inside));
        world->runs[v] = false;
}

static void toggle_vm(struct world *world, unsigned v) {
        struct lease *lease = &world->vms[v];
        unsigned r = (unsigned)any(RESERVATIONS + 1);
        struct shortage shortage;

        if (world->runs[v]) {
                end_vm(world, v);
                return;
        }
        make_lease(world, lease, 20);
        if (r == RESERVATIONS) {
                world->runs[v] = ledger_charge(&world->broker.ledger, &world->tenant.account,
                                               &lease->claim.demand, NULL) == 0;
                return;
        }
        if (!world->stands[r])
                return;
        lease->inside = reservation_join(world->reserved[r].reservation);
        if (inside_check(lease, &shortage)) {
                reservation_leave(take(lease->inside));
                return;
        }
        need_int(inside_charge(lease), 0);
        world->runs[v] = true;
}

/* The books as the next broker makes them, of what it finds. */
static void crash(struct world *world) {
        struct ledger before = world->broker.ledger;
        struct demand inside[RESERVATIONS] = {};
        unsigned of[VMS];

        for (unsigned v = 0; v < VMS; v++)
                for (unsigned r = 0; r < RESERVATIONS; r++)
                        if (world->runs[v] && world->stands[r] && world->vms[v].inside &&
                            world->vms[v].inside == world->reserved[r].reservation)
                                of[v] = r;
        for (unsigned r = 0; r < RESERVATIONS; r++) {
                if (!world->stands[r])
                        continue;
                inside[r] = world->reserved[r].reservation->account.allocated;
                world->reserved[r].reservation = reservation_free(world->reserved[r].reservation);
        }
        make_books(world);
        for (unsigned r = 0; r < RESERVATIONS; r++) {
                if (!world->stands[r])
                        continue;
                make_reservation(&world->reserved[r]);
                need(ledger_restore(&world->broker.ledger, &world->tenant.account,
                                    &world->reserved[r].claim.demand));
        }
        for (unsigned v = 0; v < VMS; v++) {
                struct lease *lease = &world->vms[v];

                if (!world->runs[v])
                        continue;
                if (take(lease->inside)) {
                        lease->inside = reservation_join(world->reserved[of[v]].reservation);
                        need_int(inside_charge(lease), 0);
                } else {
                        need(ledger_restore(&world->broker.ledger, &world->tenant.account,
                                            &lease->claim.demand));
                }
        }
        need(demand_equal(&world->broker.ledger.allocated, &before.allocated));
        need_uint(world->broker.ledger.vms, before.vms);
        for (unsigned r = 0; r < RESERVATIONS; r++)
                need(!world->stands[r] ||
                     demand_equal(&world->reserved[r].reservation->account.allocated, &inside[r]));
}

static void check_books(const struct world *world) {
        struct demand outside = {}, inside[RESERVATIONS] = {};
        uint64_t vms = 0;

        for (unsigned r = 0; r < RESERVATIONS; r++) {
                vms += world->stands[r];
                for (unsigned i = 0; world->stands[r] && i < _RESOURCE_N; i++)
                        outside.amount[i] += world->reserved[r].claim.demand.amount[i];
        }
        for (unsigned v = 0; v < VMS; v++) {
                const struct lease *lease = &world->vms[v];

                if (!world->runs[v])
                        continue;
                vms++;
                for (unsigned i = 0; i < _RESOURCE_N; i++) {
                        struct demand *sum = &outside;

                        for (unsigned r = 0; lease->inside && r < RESERVATIONS; r++)
                                if (world->stands[r] &&
                                    lease->inside == world->reserved[r].reservation)
                                        sum = &inside[r];
                        sum->amount[i] += lease->claim.demand.amount[i];
                }
        }
        need(demand_equal(&world->broker.ledger.allocated, &outside));
        need(demand_equal(&world->slice.account.allocated, &outside));
        need_uint(world->broker.ledger.vms, vms);
        need(vms <= VMS);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                need(outside.amount[i] <= 80);
        for (unsigned r = 0; r < RESERVATIONS; r++)
                for (unsigned i = 0; world->stands[r] && i < _RESOURCE_N; i++) {
                        need(inside[r].amount[i] <= world->reserved[r].claim.demand.amount[i]);
                        need_uint(world->reserved[r].reservation->account.allocated.amount[i],
                                  inside[r].amount[i]);
                }
}

static void the_host_is_charged_once_and_nobody_inside_gets_more(void) {
        struct world world;

        open_world(&world);
        for (unsigned round = 0; round < ROUNDS; round++) {
                uint64_t what = any(20);

                if (what < 6)
                        toggle_reservation(&world, (unsigned)any(RESERVATIONS));
                else if (what < 19)
                        toggle_vm(&world, (unsigned)any(VMS));
                else
                        crash(&world);
                check_books(&world);
        }
        for (unsigned v = 0; v < VMS; v++)
                if (world.runs[v])
                        end_vm(&world, v);
        for (unsigned r = 0; r < RESERVATIONS; r++)
                if (world.stands[r])
                        toggle_reservation(&world, r);
        expect(demand_is_zero(&world.broker.ledger.allocated));
        expect_uint(world.broker.ledger.vms, 0);
}

/* A slice's limit that was lowered below what is reserved takes nothing back. */
static void what_was_reserved_stays_when_the_slice_shrinks(void) {
        struct shortage shortage;
        struct world world;

        open_world(&world);
        make_lease(&world, &world.reserved[0], 1);
        world.reserved[0].claim.demand.amount[RESOURCE_CPU] = 60;
        need_int(ledger_charge(&world.broker.ledger, &world.tenant.account,
                               &world.reserved[0].claim.demand, NULL),
                 0);
        make_reservation(&world.reserved[0]);
        world.slice.account.limit.amount[RESOURCE_CPU] = 10;
        make_lease(&world, &world.vms[0], 1);
        world.vms[0].claim.demand.amount[RESOURCE_CPU] = 60;
        world.vms[0].inside = reservation_join(world.reserved[0].reservation);
        expect_int(inside_check(&world.vms[0], &shortage), 0);
        world.vms[0].claim.demand.amount[RESOURCE_CPU] = 61;
        expect_int(inside_check(&world.vms[0], &shortage), LEDGER_E_NEVER);
        expect(shortage.account == &world.reserved[0].reservation->account);
        expect_str(inside_reason(&world.vms[0], LEDGER_E_NEVER, &shortage), "too_large");
        reservation_leave(world.vms[0].inside);
        reservation_free(world.reserved[0].reservation);
}

static void who_does_not_say_gets_his_share_of_what_is_left(void) {
        struct world world;
        struct reservation *reservation;

        open_world(&world);
        make_lease(&world, &world.reserved[0], 1);
        world.reserved[0].claim.demand.amount[RESOURCE_CPU] = 2000;
        world.reserved[0].claim.demand.amount[RESOURCE_DISK_IO] = 100;
        world.reserved[0].record.cpu_milli = 2000;
        make_reservation(&world.reserved[0]);
        reservation = world.reserved[0].reservation;
        expect_uint(reservation_share(reservation, RESOURCE_DISK_IO, 500), 25);
        expect_uint(reservation_share(reservation, RESOURCE_NETWORK, 500), 0);
        expect_uint(reservation_cut(reservation, RESOURCE_CPU, 1000), 1000);
        expect_uint(reservation_cut(reservation, RESOURCE_CPU, 3000), 2000);
        /* Of nothing there is no share: what is refused then is what it would have had. */
        expect_uint(reservation_cut(reservation, RESOURCE_MEMORY, 512), 512);
        reservation->account.allocated.amount[RESOURCE_DISK_IO] = 90;
        expect_uint(reservation_cut(reservation, RESOURCE_DISK_IO, 25), 10);
        reservation_free(world.reserved[0].reservation);
}

UNIT_MAIN(TEST(the_host_is_charged_once_and_nobody_inside_gets_more),
          TEST(what_was_reserved_stays_when_the_slice_shrinks),
          TEST(who_does_not_say_gets_his_share_of_what_is_left))

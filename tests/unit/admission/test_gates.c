/* SPDX-License-Identifier: MIT */
#include <admission/queue.h>
#include <string.h>

#include "unit.h"

#define SECOND UINT64_C(1000000)
#define GIB (UINT64_C(1) << 30)

/* CPU above 50 %, memory above 10 %, each until 60 % of that; two seconds from start to start. */
static void rules(struct gates *gates) {
        gates_init(gates);
        gates->rules.close_above[GATE_CPU] = 5000;
        gates->rules.open_below[GATE_CPU] = 3000;
        gates->rules.close_above[GATE_MEMORY] = 1000;
        gates->rules.open_below[GATE_MEMORY] = 600;
        gates->rules.pace_usec = 2 * SECOND;
}

static bool look(struct gates *gates, uint64_t cpu, uint64_t memory, bool waits, uint64_t second) {
        struct pressure pressure[_GATE_RESOURCE_N] = {
                [GATE_CPU] = {.known = true, .host = cpu},
                [GATE_MEMORY] = {.known = true, .host = memory},
                [GATE_IO] = {.known = true, .host = 9999},
        };

        return gates_look(gates, pressure, waits, second * SECOND);
}

static void the_gate_closes_above_one_threshold_and_opens_below_another(void) {
        struct gates gates;

        rules(&gates);
        expect(!look(&gates, 5000, 1000, true, 1));
        expect_int(gates_check(&gates), GATES_OPEN);
        expect(look(&gates, 5001, 0, true, 2));
        expect_int(gates_check(&gates), GATES_PRESSURE);
        expect_int(gates.cause, GATE_CPU);
        /* Between the two it stays as it is, whichever resource is between. */
        expect(!look(&gates, 4999, 0, true, 3));
        expect(!look(&gates, 3001, 0, true, 4));
        expect(!look(&gates, 0, 601, true, 5));
        expect_int(gates_check(&gates), GATES_PRESSURE);
        expect(look(&gates, 3000, 600, true, 6));
        expect_int(gates.state, PRESSURE_PACED);
        expect_int(gates_check(&gates), GATES_OPEN);
}

static void what_flaps_about_a_threshold_does_not_open_and_close_the_gate(void) {
        struct gates gates;
        unsigned changes = 0;

        rules(&gates);
        for (uint64_t i = 0; i < 1000; i++)
                changes += look(&gates, i % 2 ? 5100 : 4900, 0, true, i);
        expect_uint(changes, 1);
}

static void memory_closes_it_too_and_a_resource_without_threshold_does_not(void) {
        struct gates gates;

        rules(&gates);
        expect(look(&gates, 0, 1001, true, 1));
        expect_int(gates.cause, GATE_MEMORY);
        expect(look(&gates, 0, 0, true, 2));
        gates.rules.close_above[GATE_IO] = 9000;
        gates.rules.open_below[GATE_IO] = 5000;
        expect(look(&gates, 0, 0, true, 3));
        expect_int(gates.cause, GATE_IO);
}

static void after_a_pause_claims_start_one_by_one(void) {
        struct gates gates;

        rules(&gates);
        look(&gates, 8000, 0, true, 0);
        look(&gates, 1000, 0, true, 10);
        for (uint64_t i = 0; i < 5; i++) {
                uint64_t start = 10 + 3 * i;

                expect_int(gates_check(&gates), GATES_OPEN);
                gates_started(&gates, start * SECOND);
                expect_int(gates_check(&gates), GATES_PRESSURE);
                /* Too early to tell what the last start has done. */
                look(&gates, 1000, 0, true, start + 1);
                expect_int(gates_check(&gates), GATES_PRESSURE);
                look(&gates, 1000, 0, true, start + 3);
        }
        expect_int(gates.state, PRESSURE_PACED);
        expect_int(gates_check(&gates), GATES_OPEN);
}

static void the_next_waits_for_a_good_reading_after_the_last_start(void) {
        struct gates gates;

        rules(&gates);
        look(&gates, 8000, 0, true, 0);
        look(&gates, 1000, 0, true, 10);
        gates_started(&gates, 10 * SECOND);
        look(&gates, 4000, 0, true, 13);
        look(&gates, 4000, 0, true, 20);
        expect_int(gates_check(&gates), GATES_PRESSURE);
        expect_int(gates.state, PRESSURE_PACED);
        look(&gates, 2000, 0, true, 21);
        expect_int(gates_check(&gates), GATES_OPEN);
        expect(look(&gates, 6000, 0, true, 22));
        expect_int(gates.state, PRESSURE_CLOSED);
}

static void it_opens_wholly_when_nobody_waits_or_it_was_calm_for_long(void) {
        struct gates gates;

        rules(&gates);
        look(&gates, 8000, 0, true, 0);
        look(&gates, 1000, 0, true, 10);
        gates_started(&gates, 10 * SECOND);
        /* The one that started last has not shown yet what it does. */
        expect(!look(&gates, 1000, 0, false, 11));
        expect(look(&gates, 1000, 0, false, 12));
        expect_int(gates.state, PRESSURE_OPEN);

        look(&gates, 8000, 0, true, 20);
        look(&gates, 1000, 0, true, 30);
        look(&gates, 4000, 0, true, 60); /* not calm */
        for (uint64_t second = 61; second < 120; second += 2) {
                gates_started(&gates, second * SECOND);
                expect(!look(&gates, 1000, 0, true, second));
        }
        expect(look(&gates, 1000, 0, true, 121));
        expect_int(gates.state, PRESSURE_OPEN);
}

static void unknown_pressure_closes_nothing_and_opens_what_was_closed(void) {
        struct pressure pressure[_GATE_RESOURCE_N] = {[GATE_CPU] = {.host = 9999}};
        struct gates gates;

        rules(&gates);
        expect(!gates_look(&gates, pressure, true, 1));
        expect_int(gates_check(&gates), GATES_OPEN);
        look(&gates, 9999, 0, true, 2);
        expect(gates_look(&gates, pressure, true, 3 * SECOND));
        expect_int(gates_check(&gates), GATES_OPEN);
}

static void of_throttled_vms_nothing_counts_while_cpus_are_idle(void) {
        struct pressure pressure = {.known = true, .host = 9500, .vms = 9400, .slack = true};

        expect_uint(gates_count_pressure(&pressure), 100);
        pressure.vms = 9600;
        expect_uint(gates_count_pressure(&pressure), 0);
        /* Others wait as well: theirs counts. */
        pressure = (struct pressure){.known = true, .host = 9500, .vms = 1000, .slack = true};
        expect_uint(gates_count_pressure(&pressure), 8500);
        /* No CPU is idle: then it is a shortage, whoever waits. */
        pressure = (struct pressure){.known = true, .host = 9500, .vms = 9500};
        expect_uint(gates_count_pressure(&pressure), 9500);
}

static void draining_holds_everything_back_and_comes_first(void) {
        struct gates gates;

        rules(&gates);
        look(&gates, 9000, 0, true, 1);
        gates.draining = true;
        expect_int(gates_check(&gates), GATES_DRAINING);
        gates.draining = false;
        expect_int(gates_check(&gates), GATES_PRESSURE);
}

/* A pool of 16 GiB and 8 CPUs without a limit that matters here. */
struct place {
        struct ledger ledger;
        struct queue queue;
        struct gates gates;
        struct account account;
        struct lane lane;
};

static void place_init(struct place *place) {
        struct demand capacity = {}, none = {}, ratio = {};
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

        memset(place, 0, sizeof(*place));
        capacity.amount[RESOURCE_CPU] = 8000;
        capacity.amount[RESOURCE_MEMORY] = 16 * GIB;
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                ratio.amount[i] = 1000;
                place->account.limit.amount[i] = LEDGER_NO_LIMIT;
        }
        place->account.vms_max = LEDGER_NO_LIMIT;
        ledger_configure(&place->ledger, &capacity, &none, &ratio, enforced, 1000);
        queue_init(&place->queue);
        lane_init(&place->lane, &place->account);
        gates_init(&place->gates);
        place->queue.gates = &place->gates;
}

static void add(struct place *place, struct claim *claim, uint64_t order, uint64_t cpu_milli,
                uint64_t memory_bytes) {
        *claim = (struct claim){.order = order};
        claim->demand.amount[RESOURCE_CPU] = cpu_milli;
        claim->demand.amount[RESOURCE_MEMORY] = memory_bytes;
        queue_insert(&place->queue, &place->lane, claim);
}

static void two_claims_of_one_instant_do_not_count_the_same_free_memory(void) {
        struct claim claims[2];
        struct place place;
        bool never;

        place_init(&place);
        place.gates.rules.memory = true;
        place.gates.rules.memory_reserve_bytes = GIB;
        place.gates.memory = (struct gates_memory){
                .known = true, .total_bytes = 16 * GIB, .available_bytes = 4 * GIB};
        add(&place, &claims[0], 1, 100, 2 * GIB);
        add(&place, &claims[1], 2, 100, 2 * GIB);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claims[1].reason, WAIT_MEMORY_AVAILABLE);
        expect_uint(claims[1].shortage.requested, 2 * GIB);
        expect_uint(claims[1].shortage.allocated, 2 * GIB); /* granted, not touched */
        expect_uint(claims[1].shortage.available, 1 * GIB);
        expect_uint(claims[1].shortage.fits, 1 * GIB);
        expect_uint(place.ledger.allocated.amount[RESOURCE_MEMORY], 2 * GIB);

        /* The first has touched all of its memory, of which nothing is left twice or gone. */
        place.gates.memory.available_bytes = 2 * GIB;
        place.gates.memory.touched_bytes = 2 * GIB;
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_uint(claims[1].shortage.available, 1 * GIB);

        /* Somebody else of this host gives memory back. */
        place.gates.memory.available_bytes = 3 * GIB;
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
}

static void more_is_touched_than_granted_is_no_credit(void) {
        struct place place;

        place_init(&place);
        place.gates.memory.touched_bytes = GIB;
        expect_uint(gates_untouched(&place.gates, &place.ledger), 0);
}

static void what_the_host_can_never_have_free_is_refused(void) {
        struct claim claim;
        struct place place;
        bool never;

        place_init(&place);
        place.gates.rules.memory = true;
        place.gates.rules.memory_reserve_bytes = GIB;
        place.gates.memory = (struct gates_memory){
                .known = true, .total_bytes = 4 * GIB, .available_bytes = 4 * GIB};
        add(&place, &claim, 1, 100, 3 * GIB + 1);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claim);
        expect(never);
        expect_uint(claim.shortage.effective_limit, 3 * GIB);
        expect_uint(place.ledger.vms, 0);
}

static void unknown_memory_holds_nothing_back(void) {
        struct claim claim;
        struct place place;
        bool never;

        place_init(&place);
        place.gates.rules.memory = true;
        add(&place, &claim, 1, 100, 8 * GIB);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claim);
        expect(!never);
}

static void no_more_cpus_run_than_the_gate_allows(void) {
        struct claim claims[3];
        struct place place;
        bool never;

        place_init(&place);
        place.gates.rules.cpu_milli_max = 4000;
        add(&place, &claims[0], 1, 3000, GIB);
        add(&place, &claims[1], 2, 2000, GIB);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claims[1].reason, WAIT_POOL_FULL);
        expect_uint(claims[1].shortage.available, 1000);
        expect_uint(claims[1].shortage.effective_limit, 4000);
        ledger_return(&place.ledger, &place.account, &claims[0].demand);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
        /* Whether the pool is full now or not. */
        add(&place, &claims[2], 3, 7000, GIB);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[2]);
        expect(never);
}

static void a_question_gets_the_same_verdict_as_the_decision(void) {
        struct shortage shortage;
        struct claim claim;
        struct place place;
        bool never;

        place_init(&place);
        add(&place, &claim, 1, 1000, GIB);
        place.gates.draining = true;
        expect_int(queue_check(&place.queue, &place.ledger, &place.lane, &claim.demand, &shortage),
                   QUEUE_E_DRAINING);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claim.reason, WAIT_DRAINING);
        place.gates.draining = false;
        place.gates.state = PRESSURE_CLOSED;
        expect_int(queue_check(&place.queue, &place.ledger, &place.lane, &claim.demand, &shortage),
                   QUEUE_E_PRESSURE);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claim.reason, WAIT_PSI_PRESSURE);
        expect_str(wait_reason_name(queue_reason(QUEUE_E_PRESSURE)), "psi_pressure");
        expect_str(wait_reason_name(queue_reason(QUEUE_E_MEMORY)), "memory_available");
        expect_str(wait_reason_name(queue_reason(QUEUE_E_DRAINING)), "draining");
}

UNIT_MAIN(TEST(the_gate_closes_above_one_threshold_and_opens_below_another),
          TEST(what_flaps_about_a_threshold_does_not_open_and_close_the_gate),
          TEST(memory_closes_it_too_and_a_resource_without_threshold_does_not),
          TEST(after_a_pause_claims_start_one_by_one),
          TEST(the_next_waits_for_a_good_reading_after_the_last_start),
          TEST(it_opens_wholly_when_nobody_waits_or_it_was_calm_for_long),
          TEST(unknown_pressure_closes_nothing_and_opens_what_was_closed),
          TEST(of_throttled_vms_nothing_counts_while_cpus_are_idle),
          TEST(draining_holds_everything_back_and_comes_first),
          TEST(two_claims_of_one_instant_do_not_count_the_same_free_memory),
          TEST(more_is_touched_than_granted_is_no_credit),
          TEST(what_the_host_can_never_have_free_is_refused),
          TEST(unknown_memory_holds_nothing_back), TEST(no_more_cpus_run_than_the_gate_allows),
          TEST(a_question_gets_the_same_verdict_as_the_decision), )

/* SPDX-License-Identifier: MIT */
#include <admission/ledger.h>
#include <admission/sizing.h>
#include <string.h>

#include "unit.h"

#define GIB (UINT64_C(1) << 30)

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

static const struct demand zero;

static struct demand of(uint64_t cpu, uint64_t memory) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = cpu;
        demand.amount[RESOURCE_MEMORY] = memory;
        return demand;
}

static struct account no_limits(void) {
        struct account account = {.vms_max = LEDGER_NO_LIMIT};

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                account.limit.amount[i] = LEDGER_NO_LIMIT;
                account.ratio_milli.amount[i] = 1000;
        }
        return account;
}

/* 4 CPUs twice, 10 GiB once with 2 for the host; nothing else. */
static void configure(struct ledger *ledger) {
        struct demand capacity = of(4000, 10 * GIB), reserve = of(0, 2 * GIB),
                      ratio = of(2000, 1000);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

        ledger_configure(ledger, &capacity, &reserve, &ratio, enforced, 1000);
}

static void the_effective_limit_is_what_the_reserve_leaves_times_the_ratio(void) {
        expect_uint(ledger_effective(16000, 0, 4000), 64000);
        expect_uint(ledger_effective(10, 3, 1500), 10); /* 10.5, rounded down */
        expect_uint(ledger_effective(3, 10, 4000), 0);
        expect_uint(ledger_effective(0, 0, 1000), 0);
        expect_uint(ledger_effective(1, 0, 999), 0);
        expect_uint(ledger_effective(UINT64_MAX, 0, 16000), UINT64_MAX);
        expect_uint(ledger_effective(UINT64_MAX, 0, 500), UINT64_MAX / 2);
}

static void a_vector_is_charged_whole_or_not_at_all(void) {
        struct ledger ledger = {}, before;
        struct account account = no_limits(), account_before;
        struct demand fits = of(1000, GIB), too_much = of(1000, 8 * GIB);
        struct shortage shortage = {};

        configure(&ledger);
        expect_int(ledger_charge(&ledger, &account, &fits, &shortage), 0);
        before = ledger;
        account_before = account;
        expect_int(ledger_charge(&ledger, &account, &too_much, &shortage), LEDGER_E_POOL_FULL);
        expect_int(memcmp(&before, &ledger, sizeof(ledger)), 0);
        expect_int(memcmp(&account_before, &account, sizeof(account)), 0);
        ledger_return(&ledger, &account, &fits);
        expect(demand_equal(&ledger.allocated, &zero));
        expect_uint(ledger.vms, 0);
}

static void a_refusal_names_the_axis_and_what_would_fit(void) {
        struct ledger ledger = {};
        struct account account = no_limits();
        struct demand first = of(7000, 6 * GIB), second = of(500, 3 * GIB), huge = of(9000, GIB);
        struct shortage shortage = {};

        configure(&ledger);
        expect_int(ledger_charge(&ledger, &account, &first, NULL), 0);
        expect_int(ledger_charge(&ledger, &account, &second, &shortage), LEDGER_E_POOL_FULL);
        expect_int(shortage.resource, RESOURCE_MEMORY);
        expect(!shortage.is_slice && !shortage.is_vms);
        expect_uint(shortage.requested, 3 * GIB);
        expect_uint(shortage.available, 2 * GIB);
        expect_uint(shortage.fits, 2 * GIB);
        expect_uint(shortage.allocated, 6 * GIB);
        expect_uint(shortage.effective_limit, 8 * GIB);
        expect_uint(shortage.ratio_milli, 1000);
        /* What fits does fit. */
        second.amount[RESOURCE_MEMORY] = shortage.fits;
        expect_int(ledger_charge(&ledger, &account, &second, &shortage), 0);
        expect_int(ledger_check(&ledger, &account, &huge, &shortage), LEDGER_E_NEVER);
        expect_int(shortage.resource, RESOURCE_CPU);
}

static void a_slice_is_held_to_its_own_limit_first(void) {
        struct ledger ledger = {};
        struct account account = no_limits();
        struct demand claim = of(1000, GIB), larger = of(3000, GIB);
        struct shortage shortage = {};

        configure(&ledger);
        account.limit.amount[RESOURCE_CPU] = 2000;
        account.vms_max = 2;
        expect_int(ledger_charge(&ledger, &account, &claim, &shortage), 0);
        expect_int(ledger_check(&ledger, &account, &larger, &shortage), LEDGER_E_NEVER);
        expect(shortage.is_slice);
        expect_int(ledger_charge(&ledger, &account, &claim, &shortage), 0);
        account.limit.amount[RESOURCE_CPU] = LEDGER_NO_LIMIT;
        expect_int(ledger_charge(&ledger, &account, &claim, &shortage), LEDGER_E_SLICE_FULL);
        expect(shortage.is_vms && shortage.is_slice);
        expect_uint(shortage.effective_limit, 2);
}

static void a_guarantee_stays_free_for_its_slice(void) {
        struct ledger ledger = {};
        struct account sure = no_limits(), other = no_limits();
        struct demand guarantee = of(0, 5 * GIB), claim = of(10, 3 * GIB), four = of(10, 4 * GIB);
        struct shortage shortage = {};

        configure(&ledger);
        ledger_set_guarantee(&ledger, &sure, &guarantee);
        expect_int(ledger_check(&ledger, &other, &four, &shortage), LEDGER_E_NEVER);
        expect_int(ledger_charge(&ledger, &other, &claim, &shortage), 0);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_MEMORY), 0);
        expect_uint(ledger_available(&ledger, &sure, RESOURCE_MEMORY), 5 * GIB);
        expect_int(ledger_charge(&ledger, &sure, &four, &shortage), 0);
        /* What it uses of its guarantee is not kept free a second time. */
        expect_uint(ledger_available(&ledger, &other, RESOURCE_MEMORY), 0);
        expect_uint(ledger_available(&ledger, &sure, RESOURCE_MEMORY), GIB);
}

static void a_ratio_lowered_below_use_takes_nothing_back_and_admits_nothing_more(void) {
        struct ledger ledger = {};
        struct account account = no_limits();
        struct demand claim = of(2000, GIB), none = of(0, GIB), ratio = of(1000, 1000),
                      capacity = of(4000, 10 * GIB);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};
        struct shortage shortage = {};

        configure(&ledger);
        for (int i = 0; i < 3; i++)
                expect_int(ledger_charge(&ledger, &account, &claim, &shortage), 0);
        ledger_configure(&ledger, &capacity, &zero, &ratio, enforced, 1000);
        expect_uint(ledger.allocated.amount[RESOURCE_CPU], 6000);
        expect_uint(ledger_host_available(&ledger, RESOURCE_CPU), 0);
        expect_int(ledger_charge(&ledger, &account, &claim, &shortage), LEDGER_E_POOL_FULL);
        expect_uint(shortage.available, 0);
        /* An axis that is not asked for is no reason. */
        expect_int(ledger_charge(&ledger, &account, &none, &shortage), 0);
        for (int i = 0; i < 3; i++)
                ledger_return(&ledger, &account, &claim);
        expect_int(ledger_charge(&ledger, &account, &claim, &shortage), 0);
}

static void what_runs_is_restored_beyond_the_limit_but_not_beyond_numbers(void) {
        struct ledger ledger = {};
        struct account account = no_limits();
        struct demand much = of(100000, 100 * GIB), huge = of(UINT64_MAX, 0);

        configure(&ledger);
        expect(ledger_restore(&ledger, &account, &much));
        expect(!ledger_restore(&ledger, &account, &huge));
        expect_uint(ledger.allocated.amount[RESOURCE_CPU], 100000);
        expect_uint(ledger.vms, 1);
        ledger_return(&ledger, &account, &much);
        expect(demand_equal(&ledger.allocated, &zero));
}

static void guarantees_of_all_vms_fit_the_real_machine(void) {
        struct ledger ledger = {};
        uint64_t sum = 0;

        configure(&ledger);
        for (int i = 0; i < 8; i++)
                sum += ledger_guarantee(&ledger, RESOURCE_CPU, 1000);
        expect_uint(sum, 4000);
        expect_uint(ledger_guarantee(&ledger, RESOURCE_MEMORY, 5), 5);
        /* A ratio below one sells less, and does not promise more than was sold. */
        ledger.ratio_milli.amount[RESOURCE_CPU] = 500;
        expect_uint(ledger_guarantee(&ledger, RESOURCE_CPU, 1000), 1000);
}

#define SLICES 5
#define LIVE 200

/* Any schedule of charges, returns, limits, guarantees and ratios: the inequality holds, and the
 * sums are the sums. */
static void no_schedule_ever_sells_more_than_there_is(void) {
        struct ledger ledger = {};
        struct account accounts[SLICES];
        struct {
                struct demand demand;
                unsigned slice;
        } live[LIVE];
        size_t n = 0;
        unsigned granted = 0;

        random_state = 1;
        configure(&ledger);
        for (unsigned i = 0; i < SLICES; i++) {
                struct demand guarantee = of(any(500), any(GIB));

                accounts[i] = no_limits();
                if (any(2))
                        accounts[i].limit = of(2000 + any(4000), GIB + any(6 * GIB));
                ledger_set_guarantee(&ledger, &accounts[i], &guarantee);
        }
        for (unsigned step = 0; step < 200000; step++) {
                struct demand sum = {}, slice_sum[SLICES] = {},
                              demand = of(any(3000), any(3 * GIB));
                unsigned slice = (unsigned)any(SLICES);
                struct shortage shortage = {};
                uint64_t others = 0;

                if (n > 0 && (n == LIVE || any(2))) {
                        size_t at = any(n);

                        ledger_return(&ledger, &accounts[live[at].slice], &live[at].demand);
                        live[at] = live[--n];
                } else if (ledger_charge(&ledger, &accounts[slice], &demand, &shortage) == 0) {
                        live[n].demand = demand;
                        live[n++].slice = slice;
                        granted++;
                        for (unsigned i = 0; i < SLICES; i++)
                                if (i != slice &&
                                    accounts[i].guarantee.amount[RESOURCE_MEMORY] >
                                            accounts[i].allocated.amount[RESOURCE_MEMORY])
                                        others += accounts[i].guarantee.amount[RESOURCE_MEMORY] -
                                                  accounts[i].allocated.amount[RESOURCE_MEMORY];
                        if (demand.amount[RESOURCE_MEMORY] > 0)
                                need(ledger.allocated.amount[RESOURCE_MEMORY] + others <=
                                     ledger.effective.amount[RESOURCE_MEMORY]);
                }
                for (size_t i = 0; i < n; i++) {
                        need(demand_add(&sum, &sum, &live[i].demand));
                        need(demand_add(&slice_sum[live[i].slice], &slice_sum[live[i].slice],
                                        &live[i].demand));
                }
                need(demand_equal(&sum, &ledger.allocated));
                need(sum.amount[RESOURCE_CPU] <= ledger.effective.amount[RESOURCE_CPU]);
                need(sum.amount[RESOURCE_MEMORY] <= ledger.effective.amount[RESOURCE_MEMORY]);
                for (unsigned i = 0; i < SLICES; i++) {
                        need(demand_equal(&slice_sum[i], &accounts[i].allocated));
                        for (unsigned r = 0; r < 2; r++)
                                need(slice_sum[i].amount[r] <= accounts[i].limit.amount[r]);
                }
        }
        unit_note("%u granted", granted);
        expect(granted > 10000);
}

static void a_share_is_the_same_on_every_axis(void) {
        /* 16 cores, 10 Gbps twice, 2 vCPUs: 2.5 Gbps */
        expect_uint(sizing_share(2000, 16000, 1250000000, 2000), 312500000);
        expect_uint(sizing_share(2000, 0, 1250000000, 2000), 0);
        expect_uint(sizing_share(32000, 16000, 1000, 2000), 2000);
        expect_uint(sizing_share(1, 16000, UINT64_MAX, 16000), UINT64_MAX / 16000);
}

UNIT_MAIN(TEST(the_effective_limit_is_what_the_reserve_leaves_times_the_ratio),
          TEST(a_vector_is_charged_whole_or_not_at_all),
          TEST(a_refusal_names_the_axis_and_what_would_fit),
          TEST(a_slice_is_held_to_its_own_limit_first), TEST(a_guarantee_stays_free_for_its_slice),
          TEST(a_ratio_lowered_below_use_takes_nothing_back_and_admits_nothing_more),
          TEST(what_runs_is_restored_beyond_the_limit_but_not_beyond_numbers),
          TEST(guarantees_of_all_vms_fit_the_real_machine),
          TEST(no_schedule_ever_sells_more_than_there_is),
          TEST(a_share_is_the_same_on_every_axis), )

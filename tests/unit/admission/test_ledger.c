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

static void a_vm_that_changes_is_charged_what_it_became_and_counted_once(void) {
        struct ledger ledger = {};
        struct account sure = no_limits(), other = no_limits();
        struct demand first = of(1000, 2 * GIB), grown = of(2000, 3 * GIB), small = of(500, GIB),
                      guarantee = of(0, 3 * GIB);

        configure(&ledger);
        ledger_set_guarantee(&ledger, &sure, &guarantee);
        expect_int(ledger_charge(&ledger, &sure, &first, NULL), 0);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_MEMORY), 5 * GIB);
        expect_int(ledger_exchange(&ledger, &sure, &first, &grown, NULL), 0);
        expect(demand_equal(&ledger.allocated, &grown) && demand_equal(&sure.allocated, &grown));
        expect_uint(ledger.vms, 1);
        expect_uint(sure.vms, 1);
        /* It grew into the slice's own guarantee, and out of it again. */
        expect_uint(ledger_available(&ledger, &other, RESOURCE_MEMORY), 5 * GIB);
        expect_int(ledger_exchange(&ledger, &sure, &grown, &small, NULL), 0);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_MEMORY), 5 * GIB);
        ledger_return(&ledger, &sure, &small);
        expect(demand_equal(&ledger.allocated, &zero));
        expect(demand_equal(&ledger.kept[KEPT_ALL].unfilled, &guarantee));
}

static void a_change_that_does_not_fit_names_the_whole_amount_and_leaves_no_trace(void) {
        struct ledger ledger = {}, before;
        struct account account = no_limits(), account_before;
        struct demand mine = of(1000, 2 * GIB), others = of(1000, 4 * GIB),
                      larger = of(500, 5 * GIB), huge = of(1000, 9 * GIB);
        struct shortage shortage = {};

        configure(&ledger);
        expect_int(ledger_charge(&ledger, &account, &mine, NULL), 0);
        expect_int(ledger_charge(&ledger, &account, &others, NULL), 0);
        before = ledger;
        account_before = account;
        expect_int(ledger_exchange(&ledger, &account, &mine, &larger, &shortage),
                   LEDGER_E_POOL_FULL);
        expect_int(shortage.resource, RESOURCE_MEMORY);
        expect_uint(shortage.requested, 5 * GIB);
        expect_uint(shortage.available, 4 * GIB); /* 2 left, and its own 2 */
        expect_uint(shortage.fits, 4 * GIB);
        expect_uint(shortage.allocated, 6 * GIB);
        expect_uint(shortage.effective_limit, 8 * GIB);
        /* Growing by 7 GiB would fit an empty host of 8, becoming 9 never will. */
        expect_int(ledger_exchange(&ledger, &account, &mine, &huge, &shortage), LEDGER_E_NEVER);
        expect_uint(shortage.fits, 8 * GIB);
        account.limit.amount[RESOURCE_MEMORY] = account_before.limit.amount[RESOURCE_MEMORY] =
                6 * GIB + 1;
        expect_int(ledger_exchange(&ledger, &account, &mine, &larger, &shortage),
                   LEDGER_E_SLICE_FULL);
        expect_uint(shortage.fits, 2 * GIB + 1);
        expect_int(memcmp(&before, &ledger, sizeof(ledger)), 0);
        expect_int(memcmp(&account_before, &account, sizeof(account)), 0);
        larger.amount[RESOURCE_MEMORY] = shortage.fits;
        expect_int(ledger_exchange(&ledger, &account, &mine, &larger, &shortage), 0);
}

static void a_vm_on_an_oversold_host_may_shrink_but_not_grow(void) {
        struct ledger ledger = {};
        struct account account = no_limits();
        struct demand mine = of(6000, GIB), less = of(5000, 2 * GIB), more = of(6001, GIB),
                      ratio = of(1000, 1000), capacity = of(4000, 10 * GIB);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};
        struct shortage shortage = {};

        configure(&ledger);
        expect_int(ledger_charge(&ledger, &account, &mine, NULL), 0);
        ledger_configure(&ledger, &capacity, &zero, &ratio, enforced, 0);
        expect_int(ledger_exchange(&ledger, &account, &mine, &more, &shortage), LEDGER_E_NEVER);
        expect_int(shortage.resource, RESOURCE_CPU);
        /* The number of VMs is no matter: it is one before and after. */
        expect_int(ledger_exchange(&ledger, &account, &mine, &less, &shortage), 0);
        expect_uint(ledger.allocated.amount[RESOURCE_CPU], 5000);
        expect_uint(ledger.allocated.amount[RESOURCE_MEMORY], 2 * GIB);
}

static void a_policy_that_counts_differently_exchanges_without_asking(void) {
        struct ledger ledger = {}, before;
        struct account account = no_limits();
        struct demand mine = of(1000, GIB), other = of(1, 0), apart = of(9000, 9 * GIB),
                      huge = of(UINT64_MAX, 0);

        configure(&ledger);
        expect_int(ledger_charge(&ledger, &account, &mine, NULL), 0);
        expect_int(ledger_charge(&ledger, &account, &other, NULL), 0);
        expect(ledger_exchange_unchecked(&ledger, &account, &mine, &apart));
        expect_uint(ledger.allocated.amount[RESOURCE_CPU], 9001);
        expect_uint(account.allocated.amount[RESOURCE_MEMORY], 9 * GIB);
        expect_uint(ledger.vms, 2);
        before = ledger;
        expect(!ledger_exchange_unchecked(&ledger, &account, &apart, &huge));
        expect_int(memcmp(&before, &ledger, sizeof(ledger)), 0);
        /* Also where nobody limits the axis. */
        ledger.enforced[RESOURCE_CPU] = false;
        expect_int(ledger_exchange(&ledger, &account, &apart, &huge, NULL), LEDGER_E_NEVER);
}

/* What an exchange asks for beyond what is charged. */
static struct demand growth(const struct demand *from, const struct demand *to) {
        struct demand more = {};

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (to->amount[i] > from->amount[i])
                        more.amount[i] = to->amount[i] - from->amount[i];
        return more;
}

/* Of what is kept free for the others, as the inequality in ledger.h has it. */
static uint64_t unfilled_of_others(const struct account *accounts, unsigned slice, unsigned axis) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < SLICES; i++)
                if (i != slice &&
                    accounts[i].guarantee.amount[axis] > accounts[i].allocated.amount[axis])
                        sum += accounts[i].guarantee.amount[axis] -
                               accounts[i].allocated.amount[axis];
        return sum;
}

/*
 * Any schedule of charges, returns, exchanges and ratios, also ones lowered below what is sold: an
 * exchange is granted exactly when a claim for what grows would be, an axis that grew is within its
 * limits, a refusal changes nothing, and the sums are the sums.
 */
static void no_schedule_of_exchanges_oversells_or_loses_anything(void) {
        struct ledger ledger = {};
        struct account accounts[SLICES];
        struct {
                struct demand demand;
                unsigned slice;
        } live[LIVE];
        size_t n = 0;
        unsigned granted = 0, refused = 0, oversold = 0;

        random_state = 2;
        configure(&ledger);
        for (unsigned i = 0; i < SLICES; i++) {
                struct demand guarantee = of(any(500), any(GIB / 2));

                accounts[i] = no_limits();
                if (any(2))
                        accounts[i].limit = of(2000 + any(4000), GIB + any(6 * GIB));
                ledger_set_guarantee(&ledger, &accounts[i], &guarantee);
        }
        for (unsigned step = 0; step < 100000; step++) {
                struct demand to = of(any(3000), any(3 * GIB)), sum = {}, slice_sum[SLICES] = {};
                unsigned slice = (unsigned)any(SLICES);
                uint64_t choice = any(1000), vms = ledger.vms;
                size_t at = n > 0 ? any(n) : 0;

                if (choice < 5) {
                        struct demand capacity = of(4000, 10 * GIB),
                                      ratio = of(500 + any(2500), 500 + any(1500));
                        bool enforced[_RESOURCE_N] = {
                                [RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

                        ledger_configure(&ledger, &capacity, &zero, &ratio, enforced,
                                         LEDGER_NO_LIMIT);
                } else if (choice < 200 && n > 0) {
                        ledger_return(&ledger, &accounts[live[at].slice], &live[at].demand);
                        live[at] = live[--n];
                } else if (choice < 450 && n < LIVE) {
                        if (ledger_charge(&ledger, &accounts[slice], &to, NULL) == 0) {
                                live[n].demand = to;
                                live[n++].slice = slice;
                        }
                } else if (n > 0) {
                        struct account *account = &accounts[live[at].slice];
                        struct ledger ledger_before = ledger;
                        struct account before = *account;
                        struct demand more = growth(&live[at].demand, &to);
                        struct shortage shortage = {};
                        int as_claim = ledger_check(&ledger, account, &more, NULL);
                        int r = ledger_exchange(&ledger, account, &live[at].demand, &to, &shortage);

                        need_int(r == 0, as_claim == 0);
                        if (as_claim == LEDGER_E_NEVER)
                                need_int(r, LEDGER_E_NEVER);
                        need_int(ledger.vms, vms);
                        if (r == 0) {
                                live[at].demand = to;
                                granted++;
                        } else {
                                need(memcmp(&ledger_before, &ledger, sizeof(ledger)) == 0);
                                need(memcmp(&before, account, sizeof(before)) == 0);
                                need(shortage.requested == to.amount[shortage.resource]);
                                need(shortage.fits < shortage.requested);
                                refused++;
                        }
                        for (unsigned i = 0; r == 0 && i < _RESOURCE_N; i++) {
                                if (more.amount[i] == 0)
                                        continue;
                                need(ledger.allocated.amount[i] +
                                             unfilled_of_others(accounts, live[at].slice, i) <=
                                     ledger.effective.amount[i]);
                                need(account->allocated.amount[i] <= account->limit.amount[i]);
                        }
                }
                oversold += ledger.allocated.amount[RESOURCE_CPU] >
                            ledger.effective.amount[RESOURCE_CPU];
                for (size_t i = 0; i < n; i++) {
                        need(demand_add(&sum, &sum, &live[i].demand));
                        need(demand_add(&slice_sum[live[i].slice], &slice_sum[live[i].slice],
                                        &live[i].demand));
                }
                need(demand_equal(&sum, &ledger.allocated));
                need(ledger.vms == n);
                for (unsigned i = 0; i < SLICES; i++)
                        need(demand_equal(&slice_sum[i], &accounts[i].allocated));
                need(ledger.kept[KEPT_ALL].unfilled.amount[RESOURCE_MEMORY] ==
                     unfilled_of_others(accounts, SLICES, RESOURCE_MEMORY));
        }
        unit_note("%u granted, %u refused, %u steps oversold", granted, refused, oversold);
        expect(granted > 5000 && refused > 5000 && oversold > 100);
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
          TEST(a_vm_that_changes_is_charged_what_it_became_and_counted_once),
          TEST(a_change_that_does_not_fit_names_the_whole_amount_and_leaves_no_trace),
          TEST(a_vm_on_an_oversold_host_may_shrink_but_not_grow),
          TEST(a_policy_that_counts_differently_exchanges_without_asking),
          TEST(no_schedule_of_exchanges_oversells_or_loses_anything),
          TEST(a_share_is_the_same_on_every_axis), )

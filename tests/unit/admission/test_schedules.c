/* SPDX-License-Identifier: MIT */
/*
 * Random schedules: claims, ends, changes of mind, resizes, crashes, new policies, in small worlds
 * (world.h) with any limits, shares and rules. Each is checked after every event.
 */
#include <string.h>

#include "unit.h"
#include "world.h"

/* Unless PROVIUM_SCHEDULES says otherwise (tests/sweep/schedules.sh); sanitizers are slow. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCHEDULES 10000
#endif
#endif
#ifndef SCHEDULES
#define SCHEDULES 100000
#endif
#define EVENTS 20

/* One comes, and asks before: it starts at once if and only if that was the answer. */
static const char *arrive(struct world *world, struct member *member) {
        unsigned lane = (unsigned)world_any(world, LANES);
        uint64_t cpu = world_any(world, 5) ? world_any(world, 4) : world_any(world, 11),
                 memory = world_any(world, 4), disk = world_any(world, 3);
        struct claim *claim = &member->claim;
        struct shortage shortage;
        const char *wrong;
        int answer;

        wrong = world_settle(world);
        if (wrong)
                return wrong;
        *claim = (struct claim){.order = max_u64(world->order + 1, world->now_usec * 1000)};
        claim->demand.amount[RESOURCE_CPU] = cpu;
        claim->demand.amount[RESOURCE_MEMORY] = memory;
        claim->demand.amount[RESOURCE_DISK] = disk;
        claim->priority =
                world_any(world, 3) ? 0 : (int64_t)world_any(world, 2001) - CLAIM_PRIORITY_MAX;
        claim->time_usec = world_any(world, 2) ? 1 + world_any(world, LIFE_MAX) : 0;
        claim->ends = world_any(world, 2);
        answer = queue_check_claim(&world->queue, &world->ledger, &world->lanes[lane], claim,
                                   &shortage);
        world_arrive(world, member, lane, cpu, memory, disk);
        wrong = world_settle(world);
        if (wrong)
                return wrong;
        if ((answer == 0) != (member->state == RUNS))
                return "the decision was another one than the answer";
        return NULL;
}

/* As a resize does: what grows is asked for, what shrinks is given back. */
static void resize(struct world *world, struct member *member) {
        struct demand to = member->charged;

        to.amount[RESOURCE_CPU] = world_any(world, 6);
        if (ledger_exchange(&world->ledger, &world->accounts[LEAVES + member->lane],
                            &member->charged, &to, NULL))
                return;
        member->charged = member->claim.demand = to;
        queue_changed(&world->queue, &member->claim);
}

static void change_policy(struct world *world) {
        struct account *account = &world->accounts[world_any(world, LEAVES)];
        struct order_rules rules = {
                .age_step_ns = world_any(world, 2) ? 5 : 0,
                .backfill = world_any(world, 2),
                .pass_for_usec = world_any(world, 2) ? 0 : 1 + world_any(world, 60),
        };

        account->limit.amount[RESOURCE_CPU] =
                world_any(world, 3) ? 1 + world_any(world, 10) : LEDGER_NO_LIMIT;
        ledger_set_share(&world->ledger, account, &account->guarantee, world_any(world, 2));
        queue_set_rules(&world->queue, &rules);
}

static void end_all_due(struct world *world) {
        for (unsigned i = 0; i < CLAIMS; i++)
                if (world->members[i].state == RUNS &&
                    world->members[i].ends_usec <= world->now_usec)
                        world_end(world, &world->members[i]);
}

static const char *one_event(struct world *world) {
        struct member *member = &world->members[world_any(world, CLAIMS)];
        uint64_t kind = world_any(world, 32);

        if (kind == 0 && !world->calm)
                change_policy(world);
        else if (kind == 1)
                world_crash(world, (unsigned)world_any(world, 1 << CLAIMS) &
                                           (unsigned)world_any(world, 1 << CLAIMS));
        else if (member->state == OUT)
                return arrive(world, member);
        else if (member->state == WAITS && kind < 4)
                world_cancel(world, member);
        else if (member->state == RUNS && kind < 6 && !world->calm)
                resize(world, member);
        else if (member->state == RUNS && kind < 20)
                world_end(world, member);
        else
                world->now_usec += world_any(world, 8);
        return NULL;
}

static void no_schedule_loses_oversells_reorders_or_starves_anybody(void) {
        const char *wanted = getenv("PROVIUM_SCHEDULES");
        uint64_t schedules = wanted ? strtoull(wanted, NULL, 10) : SCHEDULES;
        uint64_t granted = 0, passed = 0, entitled = 0;
        struct world *world = malloc(sizeof(*world));

        need(world != NULL);
        for (uint64_t seed = 1; seed <= schedules; seed++) {
                const char *wrong = NULL;

                world_init(world, seed);
                for (unsigned event = 0; event < EVENTS && !wrong; event++) {
                        wrong = one_event(world);
                        end_all_due(world);
                        wrong = wrong ?: world_settle(world);
                }
                wrong = wrong ?: world_drain(world);
                need_that(!wrong, "schedule %ju: %s", (uintmax_t)seed, wrong);
                granted += world->granted;
                passed += world->passed;
                entitled += world->entitled;
        }
        unit_note(
                "%ju schedules: %ju granted, %ju of them past another, %ju by a share of their own",
                (uintmax_t)schedules, (uintmax_t)granted, (uintmax_t)passed, (uintmax_t)entitled);
        expect(granted > schedules && passed > schedules / 100 && entitled > schedules / 1000);
        free(world);
}

/* When would @first start if all who said when they end do so, nobody else ends, and nobody else
 * starts? By giving back one after the other, and charging all again. */
static uint64_t start_of(struct world *world, const struct claim *first) {
        struct member *ended[CLAIMS];
        uint64_t start = UINT64_MAX;
        size_t n = 0;

        for (;;) {
                struct member *next = NULL;

                if (ledger_check_for(&world->ledger, first->lane->account, &first->demand,
                                     claim_borrows_usec(first), NULL) == 0) {
                        start = n > 0 ? max_u64(world->now_usec, ended[n - 1]->claim.end.key)
                                      : world->now_usec;
                        break;
                }
                for (unsigned i = 0; i < CLAIMS; i++) {
                        struct member *member = &world->members[i];
                        bool gone = !member->claim.held;

                        for (size_t j = 0; j < n; j++)
                                gone |= ended[j] == member;
                        if (!gone && (!next || member->claim.end.key < next->claim.end.key))
                                next = member;
                }
                if (!next)
                        break;
                ledger_return(&world->ledger, &world->accounts[LEAVES + next->lane],
                              &next->charged);
                ended[n++] = next;
        }
        while (n > 0) {
                n--;
                if (!ledger_restore(&world->ledger, &world->accounts[LEAVES + ended[n]->lane],
                                    &ended[n]->charged))
                        return 0;
        }
        return start;
}

static const char *check_delay(struct world *world, const struct member *member) {
        struct account *account = &world->accounts[LEAVES + member->lane];
        struct tree_node *link = tree_first(world->queue.ready);
        const struct claim *first;
        struct claim *claim = (struct claim *)&member->claim;
        uint64_t with, without, ends_usec = claim->end.key;
        bool held = claim->held;

        first = link ? container_of(link, struct lane, link)->head : NULL;
        if (!first || !tree_before(&first->place, &claim->place))
                return NULL;
        with = start_of(world, first);
        queue_release(&world->queue, claim);
        ledger_return(&world->ledger, account, &claim->demand);
        without = start_of(world, first);
        if (!ledger_restore(&world->ledger, account, &claim->demand))
                return "it does not fit where it was";
        if (held)
                queue_hold(&world->queue, claim, ends_usec);
        return with > without ? "the first was delayed" : NULL;
}

static void whoever_passes_the_first_by_backfill_does_not_delay_it(void) {
        struct world *world = malloc(sizeof(*world));
        uint64_t passed = 0;

        need(world != NULL);
        for (uint64_t seed = 1; seed <= SCHEDULES / 2; seed++) {
                struct order_rules rules = {.backfill = true};
                const char *wrong = NULL;

                world_init(world, seed);
                world->calm = true;
                world->on_grant = check_delay;
                rules.age_step_ns = world_any(world, 2) ? 5 : 0;
                queue_set_rules(&world->queue, &rules);
                for (unsigned event = 0; event < EVENTS && !wrong; event++) {
                        wrong = one_event(world);
                        end_all_due(world);
                        wrong = wrong ?: world_settle(world);
                }
                need_that(!wrong, "schedule %ju: %s", (uintmax_t)seed, wrong);
                passed += world->passed;
        }
        unit_note("%ju passed another", (uintmax_t)passed);
        expect(passed > SCHEDULES / 100);
        free(world);
}

UNIT_MAIN(TEST(no_schedule_loses_oversells_reorders_or_starves_anybody),
          TEST(whoever_passes_the_first_by_backfill_does_not_delay_it), )

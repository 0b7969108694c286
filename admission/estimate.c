/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <admission/estimate.h>

#define LANES_MAX 256 /* slices that are full at once; of more, the last ones hold nobody back */

struct play {
        struct ledger *ledger;
        struct estimate_holder *holders;
        struct estimate_claim *claims;
        size_t n_holders, n_claims;
        size_t first;   /* of the claims that have not started */
        size_t leaving; /* the holder that is next to leave; from @known on those before it are gone
                         */
        size_t known;
        uint64_t steps;
};

static int by_end(const void *a, const void *b) {
        const struct estimate_holder *first = a, *second = b;

        return first->until_usec < second->until_usec ? -1 : first->until_usec > second->until_usec;
}

static bool is_held_back(const struct account *const *full, size_t n,
                         const struct account *account) {
        for (size_t i = 0; i < n; i++)
                if (full[i] == account)
                        return true;
        return false;
}

/* Starts whoever may start at @now. LONG, or 0. */
static int serve(struct play *play, uint64_t now_usec) {
        const struct account *full[LANES_MAX];
        size_t n_full = 0;

        while (play->first < play->n_claims && play->claims[play->first].started)
                play->first++;
        for (size_t i = play->first; i < play->n_claims; i++) {
                struct estimate_claim *claim = &play->claims[i];
                int r;

                if (++play->steps > ESTIMATE_STEPS_MAX)
                        return ESTIMATE_E_LONG;
                if (claim->started || is_held_back(full, n_full, claim->account))
                        continue;
                r = ledger_charge(play->ledger, claim->account, &claim->demand, NULL);
                switch (r) {
                case 0:
                        claim->started = true;
                        claim->until_usec = 0;
                        if (claim->time_usec &&
                            __builtin_add_overflow(now_usec, claim->time_usec, &claim->until_usec))
                                claim->until_usec = UINT64_MAX;
                        break;
                case LEDGER_E_POOL_FULL:
                        return 0;
                case LEDGER_E_NEVER: /* it will be refused, and stands in nobody's way */
                        break;
                default: /* what it is charged to besides the host holds back its lane only */
                        if (n_full < LANES_MAX)
                                full[n_full++] = claim->account;
                        break;
                }
        }
        return 0;
}

/* When somebody leaves next; UINT64_MAX: nobody who said so is left. */
static uint64_t next_end(struct play *play) {
        uint64_t next = UINT64_MAX;

        if (play->leaving < play->n_holders)
                next = play->holders[play->leaving].until_usec;
        for (size_t i = 0; i < play->n_claims; i++)
                if (play->claims[i].started && play->claims[i].until_usec)
                        next = min_u64(next, play->claims[i].until_usec);
        play->steps += play->n_claims / 16;
        return next;
}

static void leave(struct play *play, uint64_t now_usec) {
        for (;
             play->leaving < play->n_holders && play->holders[play->leaving].until_usec <= now_usec;
             play->leaving++)
                ledger_return(play->ledger, play->holders[play->leaving].account,
                              &play->holders[play->leaving].demand);
        for (size_t i = 0; i < play->n_claims; i++) {
                struct estimate_claim *claim = &play->claims[i];

                if (!claim->started || claim->until_usec == 0 || claim->until_usec > now_usec)
                        continue;
                ledger_return(play->ledger, claim->account, &claim->demand);
                claim->until_usec = UINT64_MAX; /* it has left */
        }
}

/* It has started, has left, or has never started: only the first holds something. */
static bool holds(const struct estimate_claim *claim) {
        return claim->started && claim->until_usec != UINT64_MAX;
}

static void take_back(struct play *play) {
        bool fits = true;

        for (size_t i = 0; i < play->n_claims; i++)
                if (holds(&play->claims[i]))
                        ledger_return(play->ledger, play->claims[i].account,
                                      &play->claims[i].demand);
        for (size_t i = play->known; i < play->leaving; i++)
                fits = fits && ledger_restore(play->ledger, play->holders[i].account,
                                              &play->holders[i].demand);
        assert(fits);
}

static int run(struct play *play, uint64_t now_usec, uint64_t *start_usecp) {
        const struct estimate_claim *claim = &play->claims[play->n_claims - 1];
        int r;

        for (;;) {
                r = serve(play, now_usec);
                if (r)
                        return r;
                if (claim->started) {
                        *start_usecp = now_usec;
                        return 0;
                }
                now_usec = next_end(play);
                if (now_usec == UINT64_MAX)
                        return ESTIMATE_E_OPEN;
                leave(play, now_usec);
        }
}

int estimate_start(struct ledger *ledger, struct estimate_holder *holders, size_t n_holders,
                   struct estimate_claim *claims, size_t n_claims, uint64_t now_usec,
                   uint64_t *start_usecp) {
        const struct estimate_claim *last = &claims[n_claims - 1];
        struct play play = {.ledger = ledger,
                            .holders = holders,
                            .claims = claims,
                            .n_holders = n_holders,
                            .n_claims = n_claims};
        int r;

        assert(n_claims > 0);
        if (ledger_check(ledger, last->account, &last->demand, NULL) == LEDGER_E_NEVER)
                return ESTIMATE_E_NEVER;
        if (n_holders > 0)
                qsort(holders, n_holders, sizeof(*holders), by_end);
        /* Who never said, and who should have left already, stay. */
        while (play.known < n_holders && holders[play.known].until_usec <= now_usec)
                play.known++;
        play.leaving = play.known;
        for (size_t i = 0; i < n_claims; i++)
                claims[i].started = false;
        r = run(&play, now_usec, start_usecp);
        take_back(&play);
        return r;
}

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_H
#define PROVIUM_CLI_SIM_H

/*
 * A trace through the broker's own admission (admission/), in virtual time: nothing waits, the
 * clock is the time of the next event. Each host of a fleet has books and a queue of its own, as a
 * broker does. A service above them puts an arriving claim on the first host, in the order of a
 * policy, where it would start at once; if there is none, on the host where the fewest wait (the
 * first of those), and there it stays. With one host there is nothing to choose.
 *
 * At one instant, what ends comes before what arrives, one after the other, each with what follows
 * from it; ends in the order of the starts, arrivals in that of the trace. So one input has one
 * outcome.
 *
 * What the admission does not know is not simulated: no VM takes time to start or to be cleaned up,
 * none is killed or resized, nobody gives up waiting, and no gate looks at a machine's pressure.
 */

#include <admission/place.h>
#include <cli/sim_rejection.h>

struct policy;
struct trace;
struct row;
struct why;

#define SIM_REJECTED UINT64_MAX
#define SIM_AGE_STEP_NS UINT64_C(1000000000)

enum {
        _SIM_E_SUCCESS,
        SIM_E_TOO_MANY, /* more hosts with slices than we keep books for */
        SIM_E_TIME,     /* the virtual time went over its end */
};

/* Who is next on a host. */
enum sim_order {
        SIM_FIFO,     /* strictly who came first */
        SIM_PRIORITY, /* a priority more is worth PriorityStep=, or SIM_AGE_STEP_NS if that is 0 */
        SIM_BACKFILL, /* who came first, but who cannot delay the first may pass it; each claim has
                       said exactly how long it will hold what it gets, in the other orders none has
                     */
        _SIM_ORDER_N,
};

/* "fifo", "priority", "backfill". Never NULL. */
const char *sim_order_name(enum sim_order order);

struct sim_setup {
        const struct policy *policy; /* each axis of its capacity a number, or POLICY_AUTO: no limit
                                      */
        const struct trace *trace;
        uint64_t hosts;
        enum sim_order order;
        enum place_policy place;
        void (*progress)(void *userdata, uint64_t rows); /* or NULL */
        void *userdata;
};

struct sim_result {
        uint64_t *waits_usec; /* of each row; SIM_REJECTED */
        struct sim_rejected rejected[_SIM_REJECTION_N];
        uint64_t begin_usec, end_usec; /* first arrival, last end */
        uint64_t waiting_max;          /* at a time, in the fleet */
        struct demand limit;           /* what one host can sell; LEDGER_NO_LIMIT: not limited */
};

/* Runs @setup. Answers as above; negative: out of memory. sim_result_deinit() in any case. */
_must_check_ int sim_run(struct sim_result *result, const struct sim_setup *setup, struct why *why);
void sim_result_deinit(struct sim_result *result);

/* What @row is charged on a host with @policy, with what is added to a claim. */
void sim_demand(const struct policy *policy, const struct trace *trace, const struct row *row,
                struct demand *demand);

#endif

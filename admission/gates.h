/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_GATES_H
#define PROVIUM_ADMISSION_GATES_H

/*
 * The gates: what holds back a start that the books would allow, because of how the machine is
 * right now. Nothing that runs is touched by them.
 *
 * draining     nothing starts until the operator says so.
 * pressure     nothing starts while tasks of this host wait too much for CPUs, memory or disks
 *              (PSI). It closes above one threshold and opens below a lower one, and then lets one
 *              claim pass at a time: the next when a reading after the last start was good. Else
 * all that waited would start at once, and close it again. memory       a claim must fit into the
 * memory that is available now, less what was granted and is not touched yet, less what the host
 * keeps: two claims granted in the same instant do not both count the same free memory, because the
 * first is granted memory by then. CPUs         no more than so many CPUs run, whatever was
 * oversold.
 *
 * A VM that its own limits hold back (cpu.max, memory.max) waits, and the kernel counts that as
 * pressure of the whole host. But where CPUs are idle or memory is free, nobody inside the VMs can
 * be waiting for want of them (a scheduler leaves no CPU idle that a task may run on). So while
 * there is slack only the waiting outside of our VMs counts: the host's pressure less that of all
 * VMs together, which is what at least the others have, as the time in which somebody waits is
 * never more than the sum over a partition. Without slack all of it counts, whoever waits.
 *
 * Pure: readings and times come from the caller. What cannot be read is unknown, and closes
 * nothing.
 */

#include <admission/ledger.h>

#define GATES_CALM_USEC UINT64_C(60000000) /* of low pressure: then no more one by one */

enum gate_resource { GATE_CPU, GATE_MEMORY, GATE_IO, _GATE_RESOURCE_N };

/* "cpu", "memory", "io". */
const char *gate_resource_name(enum gate_resource resource);

/* Shares are kept in hundredths of a per cent, as PSI has them: 5312 is 53.12 %. */
#define GATES_NEVER UINT64_MAX /* as a threshold: pressure of this resource closes nothing */

struct gates_rules {
        uint64_t close_above[_GATE_RESOURCE_N], open_below[_GATE_RESOURCE_N];
        uint64_t pace_usec;            /* from one start to the reading that allows the next */
        bool memory;                   /* heed what is available */
        uint64_t memory_reserve_bytes; /* of that, kept for the host */
        uint64_t cpu_milli_max;        /* LEDGER_NO_LIMIT: as many as the pool sells */
};

struct pressure {
        bool known;
        uint64_t host, vms; /* shares of the last ten seconds; cpu: "some", memory and io: "full" */
        bool slack;         /* some of it is unused: what VMs wait for are their own limits */
};

struct gates_memory {
        bool known;
        uint64_t total_bytes, available_bytes; /* MemTotal, MemAvailable */
        uint64_t touched_bytes;                /* by VMs, and not available to others for it */
};

enum pressure_state {
        PRESSURE_OPEN,
        PRESSURE_CLOSED,
        PRESSURE_PACED, /* open for one at a time */
};

struct gates {
        struct gates_rules rules;
        bool draining;
        struct gates_memory memory;

        enum pressure_state state;
        struct pressure pressure[_GATE_RESOURCE_N]; /* as last looked at */
        enum gate_resource cause;                   /* what it is, or was, closed for */
        bool may_start;                             /* PACED: the next one may */
        uint64_t started_usec;                      /* PACED: the last one */
        uint64_t calm_usec;                         /* PACED: since when it is low */
};

enum gate_verdict {
        GATES_OPEN,
        GATES_DRAINING,
        GATES_PRESSURE,
        GATES_MEMORY,    /* with a shortage: allocated is what was granted and is not touched, and
                          * effective_limit what is available in all */
        GATES_CPUS,      /* with a shortage */
        GATES_TOO_LARGE, /* with a shortage: these gates could never let it pass */
};

/* No gate is closed, and nothing is known. */
void gates_init(struct gates *gates);

/* What counts of a reading: see above. 0 if it is unknown. */
uint64_t gates_count_pressure(const struct pressure *pressure);

/*
 * Takes a new reading of each resource, made at @now_usec (any clock that does not jump);
 * @anybody_waits: for one at a time there must be somebody. True: the state is another one.
 */
bool gates_look(struct gates *gates, const struct pressure pressure[_GATE_RESOURCE_N],
                bool anybody_waits, uint64_t now_usec);

/* A claim was granted. */
void gates_started(struct gates *gates, uint64_t now_usec);

/* Does anything hold back all claims, whatever they are? OPEN, DRAINING or PRESSURE. */
_must_check_ enum gate_verdict gates_check(const struct gates *gates);

/* Does anything hold back a claim of @demand, given what @ledger has sold? OPEN, MEMORY, CPUS or
 * TOO_LARGE, with @shortage. */
_must_check_ enum gate_verdict gates_check_claim(const struct gates *gates,
                                                 const struct ledger *ledger,
                                                 const struct demand *demand,
                                                 struct shortage *shortage);

/* What was granted and is not touched yet. */
uint64_t gates_untouched(const struct gates *gates, const struct ledger *ledger);

#endif

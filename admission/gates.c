/* SPDX-License-Identifier: MIT */
#include <admission/gates.h>

static const char *const resource_names[_GATE_RESOURCE_N] = {
        [GATE_CPU] = "cpu",
        [GATE_MEMORY] = "memory",
        [GATE_IO] = "io",
};

const char *gate_resource_name(enum gate_resource resource) {
        assert(resource < _GATE_RESOURCE_N);
        return resource_names[resource];
}

void gates_init(struct gates *gates) {
        *gates = (struct gates){.rules.cpu_milli_max = LEDGER_NO_LIMIT};
        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++)
                gates->rules.close_above[i] = gates->rules.open_below[i] = GATES_NEVER;
}

static uint64_t less(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

uint64_t gates_count_pressure(const struct pressure *pressure) {
        if (!pressure->known)
                return 0;
        return pressure->slack ? less(pressure->host, pressure->vms) : pressure->host;
}

/* The first resource there is too much pressure of; false: none. */
static bool find_cause(const struct gates *gates, enum gate_resource *causep) {
        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++) {
                uint64_t close_above = gates->rules.close_above[i];

                if (close_above == GATES_NEVER ||
                    gates_count_pressure(&gates->pressure[i]) <= close_above)
                        continue;
                *causep = i;
                return true;
        }
        return false;
}

static bool is_low(const struct gates *gates) {
        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++)
                if (gates->rules.close_above[i] != GATES_NEVER &&
                    gates_count_pressure(&gates->pressure[i]) > gates->rules.open_below[i])
                        return false;
        return true;
}

/* One at a time: has the last start proved harmless, or is that over? */
static void pace(struct gates *gates, bool anybody_waits, uint64_t now_usec) {
        if (!is_low(gates)) {
                gates->calm_usec = now_usec;
                return;
        }
        if (!gates->may_start && now_usec >= gates->started_usec + gates->rules.pace_usec)
                gates->may_start = true;
        if ((gates->may_start && !anybody_waits) || now_usec >= gates->calm_usec + GATES_CALM_USEC)
                gates->state = PRESSURE_OPEN;
}

bool gates_look(struct gates *gates, const struct pressure pressure[_GATE_RESOURCE_N],
                bool anybody_waits, uint64_t now_usec) {
        enum pressure_state before = gates->state;
        enum gate_resource cause;

        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++)
                gates->pressure[i] = pressure[i];
        if (find_cause(gates, &cause)) {
                gates->cause = cause;
                gates->state = PRESSURE_CLOSED;
                return before != PRESSURE_CLOSED;
        }
        switch (before) {
        case PRESSURE_OPEN:
                break;
        case PRESSURE_CLOSED:
                if (!is_low(gates))
                        break;
                gates->state = PRESSURE_PACED;
                gates->may_start = true;
                gates->calm_usec = now_usec;
                break;
        case PRESSURE_PACED:
                pace(gates, anybody_waits, now_usec);
                break;
        }
        return gates->state != before;
}

void gates_started(struct gates *gates, uint64_t now_usec) {
        gates->may_start = false;
        gates->started_usec = now_usec;
}

enum gate_verdict gates_check(const struct gates *gates) {
        if (gates->draining)
                return GATES_DRAINING;
        if (gates->state == PRESSURE_CLOSED ||
            (gates->state == PRESSURE_PACED && !gates->may_start))
                return GATES_PRESSURE;
        return GATES_OPEN;
}

uint64_t gates_untouched(const struct gates *gates, const struct ledger *ledger) {
        return less(ledger->allocated.amount[RESOURCE_MEMORY], gates->memory.touched_bytes);
}

static enum gate_verdict check_cpus(const struct gates *gates, const struct ledger *ledger,
                                    const struct demand *demand, struct shortage *shortage) {
        uint64_t most = gates->rules.cpu_milli_max, asked = demand->amount[RESOURCE_CPU];
        uint64_t running = ledger->allocated.amount[RESOURCE_CPU], left = less(most, running);

        if (asked == 0 || asked <= left)
                return GATES_OPEN;
        *shortage = (struct shortage){
                .resource = RESOURCE_CPU,
                .requested = asked,
                .available = left,
                .allocated = running,
                .effective_limit = most,
                .ratio_milli = 1000,
                .fits = left,
        };
        if (asked <= most)
                return GATES_CPUS;
        shortage->available = most;
        return GATES_TOO_LARGE;
}

static enum gate_verdict check_memory(const struct gates *gates, const struct ledger *ledger,
                                      const struct demand *demand, struct shortage *shortage) {
        const struct gates_memory *memory = &gates->memory;
        uint64_t asked = demand->amount[RESOURCE_MEMORY], left,
                 most = less(memory->total_bytes, gates->rules.memory_reserve_bytes);

        if (!gates->rules.memory || !memory->known)
                return GATES_OPEN;
        left = less(memory->available_bytes, gates_untouched(gates, ledger));
        left = less(left, gates->rules.memory_reserve_bytes);
        if (asked <= left)
                return GATES_OPEN;
        *shortage = (struct shortage){
                .resource = RESOURCE_MEMORY,
                .requested = asked,
                .available = left,
                .allocated = gates_untouched(gates, ledger),
                .effective_limit = memory->available_bytes,
                .ratio_milli = 1000,
                .fits = left,
        };
        if (asked <= most)
                return GATES_MEMORY;
        shortage->effective_limit = shortage->available = most;
        return GATES_TOO_LARGE;
}

enum gate_verdict gates_check_claim(const struct gates *gates, const struct ledger *ledger,
                                    const struct demand *demand, struct shortage *shortage) {
        enum gate_verdict verdict;

        verdict = check_cpus(gates, ledger, demand, shortage);
        return verdict != GATES_OPEN ? verdict : check_memory(gates, ledger, demand, shortage);
}

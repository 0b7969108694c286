/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/pressure_report.h>
#include <broker/psi.h>

void pressure_format(enum gate_resource resource, uint64_t share, char *text, size_t size) {
        static const char *const sentences[_GATE_RESOURCE_N] = {
                [GATE_CPU] = "some task waits for a CPU",
                [GATE_MEMORY] = "all tasks wait for memory",
                [GATE_IO] = "all tasks wait for disks",
        };
        char number[24];

        snprintf(text, size, "%s %s %% of the time", sentences[resource],
                 psi_format(share, number));
}

const char *pressure_state_name(enum pressure_state state) {
        switch (state) {
        case PRESSURE_OPEN:
                return "open";
        case PRESSURE_CLOSED:
                return "paused";
        case PRESSURE_PACED:
                return "one_by_one";
        }
        assert(!"a state");
        return "";
}

static void describe_pressure(const struct gates *gates, char *text, size_t size) {
        uint64_t share = gates_count_pressure(&gates->pressure[gates->cause]);
        char close[24], open[24], sentence[128];

        pressure_format(gates->cause, share, sentence, sizeof(sentence));
        psi_format(gates->rules.close_above[gates->cause], close);
        psi_format(gates->rules.open_below[gates->cause], open);
        if (gates->state == PRESSURE_PACED)
                snprintf(text, size,
                         "%s: after a pause VMs are started one by one, while it is "
                         "below %s %%",
                         sentence, open);
        else
                snprintf(text, size,
                         "%s: after more than %s %% nothing is started until it is "
                         "below %s %%",
                         sentence, close, open);
}

bool pressure_describe(const struct broker *broker, enum wait_reason reason,
                       const struct shortage *shortage, char *text, size_t size) {
        char asked[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], available[UNITS_TEXT_MAX],
                untouched[UNITS_TEXT_MAX], reserve[UNITS_TEXT_MAX];

        switch (reason) {
        case WAIT_DRAINING:
                snprintf(text, size,
                         "this host is being drained: nothing is started until "
                         "'provium drain --undo'");
                return true;
        case WAIT_PSI_PRESSURE:
                describe_pressure(&broker->gates, text, size);
                return true;
        case WAIT_MEMORY_AVAILABLE:
                snprintf(text, size,
                         "memory: %s asked, %s is free for it (%s available now, less %s granted "
                         "and not touched yet, less %s for the host)",
                         units_format_size(shortage->requested, asked, sizeof(asked)),
                         units_format_size(shortage->available, left, sizeof(left)),
                         units_format_size(shortage->effective_limit, available, sizeof(available)),
                         units_format_size(shortage->allocated, untouched, sizeof(untouched)),
                         units_format_size(broker->gates.rules.memory_reserve_bytes, reserve,
                                           sizeof(reserve)));
                return true;
        default:
                return false;
        }
}

static json_t *report_psi(const struct psi *psi) {
        if (!psi->known)
                return json_null();
        return json_pack("{s:f s:f}", "some_avg10", (double)psi->some / 100, "full_avg10",
                         (double)psi->full / 100);
}

json_t *pressure_report_group(int dir_fd) {
        json_t *object = json_object();

        for (unsigned i = 0; object && i < _GATE_RESOURCE_N; i++) {
                char name[32];
                struct psi psi = {};

                snprintf(name, sizeof(name), "%s.pressure", gate_resource_name(i));
                if (dir_fd >= 0)
                        (void)psi_read(dir_fd, name, &psi);
                json_object_set_new(object, gate_resource_name(i), report_psi(&psi));
        }
        return object;
}

/* null where there is no such threshold. */
static json_t *threshold(uint64_t share) {
        return share == GATES_NEVER ? json_null() : json_real((double)share / 100);
}

json_t *pressure_report(const struct broker *broker) {
        const struct gates *gates = &broker->gates;
        json_t *object = json_object();

        for (unsigned i = 0; object && i < _GATE_RESOURCE_N; i++) {
                json_t *row;
                char path[256];
                struct psi psi;

                snprintf(path, sizeof(path), "%s/pressure/%s", broker->options->proc_dir,
                         gate_resource_name(i));
                (void)psi_read(AT_FDCWD, path, &psi);
                row = report_psi(&psi);
                if (json_is_object(row)) {
                        json_object_set_new(row, "pause_above",
                                            threshold(gates->rules.close_above[i]));
                        json_object_set_new(row, "resume_below",
                                            threshold(gates->rules.open_below[i]));
                }
                json_object_set_new(object, gate_resource_name(i), row);
        }
        return object;
}

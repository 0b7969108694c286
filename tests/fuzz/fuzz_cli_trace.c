/* SPDX-License-Identifier: MIT */
/*
 * Traces of claims, in either form: whatever is taken is bounded and in order, and runs to its end
 * in every order and at every place, with every claim started or rejected.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <base/why.h>
#include <cli/sim_stats.h>
#include <cli/trace_read.h>
#include <policies/policy.h>

#define ROWS_MAX 300 /* that are simulated */

static void check_rows(const struct trace *trace) {
        for (size_t i = 0; i < trace->n; i++) {
                const struct row *row = &trace->rows[i];

                assert(i == 0 || row->arrival_usec >= trace->rows[i - 1].arrival_usec);
                assert(row->arrival_usec <= TRACE_TIME_MAX_USEC);
                assert(row->duration_usec <= TRACE_TIME_MAX_USEC);
                assert(row->user < trace->users.n && row->slice < trace->slices.n);
        }
}

static void simulate(const struct sim_setup *setup) {
        static struct sim_stats stats;
        struct sim_result result;
        struct why why;
        int r;

        r = sim_run(&result, setup, &why);
        assert(r == 0 || r == SIM_E_TIME);
        if (r == 0) {
                assert(sim_stats_make(&stats, setup, &result) == 0);
                assert(stats.all.n + stats.n_rejected == setup->trace->n);
                for (unsigned i = 0; i < _RESOURCE_N; i++)
                        assert(stats.used[i] < 1.0001);
                sim_stats_deinit(&stats);
        }
        sim_result_deinit(&result);
}

static void simulate_all(const struct trace *trace) {
        static const char host[] = "[Capacity]\nCPU=16\nMemory=64G\n[Broker]\nMaxQueued=100\n";
        static struct policy_errors errors;
        struct policy *policy;

        assert(policy_load_text(&policy, "host", host, strlen(host), &errors) == 0);
        for (enum sim_order order = 0; order < _SIM_ORDER_N; order++) {
                for (enum place_policy place = 0; place < _PLACE_POLICY_N; place++) {
                        const struct sim_setup setup = {
                                .policy = policy,
                                .trace = trace,
                                .hosts = place + 1,
                                .order = order,
                                .place = place,
                        };

                        simulate(&setup);
                }
        }
        policy_free(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int fd = memfd_create("trace", MFD_CLOEXEC), r;
        struct trace trace;
        struct why why = {};

        assert(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
        r = trace_read(&trace, fd, NULL, NULL, &why);
        assert(r == 0 || (r == TRACE_E_INVALID && why.text[0]));
        if (r == 0) {
                check_rows(&trace);
                if (trace.n <= ROWS_MAX)
                        simulate_all(&trace);
        }
        trace_deinit(&trace);
        close(fd);
        return 0;
}

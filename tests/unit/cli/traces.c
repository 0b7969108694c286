/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <base/fd.h>

#include "traces.h"
#include "unit.h"

int traces_read_bytes(struct trace *trace, const char *bytes, size_t length, struct why *why) {
        _cleanup_(fd_closep) int fd = memfd_create("trace", MFD_CLOEXEC);

        need(fd >= 0);
        need_int(write(fd, bytes, length), (ssize_t)length);
        need_int(lseek(fd, 0, SEEK_SET), 0);
        return trace_read(trace, fd, NULL, NULL, why);
}

int traces_read(struct trace *trace, const char *text, struct why *why) {
        return traces_read_bytes(trace, text, strlen(text), why);
}

struct policy *traces_host(const char *text) {
        static struct policy_errors errors;
        struct policy *policy = NULL;
        char all[4096];

        snprintf(all, sizeof(all), "[Enforce]\nMemoryOverhead=0\n%s", text);
        need_that(policy_load_text(&policy, "host", all, strlen(all), &errors) == 0, "%s",
                  errors.n > 0 ? errors.list[0].text : "?");
        return policy;
}

void traces_simulate(struct sim_result *result, const struct policy *policy,
                     const struct trace *trace, uint64_t hosts, enum sim_order order,
                     enum place_policy place) {
        const struct sim_setup setup = {
                .policy = policy,
                .trace = trace,
                .hosts = hosts,
                .order = order,
                .place = place,
        };
        struct why why = {};

        need_that(sim_run(result, &setup, &why) == 0, "%s", why.text);
}

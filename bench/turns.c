/* SPDX-License-Identifier: MIT */
/*
 * What a look at all VMs holds the broker's loop up for, on this machine itself: the very functions
 * that a turn of the loop calls, on books made up of 1,000 VMs that nothing stands behind. For the
 * loop touches books only; what asks the kernel is beside it (bench/scrape.c).
 *
 *     bench-turns VMS ROUNDS
 *
 *   list        who is there, for /metrics and /stats, as each survey begins
 *   begin       /resources: the books, copied at one moment
 *   step        /resources: the text of the next few VMs
 *
 * turn_p99_us and turn_max_us are against the aim of 2,000, and of the processor's time: what others
 * take of it on a busy machine is not the turn's.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bench/sample.h>
#include <broker/broker.h>
#include <broker/gpu.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/report_resources.h>
#include <broker/slice.h>
#include <broker/space.h>
#include <broker/survey.h>

#define AIM_USEC 2000.0

static double now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void need(bool good, const char *what) {
        if (!good)
                errx(1, "%s", what);
}

/* As much of a broker as is looked at. */
static struct broker *make_broker(size_t n) {
        static const struct options options = {
                .proc_dir = "/proc", .sys_dir = "/nonexistent", .resume_fd = -1};
        static const struct gpu_options no_gpus;
        static struct policy_errors errors;
        struct broker *broker = calloc(1, sizeof(*broker));
        struct slice *slice;

        need(broker != NULL, "out of memory");
        broker->options = &options;
        TAILQ_INIT(&broker->leases);
        TAILQ_INIT(&broker->unbalanced);
        queue_init(&broker->queue);
        broker->tick_usec = UINT64_MAX;
        broker->network = calloc(1, sizeof(*broker->network));
        need(broker->network && sd_event_new(&broker->event) >= 0, "no loop");
        need(policy_load_text(&broker->policy, "bench", "", 0, &errors) == 0, "no policy");
        need(gpus_new(&broker->gpus, options.sys_dir, "bench", &no_gpus) == 0, "no GPUs");
        need(space_open(broker) == 0, "no space");
        need(slice_get(broker, "fleet", &slice) == 0, "no slice");
        for (size_t i = 0; i < n; i++) {
                struct lease *lease = calloc(1, sizeof(*lease));

                need(lease != NULL, "out of memory");
                lease->broker = broker;
                lease->slice = slice;
                lease->state = LEASE_RUNNING;
                snprintf(lease->record.id, sizeof(lease->record.id), "%016zx", i);
                snprintf(lease->record.name, sizeof(lease->record.name), "machine-%zu", i);
                strcpy(lease->record.slice, "fleet");
                lease->record.created_ns = sample_now_ns();
                lease->claim.demand = (struct demand){
                        {1000, UINT64_C(1) << 30, UINT64_C(1) << 33, 100000000, 12500000, 0, 0}};
                TAILQ_INSERT_TAIL(&broker->leases, lease, link);
        }
        return broker;
}

static void list_once(struct broker *broker, struct sample *lists) {
        struct survey *survey;
        double begin = now_usec();

        need(survey_list(broker, &survey) == 0, "no survey");
        sample_add(lists, now_usec() - begin);
        survey_unref(survey);
}

static size_t tell_once(struct broker *broker, struct sample *begins, struct sample *steps) {
        struct resources_report *report;
        size_t length = 0;
        char *body = NULL;
        double begin = now_usec();

        report = resources_report_new(broker, 0, NULL);
        sample_add(begins, now_usec() - begin);
        need(report != NULL, "out of memory");
        while (!body) {
                begin = now_usec();
                need(resources_report_step(report, &body, &length) == 0, "out of memory");
                sample_add(steps, now_usec() - begin);
        }
        free(body);
        resources_report_free(report);
        return length;
}

static void report_turns(const char *what, size_t n, struct sample *sample) {
        static struct sample aim;
        char context[64];

        aim.n = 0;
        sample_add(&aim, AIM_USEC);
        snprintf(context, sizeof(context), "\"turn\":\"%s\",\"vms\":%zu", what, n);
        sample_report("scrape", "turn_p99_us", 0.99, sample, "aim", &aim, context);
        sample_report("scrape", "turn_max_us", 1, sample, "aim", &aim, context);
}

int main(int argc, char **argv) {
        static struct sample lists, begins, steps;
        struct broker *broker;
        unsigned rounds;
        size_t n, length = 0;

        if (argc != 3)
                errx(64, "usage: bench-turns VMS ROUNDS");
        n = strtoul(argv[1], NULL, 10);
        rounds = (unsigned)strtoul(argv[2], NULL, 10);
        broker = make_broker(n);
        for (unsigned i = 0; i < rounds; i++) {
                list_once(broker, &lists);
                length = tell_once(broker, &begins, &steps);
        }
        need(length > n * 100, "every VM is told of");
        report_turns("list", n, &lists);
        report_turns("begin", n, &begins);
        report_turns("step", n, &steps);
        return 0;
}

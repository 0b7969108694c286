/* SPDX-License-Identifier: MIT */
/*
 * The queue, what was counted, and the broker itself.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <base/file.h>
#include <broker/metrics.h>
#include <proto/event.h>

#define NS UINT64_C(1000000000)
#define USEC UINT64_C(1000000)

enum self {
        SELF_VMS,
        SELF_VMS_WITHOUT_SERIES,
        SELF_WAITING,
        SELF_OLDEST,
        SELF_DRAINING,
        SELF_PAUSED,
        SELF_ADMISSION,
        SELF_SETUP,
        SELF_EXEC,
        SELF_GRANTED,
        SELF_REFUSED,
        SELF_RELEASED,
        SELF_EVENTS,
        SELF_OOM,
        SELF_DRIFT,
        SELF_REPAIRS,
        SELF_CONNECTIONS,
        SELF_ACCEPTED,
        SELF_TURNED_AWAY,
        SELF_TURN,
        SELF_LONGEST_TURN,
        SELF_SURVEY,
        SELF_SURVEY_CPU,
        SELF_BUILD,
        SELF_CPU,
        SELF_RSS,
        SELF_FDS,
        SELF_FDS_MAX,
        SELF_START,
        _SELF_N,
};

static const struct metrics_family families[_SELF_N] = {
        [SELF_VMS] = {"provium_vms", METRICS_GAUGE, "state", "VMs that hold a charge, by state."},
        [SELF_VMS_WITHOUT_SERIES] = {"provium_vms_without_series", METRICS_GAUGE, "",
                                     "VMs that have no series of their own here, because there are "
                                     "too many."},
        [SELF_WAITING] = {"provium_claims_waiting", METRICS_GAUGE, "reason",
                          "Claims that wait, by what they wait for."},
        [SELF_OLDEST] = {"provium_claims_longest_wait_seconds", METRICS_GAUGE, "reason",
                         "How long the one that waits longest has waited, by what it waits for."},
        [SELF_DRAINING] = {"provium_draining", METRICS_GAUGE, "",
                           "1 while the host is being drained: nothing is started."},
        [SELF_PAUSED] = {"provium_starts_paused", METRICS_GAUGE, "",
                         "1 while starts are held back, or let go one by one, for pressure."},
        [SELF_ADMISSION] = {"provium_admission_seconds", METRICS_HISTOGRAM, "le",
                            "From the claim to its grant: the wait."},
        [SELF_SETUP] = {"provium_setup_seconds", METRICS_HISTOGRAM, "le",
                        "From the grant until cgroup and network were made."},
        [SELF_EXEC] = {"provium_exec_seconds", METRICS_HISTOGRAM, "le",
                       "From there until the hypervisor was executed."},
        [SELF_GRANTED] = {"provium_claims_granted_total", METRICS_COUNTER, "",
                          "Claims that were granted."},
        [SELF_REFUSED] = {"provium_claims_refused_total", METRICS_COUNTER, "reason",
                          "Claims and resizes that were refused, by reason."},
        [SELF_RELEASED] = {"provium_claims_released_total", METRICS_COUNTER, "reason",
                           "Granted claims that were given back, by reason."},
        [SELF_EVENTS] = {"provium_events_total", METRICS_COUNTER, "kind",
                         "Events that were noted, by kind."},
        [SELF_OOM] = {"provium_oom_kills_total", METRICS_COUNTER, "",
                      "Processes of VMs that the kernel killed for want of memory."},
        [SELF_DRIFT] = {"provium_drift_total", METRICS_COUNTER, "",
                        "Times that somebody else's change of a limit was found."},
        [SELF_REPAIRS] = {"provium_drift_repaired_total", METRICS_COUNTER, "",
                          "Times that such a limit was put back."},
        [SELF_CONNECTIONS] = {"provium_connections", METRICS_GAUGE, "socket",
                              "Open connections of clients."},
        [SELF_ACCEPTED] = {"provium_connections_accepted_total", METRICS_COUNTER, "socket",
                           "Connections that were accepted."},
        [SELF_TURNED_AWAY] = {"provium_connections_refused_total", METRICS_COUNTER, "socket",
                              "Connections that were turned away, for there were too many."},
        [SELF_TURN] = {"provium_loop_turn_seconds", METRICS_HISTOGRAM, "le",
                       "How long each event kept the loop, and so all others waiting."},
        [SELF_LONGEST_TURN] = {"provium_loop_longest_turn_seconds", METRICS_GAUGE, "",
                               "The longest of them since the program began."},
        [SELF_SURVEY] = {"provium_survey_duration_seconds", METRICS_GAUGE, "",
                         "How long it took to read these figures of VMs and slices."},
        [SELF_SURVEY_CPU] = {"provium_survey_cpu_seconds", METRICS_GAUGE, "",
                             "The processor time that it took."},
        [SELF_BUILD] = {"provium_build_info", METRICS_GAUGE, "version", "1; what runs."},
        [SELF_CPU] = {"process_cpu_seconds_total", METRICS_COUNTER, "",
                      "Processor time of the broker, user and system."},
        [SELF_RSS] = {"process_resident_memory_bytes", METRICS_GAUGE, "",
                      "Resident memory of the broker."},
        [SELF_FDS] = {"process_open_fds", METRICS_GAUGE, "", "Open descriptors of the broker."},
        [SELF_FDS_MAX] = {"process_max_fds", METRICS_GAUGE, "",
                          "How many descriptors it may have."},
        [SELF_START] = {"process_start_time_seconds", METRICS_GAUGE, "",
                        "When the program began, in seconds since 1970."},
};

static void one(struct metrics *metrics, enum self self, uint64_t value, uint64_t divisor) {
        metrics_begin(&metrics->text, &families[self]);
        metrics_sample(&metrics->text, &families[self], NULL, value, divisor);
}

static void labelled(struct metrics *metrics, enum self self, const char *label, const char *is,
                     uint64_t value, uint64_t divisor) {
        char labels[METRICS_LABELS_MAX] = "";

        metrics_label(labels, sizeof(labels), label, is);
        metrics_sample(&metrics->text, &families[self], labels, value, divisor);
}

static void render_vms(struct metrics *metrics) {
        const struct survey *survey = metrics->survey;
        uint64_t states[_LEASE_STATE_N] = {};

        for (size_t i = 0; i < survey->n_vms; i++)
                states[survey->vms[i].state]++;
        metrics_begin(&metrics->text, &families[SELF_VMS]);
        for (unsigned i = LEASE_WAITING + 1; i < _LEASE_STATE_N; i++)
                labelled(metrics, SELF_VMS, "state", lease_state_name(i), states[i], 1);
        one(metrics, SELF_VMS_WITHOUT_SERIES,
            survey->n_vms > METRICS_VMS_MAX ? survey->n_vms - METRICS_VMS_MAX : 0, 1);
}

static void render_queue(struct metrics *metrics) {
        metrics_begin(&metrics->text, &families[SELF_WAITING]);
        for (unsigned i = WAIT_NONE + 1; i < _WAIT_REASON_N; i++)
                labelled(metrics, SELF_WAITING, "reason", wait_reason_name(i), metrics->waiting[i],
                         1);
        metrics_begin(&metrics->text, &families[SELF_OLDEST]);
        for (unsigned i = WAIT_NONE + 1; i < _WAIT_REASON_N; i++)
                labelled(metrics, SELF_OLDEST, "reason", wait_reason_name(i),
                         metrics->oldest_usec[i], USEC);
        one(metrics, SELF_DRAINING, metrics->draining, 1);
        one(metrics, SELF_PAUSED, metrics->paused, 1);
}

static void render_reasons(struct metrics *metrics, enum self self,
                           const struct reason_counts *counts) {
        metrics_begin(&metrics->text, &families[self]);
        for (size_t i = 0; i < counts->n; i++)
                labelled(metrics, self, "reason", counts->list[i].reason, counts->list[i].n, 1);
        labelled(metrics, self, "reason", "other", counts->n_other, 1);
}

static void render_counts(struct metrics *metrics) {
        const struct meter_figures *meter = &metrics->meter;

        one(metrics, SELF_GRANTED, meter->counts[METER_CLAIMS_GRANTED], 1);
        render_reasons(metrics, SELF_REFUSED, &meter->refused);
        render_reasons(metrics, SELF_RELEASED, &meter->released);
        metrics_begin(&metrics->text, &families[SELF_EVENTS]);
        for (unsigned i = 0; event_kinds[i].name; i++)
                labelled(metrics, SELF_EVENTS, "kind", event_kinds[i].name, meter->events[i], 1);
        one(metrics, SELF_OOM, meter->counts[METER_OOM_KILLS], 1);
        one(metrics, SELF_DRIFT, meter->counts[METER_DRIFT_FOUND], 1);
        one(metrics, SELF_REPAIRS, meter->counts[METER_DRIFT_REPAIRED], 1);
        metrics_begin(&metrics->text, &families[SELF_CONNECTIONS]);
        labelled(metrics, SELF_CONNECTIONS, "socket", "varlink", metrics->varlink_connections, 1);
        labelled(metrics, SELF_CONNECTIONS, "socket", "http", metrics->http_connections, 1);
        metrics_begin(&metrics->text, &families[SELF_ACCEPTED]);
        labelled(metrics, SELF_ACCEPTED, "socket", "varlink", meter->counts[METER_VARLINK_ACCEPTED],
                 1);
        labelled(metrics, SELF_ACCEPTED, "socket", "http", meter->counts[METER_HTTP_ACCEPTED], 1);
        metrics_begin(&metrics->text, &families[SELF_TURNED_AWAY]);
        labelled(metrics, SELF_TURNED_AWAY, "socket", "varlink",
                 meter->counts[METER_VARLINK_TURNED_AWAY], 1);
        labelled(metrics, SELF_TURNED_AWAY, "socket", "http", meter->counts[METER_HTTP_TURNED_AWAY],
                 1);
}

static void render_times(struct metrics *metrics) {
        const struct meter_figures *meter = &metrics->meter;
        const struct {
                enum self self;
                const struct histogram *histogram;
        } histograms[] = {
                {SELF_ADMISSION, &meter->admission},
                {SELF_SETUP, &meter->setup},
                {SELF_EXEC, &meter->exec},
                {SELF_TURN, &meter->turn},
        };

        for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
                metrics_begin(&metrics->text, &families[histograms[i].self]);
                metrics_histogram(&metrics->text, &families[histograms[i].self],
                                  histograms[i].histogram);
        }
        one(metrics, SELF_LONGEST_TURN, meter->longest_turn_ns, NS);
        one(metrics, SELF_SURVEY, metrics->survey->took_usec, USEC);
        one(metrics, SELF_SURVEY_CPU, metrics->survey->cpu_usec, USEC);
}

/* ---- the process ---- */

static bool count_fds(const struct metrics *metrics, uint64_t *np) {
        char path[160];
        uint64_t n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/self/fd", metrics->proc_dir);
        dir = opendir(path);
        if (!dir)
                return false;
        while (readdir(dir))
                n++;
        closedir(dir);
        *np = n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
        return true;
}

static bool resident(const struct metrics *metrics, uint64_t *bytesp) {
        char path[160], text[256];
        unsigned long long pages;

        snprintf(path, sizeof(path), "%s/self/statm", metrics->proc_dir);
        if (file_read_at(-1, path, text, sizeof(text)) || sscanf(text, "%*u %llu", &pages) != 1)
                return false;
        *bytesp = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
        return true;
}

static uint64_t usec_of(struct timeval time) {
        return (uint64_t)time.tv_sec * USEC + (uint64_t)time.tv_usec;
}

static void render_process(struct metrics *metrics) {
        struct rlimit limit;
        struct rusage usage;
        uint64_t value;

        metrics_begin(&metrics->text, &families[SELF_BUILD]);
        labelled(metrics, SELF_BUILD, "version", PROVIUM_VERSION, 1, 1);
        if (getrusage(RUSAGE_SELF, &usage) == 0)
                one(metrics, SELF_CPU, usec_of(usage.ru_utime) + usec_of(usage.ru_stime), USEC);
        if (resident(metrics, &value))
                one(metrics, SELF_RSS, value, 1);
        if (count_fds(metrics, &value))
                one(metrics, SELF_FDS, value, 1);
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                one(metrics, SELF_FDS_MAX, limit.rlim_cur, 1);
        one(metrics, SELF_START, metrics->started_ns, NS);
}

void metrics_render_self(struct metrics *metrics) {
        render_vms(metrics);
        render_queue(metrics);
        render_times(metrics);
        render_counts(metrics);
        render_process(metrics);
}

void metrics_each_self_family(void (*fn)(void *userdata, const struct metrics_family *family),
                              void *userdata) {
        for (unsigned i = 0; i < _SELF_N; i++)
                fn(userdata, &families[i]);
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>

#include <base/units.h>
#include <cli/cli.h>
#include <cli/sim_report.h>
#include <cli/table.h>
#include <cli/trace.h>

const char *sim_outcome_name(const struct sim_outcome *outcome, char *buffer, size_t size) {
        const char *order = sim_order_name(outcome->setup.order);

        if (outcome->setup.hosts == 1)
                snprintf(buffer, size, "%s", order);
        else
                snprintf(buffer, size, "%s %s", order, place_policy_name(outcome->setup.place));
        return buffer;
}

static void add_count(struct table *table, uint64_t count) {
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, count);
        table_add(table, text);
}

static void add_wait(struct table *table, const struct sim_waits *waits, uint64_t usec) {
        char text[UNITS_TEXT_MAX];

        table_add(table, waits->n > 0 ? units_format_duration(usec, text, sizeof(text)) : "-");
}

static void add_waits(struct table *table, const struct sim_waits *waits) {
        add_count(table, waits->n);
        add_count(table, waits->waited);
        add_wait(table, waits, waits->mean_usec);
        add_wait(table, waits, waits->p50_usec);
        add_wait(table, waits, waits->p90_usec);
        add_wait(table, waits, waits->p99_usec);
        add_wait(table, waits, waits->max_usec);
}

/* CPU and memory, and what else is limited and was claimed. */
static bool is_shown(const struct sim_outcome *outcome, enum resource resource) {
        return outcome->stats.used[resource] > 0 || resource <= RESOURCE_MEMORY;
}

static void add_used(struct table *table, const struct sim_outcome *outcome,
                     enum resource resource) {
        char text[32];

        if (outcome->stats.used[resource] < 0)
                snprintf(text, sizeof(text), "no limit");
        else
                snprintf(text, sizeof(text), "%.1f%%", 100 * outcome->stats.used[resource]);
        table_add(table, text);
}

static const char *const titles[_RESOURCE_N] = {
        [RESOURCE_CPU] = "CPU",         [RESOURCE_MEMORY] = "MEMORY",
        [RESOURCE_DISK] = "DISK",       [RESOURCE_DISK_IO] = "DISK-IO",
        [RESOURCE_NETWORK] = "NETWORK", [RESOURCE_NETWORK_UPLOAD] = "UPLOAD",
        [RESOURCE_GPU] = "GPU",
};

static int print_outcomes(struct cli *cli, const struct sim_outcome *outcomes, size_t n) {
        struct column columns[TABLE_COLUMNS_MAX] = {
                {"ORDER", false, false}, {"STARTED", true, false}, {"WAITED", true, false},
                {"MEAN", true, false},   {"P50", true, false},     {"P90", true, false},
                {"P99", true, false},    {"MAX", true, false},     {"REJECTED", true, false},
        };
        size_t n_columns = 9;
        struct table table;
        int r;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (is_shown(&outcomes[0], i))
                        columns[n_columns++] = (struct column){titles[i], true, false};
        table_init(&table, columns, n_columns);
        for (size_t i = 0; i < n; i++) {
                char name[64];

                table_add(&table, sim_outcome_name(&outcomes[i], name, sizeof(name)));
                add_waits(&table, &outcomes[i].stats.all);
                add_count(&table, outcomes[i].stats.n_rejected);
                for (unsigned j = 0; j < _RESOURCE_N; j++)
                        if (is_shown(&outcomes[0], j))
                                add_used(&table, &outcomes[i], j);
        }
        r = table_print(&table, cli->out, 0);
        table_deinit(&table);
        return r;
}

static int print_priorities(struct cli *cli, const struct sim_outcome *outcomes, size_t n) {
        static const struct column columns[] = {
                {"ORDER", false, false}, {"PRIORITY", true, false}, {"STARTED", true, false},
                {"WAITED", true, false}, {"MEAN", true, false},     {"P50", true, false},
                {"P90", true, false},    {"P99", true, false},      {"MAX", true, false},
        };
        struct table table;
        int r;

        if (outcomes[0].stats.n_priorities == 0)
                return 0;
        table_init(&table, columns, ARRAY_SIZE(columns));
        for (size_t i = 0; i < n; i++) {
                for (size_t p = 0; p < outcomes[i].stats.n_priorities; p++) {
                        const struct sim_waits *waits = &outcomes[i].stats.priorities[p];
                        char text[64];

                        table_add(&table, sim_outcome_name(&outcomes[i], text, sizeof(text)));
                        snprintf(text, sizeof(text), "%" PRId32, waits->priority);
                        table_add(&table, text);
                        add_waits(&table, waits);
                }
        }
        fputc('\n', cli->out);
        r = table_print(&table, cli->out, 0);
        table_deinit(&table);
        return r;
}

static void print_rejections(struct cli *cli, const struct sim_outcome *outcome) {
        char outcome_name[64], name[64], asked[UNITS_TEXT_MAX], possible[UNITS_TEXT_MAX];

        for (unsigned i = 0; i < _SIM_REJECTION_N; i++) {
                const struct sim_rejected *rejected = &outcome->result.rejected[i];
                enum resource resource;

                if (rejected->n == 0)
                        continue;
                fprintf(cli->out, "%s: rejected: %" PRIu64 ", from line %" PRIu32 " on: %s",
                        sim_outcome_name(outcome, outcome_name, sizeof(outcome_name)), rejected->n,
                        rejected->line, sim_rejection_name(i, name, sizeof(name)));
                if (sim_rejection_resource(i, &resource))
                        fprintf(cli->out, " (up to %s asked, at most %s can be had)",
                                resource_format(resource, rejected->asked, asked, sizeof(asked)),
                                resource_format(resource, rejected->possible, possible,
                                                sizeof(possible)));
                fputc('\n', cli->out);
        }
}

static json_t *waits_json(const struct sim_waits *waits) {
        return json_pack("{sI sI s{sI sI sI sI sI}}", "started", (json_int_t)waits->n, "waited",
                         (json_int_t)waits->waited, "wait_us", "mean", (json_int_t)waits->mean_usec,
                         "p50", (json_int_t)waits->p50_usec, "p90", (json_int_t)waits->p90_usec,
                         "p99", (json_int_t)waits->p99_usec, "max", (json_int_t)waits->max_usec);
}

static json_t *priorities_json(const struct sim_stats *stats) {
        json_t *array = json_array();

        for (size_t i = 0; i < stats->n_priorities; i++) {
                json_t *object = waits_json(&stats->priorities[i]);

                json_object_set_new(object, "priority",
                                    json_integer(stats->priorities[i].priority));
                json_array_append_new(array, object);
        }
        return array;
}

static json_t *rejections_json(const struct sim_result *result) {
        json_t *array = json_array();
        char name[64];

        for (unsigned i = 0; i < _SIM_REJECTION_N; i++) {
                const struct sim_rejected *rejected = &result->rejected[i];
                enum resource resource;
                json_t *object;

                if (rejected->n == 0)
                        continue;
                object =
                        json_pack("{ss sI sI}", "reason", sim_rejection_name(i, name, sizeof(name)),
                                  "n", (json_int_t)rejected->n, "line", (json_int_t)rejected->line);
                if (sim_rejection_resource(i, &resource)) {
                        json_object_set_new(object, "asked",
                                            json_integer((json_int_t)rejected->asked));
                        json_object_set_new(object, "possible",
                                            json_integer((json_int_t)rejected->possible));
                }
                json_array_append_new(array, object);
        }
        return array;
}

static json_t *outcome_json(const struct sim_outcome *outcome) {
        json_t *object = waits_json(&outcome->stats.all), *used = json_object(),
               *limits = json_object();

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                if (outcome->stats.used[i] < 0)
                        continue;
                json_object_set_new(used, resource_name(i), json_real(outcome->stats.used[i]));
                json_object_set_new(limits, resource_name(i),
                                    json_integer((json_int_t)outcome->result.limit.amount[i]));
        }
        if (json_object_update_new(
                    object,
                    json_pack("{ss ss* sI sI sI sI sI sI so so so so}", "order",
                              sim_order_name(outcome->setup.order), "place",
                              outcome->setup.hosts > 1 ? place_policy_name(outcome->setup.place)
                                                       : NULL,
                              "hosts", (json_int_t)outcome->setup.hosts, "claims",
                              (json_int_t)outcome->setup.trace->n, "rejected",
                              (json_int_t)outcome->stats.n_rejected, "waiting_max",
                              (json_int_t)outcome->result.waiting_max, "begin_us",
                              (json_int_t)outcome->result.begin_usec, "end_us",
                              (json_int_t)outcome->result.end_usec, "utilisation", used, "limits",
                              limits, "rejections", rejections_json(&outcome->result), "priorities",
                              priorities_json(&outcome->stats))) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

static int print_json(struct cli *cli, const struct sim_outcome *outcomes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                json_t *object = outcome_json(&outcomes[i]);

                if (!object)
                        return fault(-ENOMEM);
                cli_print_json(cli, object);
                json_decref(object);
        }
        return 0;
}

static void print_trace(struct cli *cli, const struct sim_outcome *outcome) {
        const struct trace *trace = outcome->setup.trace;
        char text[UNITS_TEXT_MAX];

        fprintf(cli->out,
                "%zu claims on %" PRIu64 " host%s, %s from the first arrival to the last "
                "end\n",
                trace->n, outcome->setup.hosts, outcome->setup.hosts == 1 ? "" : "s",
                units_format_duration(outcome->result.end_usec - outcome->result.begin_usec, text,
                                      sizeof(text)));
        fputs("one host can sell:", cli->out);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (outcome->result.limit.amount[i] != LEDGER_NO_LIMIT)
                        fprintf(cli->out, " %s %s", resource_name(i),
                                resource_format(i, outcome->result.limit.amount[i], text,
                                                sizeof(text)));
        fputs("\n\n", cli->out);
}

int sim_report(struct cli *cli, const struct sim_outcome *outcomes, size_t n) {
        int r;

        if (cli->json)
                return print_json(cli, outcomes, n);
        print_trace(cli, &outcomes[0]);
        r = print_outcomes(cli, outcomes, n);
        if (!r)
                r = print_priorities(cli, outcomes, n);
        if (r)
                return r;
        for (size_t i = 0; i < n; i++)
                print_rejections(cli, &outcomes[i]);
        return 0;
}

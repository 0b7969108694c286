/* SPDX-License-Identifier: MIT */
/*
 * provium simulate: what a trace of claims would meet on a host, or on many, by the broker's own
 * admission. Needs no broker, and touches nothing.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/fleet.h>
#include <cli/human.h>
#include <cli/sim_report.h>
#include <cli/sim_svg.h>
#include <cli/trace_read.h>
#include <policies/policy.h>
#include <policies/pool.h>

enum { OPTION_HOSTS = 1, OPTION_HOST, OPTION_ORDER, OPTION_PLACE, OPTION_SVG };

const struct option_row simulate_option_rows[] = {
        {OPTION_HOSTS, "hosts", "N", "how many hosts there are, all alike (1)"},
        {OPTION_HOST, "host", "FILE",
         "what one is, as a broker.conf or a directory like " CLI_CONFIG_DIR " (this one)"},
        {OPTION_ORDER, "order", "ORDER[,...]",
         "who is next on a host: fifo, priority or backfill; all: each of them (fifo)"},
        {OPTION_PLACE, "place", "PLACE[,...]",
         "first-fit, best-fit or spread; all: each of them (first-fit)"},
        {OPTION_SVG, "svg", "FILE", "draw the waits and the use over time"},
        {},
};

#define OUTCOMES_MAX (_SIM_ORDER_N * _PLACE_POLICY_N)
_Static_assert(OUTCOMES_MAX <= SIM_SVG_MAX, "each has its colour");

struct simulate_options {
        const char *trace, *host, *svg;
        uint64_t hosts;
        bool orders[_SIM_ORDER_N];
        bool places[_PLACE_POLICY_N];
};

/* ---- the command line */

/* The next word of a list, from *textp on, into @word. */
static void next_word(const char **textp, char *word, size_t size) {
        size_t length = strcspn(*textp, ",");

        snprintf(word, size, "%.*s", (int)min_u64(length, size - 1), *textp);
        *textp += length + ((*textp)[length] == ',');
}

static const char *order_name(unsigned i) {
        return sim_order_name(i);
}

static const char *place_name(unsigned i) {
        return place_policy_name(i);
}

/* Which of @n names stand in the list @text; "all" is all of them. */
static int parse_list(struct cli *cli, const char *option, const char *valid, const char *text,
                      const char *(*name)(unsigned i), bool *chosen, unsigned n) {
        char word[32], safe[HUMAN_TEXT_MAX];

        memset(chosen, 0, n * sizeof(*chosen));
        do {
                bool found = false;

                next_word(&text, word, sizeof(word));
                for (unsigned i = 0; i < n; i++)
                        if (strcmp(word, name(i)) == 0 || strcmp(word, "all") == 0)
                                chosen[i] = found = true;
                if (!found)
                        return cli_misused(cli, "%s: '%s' is none of %s and all", option,
                                           human_safe(word, safe), valid);
        } while (*text);
        return STATUS_OK;
}

static int parse_option(struct cli *cli, const struct words *words, int option,
                        struct simulate_options *options) {
        struct why why = {};

        switch (option) {
        case OPTION_HOSTS:
                if (units_parse_count(words->value, &options->hosts, &why))
                        return cli_misused(cli, "--hosts: %s", why.text);
                if (options->hosts == 0 || options->hosts > FLEET_HOSTS_MAX)
                        return cli_misused(cli, "--hosts: give a number from 1 to %d",
                                           FLEET_HOSTS_MAX);
                break;
        case OPTION_HOST:
                options->host = words->value;
                break;
        case OPTION_ORDER:
                return parse_list(cli, "--order", "fifo, priority, backfill", words->value,
                                  order_name, options->orders, _SIM_ORDER_N);
        case OPTION_PLACE:
                return parse_list(cli, "--place", "first-fit, best-fit, spread", words->value,
                                  place_name, options->places, _PLACE_POLICY_N);
        case OPTION_SVG:
                options->svg = words->value;
                break;
        }
        return STATUS_OK;
}

static int parse_options(struct cli *cli, struct words *words, struct simulate_options *options) {
        int option;

        while ((option = words_option(cli, words)) > 0) {
                words->status = parse_option(cli, words, option, options);
                if (words->status)
                        return -1;
        }
        if (option < 0)
                return option;
        if (words_count(cli, words, 1, 1) < 0)
                return -1;
        options->trace = words->argv[0];
        return 0;
}

/* ---- the host */

static int load_file(const char *path, int fd, struct policy **policyp,
                     struct policy_errors *errors) {
        _cleanup_(freep) char *text = malloc(POLICY_FILE_MAX + 1);
        size_t used = 0;
        ssize_t n = 1;

        if (!text)
                return fault(-ENOMEM);
        while (n != 0 && used <= POLICY_FILE_MAX) {
                n = read(fd, text + used, POLICY_FILE_MAX + 1 - used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break;
                used += (size_t)n;
        }
        if (n < 0 || used > POLICY_FILE_MAX) {
                errors->n = 1;
                errors->list[0] = (struct policy_error){};
                snprintf(errors->list[0].path, sizeof(errors->list[0].path), "%s", path);
                snprintf(errors->list[0].text, sizeof(errors->list[0].text), "%s",
                         n < 0 ? strerror(errno) : "it is larger than 256 KiB");
                return POLICY_E_INVALID;
        }
        return policy_load_text(policyp, path, text, used, errors);
}

/* This host's own: what the broker would find of CPUs and memory; the rest is not limited. */
static void discover(struct policy *policy) {
        struct demand *capacity = &policy->broker.capacity;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);

        if (capacity->amount[RESOURCE_CPU] == POLICY_AUTO && cpus > 0)
                capacity->amount[RESOURCE_CPU] = (uint64_t)cpus * 1000;
        if (capacity->amount[RESOURCE_MEMORY] == POLICY_AUTO && pages > 0)
                capacity->amount[RESOURCE_MEMORY] =
                        (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int tell_errors(struct cli *cli, const struct policy_errors *errors) {
        char line[POLICY_ERROR_LINE_MAX], safe[HUMAN_TEXT_MAX];

        for (size_t i = 0; i < errors->n; i++)
                cli_say(cli, "%s",
                        human_safe(policy_error_format(&errors->list[i], line, sizeof(line)),
                                   safe));
        return STATUS_BAD_POLICY;
}

static int load_host(struct cli *cli, const struct simulate_options *options,
                     struct policy **policyp) {
        _cleanup_(freep) struct policy_errors *errors = calloc(1, sizeof(*errors));
        _cleanup_(fd_closep) int fd = -1;
        char safe[HUMAN_TEXT_MAX];
        struct demand capacity;
        struct stat st;
        int r;

        if (!errors)
                return cli_fault(cli, -ENOMEM);
        if (!options->host) {
                r = policy_load(policyp, CLI_CONFIG_DIR, CLI_VENDOR_DIR, errors);
        } else {
                fd = open(options->host, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return cli_fail(cli, STATUS_NOT_FOUND, "cannot read %s: %s",
                                        human_safe(options->host, safe), strerror(errno));
                if (S_ISDIR(st.st_mode))
                        r = policy_load(policyp, options->host, "", errors);
                else
                        r = load_file(options->host, fd, policyp, errors);
        }
        if (r < 0)
                return cli_fault(cli, r);
        if (r)
                return tell_errors(cli, errors);
        if (!options->host)
                discover(*policyp);
        capacity = (*policyp)->broker.capacity;
        pool_apply_capacity(&(*policyp)->broker, &capacity);
        for (unsigned i = RESOURCE_CPU; i <= RESOURCE_MEMORY; i++)
                if (capacity.amount[i] == POLICY_AUTO)
                        return cli_fail(
                                cli, STATUS_BAD_POLICY,
                                "%s: say in [Capacity] what the host has: CPU= and Memory=; "
                                "what else is auto there is not limited",
                                human_safe(options->host ?: CLI_CONFIG_DIR, safe));
        return STATUS_OK;
}

/* ---- the trace */

struct progress {
        struct cli *cli;
        const char *what;
        uint64_t of; /* 0: nobody knows */
        bool shown;
};

static void show_progress(void *userdata, uint64_t rows) {
        struct progress *progress = userdata;
        FILE *err = progress->cli->err;

        if (progress->of)
                fprintf(err, "\rprovium: simulate: %s: %" PRIu64 "%% ", progress->what,
                        rows * 100 / progress->of);
        else
                fprintf(err, "\rprovium: simulate: %" PRIu64 " claims read ", rows);
        fflush(err);
        progress->shown = true;
}

static void end_progress(struct progress *progress) {
        if (progress->shown)
                fputs("\r\033[K", progress->cli->err);
        progress->shown = false;
}

static bool is_terminal(FILE *file) {
        return fileno(file) >= 0 && isatty(fileno(file));
}

static int load_trace(struct cli *cli, const char *path, struct trace *trace) {
        bool is_stdin = strcmp(path, "-") == 0;
        _cleanup_(fd_closep) int opened = -1;
        struct progress progress = {.cli = cli};
        char safe[HUMAN_TEXT_MAX];
        struct why why = {};
        int r;

        if (!is_stdin) {
                opened = open(path, O_RDONLY | O_CLOEXEC);
                if (opened < 0)
                        return cli_fail(cli, STATUS_NOT_FOUND, "cannot read %s: %s",
                                        human_safe(path, safe), strerror(errno));
        }
        r = trace_read(trace, is_stdin ? STDIN_FILENO : opened,
                       is_terminal(cli->err) ? show_progress : NULL, &progress, &why);
        end_progress(&progress);
        if (r < 0)
                return cli_fault(cli, r);
        if (r)
                return cli_fail(cli, r == TRACE_E_READ ? STATUS_NOT_FOUND : STATUS_BAD_DATA,
                                "%s:%s%s", human_safe(path, safe),
                                why.text[0] >= '0' && why.text[0] <= '9' ? "" : " ", why.text);
        return STATUS_OK;
}

/* What of the trace does not appear in the figures. */
static void tell_notices(struct cli *cli, const struct trace *trace) {
        const struct {
                uint64_t n;
                const char *text;
        } notices[] = {
                {trace->n_unsorted, "not in the order of arrival; sorted"},
                {trace->n_unserved, "left, or wait still, without having been admitted; left out"},
                {trace->n_unknown, "refused, or admitted before the events begin; left out"},
                {trace->n_open, "still held when the events end; kept until then"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(notices); i++)
                if (notices[i].n > 0)
                        cli_say(cli, "%" PRIu64 " claim%s: %s", notices[i].n,
                                notices[i].n == 1 ? "" : "s", notices[i].text);
        if (trace->n_lost > 0)
                cli_say(cli, "%" PRIu64 " events are missing", trace->n_lost);
        if (trace->n_restarts > 0)
                cli_say(cli, "the broker was started anew %" PRIu64 " times: events may be missing",
                        trace->n_restarts);
        if (trace->n_cut > 0)
                cli_say(cli, "the last event is cut off; its %" PRIu64 " bytes are left out",
                        trace->n_cut);
}

/* ---- what is done */

static int simulate(struct cli *cli, struct sim_outcome *outcome) {
        struct progress progress = {.cli = cli, .of = outcome->setup.trace->n};
        struct why why = {};
        char name[64];
        int r;

        progress.what = sim_outcome_name(outcome, name, sizeof(name));
        if (is_terminal(cli->err)) {
                outcome->setup.progress = show_progress;
                outcome->setup.userdata = &progress;
        }
        r = sim_run(&outcome->result, &outcome->setup, &why);
        end_progress(&progress);
        if (!r)
                r = sim_stats_make(&outcome->stats, &outcome->setup, &outcome->result);
        if (r > 0)
                return cli_fail(cli, r == SIM_E_TIME ? STATUS_BAD_DATA : STATUS_USAGE, "%s",
                                why.text);
        return r ? cli_fault(cli, r) : STATUS_OK;
}

static int draw(struct cli *cli, const char *path, const struct sim_outcome *outcomes, size_t n) {
        char safe[HUMAN_TEXT_MAX];
        FILE *file = fopen(path, "we");
        bool failed;

        if (!file)
                return cli_fail(cli, STATUS_OUTPUT, "cannot write %s: %s", human_safe(path, safe),
                                strerror(errno));
        sim_svg_print(file, outcomes, n);
        failed = ferror(file);
        if (fclose(file) != 0 || failed)
                return cli_fail(cli, STATUS_OUTPUT, "cannot write %s: %s", human_safe(path, safe),
                                strerror(errno));
        return STATUS_OK;
}

/* What is asked for, in *np of @outcomes: each order at each place. On one host there is no place
 * to choose. */
static void set_up(const struct simulate_options *options, const struct policy *policy,
                   const struct trace *trace, struct sim_outcome *outcomes, size_t *np) {
        for (enum sim_order order = 0; order < _SIM_ORDER_N; order++) {
                bool placed = false;

                for (enum place_policy place = 0; place < _PLACE_POLICY_N; place++) {
                        if (!options->orders[order] || !options->places[place] ||
                            (options->hosts == 1 && placed))
                                continue;
                        placed = true;
                        outcomes[(*np)++].setup = (struct sim_setup){
                                .policy = policy,
                                .trace = trace,
                                .hosts = options->hosts,
                                .order = order,
                                .place = place,
                        };
                }
        }
}

static int simulate_all(struct cli *cli, const struct simulate_options *options,
                        const struct policy *policy, const struct trace *trace) {
        _cleanup_(freep) struct sim_outcome *outcomes = NULL;
        int status = STATUS_OK, r;
        size_t n = 0;

        outcomes = calloc(OUTCOMES_MAX, sizeof(*outcomes));
        if (!outcomes)
                return cli_fault(cli, -ENOMEM);
        set_up(options, policy, trace, outcomes, &n);
        for (size_t i = 0; i < n && !status; i++)
                status = simulate(cli, &outcomes[i]);
        if (!status) {
                r = sim_report(cli, outcomes, n);
                status = r ? cli_fault(cli, r) : STATUS_OK;
        }
        if (!status && options->svg)
                status = draw(cli, options->svg, outcomes, n);
        for (size_t i = 0; i < n; i++) {
                sim_stats_deinit(&outcomes[i].stats);
                sim_result_deinit(&outcomes[i].result);
        }
        return status;
}

int command_simulate(struct cli *cli, struct words *words) {
        struct simulate_options options = {
                .hosts = 1, .orders = {[SIM_FIFO] = true}, .places = {[PLACE_FIRST_FIT] = true}};
        _cleanup_(policy_freep) struct policy *policy = NULL;
        struct trace trace = {};
        int status;

        if (parse_options(cli, words, &options) < 0)
                return words->status;
        status = load_host(cli, &options, &policy);
        if (!status)
                status = load_trace(cli, options.trace, &trace);
        if (!status) {
                tell_notices(cli, &trace);
                status = simulate_all(cli, &options, policy, &trace);
        }
        trace_deinit(&trace);
        return status;
}

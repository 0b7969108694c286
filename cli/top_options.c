/* SPDX-License-Identifier: MIT */
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/grid.h>
#include <cli/top_options.h>

#define QUOTED_MAX 80

enum {
        OPTION_ONCE = 1,
        OPTION_DELAY,
        OPTION_SORT,
        OPTION_REVERSE,
        OPTION_SLICE,
        OPTION_USER,
        OPTION_WIDTH,
};

const struct option_row top_option_rows[] = {
        {OPTION_ONCE, "once", NULL, "print one frame and end; takes a second, for its rates"},
        {OPTION_DELAY, "delay", "S", "seconds between two looks (2)"},
        {OPTION_SORT, "sort", "COLUMN", "by what the VMs are sorted (cpu)"},
        {OPTION_REVERSE, "reverse", NULL, "the other way round"},
        {OPTION_SLICE, "slice", "NAME", "only what is in this slice"},
        {OPTION_USER, "user", "USER", "only what is of this user"},
        {OPTION_WIDTH, "width", "N", "columns of a printed frame"},
        {},
};

/* "2", "0.5" or "500ms". */
static bool parse_delay(const char *text, uint64_t *usecp) {
        uint64_t milli, usec;

        if (units_parse_cpus(text, &milli, NULL) == 0 && milli <= TOP_DELAY_MAX_USEC / 1000)
                usec = milli * 1000;
        else if (units_parse_duration(text, &usec, NULL))
                return false;
        if (usec < TOP_DELAY_MIN_USEC || usec > TOP_DELAY_MAX_USEC)
                return false;
        *usecp = usec;
        return true;
}

static int parse_delay_option(struct cli *cli, const char *value, struct top_ui *ui) {
        char quoted[QUOTED_MAX];

        if (parse_delay(value, &ui->delay_usec))
                return STATUS_OK;
        return cli_misused(cli, "--delay: '%s' is none; give seconds from 0.1 to 3600",
                           text_escape(value, quoted, sizeof(quoted)));
}

static int parse_width(struct cli *cli, const char *value, struct top_options *options) {
        if (units_parse_count(value, &options->width, NULL) == 0 &&
            options->width >= TOP_WIDTH_MIN && options->width <= GRID_COLUMNS_MAX)
                return STATUS_OK;
        return cli_misused(cli, "--width: give a number from %d to %d", TOP_WIDTH_MIN,
                           GRID_COLUMNS_MAX);
}

static int parse_option(struct cli *cli, int option, const char *value, struct top_options *options,
                        struct top_ui *ui) {
        char quoted[QUOTED_MAX];
        struct why why;

        switch (option) {
        case OPTION_ONCE:
                options->once = true;
                return STATUS_OK;
        case OPTION_DELAY:
                return parse_delay_option(cli, value, ui);
        case OPTION_SORT:
                if (top_column_parse(value, &ui->sort, &why) == 0)
                        return STATUS_OK;
                return cli_misused(cli, "--sort: %s", why.text);
        case OPTION_REVERSE:
                ui->reverse = true;
                return STATUS_OK;
        case OPTION_SLICE:
                if (text_check_slice("slice", value, &why) == 0 &&
                    text_copy(ui->slice, sizeof(ui->slice), value))
                        return STATUS_OK;
                return cli_misused(cli, "--slice: %s", why.text);
        case OPTION_USER:
                if (users_find(value, &ui->uid))
                        return STATUS_OK;
                return cli_misused(cli, "--user: there is no user '%s'",
                                   text_escape(value, quoted, sizeof(quoted)));
        default:
                return parse_width(cli, value, options);
        }
}

int top_parse_options(struct cli *cli, struct words *words, struct top_options *options,
                      struct top_ui *ui) {
        int option;

        while ((option = words_option(cli, words)) > 0) {
                words->status = parse_option(cli, option, words->value, options, ui);
                if (words->status)
                        return -1;
        }
        if (option == 0)
                option = words_count(cli, words, 0, 0);
        if (option == 0 && cli->json) {
                words->status = cli_misused(cli, "a screen is not JSON: see 'provium ps --json', "
                                                 "'resources --json' and 'events --json'");
                return -1;
        }
        return option;
}

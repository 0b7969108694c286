/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include <base/units.h>
#include <cli/sim_svg.h>
#include <cli/trace.h>

#define WIDTH 960
#define LEFT 76
#define RIGHT 34
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PANEL_HEIGHT 180
#define PANEL_GAP 66
#define LEGEND_WIDTH 210
#define LEGEND_COLUMNS 4
#define LEGEND_LINE 18
#define TICKS 4

/* Told apart by those who see few colours, too. */
static const char *const colours[SIM_SVG_MAX] = {
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
        "#000000", "#8c564b", "#7f7f7f", "#6a3d9a", "#b2182b", "#a6761d",
};

struct panel {
        FILE *file;
        double top, max; /* of the picture's y axis, and of the panel's */
};

static double x_of(double share) {
        return LEFT + share * PLOT_WIDTH;
}

static double y_of(const struct panel *panel, double value) {
        return panel->top + PANEL_HEIGHT - value / panel->max * PANEL_HEIGHT;
}

static void text(FILE *file, double x, double y, const char *anchor, const char *words) {
        fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                words);
}

static void line(FILE *file, double x1, double y1, double x2, double y2) {
        fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
                x1, y1, x2, y2);
}

static void panel_frame(const struct panel *panel, const char *title) {
        fprintf(panel->file,
                "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" "
                "stroke=\"#888\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n",
                LEFT, panel->top, PLOT_WIDTH, PANEL_HEIGHT, LEFT, panel->top - 10, title);
}

static void panel_y_axis(const struct panel *panel, bool percent) {
        for (unsigned i = 0; i <= TICKS; i++) {
                double value = panel->max * i / TICKS, y = y_of(panel, value);
                char label[32];

                if (percent)
                        snprintf(label, sizeof(label), "%.0f %%", 100 * value);
                else
                        snprintf(label, sizeof(label), value < 10 && value > 0 ? "%.1f" : "%.0f",
                                 value);
                if (i > 0 && i < TICKS)
                        line(panel->file, LEFT, y, LEFT + PLOT_WIDTH, y);
                text(panel->file, LEFT - 8, y + 4, "end", label);
        }
}

static void panel_time_axis(const struct panel *panel, uint64_t span_usec) {
        for (unsigned i = 0; i <= TICKS; i++) {
                char label[UNITS_TEXT_MAX];
                double x = x_of((double)i / TICKS);

                if (i > 0 && i < TICKS)
                        line(panel->file, x, panel->top, x, panel->top + PANEL_HEIGHT);
                text(panel->file, x, panel->top + PANEL_HEIGHT + 16, "middle",
                     units_format_duration(span_usec / TICKS * i, label, sizeof(label)));
        }
}

/* A curve over the time, of which each point is a mean. @series ends earlier than the axis where
 * another simulation took longer. */
static void panel_series(const struct panel *panel, const double *series, double share,
                         const char *colour, bool dashed) {
        fprintf(panel->file,
                "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"%s points=\"", colour,
                dashed ? " stroke-dasharray=\"5 3\"" : "");
        for (size_t i = 0; i < SIM_SERIES_N; i++)
                fprintf(panel->file, "%s%.1f,%.1f", i ? " " : "",
                        x_of(share * ((double)i + 0.5) / SIM_SERIES_N), y_of(panel, series[i]));
        fputs("\"/>\n", panel->file);
}

static uint64_t span_of(const struct sim_outcome *outcome) {
        return outcome->result.end_usec - outcome->result.begin_usec;
}

/* ---- the waits */

#define MSEC UINT64_C(1000)
#define SECOND (1000 * MSEC)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* What people count waits in, about a power of ten apart. */
static const uint64_t ticks_usec[] = {
        MSEC, 10 * MSEC, 100 * MSEC, SECOND,      10 * SECOND,  MINUTE,        10 * MINUTE,
        HOUR, 10 * HOUR, 100 * HOUR, 1000 * HOUR, 10000 * HOUR, 100000 * HOUR, 1000000 * HOUR,
};

/* An axis of which each tick is a multiple of the one before: what is shorter than the first is
 * there, too. */
struct waits_axis {
        size_t first, last; /* ticks */
};

static double waits_x(const struct waits_axis *axis, uint64_t usec) {
        double first = log10((double)ticks_usec[axis->first]);
        double last = log10((double)ticks_usec[axis->last]);
        double share = (log10((double)max_u64(usec, 1)) - first) / (last - first);

        return x_of(fmin(fmax(share, 0), 1));
}

static struct waits_axis waits_axis_make(const struct sim_outcome *outcomes, size_t n) {
        struct waits_axis axis = {.last = 1};
        uint64_t longest = 0;

        for (size_t i = 0; i < n; i++)
                longest = max_u64(longest, outcomes[i].stats.all.max_usec);
        while (axis.last + 1 < ARRAY_SIZE(ticks_usec) && ticks_usec[axis.last] < longest)
                axis.last++;
        /* Among long waits nobody asks for very short ones. */
        if (axis.last > 6)
                axis.first = axis.last - 6;
        return axis;
}

static void waits_axis_print(const struct panel *panel, const struct waits_axis *axis) {
        for (size_t i = axis->first; i <= axis->last; i++) {
                double x = waits_x(axis, ticks_usec[i]);
                char label[UNITS_TEXT_MAX];

                if (i > axis->first && i < axis->last)
                        line(panel->file, x, panel->top, x, panel->top + PANEL_HEIGHT);
                text(panel->file, x, panel->top + PANEL_HEIGHT + 16, "middle",
                     units_exact_duration(ticks_usec[i], label, sizeof(label)));
        }
}

/* The share of claims that had started after each time: a step where it grows by a pixel. */
static void waits_curve(const struct panel *panel, const struct waits_axis *axis,
                        const struct sim_stats *stats, const char *colour) {
        uint64_t n = stats->all.n, step = n / (2 * PANEL_HEIGHT) + 1;
        double y = y_of(panel, 0);

        if (n == 0)
                return;
        fprintf(panel->file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
                colour);
        for (uint64_t i = 0; i < n; i += step) {
                uint64_t at = i + step < n ? i + step : n;
                double x = waits_x(axis, stats->sorted_usec[at - 1]);

                fprintf(panel->file, "%.1f,%.1f ", x, y);
                y = y_of(panel, (double)at / (double)n);
                fprintf(panel->file, "%.1f,%.1f ", x, y);
        }
        fprintf(panel->file, "%.1f,%.1f\"/>\n", x_of(1), y);
}

static void waits_panel(FILE *file, double top, const struct sim_outcome *outcomes, size_t n) {
        struct panel panel = {.file = file, .top = top, .max = 1};
        struct waits_axis axis = waits_axis_make(outcomes, n);

        panel_frame(&panel, "Claims that had started, by how long after their arrival");
        panel_y_axis(&panel, true);
        waits_axis_print(&panel, &axis);
        for (size_t i = 0; i < n; i++)
                waits_curve(&panel, &axis, &outcomes[i].stats, colours[i]);
}

/* ---- over time */

/* A number of one digit and zeros, times 4, at least @value: a round end of an axis. */
static double round_up(double value) {
        double unit = 4;

        while (unit * 9 < value)
                unit *= 10;
        return fmax(ceil(value / unit), 1) * unit;
}

static void waiting_panel(FILE *file, double top, const struct sim_outcome *outcomes, size_t n,
                          uint64_t span_usec) {
        struct panel panel = {.file = file, .top = top};
        double most = 0;

        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < SIM_SERIES_N; j++)
                        most = fmax(most, outcomes[i].stats.waiting_series[j]);
        panel.max = round_up(most);
        panel_frame(&panel, "Claims that waited, over time");
        panel_y_axis(&panel, false);
        panel_time_axis(&panel, span_usec);
        for (size_t i = 0; i < n; i++)
                panel_series(&panel, outcomes[i].stats.waiting_series,
                             (double)span_of(&outcomes[i]) / (double)span_usec, colours[i], false);
}

static void used_panel(FILE *file, double top, const struct sim_outcome *outcomes, size_t n,
                       uint64_t span_usec) {
        struct panel panel = {.file = file, .top = top, .max = 1};

        panel_frame(&panel, "Sold, of what can be sold, over time: CPU, and memory (dashed)");
        panel_y_axis(&panel, true);
        panel_time_axis(&panel, span_usec);
        for (size_t i = 0; i < n; i++)
                for (size_t s = 0; s < 2; s++)
                        panel_series(&panel, outcomes[i].stats.used_series[s],
                                     (double)span_of(&outcomes[i]) / (double)span_usec, colours[i],
                                     s == 1);
}

static double legend(FILE *file, const struct sim_outcome *outcomes, size_t n) {
        char name[64];

        fprintf(file,
                "<text x=\"%d\" y=\"26\" font-size=\"16\" font-weight=\"bold\">%zu claims on "
                "%" PRIu64 " host%s</text>\n",
                LEFT, outcomes[0].setup.trace->n, outcomes[0].setup.hosts,
                outcomes[0].setup.hosts == 1 ? "" : "s");
        for (size_t i = 0; i < n; i++) {
                double x = LEFT + (double)(i % LEGEND_COLUMNS) * LEGEND_WIDTH;
                double y = 48 + (double)LEGEND_LINE * (unsigned)(i / LEGEND_COLUMNS);

                fprintf(file,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" fill=\"%s\"/>\n", x,
                        y - 6, colours[i]);
                text(file, x + 20, y, "start", sim_outcome_name(&outcomes[i], name, sizeof(name)));
        }
        return 48 + (double)LEGEND_LINE * (unsigned)((n - 1) / LEGEND_COLUMNS);
}

void sim_svg_print(FILE *file, const struct sim_outcome *outcomes, size_t n) {
        size_t n_lines = (n + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS;
        double height = 30 + LEGEND_LINE * (double)n_lines + 3 * (PANEL_HEIGHT + PANEL_GAP);
        uint64_t span_usec = 1;
        double top;

        assert(n > 0 && n <= SIM_SVG_MAX);
        for (size_t i = 0; i < n; i++)
                span_usec = max_u64(span_usec, span_of(&outcomes[i]));
        fprintf(file,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                "viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                WIDTH, height, WIDTH, height);
        top = legend(file, outcomes, n) + 36;
        waits_panel(file, top, outcomes, n);
        waiting_panel(file, top + PANEL_HEIGHT + PANEL_GAP, outcomes, n, span_usec);
        used_panel(file, top + 2 * (PANEL_HEIGHT + PANEL_GAP), outcomes, n, span_usec);
        fputs("</svg>\n", file);
}

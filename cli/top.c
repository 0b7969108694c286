/* SPDX-License-Identifier: MIT */
/*
 * provium top: a screen that shows at any time what is sold, what is used, who waits and why, and
 * what just happened.
 *
 * What is known of the host (top_model), what is to be seen of it (top_ui) and how a frame looks
 * (top_view) know nothing of terminals and sockets; here they meet the broker (top_link) and the
 * person (top_screen), in one loop that waits for both. However it ends, but for SIGKILL, the
 * terminal is as it was before.
 */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/human.h>
#include <cli/interrupt.h>
#include <cli/table.h>
#include <cli/top_link.h>
#include <cli/top_options.h>
#include <cli/top_screen.h>
#include <cli/top_view.h>

#define MESSAGE_USEC UINT64_C(6000000)    /* how long a message is shown */
#define ONCE_APART_USEC UINT64_C(1200000) /* the broker looks once a second for all who ask */
#define ONCE_MAX_USEC UINT64_C(20000000)
#define WIDTH_DEFAULT 80

struct top {
        struct cli *cli;
        struct top_model model;
        struct top_ui ui;
        struct top_link link;
        struct top_screen screen;
        struct interrupt interrupt;
        struct users users;
        char host[HUMAN_TEXT_MAX];
        bool utf8;
        struct top_options options;
};

/* ---- a frame ---- */

static void start(struct top *top) {
        char name[256] = "";

        setlocale(LC_CTYPE, "");
        top->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        (void)gethostname(name, sizeof(name) - 1);
        name[strcspn(name, ".")] = '\0';
        snprintf(top->host, sizeof(top->host), "%s", name);
        human_safe(name, top->host);
}

/* "2026-11-21 23:55:01", or the time alone. */
static const char *clock_text(bool date, char *buffer, size_t size) {
        time_t now = time(NULL);
        struct tm tm;

        if (!localtime_r(&now, &tm) ||
            strftime(buffer, size, date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm) == 0)
                return "";
        return buffer;
}

static int draw(struct top *top, struct grid *grid, uint64_t now) {
        char clock[64], notice[128];
        struct top_frame frame = {
                .host = top->host,
                .time = clock_text(top->options.once, clock, sizeof(clock)),
                .notice = top_link_notice(&top->link, now, notice, sizeof(notice)),
                .message = now < top->link.message_usec + MESSAGE_USEC && *top->link.message
                                   ? top->link.message
                                   : NULL,
                .details = top->link.text,
                .printed = top->options.once,
                .partial = geteuid() != 0,
                .users = &top->users,
        };
        int r;

        r = top_ui_arrange(&top->ui, &top->model);
        if (r == 0)
                top_view_draw(grid, &top->ui, &top->model, &frame);
        return r;
}

/* ---- printed once ---- */

static int wait_for(struct top *top, uint64_t until_usec) {
        struct pollfd pollfds[1 + TOP_POLLS_MAX] = {{top->interrupt.fd, POLLIN, 0}};
        size_t n = 1 + top_link_poll(&top->link, pollfds + 1);
        uint64_t now = cli_now_usec();
        bool changed = false;
        int timeout = now < until_usec ? (int)((until_usec - now) / 1000 + 1) : 0;

        (void)poll(pollfds, (nfds_t)n, timeout);
        return top_link_step(&top->link, cli_now_usec(), &changed);
}

static int gone(struct top *top) {
        return cli_fail(top->cli, STATUS_BROKER, "the broker left without an answer");
}

/* Waits for a round of questions, then until @until_usec. Returns the status. */
static int look(struct top *top, uint64_t until_usec) {
        uint64_t rounds = top->link.rounds, last = cli_now_usec() + ONCE_MAX_USEC;
        int r;

        r = top_link_ask(&top->link, cli_now_usec());
        if (r < 0)
                return cli_fault(top->cli, r);
        for (;;) {
                uint64_t now = cli_now_usec();
                bool done = top->link.rounds > rounds;

                if (interrupt_came(&top->interrupt))
                        return 128 + top->interrupt.signo;
                if (top->link.gone_usec)
                        return gone(top);
                if (done && now >= until_usec)
                        return STATUS_OK;
                if (now >= last)
                        return cli_fail(top->cli, STATUS_BROKER, "the broker does not answer");
                r = wait_for(top, done ? until_usec : last);
                if (r < 0)
                        return cli_fault(top->cli, r);
        }
}

static int print_width(const struct top *top) {
        const char *columns = getenv("COLUMNS");
        size_t terminal = table_terminal_width(top->cli->out);
        uint64_t width = top->options.width;

        if (width == 0)
                width = terminal;
        if (width == 0 && (!columns || units_parse_count(columns, &width, NULL)))
                width = WIDTH_DEFAULT;
        return (int)max_u64(TOP_WIDTH_MIN, min_u64(width, GRID_COLUMNS_MAX));
}

static int print_frame(struct top *top) {
        struct grid grid = GRID_NULL;
        int r;

        r = top_ui_arrange(&top->ui, &top->model);
        if (r == 0)
                r = grid_init(&grid, top_view_rows(&top->ui, &top->model), print_width(top),
                              top->utf8);
        if (r == 0)
                r = draw(top, &grid, cli_now_usec());
        if (r == 0)
                grid_print(&grid, top->cli->out);
        grid_deinit(&grid);
        return r < 0 ? cli_fault(top->cli, r) : STATUS_OK;
}

static int run_once(struct top *top) {
        int status;

        status = look(top, cli_now_usec() + ONCE_APART_USEC);
        if (status == STATUS_OK)
                status = look(top, 0);
        return status == STATUS_OK ? print_frame(top) : status;
}

/* ---- on a screen ---- */

static int grant(struct top *top, enum top_wish wish, uint64_t now) {
        switch (wish) {
        case TOP_WISH_REFRESH:
                return top_link_ask(&top->link, now);
        case TOP_WISH_DETAILS:
                return top_link_ask_details(&top->link, top->ui.subject, true);
        case TOP_WISH_KILL:
                return top_link_kill(&top->link, top->ui.subject, top->ui.subject_name, now);
        case TOP_WISH_NONE:
        case TOP_WISH_QUIT:
        case TOP_WISH_REDRAW:
                break;
        }
        return 0;
}

/* All keys that were pressed. *quitp, *anewp: one of them asked for that. */
static int take_keys(struct top *top, bool *quitp, bool *anewp, bool *changedp) {
        int key;

        while (top_screen_key(&top->screen, &key) == 0) {
                enum top_wish wish;
                int r;

                /* A key means the VM that was there when it was pressed: selected by what is drawn.
                 */
                wish = top_ui_key(&top->ui, &top->model, key);
                r = grant(top, wish, cli_now_usec());
                if (r < 0)
                        return r;
                *quitp |= wish == TOP_WISH_QUIT;
                *anewp |= wish == TOP_WISH_REDRAW;
                *changedp = true;
                r = top_ui_arrange(&top->ui, &top->model);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int show(struct top *top, bool anew) {
        struct grid grid = GRID_NULL;
        int rows, columns, r;

        top_screen_size(&top->screen, &rows, &columns);
        r = grid_init(&grid, rows, columns, top->utf8);
        if (r == 0)
                r = draw(top, &grid, cli_now_usec());
        if (r == 0)
                top_screen_show(&top->screen, &grid, anew);
        grid_deinit(&grid);
        return r;
}

enum { POLL_KEYS, POLL_INTERRUPT, POLL_RESIZE, _POLL_N };

/* One turn; *nextp: when it is time to look again. 0 to go on, 1 at the end. */
static int turn(struct top *top, uint64_t *nextp) {
        struct pollfd pollfds[_POLL_N + TOP_POLLS_MAX] = {
                [POLL_KEYS] = {STDIN_FILENO, POLLIN, 0},
                [POLL_INTERRUPT] = {top->interrupt.fd, POLLIN, 0},
                [POLL_RESIZE] = {top->screen.resize_fd, POLLIN, 0},
        };
        size_t n = _POLL_N + top_link_poll(&top->link, pollfds + _POLL_N);
        bool changed = false, quit = false, anew = false;
        uint64_t now = cli_now_usec();
        int r = 0;

        (void)poll(pollfds, (nfds_t)n, *nextp > now ? (int)((*nextp - now) / 1000 + 1) : 0);
        if (interrupt_came(&top->interrupt) || (pollfds[POLL_KEYS].revents & (POLLHUP | POLLERR)))
                return 1;
        if (pollfds[POLL_RESIZE].revents) {
                top_screen_resize(&top->screen);
                changed = anew = true;
        }
        r = take_keys(top, &quit, &anew, &changed);
        if (r == 0)
                r = top_link_step(&top->link, cli_now_usec(), &changed);
        now = cli_now_usec();
        if (top->link.gone_usec)
                *nextp = min_u64(*nextp, top->link.retry_usec);
        if (r == 0 && now >= *nextp) {
                *nextp = now + top->ui.delay_usec;
                changed = true;
                if (!top->ui.paused || top->link.gone_usec)
                        r = top_link_ask(&top->link, now);
                if (r == 0 && top->ui.mode == TOP_MODE_DETAILS && !top->ui.paused)
                        r = top_link_ask_details(&top->link, top->ui.subject, false);
        }
        if (r == 0 && changed && !quit)
                r = show(top, anew);
        return r < 0 ? r : quit;
}

static int run_screen(struct top *top) {
        struct why why = {};
        uint64_t next = 0;
        int r;

        r = top_screen_open(&top->screen, top->cli->out, &why);
        if (r > 0)
                return cli_fail(top->cli, STATUS_USAGE, "%s", why.text);
        while (r == 0)
                r = turn(top, &next);
        top_screen_close(&top->screen);
        if (r < 0)
                return cli_fault(top->cli, r);
        return top->interrupt.signo && top->interrupt.signo != SIGINT ? 128 + top->interrupt.signo
                                                                      : STATUS_OK;
}

/* Nobody there at the start is told as by every other command. */
static int run_connected(struct top *top) {
        int r;

        r = top_link_ask(&top->link, cli_now_usec());
        if (r < 0)
                return cli_fault(top->cli, r);
        if (top->link.gone_usec)
                return cli_disconnected(top->cli, CLIENT_E_NO_BROKER, &top->link.why);
        return top->options.once ? run_once(top) : run_screen(top);
}

static int run(struct top *top) {
        int r;

        if (!top->options.once && (!isatty(fileno(top->cli->out)) || !isatty(STDIN_FILENO)))
                return cli_misused(top->cli, "this is no terminal; --once prints a frame");
        r = interrupt_init(&top->interrupt);
        if (r < 0)
                return cli_fault(top->cli, r);
        start(top);
        top_model_init(&top->model);
        top_link_init(&top->link, top->cli->socket, &top->model);
        r = run_connected(top);
        top_link_deinit(&top->link);
        top_model_deinit(&top->model);
        interrupt_deinit(&top->interrupt);
        return r;
}

int command_top(struct cli *cli, struct words *words) {
        struct top top = {
                .cli = cli,
                .ui = TOP_UI_NULL,
                .screen = TOP_SCREEN_NULL,
                .interrupt = INTERRUPT_NULL,
        };
        int status;

        if (top_parse_options(cli, words, &top.options, &top.ui) < 0)
                return words->status;
        status = run(&top);
        top_ui_deinit(&top.ui);
        users_deinit(&top.users);
        return status;
}

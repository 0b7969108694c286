/* SPDX-License-Identifier: MIT */
#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <cli/top_screen.h>
#include <cli/top_ui.h>

#define ESCAPE_MSEC 50 /* within which the rest of a key that begins with it has come */

static int cannot_draw(struct why *why) {
        char safe[64];

        return why_set(why, TOP_SCREEN_E_TERMINAL,
                       "this terminal (TERM=%s) cannot be drawn on; 'provium top --once' prints a "
                       "frame",
                       text_escape(getenv("TERM") ?: "", safe, sizeof(safe)));
}

/* From now on a change of the size is something to read, and interrupts nothing. */
static int open_resize(struct top_screen *screen) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        screen->resize_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (screen->resize_fd < 0)
                return fault(-errno);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return 0;
}

static void open_colours(struct top_screen *screen) {
        const char *no_color = getenv("NO_COLOR");

        if ((no_color && *no_color) || !has_colors() || start_color() == ERR)
                return;
        use_default_colors();
        init_pair(GRID_USED, COLOR_GREEN, -1);
        init_pair(GRID_GUARANTEED, COLOR_CYAN, -1);
        init_pair(GRID_SOLD, COLOR_BLUE, -1);
        init_pair(GRID_WARNING, COLOR_RED, -1);
        screen->colours = true;
}

/* What it has not got is NULL, what is no such name -1. */
static bool can(const char *capability) {
        const char *text = tigetstr(capability);

        return text && text != (const char *)-1;
}

int top_screen_open(struct top_screen *screen, FILE *out, struct why *why) {
        const char *term = getenv("TERM");
        int r;

        if (!term || !*term)
                return cannot_draw(why);
        r = open_resize(screen);
        if (r < 0)
                return r;
        screen->terminal = newterm(NULL, out, stdin);
        if (!screen->terminal || !can("cup") || !can("clear")) {
                top_screen_close(screen);
                return cannot_draw(why);
        }
        set_escdelay(ESCAPE_MSEC);
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        curs_set(0);
        open_colours(screen);
        return 0;
}

void top_screen_close(struct top_screen *screen) {
        sigset_t set;

        if (screen->terminal) {
                endwin();
                delscreen(screen->terminal);
                screen->terminal = NULL;
        }
        if (screen->resize_fd >= 0) {
                screen->resize_fd = fd_close(screen->resize_fd);
                sigemptyset(&set);
                sigaddset(&set, SIGWINCH);
                sigprocmask(SIG_UNBLOCK, &set, NULL);
        }
}

void top_screen_size(const struct top_screen *screen, int *rowsp, int *columnsp) {
        *rowsp = LINES;
        *columnsp = COLS;
}

void top_screen_resize(struct top_screen *screen) {
        struct signalfd_siginfo info;
        struct winsize size = {};

        while (read(screen->resize_fd, &info, sizeof(info)) == sizeof(info))
                ;
        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
                resizeterm(size.ws_row, size.ws_col);
}

static attr_t attributes(const struct top_screen *screen, enum grid_style style) {
        switch (style) {
        case GRID_PLAIN:
        case _GRID_STYLE_N:
                return A_NORMAL;
        case GRID_BOLD:
                return A_BOLD;
        case GRID_REVERSE:
                return A_REVERSE;
        case GRID_USED:
        case GRID_GUARANTEED:
        case GRID_SOLD:
                return A_NORMAL;
        case GRID_WARNING:
                return A_BOLD;
        }
        return A_NORMAL;
}

static void show_cell(const struct top_screen *screen, int row, int column,
                      const struct grid_cell *cell) {
        wchar_t text[2] = {(wchar_t)cell->character, L'\0'};
        bool coloured = screen->colours && cell->style >= GRID_USED;
        cchar_t character;

        if (setcchar(&character, text, attributes(screen, cell->style),
                     coloured ? (short)cell->style : 0, NULL) == OK)
                (void)mvadd_wch(row, column, &character);
}

void top_screen_show(struct top_screen *screen, const struct grid *grid, bool anew) {
        erase();
        for (int row = 0; row < grid->rows; row++)
                for (int column = 0; column < grid->columns; column++) {
                        const struct grid_cell *cell =
                                &grid->cells[(size_t)row * (size_t)grid->columns + (size_t)column];

                        if (cell->character && (cell->character != ' ' || cell->style))
                                show_cell(screen, row, column, cell);
                }
        if (anew)
                clearok(curscr, TRUE);
        refresh();
}

int top_screen_key(struct top_screen *screen, int *keyp) {
        static const struct {
                int curses, key;
        } rows[] = {
                {KEY_UP, TOP_KEY_UP},
                {KEY_DOWN, TOP_KEY_DOWN},
                {KEY_PPAGE, TOP_KEY_PAGE_UP},
                {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
                {KEY_HOME, TOP_KEY_HOME},
                {KEY_END, TOP_KEY_END},
                {KEY_ENTER, TOP_KEY_ENTER},
                {'\r', TOP_KEY_ENTER},
                {'\n', TOP_KEY_ENTER},
                {0x1b, TOP_KEY_ESCAPE},
                {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
                {0x7f, TOP_KEY_BACKSPACE},
                {'\b', TOP_KEY_BACKSPACE},
        };
        int c = getch();

        if (c == ERR)
                return TOP_SCREEN_E_NO_KEY;
        *keyp = c >= KEY_MIN ? 0 : c;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].curses == c)
                        *keyp = rows[i].key;
        return 0;
}

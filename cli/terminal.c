/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/text.h>
#include <base/why.h>
#include <cli/terminal.h>

void terminal_init(struct terminal *terminal, int fd) {
        *terminal = (struct terminal){.fd = isatty(fd) ? fd : -1};
}

void terminal_make_raw(struct terminal *terminal) {
        struct termios raw;

        if (terminal->fd < 0)
                return;
        if (!terminal->raw && tcgetattr(terminal->fd, &terminal->saved) < 0)
                return;
        raw = terminal->saved;
        cfmakeraw(&raw);
        terminal->raw = tcsetattr(terminal->fd, TCSADRAIN, &raw) == 0;
}

void terminal_restore(struct terminal *terminal) {
        if (!terminal->raw)
                return;
        terminal->raw = false;
        (void)tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved);
}

/* What '@' to '_' are with Ctrl. */
static bool has_control(char c) {
        return (c >= '@' && c <= '_') || (c >= 'a' && c <= 'z');
}

int terminal_parse_key(const char *text, int *keyp, struct why *why) {
        size_t length = strlen(text);
        char quoted[32];

        if (strcmp(text, "none") == 0)
                *keyp = TERMINAL_NO_KEY;
        else if (length == 2 && text[0] == '^' && has_control(text[1]))
                *keyp = text[1] & 0x1f;
        else if (length == 1 && text[0] > 0)
                *keyp = (unsigned char)text[0];
        else
                return why_set(why, TERMINAL_E_KEY,
                               "'%s' is no key; give ^ and a letter (^a) or one of @[\\]^_, a "
                               "single character, or none",
                               text_escape(text, quoted, sizeof(quoted)));
        return 0;
}

const char *terminal_format_key(int key, char text[8]) {
        if (key > 0x1f && key < 0x7f)
                snprintf(text, 8, "%c", key);
        else if (key == 0x7f)
                snprintf(text, 8, "Delete");
        else
                snprintf(text, 8, "Ctrl-%c", (key & 0x1f) | '@');
        return text;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include <cli/lines.h>

#define READ_SIZE 65536

void lines_init(struct lines *lines, int fd, size_t max) {
        *lines = (struct lines){.fd = fd, .max = max};
}

void lines_deinit(struct lines *lines) {
        free(lines->text);
        lines_init(lines, -1, lines->max);
}

const char *lines_next(struct lines *lines) {
        char *line, *end;

        if (!lines->text)
                return NULL;
        line = lines->text + lines->start;
        end = memchr(lines->text + lines->scanned, '\n', lines->used - lines->scanned);
        lines->scanned = lines->used;
        if (!end && lines->ended && lines->start < lines->used)
                end = lines->text + lines->used++; /* there is room: see lines_fill() */
        if (!end)
                return NULL;
        *end = '\0';
        if (end > line && end[-1] == '\r')
                end[-1] = '\0';
        lines->start = lines->scanned = (size_t)(end + 1 - lines->text);
        return line;
}

/* Room for a part of a line and, behind it, one byte to end it with. */
static int make_room(struct lines *lines) {
        char *text;

        if (lines->start > 0) {
                lines->used -= lines->start;
                lines->scanned -= lines->start;
                memmove(lines->text, lines->text + lines->start, lines->used);
                lines->start = 0;
        }
        if (lines->size - lines->used > READ_SIZE)
                return 0;
        text = realloc(lines->text, lines->used + 2 * READ_SIZE);
        if (!text)
                return fault(-ENOMEM);
        lines->text = text;
        lines->size = lines->used + 2 * READ_SIZE;
        return 0;
}

int lines_fill(struct lines *lines) {
        ssize_t n;
        int r;

        if (lines->ended)
                return LINES_E_END;
        if (lines->used - lines->start >= lines->max)
                return LINES_E_TOO_BIG;
        r = make_room(lines);
        if (r)
                return r;
        n = read(lines->fd, lines->text + lines->used, READ_SIZE);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : LINES_E_READ;
        lines->used += (size_t)n;
        lines->ended = n == 0;
        return lines->ended ? LINES_E_END : 0;
}

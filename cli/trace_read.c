/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include <base/why.h>
#include <cli/frame.h>
#include <cli/lines.h>
#include <cli/trace_csv.h>
#include <cli/trace_events.h>
#include <cli/trace_read.h>

#define PROGRESS_ROWS 65536

/* What reads one line, whatever the form. */
struct reader {
        struct trace *trace;
        struct trace_csv csv;
        struct trace_events events;
        enum { FORM_UNKNOWN, FORM_CSV, FORM_EVENTS } form;
        uint32_t line;
};

/* @cut: the text ends without a newline. */
static int read_line(struct reader *reader, const char *text, bool cut, struct why *why) {
        if (reader->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
                text += 3; /* a byte order mark */
        if (!text[strspn(text, " \t")] || *text == '#')
                return 0;
        if (reader->form == FORM_UNKNOWN)
                reader->form = text[strspn(text, " \t")] == '{' ? FORM_EVENTS : FORM_CSV;
        if (reader->form == FORM_EVENTS)
                return trace_events_line(&reader->events, reader->trace, text, cut, reader->line,
                                         why);
        return trace_csv_line(&reader->csv, reader->trace, text, reader->line, why);
}

/* All lines that are there. */
static int read_lines(struct reader *reader, struct lines *lines, struct why *why) {
        const char *text;

        while ((text = lines_next(lines))) {
                size_t length = (size_t)(lines->text + lines->start - text);
                struct why line_why = {};
                int r;

                if (reader->line == UINT32_MAX)
                        return why_set(why, TRACE_E_INVALID, " there are too many lines");
                reader->line++;
                /* A NUL in it would hide the rest. At the end there are one or two: lines_next()
                 * put them in the place of CR and newline. */
                if (strlen(text) + 2 < length)
                        r = why_set(&line_why, TRACE_E_INVALID, "there is a NUL in this line");
                else
                        r = read_line(reader, text, lines->ended, &line_why);
                if (r > 0)
                        return why_set(why, TRACE_E_INVALID, "%" PRIu32 ": %s", reader->line,
                                       line_why.text);
                if (r)
                        return r;
        }
        return 0;
}

/* The events of all frames that are there. */
static int read_frames(struct reader *reader, struct lines *lines, struct why *why) {
        size_t length;
        int r;

        while ((r = frame_length(lines->text + lines->start, lines->used - lines->start,
                                 &length)) == 0) {
                json_t *event = NULL;
                struct why frame_why = {};

                if (reader->line == UINT32_MAX)
                        return why_set(why, TRACE_E_INVALID, " there are too many frames");
                reader->line++;
                r = frame_unpack(lines->text + lines->start, length, &event, &frame_why);
                if (!r)
                        r = trace_events_take(&reader->events, reader->trace, event, reader->line,
                                              &frame_why);
                json_decref(event);
                if (r)
                        return r < 0 ? r
                                     : why_set(why, TRACE_E_INVALID, " frame %" PRIu32 ": %s",
                                               reader->line, frame_why.text);
                lines->start += length;
        }
        if (r == FRAME_E_INVALID)
                return why_set(why, TRACE_E_INVALID, " behind frame %" PRIu32 " there is no event",
                               reader->line);
        return 0;
}

/* The first part is in @lines, of which only the buffer is used here. */
static int read_all_frames(struct reader *reader, struct lines *lines, struct why *why) {
        reader->form = FORM_EVENTS;
        for (;;) {
                int r, filled;

                r = read_frames(reader, lines, why);
                if (r)
                        return r;
                lines->scanned = lines->start;
                filled = lines_fill(lines);
                if (filled == LINES_E_READ)
                        return why_errno(why, TRACE_E_READ, errno, " cannot be read");
                if (filled == LINES_E_END) {
                        reader->trace->n_cut = lines->used - lines->start;
                        return 0;
                }
                if (filled < 0)
                        return filled;
                assert(!filled); /* a frame fits into what a line may have */
        }
}

static int read_all(struct reader *reader, struct lines *lines,
                    void (*progress)(void *userdata, uint64_t rows), void *userdata,
                    struct why *why) {
        uint64_t told = 0;

        for (;;) {
                int filled = lines_fill(lines), r;

                if (filled < 0)
                        return filled;
                if (filled == LINES_E_READ)
                        return why_errno(why, TRACE_E_READ, errno, "cannot be read");
                if (reader->line == 0 && lines->used > 0 &&
                    frame_begins((unsigned char)lines->text[0]))
                        return read_all_frames(reader, lines, why);
                if (filled == LINES_E_TOO_BIG)
                        return why_set(why, TRACE_E_INVALID,
                                       "%" PRIu32 ": the line is longer than %d bytes",
                                       reader->line + 1, TRACE_LINE_MAX);
                r = read_lines(reader, lines, why);
                if (r || filled == LINES_E_END)
                        return r;
                if (progress && reader->trace->n - told >= PROGRESS_ROWS) {
                        told = reader->trace->n;
                        progress(userdata, told);
                }
        }
}

int trace_read(struct trace *trace, int fd, void (*progress)(void *userdata, uint64_t rows),
               void *userdata, struct why *why) {
        struct reader reader = {.trace = trace};
        struct lines lines;
        uint32_t place;
        int r;

        *trace = (struct trace){};
        lines_init(&lines, fd, TRACE_LINE_MAX);
        r = names_find(&trace->users, "", "users", TRACE_USERS_MAX, &place, why);
        if (!r)
                r = names_find(&trace->slices, "", "slices", TRACE_SLICES_MAX, &place, why);
        if (!r)
                r = read_all(&reader, &lines, progress, userdata, why);
        if (!r && reader.form == FORM_UNKNOWN)
                r = why_set(why, TRACE_E_INVALID,
                            "it is empty; the first line names the columns: " TRACE_CSV_COLUMNS);
        if (!r && reader.form == FORM_EVENTS)
                r = trace_events_end(&reader.events, trace, why);
        if (!r)
                trace_sort(trace);
        trace_csv_deinit(&reader.csv);
        trace_events_deinit(&reader.events);
        lines_deinit(&lines);
        return r;
}

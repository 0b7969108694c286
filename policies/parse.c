/* SPDX-License-Identifier: MIT */

/*
 * The one home of inih. It takes lines apart; we feed it line by line, and that is where the
 * strictness is, because inih is built for configuration that means well:
 *
 *   - it cuts a line at its buffer (200 bytes in most builds) and passes the half on as a value:
 *     a longer line is refused before it gets there;
 *   - it takes an indented line as one more value of the key above: blanks before a line are
 * removed;
 *   - it ends at a NUL: a file that holds one is refused as a whole;
 *   - it calls nobody for a section without keys, nor for a line that is neither: sections are
 *     judged as they pass, and a line that owes us a call and makes none is an error;
 *   - it does not tell line numbers unless built so: the reader counts.
 *
 * Accepted: a byte order mark, CR LF, blanks around sections, keys and values, comments ('#' or ';'
 * at the beginning of a line, or '; ' after a blank), a section that appears again (it goes on),
 * and a key that does (the later one wins).
 */

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include <policies/errors.h>
#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/value.h>

#include <base/text.h>
#include <base/why.h>

enum section_state {
        SECTION_NONE,    /* before the first one */
        SECTION_KNOWN,   /* inih knows which */
        SECTION_UNKNOWN, /* told once; its keys are passed over */
};

struct parser {
        struct unit *unit;
        const char *path;
        const char *text; /* what is left */
        size_t length;
        unsigned line;
        enum section_state section;
        bool owed; /* the line handed out last holds a key, so the handler must be called */
        int fault;
};

static void complain(struct parser *parser, const char *sentence) {
        errors_add(parser->unit->errors, parser->path, parser->line, NULL, NULL, "%s", sentence);
}

static void settle(struct parser *parser) {
        if (!parser->owed)
                return;
        parser->owed = false;
        if (parser->section != SECTION_UNKNOWN)
                complain(parser, "this is no Key=value, no [Section] and no comment");
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* A line that begins a section. Returns whether inih shall see it. */
static bool begin_section(struct parser *parser, const char *line, size_t length) {
        const enum policy_file file = parser->unit->file;
        char name[POLICY_LINE_MAX + 1], quoted[64], sections[128];
        const char *end = memchr(line, ']', length);
        const char *nearest, *rest;

        parser->section = SECTION_UNKNOWN;
        if (!end) {
                complain(parser, "a section begins with '[' and ends with ']'");
                return false;
        }
        for (rest = end + 1; rest < line + length && is_blank(*rest); rest++)
                continue;
        if (rest < line + length && *rest != ';') {
                complain(parser, "nothing may stand behind the ']' of a section");
                return false;
        }
        memcpy(name, line + 1, (size_t)(end - line) - 1);
        name[end - line - 1] = '\0';
        if (keys_has_section(file, name)) {
                parser->section = SECTION_KNOWN;
                return true;
        }
        nearest = keys_nearest_section(file, name);
        errors_add(parser->unit->errors, parser->path, parser->line, NULL, NULL,
                   "there is no section [%s]%s%s%s; valid are %s",
                   text_escape(name, quoted, sizeof(quoted)), nearest ? " (do you mean [" : "",
                   nearest ?: "", nearest ? "]?)" : "",
                   keys_list_sections(file, sections, sizeof(sections)));
        return false;
}

/* The next line without its blanks and its end; false after the last one. */
static bool next_line(struct parser *parser, const char **linep, size_t *lengthp) {
        const char *end;
        size_t length;

        if (parser->length == 0)
                return false;
        end = memchr(parser->text, '\n', parser->length);
        length = end ? (size_t)(end - parser->text) : parser->length;
        *linep = parser->text;
        *lengthp = length;
        parser->text += end ? length + 1 : length;
        parser->length -= end ? length + 1 : length;
        parser->line++;
        while (*lengthp > 0 && is_blank(**linep)) {
                (*linep)++;
                (*lengthp)--;
        }
        while (*lengthp > 0 && is_blank((*linep)[*lengthp - 1]))
                (*lengthp)--;
        return true;
}

/* What inih calls instead of fgets(3). Every line of the file comes as one line, if as an empty
 * one. */
static char *read_line(char *buffer, int size, void *stream) {
        struct parser *parser = stream;
        const char *line;
        size_t length;
        bool pass;

        settle(parser);
        if (parser->fault || !next_line(parser, &line, &length))
                return NULL;

        pass = length > 0 && line[0] != '#' && line[0] != ';';
        if (pass && (length > POLICY_LINE_MAX || length + 2 > (size_t)size)) {
                errors_add(parser->unit->errors, parser->path, parser->line, NULL, NULL,
                           "the line is longer than %d bytes; a long list may go on several lines, "
                           "each an assignment of its own",
                           POLICY_LINE_MAX);
                pass = false;
        }
        if (pass && line[0] == '[')
                pass = begin_section(parser, line, length);
        else
                parser->owed = pass;
        snprintf(buffer, (size_t)size, "%.*s\n", pass ? (int)length : 0, line);
        return buffer;
}

static void complain_key(struct parser *parser, const char *section, const char *name) {
        const enum policy_file file = parser->unit->file;
        const struct key *nearest = keys_nearest(file, section, name);

        if (!nearest)
                errors_add(parser->unit->errors, parser->path, parser->line, section, name,
                           "there is no such key; provium.conf(5) lists them");
        else if (strcmp(nearest->section, section) != 0)
                errors_add(parser->unit->errors, parser->path, parser->line, section, name,
                           "there is no such key here; it belongs to [%s]", nearest->section);
        else
                errors_add(parser->unit->errors, parser->path, parser->line, section, name,
                           "there is no such key; do you mean %s=?", nearest->name);
}

static int assign(void *user, const char *section, const char *name, const char *value) {
        struct parser *parser = user;
        struct unit *unit = parser->unit;
        const struct key *key;
        struct why why = {};
        int r;

        parser->owed = false;
        if (parser->section == SECTION_UNKNOWN)
                return 1;
        if (parser->section == SECTION_NONE) {
                errors_add(unit->errors, parser->path, parser->line, NULL, name,
                           "the key stands before the first [Section]");
                return 1;
        }
        key = keys_find(unit->file, section, name);
        if (!key) {
                complain_key(parser, section, name);
                return 1;
        }
        r = value_parse(key, value, unit->object, &why);
        if (r < 0) {
                parser->fault = r;
                return 0;
        }
        if (r > 0) {
                errors_add(unit->errors, parser->path, parser->line, section, name, "%s", why.text);
                return 1;
        }
        unit->places[key - policy_keys].path = parser->path;
        unit->places[key - policy_keys].line = parser->line;
        return 1;
}

static unsigned line_of(const char *text, const char *at) {
        unsigned line = 1;

        for (; text < at; text++)
                line += *text == '\n';
        return line;
}

int parse_text(struct unit *unit, const char *path, const char *text, size_t length) {
        struct parser parser = {.unit = unit, .path = path, .text = text, .length = length};
        const char *nul = memchr(text, '\0', length);
        int r;

        if (nul) {
                parser.line = line_of(text, nul);
                complain(&parser, "the file holds a NUL byte and is no text");
                return 0;
        }
        if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                parser.text += 3;
                parser.length -= 3;
        }
        r = ini_parse_stream(read_line, &parser, assign, &parser);
        if (r == -2)
                return fault(-ENOMEM);
        return parser.fault;
}

const struct key *unit_find(const struct unit *unit, size_t offset, struct place *placep) {
        for (size_t i = 0; i < KEYS_N; i++) {
                if (policy_keys[i].file == unit->file && policy_keys[i].offset == offset) {
                        *placep = unit->places[i];
                        return &policy_keys[i];
                }
        }
        return NULL;
}

/* SPDX-License-Identifier: MIT */

/*
 * A text from outside is copied in atoms: one printable character, or one escaped byte. An atom is
 * never cut, so that what is shown is always valid UTF-8 and every \xNN is complete. Beside ASCII
 * controls, the characters that move the cursor or turn the direction of writing are escaped too:
 * a name must not be able to repaint the line of a log that tells about it.
 */

#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>

#define QUOTE_MAX 96

static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_name(const char *name) {
        if (!is_alnum(name[0]) || strlen(name) > TEXT_NAME_MAX || strstr(name, ".."))
                return false;
        for (const char *c = name; *c; c++)
                if (!is_alnum(*c) && *c != '.' && *c != '_' && *c != '-')
                        return false;
        return true;
}

int text_check_name(const char *what, const char *name, struct why *why) {
        char quoted[QUOTE_MAX];

        if (is_name(name))
                return 0;
        return why_set(why, TEXT_E_NAME,
                       "\"%s\" is not a valid %s: give 1 to %d letters, digits, '.', '_' or '-', "
                       "the first a letter or digit, without \"..\"",
                       text_escape(name, quoted, sizeof(quoted)), what, TEXT_NAME_MAX);
}

static bool is_slice(const char *name) {
        char part[TEXT_NAME_MAX + 1];

        if (strlen(name) > TEXT_NAME_MAX)
                return false;
        for (unsigned depth = 0; depth < TEXT_SLICE_DEPTH_MAX; depth++) {
                size_t length = strcspn(name, "/");

                memcpy(part, name, length);
                part[length] = '\0';
                if (!is_name(part))
                        return false;
                if (name[length] == '\0')
                        return true;
                name += length + 1;
        }
        return false;
}

int text_check_slice(const char *what, const char *name, struct why *why) {
        char quoted[QUOTE_MAX];

        if (is_slice(name))
                return 0;
        return why_set(
                why, TEXT_E_NAME,
                "\"%s\" is not a valid %s: give letters, digits, '.', '_' or '-', the first "
                "a letter or digit, without \"..\"; or up to %d such names separated by '/'; "
                "at most %d bytes in all",
                text_escape(name, quoted, sizeof(quoted)), what, TEXT_SLICE_DEPTH_MAX,
                TEXT_NAME_MAX);
}

bool text_slice_parent(const char *name, char *buffer) {
        const char *slash = strrchr(name, '/');

        if (!slash)
                return false;
        memcpy(buffer, name, (size_t)(slash - name));
        buffer[slash - name] = '\0';
        return true;
}

const char *text_slice_leaf(const char *name) {
        const char *slash = strrchr(name, '/');

        return slash ? slash + 1 : name;
}

static bool is_interface(const char *text) {
        if (!*text || strlen(text) > TEXT_INTERFACE_MAX || strcmp(text, ".") == 0 ||
            strcmp(text, "..") == 0)
                return false;
        for (const char *c = text; *c; c++)
                if (*c <= ' ' || *c > '~' || strchr("/:,%", *c))
                        return false;
        return true;
}

int text_check_interface(const char *what, const char *text, struct why *why) {
        char quoted[QUOTE_MAX];

        if (is_interface(text))
                return 0;
        return why_set(why, TEXT_E_NAME,
                       "\"%s\" is not a valid %s: give 1 to %d printable characters without "
                       "blanks, '/', ':', ',' and '%%', and neither \".\" nor \"..\"",
                       text_escape(text, quoted, sizeof(quoted)), what, TEXT_INTERFACE_MAX);
}

/* Characters that are valid, yet control a terminal or the direction of the text around them. */
static bool is_hazard(uint32_t c) {
        return (c >= 0x80 && c <= 0x9f) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
               (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
               (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe007f);
}

/* Length of the harmless UTF-8 character of two or more bytes at @text; 0 if there is none. */
static size_t utf8_length(const unsigned char *text) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t c;
        size_t n;

        if (text[0] >= 0xc2 && text[0] <= 0xdf)
                n = 2;
        else if (text[0] >= 0xe0 && text[0] <= 0xef)
                n = 3;
        else if (text[0] >= 0xf0 && text[0] <= 0xf4)
                n = 4;
        else
                return 0;

        c = text[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if ((text[i] & 0xc0) != 0x80) /* the NUL as well */
                        return 0;
                c = c << 6 | (text[i] & 0x3fU);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || is_hazard(c))
                return 0;
        return n;
}

/* Writes the first atom of @text into @atom; returns its length, and in *usedp what it took. */
static size_t next_atom(const unsigned char *text, char atom[8], size_t *usedp) {
        size_t n = utf8_length(text);

        if (n == 0 && text[0] >= 0x20 && text[0] < 0x7f && text[0] != '"' && text[0] != '\'' &&
            text[0] != '\\')
                n = 1;
        if (n > 0) {
                memcpy(atom, text, n);
                *usedp = n;
                return n;
        }
        *usedp = 1;
        return (size_t)snprintf(atom, 8, "\\x%02x", text[0]);
}

const char *text_escape(const char *text, char *buffer, size_t size) {
        const unsigned char *from = (const unsigned char *)text;
        size_t used = 0, fallback = 0; /* where "..." would still fit behind */

        assert(size >= 8);
        while (*from) {
                char atom[8];
                size_t taken, n = next_atom(from, atom, &taken);

                if (used + n + 1 > size) {
                        strcpy(buffer + fallback, "...");
                        return buffer;
                }
                memcpy(buffer + used, atom, n);
                used += n;
                from += taken;
                if (used + sizeof("...") <= size)
                        fallback = used;
        }
        buffer[used] = '\0';
        return buffer;
}

bool text_is_printable(const char *text) {
        const unsigned char *from = (const unsigned char *)text;

        while (*from) {
                size_t n = *from >= 0x20 && *from < 0x7f ? 1 : utf8_length(from);

                if (n == 0)
                        return false;
                from += n;
        }
        return true;
}

bool text_copy(char *buffer, size_t size, const char *text) {
        size_t length = strnlen(text, size);

        if (length == size)
                return false;
        memcpy(buffer, text, length + 1);
        return true;
}

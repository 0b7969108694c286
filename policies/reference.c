/* SPDX-License-Identifier: MIT */

/*
 * The reference of keys in man(7) source. Text from the table is escaped, so that a help may hold
 * any character: a backslash begins an escape, and a dot or an apostrophe at the beginning of a
 * line a request; a hyphen-minus is written so that it can be copied.
 */

#include <stdio.h>
#include <string.h>

#include <policies/keys.h>
#include <policies/policy.h>
#include <policies/value.h>

static void put_text(FILE *out, const char *text) {
        if (*text == '.' || *text == '\'')
                fputs("\\&", out);
        for (; *text; text++) {
                switch (*text) {
                case '\\':
                        fputs("\\e", out);
                        break;
                case '-':
                        fputs("\\-", out);
                        break;
                default:
                        fputc(*text, out);
                }
        }
}

static void put_key(FILE *out, const struct key *key) {
        fprintf(out, ".TP\n.BR %s= \" (%s%s%s%s%s", key->name, value_type_name(key->type),
                key->choices ? " " : "", key->choices ?: "",
                key->words & KEY_AUTO ? ", or auto" : "",
                key->words & KEY_INFINITY ? ", or infinity" : "");
        if (*key->fallback) {
                fputs("; default ", out);
                put_text(out, key->fallback);
        }
        fputs(")\"\n", out);
        put_text(out, key->help);
        fputc('\n', out);
}

static void put_file(FILE *out, enum policy_file file, const char *title) {
        const char *section = "";

        fprintf(out, ".SH %s\n", title);
        for (size_t i = 0; i < KEYS_N; i++) {
                const struct key *key = &policy_keys[i];

                if (key->file != file)
                        continue;
                if (strcmp(key->section, section) != 0)
                        fprintf(out, ".SS [%s]\n", key->section);
                section = key->section;
                put_key(out, key);
        }
}

char *policy_reference(void) {
        char *text = NULL;
        size_t length;
        FILE *out;
        bool bad;

        out = open_memstream(&text, &length);
        if (!out)
                return NULL;
        put_file(out, POLICY_FILE_BROKER, "KEYS OF BROKER.CONF");
        put_file(out, POLICY_FILE_SLICE, "KEYS OF A SLICE");
        bad = ferror(out);
        if (fclose(out) != 0 || bad) {
                free(text);
                return NULL;
        }
        return text;
}

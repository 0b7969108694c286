/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <policies/errors.h>
#include <policies/policy.h>

#include <base/text.h>

void errors_add(struct policy_errors *errors, const char *path, unsigned line, const char *section,
                const char *key, const char *format, ...) {
        struct policy_error *error;
        va_list args;

        if (errors->n == POLICY_ERRORS_MAX) {
                errors->n_more++;
                return;
        }
        error = &errors->list[errors->n++];
        text_escape(path, error->path, sizeof(error->path));
        error->line = line;
        text_escape(section ?: "", error->section, sizeof(error->section));
        text_escape(key ?: "", error->key, sizeof(error->key));
        va_start(args, format);
        vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
}

bool errors_any(const struct policy_errors *errors) {
        return errors->n > 0;
}

const char *policy_error_format(const struct policy_error *error, char *buffer, size_t size) {
        char line[16] = "", section[80] = "", key[80] = "";

        if (error->line > 0)
                snprintf(line, sizeof(line), "%u:", error->line);
        if (error->section[0])
                snprintf(section, sizeof(section), "[%s] ", error->section);
        if (error->key[0])
                snprintf(key, sizeof(key), "%s=: ", error->key);
        snprintf(buffer, size, "%s:%s %s%s%s", error->path, line, section, key, error->text);
        return buffer;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <base/file.h>
#include <base/text.h>
#include <base/why.h>
#include <broker/broker.h>
#include <broker/finding.h>

#define PATH_LENGTH_MAX 512

int finding_read(const char *dir, const char *name, char *buffer, size_t size) {
        char path[PATH_LENGTH_MAX];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return file_read_at(AT_FDCWD, path, buffer, size);
}

int finding_read_number(const char *dir, const char *name, uint64_t *valuep) {
        char path[PATH_LENGTH_MAX];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return file_read_u64_at(AT_FDCWD, path, valuep);
}

bool finding_device(const struct findings *findings, const char *name) {
        char path[PATH_LENGTH_MAX];

        snprintf(path, sizeof(path), "%s/%s", launcher_dev(findings->broker->launcher), name);
        return access(path, F_OK) == 0;
}

/* A name out of the kernel, such as that of a swap file, need not be UTF-8; JSON has to be. */
static const char *safe(const char *text, char *buffer, size_t size) {
        return text_is_printable(text) ? text : text_escape(text, buffer, size);
}

static void _printf_(4, 0) add(struct findings *findings, const char *verdict, const char *mend,
                               const char *format, va_list arguments) {
        char text[WHY_TEXT_MAX], safe_text[sizeof(text)], safe_mend[FINDING_MEND_MAX];

        vsnprintf(text, sizeof(text), format, arguments);
        json_array_append_new(findings->list,
                              json_pack("{s:s s:s s:s s:s}", "check", findings->check, "verdict",
                                        verdict, "text", safe(text, safe_text, sizeof(safe_text)),
                                        "mend", safe(mend, safe_mend, sizeof(safe_mend))));
}

void finding_ok(struct findings *findings, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        add(findings, "ok", "", format, arguments);
        va_end(arguments);
}

void finding_warning(struct findings *findings, const char *mend, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        add(findings, "warning", mend, format, arguments);
        va_end(arguments);
}

void finding_problem(struct findings *findings, const char *mend, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        add(findings, "problem", mend, format, arguments);
        va_end(arguments);
}

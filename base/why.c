/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>

int why_set(struct why *why, int code, const char *format, ...) {
        va_list args;

        if (!why)
                return code;

        why->code = code;
        why->errnum = 0;
        va_start(args, format);
        vsnprintf(why->text, sizeof(why->text), format, args);
        va_end(args);
        return code;
}

int why_errno(struct why *why, int code, int errnum, const char *format, ...) {
        va_list args;
        size_t used;

        if (!why)
                return code;

        why->code = code;
        why->errnum = errnum;
        va_start(args, format);
        vsnprintf(why->text, sizeof(why->text), format, args);
        va_end(args);
        used = strlen(why->text);
        snprintf(why->text + used, sizeof(why->text) - used, ": %s",
                 strerrordesc_np(errnum) ?: "?");
        return code;
}

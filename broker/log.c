/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker/log.h>

void log_line(enum log_level level, const char *format, ...) {
        char line[1200];
        va_list args;
        size_t used = 0;
        ssize_t n;

        /* The journal sets JOURNAL_STREAM; a person reads the line without the prefix. */
        if (getenv("JOURNAL_STREAM"))
                used = (size_t)snprintf(line, sizeof(line), "<%d>", level);
        else
                used = (size_t)snprintf(line, sizeof(line), "provium-broker: %s",
                                        level == LOG_LEVEL_ERROR     ? "error: "
                                        : level == LOG_LEVEL_WARNING ? "warning: "
                                                                     : "");
        va_start(args, format);
        vsnprintf(line + used, sizeof(line) - used - 1, format, args);
        va_end(args);
        used = strlen(line);
        line[used++] = '\n';
        /* One write a line. A log that cannot be written is nothing to stop for. */
        n = write(STDERR_FILENO, line, used);
        (void)n;
}

bool log_rate_pass(struct log_rate *rate, uint64_t now_usec) {
        if (now_usec - rate->since_usec >= LOG_RATE_USEC) {
                if (rate->suppressed > 0)
                        log_warning("%u more lines like the following were left out",
                                    rate->suppressed);
                *rate = (struct log_rate){.since_usec = now_usec};
        }
        if (rate->n >= LOG_RATE_BURST) {
                rate->suppressed++;
                return false;
        }
        rate->n++;
        return true;
}

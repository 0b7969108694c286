/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <broker/log.h>

/* One write a line. A log that cannot be written is nothing to stop for, and one that takes nothing
 * (the journal's socket, while journald is stuck) is nothing to wait for. */
static void write_line(const char *line, size_t length) {
        ssize_t n;

        n = send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
                n = write(STDERR_FILENO, line, length);
        (void)n;
}

void log_line(enum log_level level, const char *format, ...) {
        char line[1200];
        va_list args;
        size_t used = 0;

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
        write_line(line, used);
}

static bool pass(struct log_rate *rate, unsigned burst, uint64_t now_usec) {
        if (now_usec - rate->since_usec >= LOG_RATE_USEC) {
                if (rate->suppressed > 0)
                        log_warning("%u more lines like the following were left out",
                                    rate->suppressed);
                *rate = (struct log_rate){.since_usec = now_usec};
        }
        if (rate->n >= burst) {
                rate->suppressed++;
                return false;
        }
        rate->n++;
        return true;
}

bool log_rate_pass(struct log_rate *rate, uint64_t now_usec) {
        return pass(rate, LOG_RATE_BURST, now_usec);
}

bool log_rates_pass(struct log_rates *rates, uint32_t uid, uint64_t now_usec) {
        size_t at = 0;

        for (size_t i = 0; i < LOG_RATE_USERS; i++) {
                if (rates->users[i].rate.since_usec && rates->users[i].uid == uid) {
                        at = i;
                        break;
                }
                if (rates->users[i].rate.since_usec < rates->users[at].rate.since_usec)
                        at = i;
        }
        if (rates->users[at].uid != uid || !rates->users[at].rate.since_usec) {
                rates->users[at].uid = uid;
                rates->users[at].rate = (struct log_rate){.since_usec = now_usec};
        }
        return pass(&rates->users[at].rate, LOG_RATE_BURST, now_usec) &&
               pass(&rates->all, LOG_RATE_ALL, now_usec);
}

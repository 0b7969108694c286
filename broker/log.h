/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_LOG_H
#define PROVIUM_BROKER_LOG_H

/*
 * The broker's log: one line per event on stderr, with the priority prefix that the journal
 * understands when stderr goes there. Error: the operator must act. Warning: we went on, and the
 * text says how. Info: a lease was born or ended.
 */

#include <base/macro.h>

enum log_level {
        LOG_LEVEL_ERROR = 3,
        LOG_LEVEL_WARNING = 4,
        LOG_LEVEL_INFO = 6,
        LOG_LEVEL_DEBUG = 7
};

void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/*
 * Lines that a client can cause at will go through a limit: at most LOG_RATE_BURST in
 * LOG_RATE_USEC, what was left out is counted and told with the next line that passes.
 */
#define LOG_RATE_BURST 20
#define LOG_RATE_USEC UINT64_C(5000000)

struct log_rate {
        uint64_t since_usec;
        unsigned n, suppressed;
};

/* May another line pass at @now_usec? If so and lines were left out before, says how many. */
bool log_rate_pass(struct log_rate *rate, uint64_t now_usec);

/*
 * The same for each user, so that one who floods the log does not keep it from telling of another.
 * One person can be thousands of users (user namespaces), so there is a limit for all together as
 * well, and only LOG_RATE_USERS are remembered: of others the one whose turn began first gives way.
 */
#define LOG_RATE_USERS 32
#define LOG_RATE_ALL 200 /* lines in LOG_RATE_USEC */

struct log_rates {
        struct log_rate all;
        struct {
                uint32_t uid;
                struct log_rate rate; /* since_usec 0: free */
        } users[LOG_RATE_USERS];
};

bool log_rates_pass(struct log_rates *rates, uint32_t uid, uint64_t now_usec);

#endif

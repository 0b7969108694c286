/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/violation.h>
#include <launcher/seccomp_names.h>

#define RECORDS_MAX 65536
#define RECORD_SIZE 8192 /* more than the kernel gives: CONSOLE_EXT_LOG_MAX */

_Static_assert(VIOLATION_NAME_MAX >= SECCOMP_NAME_MAX, "room for every name");

static bool number_behind(const char *record, const char *key, long *numberp) {
        const char *at = strstr(record, key);
        char *end;

        if (!at)
                return false;
        at += strlen(key);
        *numberp = strtol(at, &end, 10);
        return end > at;
}

bool violation_parse(const char *record, pid_t pid, int *numberp) {
        long number, of;

        /* The record's own words come before what a program could choose (comm=, exe=), which are
         * quoted or in hexadecimal digits; syscall= comes behind them. */
        const char *own = strstr(record, "audit: type=1326 ");
        const char *rest = own ? strstr(own, " exe=") : NULL;

        if (!rest || !number_behind(own, " pid=", &of) || of != pid ||
            !number_behind(rest, " syscall=", &number) || number < 0 || number > 0xffff)
                return false;
        *numberp = (int)number;
        return true;
}

bool violation_find(pid_t pid, char name[VIOLATION_NAME_MAX]) {
        _cleanup_(fd_closep) int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char record[RECORD_SIZE];
        bool found = false;
        int number = 0;

        for (unsigned i = 0; fd >= 0 && i < RECORDS_MAX; i++) {
                ssize_t n = read(fd, record, sizeof(record) - 1);

                if (n < 0 && errno == EPIPE)
                        continue; /* it was overwritten: the next */
                if (n <= 0)
                        break;
                record[n] = '\0';
                found |= violation_parse(record, pid, &number); /* the last: pids come again */
        }
        if (found && !seccomp_names_show_call(number, name))
                snprintf(name, VIOLATION_NAME_MAX, "%d", number);
        return found;
}

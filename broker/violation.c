/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static void look_for(struct violation *list, const char *record) {
        int number = 0;

        for (struct violation *one = list; one; one = one->next) {
                if (!violation_parse(record, one->pid, &number))
                        continue;
                one->found = true; /* the last counts: pids come again */
                if (!seccomp_names_show_call(number, one->name))
                        snprintf(one->name, sizeof(one->name), "%d", number);
        }
}

void violation_find(int fd, struct violation *list) {
        char record[RECORD_SIZE];

        for (unsigned i = 0; i < RECORDS_MAX; i++) {
                ssize_t n = read(fd, record, sizeof(record) - 1);

                if (n < 0 && errno == EPIPE)
                        continue; /* it was overwritten: the next */
                if (n <= 0)
                        break;
                record[n] = '\0';
                if (strstr(record, "audit: type=1326 "))
                        look_for(list, record);
        }
}

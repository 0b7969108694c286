/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include <strings.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/signals.h>
#include <proto/request.h>

int signals_parse(const char *text, int *signalp, struct why *why) {
        const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
        char quoted[64];
        uint64_t number;

        for (int i = 1; i < SIGRTMIN; i++) {
                const char *known = sigabbrev_np(i);

                if (known && strcasecmp(known, name) == 0) {
                        *signalp = i;
                        return 0;
                }
        }
        if (units_parse_count(text, &number, NULL) == 0 && number >= 1 &&
            number <= REQUEST_SIGNAL_MAX) {
                *signalp = (int)number;
                return 0;
        }
        return why_set(why, SIGNALS_E_INVALID,
                       "'%s' is no signal; give a number from 1 to %d or a name such as TERM",
                       text_escape(text, quoted, sizeof(quoted)), REQUEST_SIGNAL_MAX);
}

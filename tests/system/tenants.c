/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "tenants.h"

void tenants_open(struct house *house) {
        house_open(house, NULL, NULL);
        house_slice("a", HOUSE_OPEN "[Access]\nUsers=1000\n[Slice]\nCPU=3\n");
        house_slice("b", HOUSE_OPEN "[Access]\nUsers=2000\n");
        house_reload(house);
}

void line_open_as(struct line *line, uid_t uid) {
        bool open;

        need_int(setegid(uid), 0);
        need_int(seteuid(uid), 0);
        open = line_open(line);
        need_int(seteuid(0), 0);
        need_int(setegid(0), 0);
        need(open);
}

json_t *claim(const char *slice, const char *name, int cpu_milli, const char *mode,
              const char *ticket) {
        json_t *parameters = json_pack("{s:s s:{s:i} s:[s,s] s:[o]}", "slice", slice, "claim",
                                       "cpu", cpu_milli, "command", "vm", mode, "environment",
                                       json_sprintf("PATH=%s", getenv("PATH")));

        if (name)
                json_object_set_new(parameters, "name", json_string(name));
        if (ticket)
                json_object_set_new(parameters, "ticket", json_string(ticket));
        return parameters;
}

json_t *run_by(struct line *line, uid_t uid, json_t *parameters, const char *word) {
        line_open_as(line, uid);
        line_run(line, parameters);
        return line_wait(line, word);
}

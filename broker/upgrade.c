/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/upgrade.h>

int upgrade_begin(struct broker *broker, struct why *why) {
        return why_set(why, 1, "not yet");
}

int upgrade_execute(struct broker *broker, struct why *why) {
        return why_set(why, 1, "not yet");
}

int upgrade_resume_sockets(struct broker *broker, int fd, struct why *why) {
        return 0;
}

int upgrade_resume_clients(struct broker *broker, struct why *why) {
        return 0;
}

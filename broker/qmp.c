/* SPDX-License-Identifier: MIT */
#include <sys/socket.h>

#include <broker/lease.h>
#include <broker/qmp.h>

static const struct endpoint qmp = {.directory = "qmp", .label = "QMP", .type = SOCK_STREAM};

int qmp_make(struct lease *lease, struct why *why) {
        return lease->has_qmp ? endpoint_make(&qmp, lease, &lease->qmp_fd, why) : 0;
}

const char *qmp_path(const struct lease *lease, char path[ENDPOINT_PATH_MAX]) {
        return lease->has_qmp ? endpoint_path(&qmp, lease, path) : NULL;
}

void qmp_remove(const struct lease *lease) {
        if (lease->has_qmp)
                endpoint_remove(&qmp, lease);
}

static void note(struct lease *lease) {
        lease->has_qmp = true;
}

void qmp_adopt(struct broker *broker) {
        endpoint_adopt(&qmp, broker, note);
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/thread.h>
#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/lease.h>
#include <broker/slice.h>
#include <broker/violation.h>
#include <broker/violation_tell.h>
#include <launcher/launcher_errands.h>

#define STACK_SIZE (64 * 1024)

struct ended {
        struct violation violation; /* the thread's, while it reads */
        struct ended *next;
        char id[RECORD_ID_MAX + 1], name[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1];
        uid_t uid;
        bool has_list;
};

struct violations {
        sd_event_source *source;
        int told_fd;
        struct ended *waiting; /* for the next reading */
        bool reading;
};

/* What a thread has, and gives back as a whole. */
struct reading {
        struct ended *list;
        int kmsg_fd; /* the kernel's log; -1: there is none to be read */
        int told_fd;
};

static void tell(struct broker *broker, const struct ended *ended) {
        const struct event_subject subject = {
                .id = ended->id,
                .name = ended->name,
                .slice = ended->slice,
                .uid = ended->uid,
        };
        const struct event_field field = event_text("syscall", ended->violation.name);

        if (ended->violation.found)
                log_warning("VM '%s': killed by its seccomp list for calling %s", ended->name,
                            ended->violation.name);
        else if (ended->has_list)
                log_warning("VM '%s': ended by SIGSYS, as a seccomp list ends it; the kernel's log "
                            "does not say for which call, the audit log may",
                            ended->name);
        else
                return; /* a program may also end itself by this signal */
        events_add(&broker->events, "vm_seccomp", &subject, broker_realtime_ns(), &field, 1);
}

static void free_list(struct ended *list) {
        while (list) {
                struct ended *next = list->next;

                free(list);
                list = next;
        }
}

static void find(struct reading *reading) {
        for (struct ended *ended = reading->list; ended; ended = ended->next)
                ended->violation.next = ended->next ? &ended->next->violation : NULL;
        if (reading->kmsg_fd >= 0)
                violation_find(reading->kmsg_fd, &reading->list->violation);
        reading->kmsg_fd = fd_close(reading->kmsg_fd);
}

static void *run(void *userdata) {
        struct reading *reading = userdata;
        ssize_t n;

        find(reading);
        n = write(reading->told_fd, &reading, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

/* Those that wait are read for, if nobody reads. */
static void begin(struct broker *broker) {
        struct violations *violations = broker->violations;
        struct reading *reading;
        int r;

        if (violations->reading || !violations->waiting)
                return;
        reading = malloc(sizeof(*reading));
        if (!reading)
                return; /* with the next one */
        reading->list = take(violations->waiting);
        reading->told_fd = violations->told_fd;
        reading->kmsg_fd = -1;
        r = launcher_kmsg(broker->launcher, &reading->kmsg_fd);
        if (r)
                log_warning("the kernel's log cannot be read: %s", strerrordesc_np(r));
        violations->reading = true;
        if (thread_start(run, reading, STACK_SIZE))
                run(reading);
}

static int on_read(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct reading *reading;

        if (read(fd, &reading, sizeof(void *)) != sizeof(void *))
                return 0;
        broker->violations->reading = false;
        for (const struct ended *ended = reading->list; ended; ended = ended->next)
                tell(broker, ended);
        free_list(reading->list);
        free(reading);
        begin(broker);
        return 0;
}

static struct violations *open_violations(struct broker *broker) {
        struct violations *violations = calloc(1, sizeof(*violations));
        int fds[2];

        if (!violations || pipe2(fds, O_CLOEXEC) < 0) {
                free(violations);
                return NULL;
        }
        if (sd_event_add_io(broker->event, &violations->source, fds[0], EPOLLIN, on_read, broker) <
            0) {
                fd_close_many(fds, 2);
                free(violations);
                return NULL;
        }
        sd_event_source_set_io_fd_own(violations->source, true);
        violations->told_fd = fds[1];
        return violations;
}

void violation_tell(struct lease *lease) {
        struct broker *broker = lease->broker;
        const struct slice_policy *policy = lease->slice->policy;
        struct ended *ended, **lastp;

        if (!broker->violations)
                broker->violations = open_violations(broker);
        ended = broker->violations ? calloc(1, sizeof(*ended)) : NULL;
        if (!ended) {
                log_warning("VM '%s': ended by SIGSYS; there are no means to look for the reason",
                            lease->record.name);
                return;
        }
        ended->violation.pid = lease->process.pid;
        ended->uid = lease->record.uid;
        ended->has_list = policy && strcmp(policy->sandbox.seccomp, "none") != 0;
        snprintf(ended->violation.name, sizeof(ended->violation.name), "unknown");
        snprintf(ended->id, sizeof(ended->id), "%s", lease->record.id);
        snprintf(ended->name, sizeof(ended->name), "%s", lease->record.name);
        snprintf(ended->slice, sizeof(ended->slice), "%s", lease->record.slice);
        for (lastp = &broker->violations->waiting; *lastp; lastp = &(*lastp)->next)
                ;
        *lastp = ended;
        begin(broker);
}

bool violations_are_sought(const struct broker *broker) {
        return broker->violations && broker->violations->reading;
}

void violations_close(struct broker *broker) {
        struct violations *violations = broker->violations;

        if (!violations)
                return;
        sd_event_source_disable_unref(violations->source);
        /* A thread that reads still writes there; it ends with the process. */
        if (!violations->reading)
                fd_close(violations->told_fd);
        free_list(violations->waiting);
        free(violations);
        broker->violations = NULL;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/thread.h>
#include <broker/broker.h>
#include <broker/finding.h>
#include <broker/lease.h>
#include <broker/usage.h>
#include <broker/usage_measure.h>
#include <cgroup/root.h>

#define STACK_SIZE (64 * 1024)
#define GATHER_USEC UINT64_C(250000) /* lines that come within it are written together */
#define READY_MAX 64                 /* unless they are as many */
#define RETRY_USEC UINT64_C(5000000)
#define CLOSE_MS 2000 /* at the end, for the disk */

enum slot_state {
        SLOT_FREE,
        SLOT_NOTED,  /* its group is still there: it may be noted again */
        SLOT_READY,  /* to be written */
        SLOT_WRITING /* a thread has a copy */
};

struct slot {
        enum slot_state state;
        uint16_t length;
        char line[USAGE_LINE_MAX]; /* with its newline */
};

/* The one writer's: from its start to what it tells, the thread has it alone. */
struct writer {
        struct usage_log log;
        char *text; /* room for all slots; owned */
        size_t length, size;
        int errnum, told_fd;
};

struct usage_book {
        struct broker *broker;
        struct slot *slots; /* USAGE_PENDING_MAX; owned; pages that were never used cost nothing */
        size_t n_used, n_ready, next;
        struct writer writer;
        bool writing;
        int told_fd;                  /* where the thread tells its end */
        sd_event_source *told, *wake; /* that it did; the next one is to be started */
        sd_event_source *retry;
        uint64_t lost;
        int errnum; /* the last writing failed so; 0: it did not */
        bool lost_said, note_said;
};

static const char *note_name(size_t slot, char name[32]) {
        snprintf(name, 32, "usage.%zu", slot);
        return name;
}

struct usage_log usage_log_of(const struct broker *broker) {
        const struct usage_policy *policy = &broker->policy->broker.usage;

        return (struct usage_log){.directory = broker->options->state_dir,
                                  .file_bytes = policy->max_bytes,
                                  .older = (unsigned)policy->keep};
}

/* ---- writing ---- */

static void *run(void *userdata) {
        struct writer *writer = userdata;
        ssize_t n;

        writer->errnum = usage_log_append(&writer->log, writer->text, writer->length);
        n = write(writer->told_fd, "", 1);
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

/* Begins with what is ready; what comes meanwhile is the next one's. */
static void start_writer(struct usage_book *usage) {
        struct writer *writer = &usage->writer;

        if (usage->writing || usage->n_ready == 0)
                return;
        writer->log = usage_log_of(usage->broker);
        writer->length = 0;
        for (size_t i = 0; i < USAGE_PENDING_MAX; i++) {
                struct slot *slot = &usage->slots[i];

                if (slot->state != SLOT_READY)
                        continue;
                memcpy(writer->text + writer->length, slot->line, slot->length);
                writer->length += slot->length;
                slot->state = SLOT_WRITING;
        }
        usage->n_ready = 0;
        usage->writing = true;
        if (thread_start(run, writer, STACK_SIZE)) {
                writer->errnum = EAGAIN;
                (void)!write(writer->told_fd, "", 1);
        }
}

static void free_slot(struct usage_book *usage, size_t i) {
        struct why why = {};
        char name[32];

        if (cgroup_root_note(&usage->broker->root, note_name(i, name), NULL, &why))
                log_warning("%s", why.text);
        usage->slots[i].state = SLOT_FREE;
        usage->n_used--;
}

static void say_outcome(struct usage_book *usage, int errnum) {
        if (errnum && !usage->errnum)
                log_error("the usage log in %s cannot be written: %s; lines wait, and VMs go on",
                          usage->broker->options->state_dir, strerrordesc_np(errnum));
        else if (!errnum && usage->errnum)
                log_info("the usage log in %s is written again", usage->broker->options->state_dir);
        if (!errnum)
                usage->lost_said = false;
        usage->errnum = errnum;
}

static void take_outcome(struct usage_book *usage) {
        int errnum = usage->writer.errnum;

        usage->writing = false;
        for (size_t i = 0; i < USAGE_PENDING_MAX; i++) {
                struct slot *slot = &usage->slots[i];

                if (slot->state != SLOT_WRITING)
                        continue;
                if (errnum == 0) {
                        free_slot(usage, i);
                } else {
                        slot->state = SLOT_READY;
                        usage->n_ready++;
                }
        }
        say_outcome(usage, errnum);
}

static int on_told(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct usage_book *usage = userdata;
        char byte;

        if (read(fd, &byte, 1) != 1)
                return 0;
        take_outcome(usage);
        if (usage->errnum == 0) {
                start_writer(usage);
        } else {
                sd_event_source_set_time_relative(usage->retry, RETRY_USEC);
                sd_event_source_set_enabled(usage->retry, SD_EVENT_ONESHOT);
        }
        return 0;
}

static int on_wake(sd_event_source *source, void *userdata) {
        start_writer(userdata);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        start_writer(userdata);
        return 0;
}

/* The notes keep the lines until then: one thread for all that end in a while. */
static void write_soon(struct usage_book *usage) {
        if (usage->n_ready >= READY_MAX)
                sd_event_source_set_enabled(usage->wake, SD_EVENT_ONESHOT);
        else if (usage->n_ready == 1) {
                sd_event_source_set_time_relative(usage->retry, GATHER_USEC);
                sd_event_source_set_enabled(usage->retry, SD_EVENT_ONESHOT);
        }
}

/* ---- lines ---- */

static int take_slot(struct usage_book *usage) {
        for (size_t i = 0; usage->n_used < USAGE_PENDING_MAX && i < USAGE_PENDING_MAX; i++) {
                size_t at = usage->next++ % USAGE_PENDING_MAX;

                if (usage->slots[at].state == SLOT_FREE) {
                        usage->n_used++;
                        return (int)at;
                }
        }
        return -1;
}

static void lose(struct usage_book *usage, const char *vm, const char *text) {
        usage->lost++;
        if (!usage->lost_said)
                log_error("VM '%s', and maybe others after it, will not be in the usage log: %s",
                          vm, text);
        usage->lost_said = true;
}

bool usage_counts(const struct lease *lease) {
        return lease->executed_usec > 0 && !lease->reservation && lease->record.id[0] &&
               lease->state != LEASE_UNKNOWN;
}

void usage_of_claim(const struct lease *lease, struct usage_line *line) {
        *line = (struct usage_line)USAGE_LINE_NULL;
        usage_measure_claim(&lease->record, &lease->claim.demand, line);
        line->running = true;
        line->oom = lease->oom_kills > 0;
}

static void measure(struct lease *lease, struct usage_line *line) {
        bool was_open = lease->dir_fd >= 0;

        if (lease_open_dir(lease, NULL))
                log_warning("VM '%s': its group is gone, and what it used is not known",
                            lease->record.name);
        usage_of_claim(lease, line);
        line->running = false;
        usage_measure_group(lease->dir_fd, lease->broker->options->sys_dir, line);
        usage_measure_taps(lease, line);
        if (!was_open)
                lease_close_dir(lease);
}

static void describe_end(const struct lease *lease, struct usage_line *line) {
        snprintf(line->reason, sizeof(line->reason), "%s",
                 lease->end_reason[0] ? lease->end_reason : "exit");
        if (lease->status_known && lease->exit_code >= 0)
                line->exit_code = lease->exit_code;
        else if (lease->status_known)
                line->signal = lease->exit_signal;
}

void usage_note(struct lease *lease) {
        struct usage_book *usage = lease->broker->usage;
        struct usage_line line;
        struct why why = {};
        struct slot *slot;
        char name[32];

        if (!usage || !usage_counts(lease))
                return;
        measure(lease, &line);
        describe_end(lease, &line);
        if (lease->usage_slot < 0)
                lease->usage_slot = take_slot(usage);
        if (lease->usage_slot < 0)
                return;
        slot = &usage->slots[lease->usage_slot];
        slot->state = SLOT_NOTED;
        slot->length = (uint16_t)usage_line_format(&line, slot->line);
        if (cgroup_root_note(&lease->broker->root, note_name((size_t)lease->usage_slot, name),
                             slot->line, &why) &&
            !usage->note_said) {
                log_warning("lines for the usage log would not survive a crash: %s", why.text);
                usage->note_said = true;
        }
}

void usage_forget(struct lease *lease) {
        if (lease->usage_slot < 0)
                return;
        free_slot(lease->broker->usage, (size_t)lease->usage_slot);
        lease->usage_slot = -1;
}

void usage_settle(struct lease *lease) {
        struct usage_book *usage = lease->broker->usage;

        if (!usage || !usage_counts(lease))
                return;
        if (lease->usage_slot < 0) {
                lose(usage, lease->record.name, "too many lines wait for the disk");
                return;
        }
        usage->slots[lease->usage_slot].state = SLOT_READY;
        lease->usage_slot = -1;
        usage->n_ready++;
        if (usage->errnum == 0)
                write_soon(usage);
}

char *usage_pending(const struct broker *broker, size_t *lengthp) {
        const struct usage_book *usage = broker->usage;
        size_t length = 0;
        char *text;

        text = malloc(usage->n_used * USAGE_LINE_MAX + 1);
        if (!text)
                return NULL;
        for (size_t i = 0; i < USAGE_PENDING_MAX; i++) {
                const struct slot *slot = &usage->slots[i];

                if (slot->state != SLOT_READY && slot->state != SLOT_WRITING)
                        continue;
                memcpy(text + length, slot->line, slot->length);
                length += slot->length;
        }
        *lengthp = length;
        return text;
}

uint64_t usage_lost(const struct broker *broker) {
        return broker->usage->lost;
}

bool usage_is_busy(const struct broker *broker) {
        return broker->usage && broker->usage->writing;
}

/* ---- beginning and end ---- */

static void take_notes(struct usage_book *usage) {
        char name[32];

        for (size_t i = 0; i < USAGE_PENDING_MAX; i++) {
                struct slot *slot = &usage->slots[i];

                struct usage_line line;

                if (!cgroup_root_noted(&usage->broker->root, note_name(i, name), slot->line,
                                       sizeof(slot->line)))
                        continue;
                slot->length = (uint16_t)strlen(slot->line);
                usage->n_used++;
                if (slot->length == 0 || slot->line[slot->length - 1] != '\n' ||
                    !usage_line_parse(&line, slot->line, slot->length - 1u)) {
                        log_warning("a line for the usage log makes no sense and is left out");
                        free_slot(usage, i);
                        continue;
                }
                slot->state = SLOT_READY;
                usage->n_ready++;
        }
}

static int open_sources(struct usage_book *usage) {
        sd_event *event = usage->broker->event;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return fault(-errno);
        usage->told_fd = usage->writer.told_fd = fds[1];
        r = sd_event_add_io(event, &usage->told, fds[0], EPOLLIN, on_told, usage);
        if (r < 0) {
                fd_close(fds[0]);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(usage->told, true);
        r = sd_event_add_defer(event, &usage->wake, on_wake, usage);
        /* After all releases of this turn. */
        if (r >= 0)
                r = sd_event_source_set_priority(usage->wake, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_enabled(usage->wake,
                                                usage->n_ready ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &usage->retry, CLOCK_BOOTTIME, 0, 0, on_retry, usage);
        if (r >= 0)
                r = sd_event_source_set_enabled(usage->retry, SD_EVENT_OFF);
        return r < 0 ? fault(r) : 0;
}

int usage_open(struct broker *broker) {
        struct usage_book *usage = calloc(1, sizeof(*usage));

        if (!usage)
                return fault(-ENOMEM);
        broker->usage = usage;
        usage->broker = broker;
        usage->told_fd = -1;
        usage->slots = calloc(USAGE_PENDING_MAX, sizeof(*usage->slots));
        usage->writer.text = malloc(USAGE_PENDING_MAX * USAGE_LINE_MAX);
        if (!usage->slots || !usage->writer.text)
                return fault(-ENOMEM);
        take_notes(usage);
        return open_sources(usage);
}

/* What runs is noted in the log as far as it has come: the host may be about to go down. */
static void write_running(struct usage_book *usage) {
        struct writer *writer = &usage->writer;
        struct lease *lease;

        writer->length = 0;
        TAILQ_FOREACH(lease, &usage->broker->leases, link) {
                bool was_open = lease->dir_fd >= 0;
                struct usage_line line;
                struct usage_taps taps;

                if (!usage_counts(lease) ||
                    writer->length > (USAGE_PENDING_MAX - 1) * USAGE_LINE_MAX)
                        continue;
                usage_of_claim(lease, &line);
                if (lease_open_dir(lease, NULL) == 0)
                        usage_measure_group(lease->dir_fd, usage->broker->options->sys_dir, &line);
                if (!was_open)
                        lease_close_dir(lease);
                usage_find_taps(lease, &taps);
                usage_measure_links(&taps, usage->broker->options->sys_dir, &line);
                strcpy(line.reason, "running");
                writer->length += usage_line_format(&line, writer->text + writer->length);
        }
        if (writer->length == 0)
                return;
        writer->log = usage_log_of(usage->broker);
        usage->writing = true;
        if (thread_start(run, writer, STACK_SIZE))
                usage->writing = false;
}

/* False: it takes too long; the thread ends with us, and the notes stay. */
static bool wait_for_writer(struct usage_book *usage, uint64_t until_usec) {
        struct pollfd pollfd = {.fd = sd_event_source_get_io_fd(usage->told), .events = POLLIN};
        uint64_t now = broker_now_usec();
        char byte;

        if (!usage->writing)
                return true;
        if (now >= until_usec || poll(&pollfd, 1, (int)((until_usec - now) / 1000)) <= 0 ||
            read(pollfd.fd, &byte, 1) != 1)
                return false;
        take_outcome(usage);
        return true;
}

void usage_close(struct broker *broker) {
        struct usage_book *usage = broker->usage;
        uint64_t until = broker_now_usec() + CLOSE_MS * UINT64_C(1000);

        if (!usage)
                return;
        if (usage->told && usage->wake && wait_for_writer(usage, until)) {
                start_writer(usage);
                if (wait_for_writer(usage, until) && broker->stopping) {
                        write_running(usage);
                        wait_for_writer(usage, until);
                }
        }
        sd_event_source_disable_unref(usage->told);
        sd_event_source_disable_unref(usage->wake);
        sd_event_source_disable_unref(usage->retry);
        broker->usage = NULL;
        if (usage->writing)
                return; /* it is still the thread's */
        fd_close(usage->told_fd);
        free(usage->writer.text);
        free(usage->slots);
        free(usage);
}

/* ---- what one can see ---- */

void usage_check(struct findings *findings) {
        const struct usage_book *usage = findings->broker->usage;
        const char *directory = findings->broker->options->state_dir;
        char mend[FINDING_MEND_MAX];

        if (!usage) {
                finding_warning(findings, "", "there is no usage log");
                return;
        }
        if (usage->errnum) {
                snprintf(mend, sizeof(mend), "df %.400s", directory);
                finding_problem(findings, mend,
                                "the usage log in %s cannot be written: %s; %zu VMs that ended "
                                "wait for it, %llu are lost",
                                directory, strerrordesc_np(usage->errnum), usage->n_used,
                                (unsigned long long)usage->lost);
                return;
        }
        if (usage->lost) {
                finding_warning(findings, "",
                                "%llu VMs that ended are missing in the usage log: for a time it "
                                "could not be written",
                                (unsigned long long)usage->lost);
                return;
        }
        finding_ok(findings, "the usage log is in %s", directory);
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/journal.h>

#define PER_TURN 64                   /* entries, before others have their turn */
#define RETRY_USEC UINT64_C(100000)   /* when its socket is full, or the pace too high */
#define ABSENT_USEC UINT64_C(1000000) /* when nobody is there */

struct journal {
        struct broker *broker;
        struct events_watcher watcher;
        struct events_reader reader;
        int fd;
        struct sockaddr_un address;
        sd_event_source *turn, *retry;
        uint64_t tokens, since_usec; /* entries that may be written, as of then */
        json_t *unsent;              /* was read, and could not be written yet; NULL: none */
        bool absent;                 /* nobody is there: was told */
};

/* As systemd.exec(5) says it is to be found out: somebody may have redirected us since. */
static bool logs_to_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* 0, or the errno for which it has to be tried again; what can never be sent counts as sent. */
static int send_entry(struct journal *journal, const json_t *event) {
        char buffer[JOURNAL_ENTRY_MAX];
        size_t length = journal_format(event, buffer);

        if (length == 0 ||
            sendto(journal->fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&journal->address, sizeof(journal->address)) >= 0 ||
            errno == EMSGSIZE)
                return 0;
        return errno;
}

static void refill(struct journal *journal, uint64_t now_usec) {
        uint64_t gained = (now_usec - journal->since_usec) * JOURNAL_PER_S / 1000000;

        if (gained == 0)
                return;
        journal->tokens = min_u64(JOURNAL_BURST, journal->tokens + gained);
        journal->since_usec = now_usec;
}

/* Later: when it may take more. */
static int put_off(struct journal *journal, int errnum) {
        bool absent = errnum && errnum != EAGAIN && errnum != ENOBUFS && errnum != EINTR;
        int r;

        if (absent && !journal->absent)
                log_warning("events do not get to the journal at %s: %s; tried again",
                            journal->address.sun_path, strerrordesc_np(errnum));
        journal->absent = absent;
        r = sd_event_source_set_time_relative(journal->retry, absent ? ABSENT_USEC : RETRY_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(journal->retry, SD_EVENT_ONESHOT);
        return r < 0 ? fault(r) : 0;
}

/* Writes up to @n entries; *donep: there is nothing left. */
static int pump(struct journal *journal, unsigned n, bool *donep) {
        struct broker *broker = journal->broker;
        int r;

        *donep = false;
        refill(journal, broker_now_usec());
        for (unsigned i = 0; i < n; i++) {
                if (!journal->unsent) {
                        r = events_read(&broker->events, &journal->reader, &journal->unsent);
                        if (r < 0)
                                return r;
                }
                if (!journal->unsent) {
                        *donep = true;
                        return 0;
                }
                if (journal->tokens == 0) {
                        *donep = true;
                        return put_off(journal, 0);
                }
                r = send_entry(journal, journal->unsent);
                if (r) {
                        *donep = true;
                        return put_off(journal, r);
                }
                journal->absent = false;
                journal->tokens--;
                json_decref(take(journal->unsent));
        }
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata) {
        struct journal *journal = userdata;
        bool done;
        int r;

        /* Switched off, it is as if it had read everything. */
        if (!journal->broker->policy->broker.journal) {
                journal->reader.next = journal->broker->events.next;
                json_decref(take(journal->unsent));
        }
        r = pump(journal, PER_TURN, &done);
        if (r < 0)
                return broker_fault(journal->broker, r);
        sd_event_source_set_enabled(source, done ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
        return 0;
}

static void on_added(struct events_watcher *watcher, const struct event_entry *entry) {
        struct journal *journal = container_of(watcher, struct journal, watcher);
        int waits = SD_EVENT_OFF;

        /* While it waits for the journal, the next try takes this one, too. */
        sd_event_source_get_enabled(journal->retry, &waits);
        if (waits == SD_EVENT_OFF)
                sd_event_source_set_enabled(journal->turn, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct journal *journal = userdata;

        sd_event_source_set_enabled(journal->turn, SD_EVENT_ONESHOT);
        return 0;
}

/* From where a former program was; events of the start are to be told, too. */
static uint64_t place(const struct broker *broker) {
        json_t *state = json_object_get(broker->resume, "events");
        json_t *next = json_object_get(state, "journaled");

        return json_is_integer(next) ? (uint64_t)json_integer_value(next) : broker->events.next;
}

static int open_journal(struct journal *journal) {
        sd_event *event = journal->broker->event;
        int r;

        journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (journal->fd < 0)
                return fault(-errno);
        r = sd_event_add_defer(event, &journal->turn, on_turn, journal);
        if (r >= 0)
                r = sd_event_source_set_priority(journal->turn, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &journal->retry, CLOCK_BOOTTIME, 0, 0,
                                               on_retry, journal);
        if (r >= 0)
                r = sd_event_source_set_enabled(journal->retry, SD_EVENT_OFF);
        return r < 0 ? fault(r) : 0;
}

int journal_begin(struct broker *broker) {
        const char *path = broker->options->journal;
        struct journal *journal;
        int r;

        if (!path && !logs_to_journal())
                return 0;
        journal = calloc(1, sizeof(*journal));
        if (!journal)
                return fault(-ENOMEM);
        *journal = (struct journal){
                .broker = broker,
                .watcher.added = on_added,
                .reader = {.next = place(broker), .kinds = EVENT_KINDS_ALL},
                .fd = -1,
                .address.sun_family = AF_UNIX,
                .tokens = JOURNAL_BURST,
                .since_usec = broker_now_usec(),
        };
        snprintf(journal->address.sun_path, sizeof(journal->address.sun_path), "%s",
                 path ?: JOURNAL_SOCKET);
        broker->journal = journal;
        events_watch(&broker->events, &journal->watcher);
        r = open_journal(journal);
        return r;
}

uint64_t journal_next(const struct broker *broker) {
        const struct journal *journal = broker->journal;
        const json_t *number;

        if (!journal)
                return broker->events.next;
        if (!journal->unsent)
                return journal->reader.next;
        /* What was read and not sent is read again; a gap, from its beginning. */
        number =
                json_object_get(journal->unsent, "from") ?: json_object_get(journal->unsent, "seq");
        return (uint64_t)json_integer_value(number);
}

void journal_end(struct broker *broker) {
        struct journal *journal = broker->journal;
        bool done;

        if (!journal)
                return;
        if (journal->turn && journal->retry && broker->policy && broker->policy->broker.journal)
                (void)pump(journal, EVENTS_RING, &done);
        events_unwatch(&broker->events, &journal->watcher);
        json_decref(journal->unsent);
        sd_event_source_disable_unref(journal->turn);
        sd_event_source_disable_unref(journal->retry);
        fd_close(journal->fd);
        free(take(broker->journal));
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/thread.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/lease.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/tenant.h>
#include <broker/usage_measure.h>
#include <cgroup/reclaim.h>

#define STACK_SIZE ((size_t)128 * 1024)
#define SEALS_MAX 5                  /* times it took back what was taken from it */
#define LOOK_USEC UINT64_C(500000)   /* from one news of progress to the next */
#define TURN_USEC UINT64_C(20000)    /* until a freeze for its disks is over */
#define CLOSE_USEC UINT64_C(5000000) /* longer than a freeze that fails */

enum step { STEP_RECLAIM, STEP_TURN, STEP_SEAL, STEP_UNDO };

struct shrink {
        /* the loop's */
        struct broker *broker;
        struct lease *lease; /* NULL: it is over */
        struct connection *connection;
        shrink_fn told;
        uint64_t memory_bytes, charge_bytes;
        uint64_t told_usec, in_use;
        unsigned seals;
        struct why failed; /* why it is being undone */

        /* the thread's while it runs, the loop's between two steps */
        enum step step;
        int dir_fd, told_fd;
        uint64_t target, max, high, old_max, old_high;
        uint64_t least;
        int answer;
        struct why why;

        atomic_bool give_up; /* both: the loop sets it */
};

static void shrink_free(struct shrink *shrink) {
        fd_close(shrink->dir_fd);
        free(shrink);
}

/* ---- the thread ---- */

static void *run(void *userdata) {
        struct shrink *shrink = userdata;
        ssize_t n;

        switch (shrink->step) {
        case STEP_RECLAIM:
                shrink->answer = reclaim_to(shrink->dir_fd, shrink->target, &shrink->give_up,
                                            &shrink->least, &shrink->why);
                break;
        case STEP_SEAL:
                shrink->answer = reclaim_seal(shrink->dir_fd, shrink->target, shrink->max,
                                              shrink->high, &shrink->why);
                break;
        case STEP_UNDO:
                shrink->answer = reclaim_undo(shrink->dir_fd, shrink->old_max, shrink->old_high,
                                              &shrink->why);
                break;
        case STEP_TURN:
                break;
        }
        n = write(shrink->told_fd, &shrink, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

/* Answers 1: there is no thread to be had. */
static int begin(struct shrink *shrink, enum step step, struct why *why) {
        int r;

        shrink->step = step;
        shrink->why = (struct why){};
        r = thread_start(run, shrink, STACK_SIZE);
        return r ? why_errno(why, 1, r, "cannot start a thread") : 0;
}

/* ---- the loop ---- */

static int over(struct lease *lease, enum shrink_news news, const struct why *why) {
        struct shrink *shrink = lease->shrink;
        struct connection *connection = shrink->connection;
        shrink_fn told = shrink->told;

        shrink_unfollow(lease);
        lease->shrink = NULL;
        shrink->broker->n_shrinking--;
        shrink_free(shrink);
        return told(lease, connection, news, why);
}

/* The memory files are the broker's again: as the books have it. */
static void take_limits(struct lease *lease, struct limits *limits) {
        charge_limits(lease->broker, lease, limits);
        /* Where the policy sets none it is ours to take away again. */
        limits->memory_high_bytes = charge_memory_high(lease, limits->memory_max_bytes);
        lease->limits.memory_max_bytes = limits->memory_max_bytes;
        lease->limits.memory_high_bytes = limits->memory_high_bytes;
        lease->limits.memory_low_bytes = limits->memory_low_bytes;
}

static int undo(struct lease *lease, const struct why *failed) {
        struct shrink *shrink = lease->shrink;
        struct why why = {};

        shrink->failed = *failed;
        if (begin(shrink, STEP_UNDO, &why) == 0)
                return 0;
        /* Upwards, neither waits for anything but where the policy's memory.high is exceeded. */
        run(shrink);
        return 0;
}

/* How low it could go, for a person. */
static void say_held(const struct shrink *shrink, struct why *why) {
        uint64_t overhead = shrink->charge_bytes - shrink->memory_bytes;
        uint64_t least = reclaim_least_max(shrink->least), mib = UINT64_C(1) << 20;
        char held[UNITS_TEXT_MAX], asked[UNITS_TEXT_MAX], could[UNITS_TEXT_MAX];

        least = least > overhead ? least - overhead : 0;
        why_set(why, CGROUP_E_BUSY,
                "memory: %s asked, but the VM holds %s that cannot be taken from it; it could go "
                "down to %s now, and lower once its guest gives memory back",
                units_format_size(shrink->memory_bytes, asked, sizeof(asked)),
                units_format_size(shrink->least, held, sizeof(held)),
                units_exact_size((least + mib - 1) / mib * mib, could, sizeof(could)));
}

/* The smaller limit is in force: the record, then the books. */
static int settle(struct lease *lease) {
        struct shrink *shrink = lease->shrink;
        struct broker *broker = lease->broker;
        const struct record old = lease->record;
        const struct demand before = lease->claim.demand;
        struct demand less = before;
        struct limits limits, low = LIMITS_KEEP_ALL;
        struct why why = {};
        int r;

        less.amount[RESOURCE_MEMORY] = shrink->charge_bytes;
        lease->claim.demand = less;
        usage_count_claim(&lease->record, broker_now_usec());
        lease->record.memory_bytes = shrink->memory_bytes;
        lease->record.charge.amount[RESOURCE_MEMORY] = shrink->charge_bytes;
        take_limits(lease, &limits);
        low.memory_low_bytes = limits.memory_low_bytes;
        r = limits_apply(shrink->dir_fd, &low, &why);
        if (r == 0)
                r = record_write(shrink->dir_fd, &lease->record, &why);
        if (r) {
                lease->record = old;
                lease->claim.demand = before;
                return undo(lease, &why);
        }
        if (!ledger_exchange_unchecked(lease_ledger(lease), lease_account(lease), &before, &less))
                return fault(-EOVERFLOW);
        queue_changed(&broker->queue, &lease->claim);
        slice_unbalance(broker, lease->slice);
        broker_settle_later(broker);
        return over(lease, SHRINK_DONE, NULL);
}

static int step_ended(struct lease *lease) {
        struct shrink *shrink = lease->shrink;
        struct limits limits;
        struct why why = {};

        switch (shrink->step) {
        case STEP_RECLAIM:
                if (shrink->answer == 0) {
                        shrink->step = STEP_TURN;
                        broker_tick_at(lease->broker, broker_now_usec());
                        return 0;
                }
                if (shrink->answer == CGROUP_E_BUSY)
                        say_held(shrink, &shrink->why);
                return undo(lease, &shrink->why);
        case STEP_SEAL:
                if (shrink->answer == 0)
                        return settle(lease);
                if (shrink->answer == CGROUP_E_BUSY && shrink->seals < SEALS_MAX &&
                    !shrink->give_up && begin(shrink, STEP_RECLAIM, &why) == 0)
                        return 0;
                return undo(lease, &shrink->why);
        case STEP_UNDO:
                take_limits(lease, &limits);
                if (shrink->answer)
                        log_error("VM '%s': after a failed resize: %s", lease->record.name,
                                  shrink->why.text);
                why = shrink->failed;
                return over(lease, SHRINK_FAILED, &why);
        case STEP_TURN:
                break;
        }
        assert(false);
        return 0;
}

static int take_message(struct broker *broker, int fd) {
        struct shrink *shrink;

        if (read(fd, &shrink, sizeof(void *)) != sizeof(void *))
                return 0;
        if (shrink->lease)
                return step_ended(shrink->lease);
        broker->n_shrinking--;
        shrink_free(shrink);
        return 0;
}

static int on_told(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        int r = take_message(userdata, fd);

        return r < 0 ? broker_fault(userdata, r) : 0;
}

static int open_pipe(struct broker *broker) {
        int fds[2], r;

        if (broker->shrunk)
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return fault(-errno);
        r = sd_event_add_io(broker->event, &broker->shrunk, fds[0], EPOLLIN, on_told, broker);
        if (r < 0) {
                fd_close_many(fds, 2);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(broker->shrunk, true);
        broker->shrunk_fd = fds[1];
        return 0;
}

static struct shrink *shrink_new(struct lease *lease, uint64_t memory_bytes,
                                 uint64_t charge_bytes) {
        struct shrink *shrink = calloc(1, sizeof(*shrink));
        const struct limits *limits = &lease->limits;
        uint64_t high = charge_memory_high(lease, charge_bytes);

        if (!shrink)
                return NULL;
        *shrink = (struct shrink){
                .broker = lease->broker,
                .lease = lease,
                .memory_bytes = memory_bytes,
                .charge_bytes = charge_bytes,
                .dir_fd = -1,
                .told_fd = lease->broker->shrunk_fd,
                .target = min_u64(reclaim_target(charge_bytes), high),
                .max = charge_bytes,
                .high = high,
                .old_max = limits->memory_max_bytes,
                .old_high = limits->memory_high_bytes == LIMIT_KEEP ? LIMIT_NONE
                                                                    : limits->memory_high_bytes,
                .in_use = limits->memory_max_bytes,
        };
        return shrink;
}

int shrink_start(struct lease *lease, struct connection *connection, uint64_t memory_bytes,
                 uint64_t charge_bytes, shrink_fn told, struct why *why) {
        struct broker *broker = lease->broker;
        struct shrink *shrink;
        bool was_open = lease->dir_fd >= 0;
        int r;

        assert(!lease->shrink);
        r = open_pipe(broker);
        if (r < 0)
                return r;
        shrink = shrink_new(lease, memory_bytes, charge_bytes);
        if (!shrink)
                return fault(-ENOMEM);
        r = lease_open_dir(lease, why);
        if (r == 0) {
                shrink->dir_fd = fcntl(lease->dir_fd, F_DUPFD_CLOEXEC, 3);
                if (shrink->dir_fd < 0)
                        r = why_errno(why, 1, errno, "cannot keep its group open");
        }
        if (!was_open)
                lease_close_dir(lease);
        if (r == 0)
                r = begin(shrink, STEP_RECLAIM, why);
        if (r) {
                shrink_free(shrink);
                return r < 0 ? r : 1;
        }
        lease->limits.memory_max_bytes = lease->limits.memory_high_bytes =
                lease->limits.memory_low_bytes = LIMIT_KEEP;
        lease->shrink = shrink;
        broker->n_shrinking++;
        shrink->told = told;
        shrink->connection = connection;
        if (connection)
                connection->resizing = lease;
        shrink->told_usec = broker_now_usec() + LOOK_USEC;
        broker_tick_at(broker, shrink->told_usec);
        return 0;
}

void shrink_progress(const struct lease *lease, uint64_t *in_usep, uint64_t *targetp) {
        *in_usep = lease->shrink->in_use;
        *targetp = lease->shrink->target;
}

bool shrink_freezes(const struct lease *lease) {
        return lease->shrink && lease->shrink->step == STEP_SEAL;
}

/* A freeze for the sake of its disks goes first; then it is ours. */
static int turn(struct lease *lease) {
        struct shrink *shrink = lease->shrink;
        struct why why = {};

        if (shrink->give_up) {
                why_set(&why, 1, "the broker is about to leave; ask again");
                return undo(lease, &why);
        }
        if (lease->diskio && lease->diskio->stepping)
                return 0;
        shrink->seals++;
        return begin(shrink, STEP_SEAL, &why) ? undo(lease, &why) : 0;
}

int shrink_tick(struct lease *lease, uint64_t now_usec, uint64_t *nextp) {
        struct shrink *shrink = lease->shrink;
        int r = 0;

        if (!shrink)
                return 0;
        if (shrink->step == STEP_TURN) {
                r = turn(lease);
                if (shrink->step == STEP_TURN)
                        *nextp = min_u64(*nextp, now_usec + TURN_USEC);
        }
        if (r == 0 && shrink->told_usec <= now_usec) {
                if (shrink->connection && shrink->connection->more &&
                    file_read_u64_at(shrink->dir_fd, "memory.current", &shrink->in_use) == 0)
                        r = shrink->told(lease, shrink->connection, SHRINK_GOES_ON, NULL);
                shrink->told_usec = now_usec + LOOK_USEC;
        }
        *nextp = min_u64(*nextp, shrink->told_usec);
        return r;
}

void shrink_unfollow(struct lease *lease) {
        struct shrink *shrink = lease->shrink;

        if (shrink && shrink->connection) {
                shrink->connection->resizing = NULL;
                shrink->connection = NULL;
        }
}

int shrink_vm_ended(struct lease *lease) {
        struct shrink *shrink = lease->shrink;
        struct connection *connection = shrink ? shrink->connection : NULL;
        bool waits = shrink && shrink->step == STEP_TURN;
        struct why why = {};

        if (!shrink)
                return 0;
        why_set(&why, 1, "the VM has ended");
        if (waits)
                return over(lease, SHRINK_FAILED, &why);
        /* The thread has it; its last message frees it. */
        shrink->give_up = true;
        shrink_unfollow(lease);
        lease->shrink = NULL;
        shrink->lease = NULL;
        return shrink->told(lease, connection, SHRINK_FAILED, &why);
}

bool shrinks_give_up(struct broker *broker) {
        struct lease *lease;

        if (broker->n_shrinking == 0)
                return false;
        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->shrink)
                        lease->shrink->give_up = true;
        return true;
}

void shrinks_close(struct broker *broker) {
        uint64_t now = broker_now_usec(), until = now + CLOSE_USEC, next = UINT64_MAX;
        struct pollfd pollfd = {.events = POLLIN};
        struct lease *lease;
        int r = 0;

        if (!broker->shrunk)
                return;
        pollfd.fd = sd_event_source_get_io_fd(broker->shrunk);
        while (r >= 0 && shrinks_give_up(broker) && now < until) {
                TAILQ_FOREACH(lease, &broker->leases, link)
                        if (r >= 0)
                                r = shrink_tick(lease, now, &next);
                if (r >= 0 && poll(&pollfd, 1, TURN_USEC / 1000) > 0)
                        r = take_message(broker, pollfd.fd);
                now = broker_now_usec();
        }
        broker->shrunk = sd_event_source_disable_unref(broker->shrunk);
        if (broker->n_shrinking == 0)
                fd_close(broker->shrunk_fd);
}

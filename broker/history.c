/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/history.h>

/* While somebody looks; not to the second, so that the kernel may join it with other timers. */
#define SAMPLE_ACCURACY_USEC UINT64_C(2000000)
#define LOOKED_AT_USEC UINT64_C(3600000000)

struct step {
        bool noted, cpu_known, memory_known;
        uint64_t sold[_RESOURCE_N];
        uint64_t vms, waiting;
        uint64_t cpu_milli, memory_bytes; /* used */
};

struct history {
        struct broker *broker;
        struct step steps[HISTORY_STEPS];
        uint64_t last;       /* the number of the step that was noted last: the time / STEP_USEC */
        struct step now;     /* as it is since then */
        uint64_t read_usec;  /* when the kernel was asked last; 0: never */
        uint64_t cpu_usec;   /* what it said */
        uint64_t until_usec; /* until when the timer goes on */
        sd_event_source *timer;
};

static struct step *step_at(struct history *history, uint64_t number) {
        return &history->steps[number % HISTORY_STEPS];
}

static void look_at_books(const struct broker *broker, struct step *step) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                step->sold[i] = ledger_allocated(&broker->ledger, i);
        step->vms = broker->ledger.vms;
        step->waiting = broker->queue.n;
        step->noted = true;
}

/* Steps that passed since the last note were as things stood then. Returns the present one. */
static struct step *advance(struct history *history, uint64_t number) {
        uint64_t first = history->last + 1;

        if (number >= HISTORY_STEPS && first + HISTORY_STEPS <= number)
                first = number - HISTORY_STEPS + 1;
        for (uint64_t i = first; i <= number; i++)
                *step_at(history, i) = history->now;
        history->last = number;
        return step_at(history, number);
}

static void keep_highest(struct step *step, const struct step *now) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                step->sold[i] = max_u64(step->sold[i], now->sold[i]);
        step->vms = max_u64(step->vms, now->vms);
        step->waiting = max_u64(step->waiting, now->waiting);
        step->noted = true;
}

/* The mean since the kernel was asked last, in all steps since then. */
static void note_cpu(struct history *history, uint64_t now_usec, uint64_t cpu_usec) {
        uint64_t from = history->read_usec / HISTORY_STEP_USEC, to = history->last;
        uint64_t milli;

        if (history->read_usec == 0 || cpu_usec < history->cpu_usec)
                return;
        milli = (uint64_t)((double)(cpu_usec - history->cpu_usec) * 1000.0 /
                           (double)max_u64(now_usec - history->read_usec, 1));
        if (to >= HISTORY_STEPS && from + HISTORY_STEPS <= to)
                from = to - HISTORY_STEPS + 1;
        for (uint64_t i = from; i <= to; i++) {
                struct step *step = step_at(history, i);

                /* The step in which the last reading was made has its own already. */
                if (i == from && i != to && step->cpu_known)
                        continue;
                step->cpu_milli = milli;
                step->cpu_known = true;
        }
}

static void read_kernel(struct history *history, uint64_t now_usec) {
        int dir_fd = history->broker->root.dir_fd;
        struct step *step = step_at(history, history->last);
        uint64_t cpu_usec;
        char text[1024];

        if (dir_fd < 0)
                return;
        if (file_read_at(dir_fd, "cpu.stat", text, sizeof(text)) == 0 &&
            file_keyed_u64(text, "usage_usec", &cpu_usec)) {
                note_cpu(history, now_usec, cpu_usec);
                history->cpu_usec = cpu_usec;
                history->read_usec = now_usec;
        }
        step->memory_known = file_read_u64_at(dir_fd, "memory.current", &step->memory_bytes) == 0;
}

static void note_at(struct history *history, uint64_t now_usec, bool read) {
        uint64_t number = now_usec / HISTORY_STEP_USEC;
        bool fresh = number != history->last;
        struct step *step;

        step = advance(history, number);
        look_at_books(history->broker, &history->now);
        keep_highest(step, &history->now);
        if (fresh || read)
                read_kernel(history, now_usec);
}

void history_note(struct history *history, uint64_t now_usec) {
        if (history)
                note_at(history, now_usec, false);
}

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata) {
        struct history *history = userdata;
        uint64_t now = broker_now_usec();

        note_at(history, now, true);
        if (now >= history->until_usec)
                return 0;
        sd_event_source_set_time(source, now + HISTORY_STEP_USEC);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

struct history *history_new(struct broker *broker, uint64_t now_usec) {
        struct history *history = calloc(1, sizeof(*history));

        if (!history)
                return NULL;
        history->broker = broker;
        history->last = now_usec / HISTORY_STEP_USEC;
        if (sd_event_add_time(broker->event, &history->timer, CLOCK_BOOTTIME, 0,
                              SAMPLE_ACCURACY_USEC, on_sample, history) < 0 ||
            sd_event_source_set_enabled(history->timer, SD_EVENT_OFF) < 0)
                return history_free(history);
        sd_event_source_set_priority(history->timer, SD_EVENT_PRIORITY_IDLE);
        note_at(history, now_usec, true);
        return history;
}

struct history *history_free(struct history *history) {
        if (history)
                sd_event_source_disable_unref(history->timer);
        free(history);
        return NULL;
}

/* One array, of what @get picks from a step. */
static json_t *row(struct history *history, bool (*get)(const struct step *, unsigned, uint64_t *),
                   unsigned which) {
        json_t *array = json_array();

        for (uint64_t i = HISTORY_STEPS; array && i-- > 0;) {
                const struct step *step;
                uint64_t value = 0;
                bool known;

                if (history->last < i)
                        continue;
                step = step_at(history, history->last - i);
                known = step->noted && get(step, which, &value);
                json_array_append_new(array, known ? json_integer((json_int_t)value) : json_null());
        }
        return array;
}

static bool get_sold(const struct step *step, unsigned resource, uint64_t *valuep) {
        *valuep = step->sold[resource];
        return true;
}

static bool get_cpu(const struct step *step, unsigned which, uint64_t *valuep) {
        *valuep = step->cpu_milli;
        return step->cpu_known;
}

static bool get_memory(const struct step *step, unsigned which, uint64_t *valuep) {
        *valuep = step->memory_bytes;
        return step->memory_known;
}

static bool get_count(const struct step *step, unsigned waiting, uint64_t *valuep) {
        *valuep = waiting ? step->waiting : step->vms;
        return true;
}

json_t *history_report(struct history *history, uint64_t now) {
        uint64_t left_usec;
        json_t *sold = json_object();

        note_at(history, now, true);
        if (history->until_usec <= now) {
                sd_event_source_set_time(history->timer, now + HISTORY_STEP_USEC);
                sd_event_source_set_enabled(history->timer, SD_EVENT_ONESHOT);
        }
        history->until_usec = now + LOOKED_AT_USEC;
        for (unsigned i = 0; sold && i < _RESOURCE_N; i++)
                json_object_set_new(sold, resource_name(i), row(history, get_sold, i));
        left_usec = (history->last + 1) * HISTORY_STEP_USEC - now;
        return json_pack("{s:I s:I s:o s:{s:o s:o} s:o s:o}", "step_ms",
                         (json_int_t)(HISTORY_STEP_USEC / 1000), "until_ms",
                         (json_int_t)((broker_realtime_ns() / 1000 + left_usec) / 1000), "sold",
                         sold, "used", "cpu", row(history, get_cpu, 0), "memory",
                         row(history, get_memory, 0), "vms", row(history, get_count, 0), "waiting",
                         row(history, get_count, 1));
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker/broker.h>
#include <broker/network.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/survey.h>
#include <broker/surveyor.h>

struct surveys {
        struct survey *young; /* may be told again; NULL: none */
        bool making;          /* one is on its way */
        struct surveyor *surveyor;
        sd_event_source *expiry; /* when the young one is dropped */
        TAILQ_HEAD(, survey_asker) askers;
};

struct survey *survey_ref(struct survey *survey) {
        survey->n_refs++;
        return survey;
}

void survey_unref(struct survey *survey) {
        if (!survey || --survey->n_refs > 0)
                return;
        if (survey->kept)
                survey->drop_kept(survey->kept);
        usage_disks_deinit(&survey->disks);
        free(survey->devices);
        free(survey->slices);
        free(survey->vms);
        free(survey);
}

static void unrefp(struct survey **surveyp) {
        survey_unref(*surveyp);
}

/* ---- who is there ---- */

static void list_slices(const struct broker *broker, struct survey *survey) {
        const struct slice *slice;

        for (slice = broker->slices; slice; slice = slice->hh.next) {
                struct survey_slice *entry = &survey->slices[survey->n_slices++];

                strcpy(entry->name, slice->name);
                entry->present = slice->dir_fd >= 0;
        }
}

static void list_taps(const struct lease *lease, struct survey_vm *vm) {
        const struct taps *taps = lease->taps;

        vm->minor = lease->record.minor;
        vm->download_minor = lease->record.download_minor;
        for (size_t i = 0; taps && i < taps->n; i++)
                if (taps->tap[i].ifindex > 0)
                        vm->taps[vm->n_taps++] = taps->tap[i].ifindex;
}

static void name_directory(const struct lease *lease, struct survey_vm *vm) {
        char outer[LEASE_DIRECTORY_MAX] = "", own[LEASE_DIRECTORY_MAX];

        if (lease->inside)
                lease_directory(lease->inside->lease, outer, sizeof(outer));
        snprintf(vm->directory, sizeof(vm->directory), "%s%s%s", outer, outer[0] ? "/" : "",
                 lease_directory(lease, own, sizeof(own)));
}

static void list_vm(const struct lease *lease, size_t slice, struct survey_vm *vm) {
        memcpy(vm->id, lease->record.id, sizeof(vm->id));
        memcpy(vm->name, lease->record.name, sizeof(vm->name));
        memcpy(vm->charge, lease->claim.demand.amount, sizeof(vm->charge));
        vm->slice = slice;
        vm->uid = lease->record.uid;
        vm->state = lease->state;
        vm->memory_limit_bytes = lease->limits.memory_max_bytes;
        name_directory(lease, vm);
        list_taps(lease, vm);
}

/* Leases come slice by slice only by chance; there are few slices, and mostly the last one's. */
static size_t place_of(const struct survey *survey, const char *name, size_t last) {
        if (last < survey->n_slices && strcmp(survey->slices[last].name, name) == 0)
                return last;
        for (size_t i = 0; i < survey->n_slices; i++)
                if (strcmp(survey->slices[i].name, name) == 0)
                        return i;
        assert(!"a lease's slice");
        return 0;
}

int survey_list(struct broker *broker, struct survey **surveyp) {
        _cleanup_(unrefp) struct survey *survey = NULL;
        const struct lease *lease;
        size_t n = 0, last = 0;

        survey = calloc(1, sizeof(*survey));
        if (!survey)
                return fault(-ENOMEM);
        survey->n_refs = 1;
        survey->begun_ns = broker_now_ns();
        survey->begun_realtime_ns = broker_realtime_ns();
        survey->ifb_ifindex = broker->network->ifb_ifindex;
        survey->major = broker->network->major;
        snprintf(survey->block_dir, sizeof(survey->block_dir), "%s/dev/block",
                 broker->options->sys_dir);
        TAILQ_FOREACH(lease, &broker->leases, link)
                n++;
        survey->vms = calloc(n + 1, sizeof(*survey->vms));
        survey->slices = calloc(HASH_COUNT(broker->slices) + 1, sizeof(*survey->slices));
        if (!survey->vms || !survey->slices)
                return fault(-ENOMEM);
        list_slices(broker, survey);
        TAILQ_FOREACH(lease, &broker->leases, link) {
                if (lease->reservation)
                        continue;
                last = place_of(survey, lease->slice->name, last);
                list_vm(lease, last, &survey->vms[survey->n_vms++]);
        }
        *surveyp = take(survey);
        return 0;
}

/* ---- who asks ---- */

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct broker *broker = userdata;

        survey_unref(take(broker->surveys->young));
        return 0;
}

/* Once, a while after: not at each survey one wake-up more. */
static int expire_later(struct broker *broker, struct surveys *surveys) {
        int r;

        if (!surveys->expiry) {
                r = sd_event_add_time_relative(broker->event, &surveys->expiry, CLOCK_MONOTONIC,
                                               SURVEY_YOUNG_USEC, 0, on_expiry, broker);
                return r < 0 ? fault(r) : 0;
        }
        r = sd_event_source_set_time_relative(surveys->expiry, SURVEY_YOUNG_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(surveys->expiry, SD_EVENT_ONESHOT);
        return r < 0 ? fault(r) : 0;
}

static int on_made(struct broker *broker, void *userdata) {
        struct surveys *surveys = broker->surveys;
        struct survey *survey = userdata;
        struct survey_asker *asker;
        int r;

        surveys->making = false;
        survey_unref(surveys->young);
        surveys->young = survey;
        r = expire_later(broker, surveys);
        while (r == 0 && (asker = TAILQ_FIRST(&surveys->askers))) {
                survey_leave(broker, asker);
                r = asker->told(asker, survey);
        }
        return r;
}

static int surveys_open(struct broker *broker) {
        struct surveys *surveys;
        int r;

        if (broker->surveys)
                return 0;
        surveys = calloc(1, sizeof(*surveys));
        if (!surveys)
                return fault(-ENOMEM);
        TAILQ_INIT(&surveys->askers);
        r = surveyor_new(&surveys->surveyor, broker, survey_gather, on_made);
        if (r) {
                free(surveys);
                return r;
        }
        broker->surveys = surveys;
        return 0;
}

static int begin(struct broker *broker) {
        struct survey *survey;
        int r;

        r = survey_list(broker, &survey);
        if (r)
                return r;
        r = surveyor_make(broker->surveys->surveyor, survey);
        if (r) {
                survey_unref(survey);
                return r;
        }
        broker->surveys->making = true;
        return 0;
}

struct survey *survey_young(struct broker *broker) {
        struct survey *young = broker->surveys ? broker->surveys->young : NULL;

        return young && broker_now_ns() - young->begun_ns < SURVEY_YOUNG_USEC * 1000 ? young : NULL;
}

int survey_ask(struct broker *broker, struct survey_asker *asker) {
        struct surveys *surveys;
        int r;

        r = surveys_open(broker);
        if (r)
                return r;
        surveys = broker->surveys;
        if (survey_young(broker))
                return asker->told(asker, surveys->young);
        if (!surveys->making)
                r = begin(broker);
        if (r)
                return r < 0 ? r : asker->told(asker, NULL);
        asker->waiting = true;
        TAILQ_INSERT_TAIL(&surveys->askers, asker, link);
        return 0;
}

void survey_leave(struct broker *broker, struct survey_asker *asker) {
        if (!asker->waiting)
                return;
        asker->waiting = false;
        TAILQ_REMOVE(&broker->surveys->askers, asker, link);
}

bool survey_is_asked(const struct broker *broker) {
        return broker->surveys && !TAILQ_EMPTY(&broker->surveys->askers);
}

void survey_close(struct broker *broker) {
        if (!broker->surveys)
                return;
        sd_event_source_disable_unref(broker->surveys->expiry);
        survey_unref(broker->surveys->young);
        surveyor_close(broker->surveys->surveyor);
        free(take(broker->surveys));
}

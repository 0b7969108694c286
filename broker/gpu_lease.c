/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/thread.h>
#include <broker/broker.h>
#include <broker/gpu.h>
#include <broker/gpu_lease.h>
#include <broker/gpu_work.h>
#include <broker/lease.h>
#include <broker/reload.h>

#define STACK_SIZE (64 * 1024)

bool gpu_lease_is_real(const struct broker *broker) {
        return gpus_total(broker->gpus) > 0;
}

int gpu_lease_check(const struct lease *lease, struct why *why) {
        uint64_t n = lease->claim.demand.amount[RESOURCE_GPU];

        if (n > RECORD_GPUS_MAX && gpu_lease_is_real(lease->broker))
                return why_set(why, GPU_LEASE_E_MANY, "one VM can have %d GPUs, not %ju",
                               RECORD_GPUS_MAX, (uintmax_t)n);
        return 0;
}

int gpu_lease_reserve(struct lease *lease, struct why *why) {
        uint64_t n = lease->claim.demand.amount[RESOURCE_GPU];
        struct gpus *gpus = lease->broker->gpus;
        struct record *record = &lease->record;
        const struct gpu_slot *slot = NULL;
        int r;

        if (n == 0 || !gpu_lease_is_real(lease->broker))
                return 0;
        /* They may have been found since it was claimed. */
        r = gpu_lease_check(lease, why);
        if (r)
                return r;
        r = gpu_take(gpus, record->id, n, why);
        if (r)
                return r;
        while ((slot = gpu_next(gpus, record->id, slot))) {
                struct record_gpu *gpu = &record->gpus[record->n_gpus++];

                snprintf(gpu->name, sizeof(gpu->name), "%s", slot->name);
                gpu->lent = slot->lent;
        }
        return 0;
}

/* ---- beside the loop ---- */

struct errand {
        struct gpu_work *work;
        int told_fd;
        struct lease *lease; /* not the thread's: for the loop, when it hears of the end; or NULL */
        gpu_lease_fn done;
};

static void *run(void *userdata) {
        struct errand *errand = userdata;
        ssize_t n;

        gpu_work_run(errand->work);
        n = write(errand->told_fd, &errand, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

static int end_errand(struct broker *broker, struct errand *errand) {
        struct lease *lease = errand->lease;
        gpu_lease_fn done = errand->done;
        struct why why = {};
        int answer;

        answer = gpu_done(broker->gpus, errand->work, &why);
        free(errand);
        if (answer < 0)
                return answer;
        /* What can be had is not what it was. */
        policies_count(broker);
        broker_settle_later(broker);
        if (lease) {
                lease->gpu_busy = false;
                return done(lease, answer, &why);
        }
        if (answer)
                log_error("a GPU of a former broker's VM stays out of use: %s", why.text);
        return 0;
}

static int on_told(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct errand *errand;
        int r;

        if (read(fd, &errand, sizeof(void *)) != sizeof(void *))
                return 0;
        broker->n_gpu_errands--;
        r = end_errand(broker, errand);
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int open_pipe(struct broker *broker) {
        int fds[2], r;

        if (broker->gpu_told)
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return fault(-errno);
        r = sd_event_add_io(broker->event, &broker->gpu_told, fds[0], EPOLLIN, on_told, broker);
        if (r < 0) {
                fd_close_many(fds, 2);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(broker->gpu_told, true);
        broker->gpu_told_fd = fds[1];
        return 0;
}

/* Takes over @work. */
static int send_out(struct broker *broker, struct gpu_work *work, struct lease *lease,
                    gpu_lease_fn done) {
        struct errand *errand;
        int r;

        r = open_pipe(broker);
        errand = r < 0 ? NULL : malloc(sizeof(*errand));
        if (!errand) {
                free(work);
                return r < 0 ? r : fault(-ENOMEM);
        }
        *errand = (struct errand){
                .work = work, .told_fd = broker->gpu_told_fd, .lease = lease, .done = done};
        if (lease)
                lease->gpu_busy = true;
        broker->n_gpu_errands++;
        /* Better late than never. */
        if (thread_start(run, errand, STACK_SIZE))
                run(errand);
        return 1;
}

int gpu_lease_prepare(struct lease *lease, gpu_lease_fn done) {
        struct gpu_work *work = NULL;
        int r;

        r = gpu_prepare(lease->broker->gpus, lease->record.id, &work);
        if (r < 0 || !work)
                return r;
        return send_out(lease->broker, work, lease, done);
}

int gpu_lease_release(struct lease *lease, gpu_lease_fn done) {
        struct gpu_work *work = NULL;
        int r;

        if (lease->record.n_gpus == 0)
                return 0;
        if (lease->gpu_busy)
                return 1;
        r = gpu_release(lease->broker->gpus, lease->record.id, &work);
        if (r < 0 || !work)
                return r; /* none is left of those that the record names */
        return send_out(lease->broker, work, lease, done);
}

int gpu_lease_open(struct lease *lease, struct why *why) {
        const struct gpu_slot *slot = NULL;

        for (size_t i = 0; (slot = gpu_next(lease->broker->gpus, lease->record.id, slot)); i++) {
                char path[64];

                if (!(lease->gpu_fds_asked & 1U << i))
                        continue;
                snprintf(path, sizeof(path), "%s/vfio/%d", launcher_dev(lease->broker->launcher),
                         slot->group);
                lease->gpu_fds[i] = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (lease->gpu_fds[i] < 0)
                        return why_errno(why, GPU_LEASE_E_HOST, errno,
                                         "cannot open /dev/vfio/%d of GPU %s", slot->group,
                                         slot->name);
        }
        return 0;
}

/* ---- from one broker to the next ---- */

void gpu_lease_adopt(struct lease *lease) {
        const struct record *record = &lease->record;

        for (size_t i = 0; i < record->n_gpus; i++) {
                const struct record_gpu *gpu = &record->gpus[i];
                struct why why = {};

                if (gpu_claim(lease->broker->gpus, record->id, gpu->name, gpu->lent, &why))
                        log_warning("VM '%s': %s", record->name, why.text);
        }
}

int gpu_lease_sweep(struct broker *broker) {
        struct gpu_work *work = NULL;
        int r;

        r = gpu_sweep(broker->gpus, &work);
        if (r < 0 || !work)
                return r;
        policies_count(broker);
        r = send_out(broker, work, NULL, NULL);
        return r < 0 ? r : 0;
}

void gpu_lease_close(struct broker *broker) {
        if (!broker->gpu_told)
                return;
        sd_event_source_disable_unref(broker->gpu_told);
        if (broker->n_gpu_errands == 0)
                fd_close(broker->gpu_told_fd);
}

/* ---- what one can see ---- */

json_t *gpu_lease_list(const struct lease *lease) {
        const struct gpu_slot *slot = NULL;
        json_t *array = json_array();

        while (lease->state != LEASE_WAITING &&
               (slot = gpu_next(lease->broker->gpus, lease->record.id, slot)))
                json_array_append_new(array, json_pack("{s:s s:s s:s s:i}", "name", slot->name,
                                                       "device", slot->parent, "type", slot->type,
                                                       "group", slot->group));
        return array;
}

void gpu_lease_report(const struct lease *lease, json_t *limits, json_t *notes) {
        const struct gpu_slot *slot = NULL;
        char text[1024];
        size_t used = 0;

        if (lease->claim.demand.amount[RESOURCE_GPU] == 0 || lease->state == LEASE_WAITING)
                return;
        if (lease->record.n_gpus == 0) {
                json_array_append_new(notes, json_string("gpu: counted, none was handed over"));
                return;
        }
        while ((slot = gpu_next(lease->broker->gpus, lease->record.id, slot)) &&
               used < sizeof(text))
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
                                         slot->name);
        if (used)
                json_object_set_new(limits, "gpu", json_string(text));
        if (lease->gpu_busy)
                json_array_append_new(notes, json_string(lease->state == LEASE_STARTING
                                                                 ? "its GPUs are being prepared"
                                                                 : "its GPUs are being reset"));
}

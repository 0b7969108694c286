/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/slice.h>
#include <broker/slice_io.h>
#include <cgroup/freeze.h>
#include <cgroup/iomax.h>

#define LOOK_USEC UINT64_C(10000) /* while it freezes */
#define STEP_USEC UINT64_C(2000000)
#define STEP_DOUBLINGS 5 /* its VMs stand still meanwhile: each try waits twice as long */
#define DEVICES_MAX 64

/* False: the policy says nothing, or there is none any more, and what is there stays. */
static bool limit_of(const struct slice *slice, struct io_limit *limit) {
        const struct slice_policy *policy = slice->policy;

        *limit = (struct io_limit)IO_UNLIMITED;
        if (!policy)
                return false;
        if (policy->limit.amount[RESOURCE_DISK_IO] != POLICY_NONE)
                limit->read_bytes_per_s = limit->write_bytes_per_s =
                        max_u64(1, policy->limit.amount[RESOURCE_DISK_IO]);
        return true;
}

static bool is_unlimited(const struct io_limit *limit) {
        return limit->read_bytes_per_s == IO_NO_LIMIT;
}

int slice_io_make(struct lease *lease, struct why *why) {
        struct slice *slice = lease->slice;
        struct io_limit limit;
        int r = 0;

        if (!limit_of(slice, &limit) || is_unlimited(&limit))
                return 0;
        for (size_t i = 0; r == 0 && i < lease->diskio->n; i++) {
                dev_t dev = lease->diskio->disk[i].disk.dev;

                if (iomax_verify(slice->dir_fd, dev, &limit, NULL))
                        r = iomax_apply(slice->dir_fd, dev, &limit, why);
        }
        return r;
}

struct devices {
        dev_t dev[DEVICES_MAX];
        size_t n;
};

static void add_device(struct devices *devices, dev_t dev) {
        for (size_t i = 0; i < devices->n; i++)
                if (devices->dev[i] == dev)
                        return;
        if (devices->n < DEVICES_MAX)
                devices->dev[devices->n++] = dev;
}

static void take_line(void *userdata, dev_t dev, const struct io_limit *limit) {
        add_device(userdata, dev);
}

/* Those that have a limit, and those that are to have one. */
static void find_devices(const struct broker *broker, const struct slice *slice,
                         const struct io_limit *limit, struct devices *devices) {
        const struct lease *lease;
        int r;

        r = iomax_each(slice->dir_fd, take_line, devices, NULL);
        (void)r; /* no line, or no io controller: none has one */
        if (is_unlimited(limit))
                return;
        TAILQ_FOREACH(lease, &broker->leases, link)
                for (size_t i = 0; lease->slice == slice && lease->diskio && i < lease->diskio->n;
                     i++)
                        add_device(devices, lease->diskio->disk[i].disk.dev);
}

static int apply(const struct broker *broker, const struct slice *slice, struct why *why) {
        struct devices devices = {};
        struct io_limit limit;
        int r = 0;

        if (!limit_of(slice, &limit))
                return 0;
        find_devices(broker, slice, &limit, &devices);
        for (size_t i = 0; r == 0 && i < devices.n; i++)
                r = iomax_apply(slice->dir_fd, devices.dev[i], &limit, why);
        return r;
}

/* One look: begins it, goes on, or gives it up until later. */
static void step(struct broker *broker, struct slice *slice, uint64_t now) {
        struct why why = {};
        bool frozen = false;
        int r = 0;

        if (!slice->io_stepping) {
                r = freeze_begin(slice->dir_fd, &why);
                slice->io_stepping = true;
                slice->io_until_usec = now + STEP_USEC;
        }
        if (r == 0)
                r = freeze_is_frozen(slice->dir_fd, &frozen, &why);
        if (r == 0 && frozen)
                r = apply(broker, slice, &why);
        if (r)
                log_error("slice '%s': %s", slice->name, why.text);
        if (r == 0 && !frozen && now < slice->io_until_usec) {
                slice->io_step_usec = now + LOOK_USEC;
                return;
        }
        slice_thaw(slice);
        if (r == 0 && !frozen)
                slice->io_step_usec =
                        now + (STEP_USEC << min_u64(slice->io_failures++, STEP_DOUBLINGS));
        else
                slice->io_failures = 0;
}

bool slice_io_follow(struct broker *broker, struct slice *slice, struct why *why) {
        struct devices devices = {};
        struct io_limit limit;
        bool differs = false;

        if (slice->dir_fd < 0 || !limit_of(slice, &limit))
                return false;
        find_devices(broker, slice, &limit, &devices);
        for (size_t i = 0; i < devices.n && !differs; i++)
                differs = iomax_verify(slice->dir_fd, devices.dev[i], &limit, why) != 0;
        if (differs && slice->io_step_usec == 0) {
                slice->io_step_usec = broker_now_usec();
                broker_tick_at(broker, slice->io_step_usec);
        }
        return differs;
}

void slices_io_tick(struct broker *broker, uint64_t now_usec, uint64_t *nextp) {
        struct slice *slice, *next;

        HASH_ITER(hh, broker->slices, slice, next) {
                if (slice->io_step_usec && slice->io_step_usec <= now_usec && slice->dir_fd >= 0)
                        step(broker, slice, now_usec);
                if (slice->io_step_usec)
                        *nextp = min_u64(*nextp, slice->io_step_usec);
        }
}

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SURVEY_H
#define PROVIUM_BROKER_SURVEY_H

/*
 * A survey: what the kernel says of every VM and every slice at one time, as numbers.
 *
 * It is made in a thread beside the loop (broker/surveyor), for a thousand VMs are ten thousand
 * files, and what lists the links waits for the kernel's lock of all links, which whoever ends a
 * tap holds for 20 ms. The loop makes the list of who is there (a copy, some hundred bytes for a
 * VM) and gets the result. One survey at a time is made: all who ask meanwhile share it. Who asks
 * within SURVEY_YOUNG_USEC of one's begin gets that one; then it is dropped, so that a broker that
 * nobody looks at keeps nothing, but for the groups' files, a minute long (broker/surveyor).
 *
 * Reservations are not in it: what is used in them is used by the VMs inside, which are.
 *
 * A VM that ends in the middle is left out. What cannot be read is not known, which is not zero:
 * there is a flag, or a bit in usage.known.
 */

#include <net/if.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>
#include <broker/lease.h>
#include <cgroup/record.h>
#include <cgroup/usage.h>
#include <tc/shape.h>

struct broker;
struct survey_kept;

#define SURVEY_YOUNG_USEC UINT64_C(1000000)
#define SURVEY_DEVICE_NAME_MAX 31
#define SURVEY_DIRECTORY_MAX (2 * LEASE_DIRECTORY_MAX) /* "ID.claim/ID.vm" */

/* One direction of a VM's network, as the VM sees it: of all its taps, since they were made. */
struct survey_traffic {
        uint64_t bytes, packets, drops;
        uint64_t shaping_drops; /* what its limit threw away; if has_shaping */
};

struct survey_vm {
        char id[RECORD_ID_MAX + 1], name[TEXT_NAME_MAX + 1];
        char directory[SURVEY_DIRECTORY_MAX]; /* below its slice's */
        size_t slice;                         /* its place in survey.slices */
        uid_t uid;
        enum lease_state state;
        uint64_t charge[_RESOURCE_N];  /* what it was sold */
        uint64_t memory_limit_bytes;   /* memory.max, as set and read back; UINT64_MAX: none */
        bool present;                  /* else it is to be left out: it has ended */
        struct usage usage;            /* if present */
        bool has_traffic, has_shaping; /* both taps' and queues' counters were read */
        struct survey_traffic download, upload;

        size_t n_taps;
        int taps[SHAPE_TAPS_MAX];       /* ifindexes */
        uint16_t minor, download_minor; /* its classes on the IFB; 0: none */
        unsigned taps_seen, queues_seen;
};

struct survey_slice {
        char name[TEXT_NAME_MAX + 1];
        bool present;       /* it has a group */
        struct usage usage; /* of all in it, those that have ended included; if present */
};

/* A block device that some VM used. */
struct survey_device {
        dev_t dev;
        char name[SURVEY_DEVICE_NAME_MAX + 1]; /* "sda"; "8:0" if the kernel names it no more */
};

struct survey {
        unsigned n_refs;   /* the loop's */
        uint64_t begun_ns; /* CLOCK_BOOTTIME; the numbers are of then or later */
        uint64_t begun_realtime_ns;
        uint64_t took_usec, cpu_usec; /* how long it took, and how much processor time */
        size_t n_vms, n_slices, n_devices;
        struct survey_vm *vms;
        struct survey_slice *slices;
        struct survey_device *devices;
        struct usage_disks disks; /* of whom, see usage.first_disk */

        int ifb_ifindex;
        uint16_t major;
        char block_dir[128]; /* "/sys/dev/block" */

        void *kept; /* what was made of it, and goes with it: broker/http_metrics; or NULL */
        void (*drop_kept)(void *kept);
};

/* Who asks. It lies in what the caller keeps until it was told, or has left. */
struct survey_asker {
        /* Called on the loop, once. The survey is the caller's to look at during the call, and
         * longer with survey_ref(); NULL: the kernel has no thread for it now. Negative: a fault.
         */
        int (*told)(struct survey_asker *asker, struct survey *survey);
        bool waiting;
        TAILQ_ENTRY(survey_asker) link;
};

/* Tells @asker, at once or later. Negative: a fault. */
_must_check_ int survey_ask(struct broker *broker, struct survey_asker *asker);
/* It is told no more, if it was waiting. */
void survey_leave(struct broker *broker, struct survey_asker *asker);
/* The one that is told again; NULL: there is none. Borrowed. */
struct survey *survey_young(struct broker *broker);
/* Does somebody wait for one? Then the program is not replaced just now. */
bool survey_is_asked(const struct broker *broker);
void survey_close(struct broker *broker);

/* On the loop only. */
struct survey *survey_ref(struct survey *survey);
void survey_unref(struct survey *survey);

/* The name of @dev in this survey. */
const char *survey_device_name(const struct survey *survey, dev_t dev);

/* The work itself, in whatever thread; survey_list() was before it. */
void survey_gather(void *survey, int root_fd, struct survey_kept *kept);
/* Who is to be looked at. Negative: out of memory. */
_must_check_ int survey_list(struct broker *broker, struct survey **surveyp);

#endif

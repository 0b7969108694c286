/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_BROKER_H
#define PROVIUM_BROKER_BROKER_H

/*
 * The broker as a whole: one loop, and everything that lives on it.
 *
 * The order of events on the loop is the order of decisions, so there is nothing to lock. What
 * must survive the broker is in the kernel's tree (cgroup/record); what is here can be made again
 * from there. A fault, negative, ends the loop and the process: VMs run on, and the next start
 * adopts them.
 */

#include <jansson.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include <admission/deadlock.h>
#include <admission/queue.h>
#include <base/why.h>
#include <broker/events.h>
#include <broker/host.h>
#include <broker/log.h>
#include <broker/options.h>
#include <cgroup/resolve.h>
#include <cgroup/root.h>
#include <cgroup/watch.h>
#include <launcher/launcher.h>
#include <policies/policy.h>

struct asides;
struct control;
struct filters;
struct gpus;
struct history;
struct http;
struct journal;
struct lease;
struct named_owner;
struct meter;
struct network;
struct pages;
struct pressures;
struct reservation;
struct slice;
struct space;
struct surveys;
struct usage_book;
struct usage_queries;
struct violations;

TAILQ_HEAD(lease_list, lease);
TAILQ_HEAD(slice_list, slice);
LIST_HEAD(reservation_list, reservation);

/* Where the data directory lies, for VMs that name no disks. */
struct data_disks {
        int code; /* 0, or why there is nothing to limit */
        struct why why;
        struct disks disks;
};

/* A disk that somebody uses, and its axis in the ledger. */
struct disk_slot {
        dev_t dev;
        char name[RESOLVE_NAME_SIZE];
        uint64_t n_leases; /* 0: free */
};

struct broker {
        sd_event *event;
        const struct options *options;

        struct cgroup_root root;
        unsigned char key[CGROUP_ROOT_KEY_SIZE]; /* for tickets */
        struct watch watch;
        int root_watch_id;
        bool in_scope;   /* the root is systemd's provium-vms.scope */
        bool root_ended; /* which was stopped */
        struct launcher *launcher;
        int launcher_fd; /* of a launcher from before re-execution; -1 */
        sd_event_source *parent_source, *parent_end, *parent_retry; /* broker/parent; NULL */
        int (*progress)(struct lease *lease); /* likewise: provision_progress() */

        struct policy *policy;
        struct filters *filters;      /* of that policy */
        struct filters *next_filters; /* of one that was loaded and is about to be in force */
        struct host host;
        struct gpus *gpus; /* NULL: not looked for yet */
        struct data_disks data_disks;
        struct disk_slot disk_slots[DEMAND_DISKS];
        struct ledger ledger;
        struct queue queue;
        struct owners owners; /* who hold something and wait for more */
        struct named_owner *named_owners;
        bool owners_suspect;              /* they may wait for each other */
        struct reservation *reservations; /* by their owners */
        struct reservation_list stirred;  /* of which something is to be done */
        uint64_t owners_first; /* the order of the first claim, when that was last looked at */
        struct gates gates;
        struct pressures *pressures; /* how the host is, for those */
        struct {
                bool tuned;         /* by us */
                uint64_t before[3]; /* valid if so; broker/ksm knows of what */
        } ksm;
        struct slice *slices;          /* by name */
        struct tenant *tenants;        /* a user's part of a slice */
        struct ceiling *ceilings;      /* of users and groups */
        struct slice *slices_by_watch; /* those with a directory */
        struct slice_list unbalanced;  /* whose weights are to come down */

        struct lease_list leases; /* all that hold a charge, oldest first */
        struct lease *by_id;      /* all, waiting ones too */
        struct lease *by_name;    /* all that have a name of their own */
        struct lease *by_watch;   /* those with a group */
        struct ended *ended;      /* broker/ended */
        uint64_t n_launching;     /* children on their way to execve */
        uint64_t last_order, last_number;
        uint64_t started_ns; /* CLOCK_BOOTTIME: tickets from before are a former broker's */

        struct events events;
        struct journal *journal;  /* NULL: events do not go there */
        sd_event_source *sampler; /* broker/pool_state; NULL: nobody ever listened */
        uint64_t n_sampled;       /* who listen */
        struct history *history;  /* NULL: there was no memory for it */
        struct control *control;
        struct http *http; /* NULL: not made yet */
        int http_fds[4];   /* sockets of systemd's for it, at the start */
        size_t n_http_fds;
        struct network *network;
        struct space *space;
        struct asides *asides;   /* threads of errands; NULL: none ever was */
        struct surveys *surveys; /* who asks for one; NULL: nobody ever did */
        struct pages *pages;     /* who asks for /metrics; likewise */
        struct meter *meter;     /* what is counted */
        struct usage_book *usage;
        struct usage_queries *usage_queries; /* NULL: nobody ever asked */
        struct violations *violations;       /* NULL: none ever was */

        sd_event_source *gpu_told; /* what was done to GPUs; NULL: nothing ever was */
        int gpu_told_fd;           /* where its threads tell it */
        uint64_t n_gpu_errands;

        sd_event_source *shrunk; /* memory that was taken from VMs; NULL: none ever was */
        int shrunk_fd;           /* where its threads tell it */
        uint64_t n_shrinking;

        sd_event_source *settle; /* after releases: the queue goes on */
        sd_event_source *tick;   /* the next deadline of anything */
        uint64_t tick_usec;      /* when it is set for; UINT64_MAX: not */
        uint64_t window_usec;    /* until when returning claims are collected; 0: not */
        bool marked_waiting;     /* the root carries the mark */
        bool stopping, upgrading;
        uint64_t upgrading_usec; /* since when, if so */
        json_t *resume; /* the state of the program before us, until it is taken up; NULL */
        bool oom_exempt;
        unsigned char random[256]; /* drawn in advance, for ids; n_random are left */
        size_t n_random;
        struct log_rates client_lines;
};

/* CLOCK_BOOTTIME: deadlines and order must not jump with the wall clock or stand still in suspend.
 */
uint64_t broker_now_usec(void);
uint64_t broker_now_ns(void);
uint64_t broker_realtime_ns(void);
uint64_t broker_monotonic_usec(void); /* for systemd only */

/* What whoever starts, reloads or is asked answers with. */
enum {
        _BROKER_E_SUCCESS,
        BROKER_E_POLICY, /* a policy file is bad; every error was logged */
        BROKER_E_HOST,   /* cgroups, sockets, systemd */
        BROKER_E_EXISTS, /* another broker has this root */
};

/* Sees to it that broker_tick() runs at @usec at the latest. */
void broker_tick_at(struct broker *broker, uint64_t usec);

/* Claims that may start now are granted, later in
 * this turn of the loop. */
void broker_settle_later(struct broker *broker);

/* Ends the loop because of a fault in a callback; returns it. */
int broker_fault(struct broker *broker, int r);

#endif

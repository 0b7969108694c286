/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_LEASE_H
#define PROVIUM_BROKER_LEASE_H

/*
 * A lease, from the claim to its end: one object that goes through its states in one direction.
 *
 *     WAITING -> STARTING -> RUNNING -> STOPPING -> KILLING -> (freed)
 *                                                      \-> LINGERING, retried
 *     UNKNOWN: found in the tree with a record we do not understand; it keeps its charge
 *
 * From STARTING on it is charged; the charge goes back when its directory is gone, and not before.
 */

#include <net/if.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include <admission/deadlock.h>
#include <admission/queue.h>
#include <broker/broker.h>
#include <broker/connection.h>
#include <cgroup/iomax.h>
#include <cgroup/limits.h>
#include <cgroup/record.h>
#include <cgroup/resolve.h>
#include <cgroup/watch.h>
#include <launcher/spawn.h>
#include <proto/request.h>
#include <tc/shape.h>

struct broker;
struct connection;
struct filters;
struct named_owner;
struct reservation;
struct shrink;
struct slice;

enum lease_state {
        LEASE_WAITING,
        LEASE_STARTING,
        LEASE_RUNNING,
        LEASE_STOPPING,  /* TERM was sent, the grace period runs */
        LEASE_KILLING,   /* cgroup.kill was written, or its processes have ended: waiting for the
                          * group to be empty and gone */
        LEASE_LINGERING, /* it would not go: charge held, retried, shown */
        LEASE_UNKNOWN,
        _LEASE_STATE_N,
};

/* "waiting", ... */
const char *lease_state_name(enum lease_state state);

/* One of its taps. */
struct tap {
        char name[IF_NAMESIZE], bridge[IF_NAMESIZE];
        unsigned char mac[6]; /* the guest's */
        unsigned queues;
        int ifindex;        /* 0: not made yet, or gone */
        uint64_t lost_usec; /* gone under its VM: when that is to be told; 0: not, or it was */
        int last_ifindex;   /* what it was before it was lost */
        bool counted;       /* it is gone, and this is all that it has carried */
        uint64_t download_bytes, upload_bytes;
};

/* Its network: what broker/taps makes, keeps and takes away. */
struct taps {
        struct shape shape; /* as it is in force; its taps are those below that are there */
        size_t n;
        struct tap tap[SHAPE_TAPS_MAX];
        bool vhost; /* the command asks for /dev/vhost-net */
        /* Passed to the hypervisor as 3, 4, ...: the queues of all taps in order, then as many of
         * vhost-net. -1 when not open; closed once it has them. */
        int fds[REQUEST_TAP_FDS_MAX];
        size_t n_fds;
        bool suspect; /* somebody changed its shaping: to be compared */
};

/* How its I/O is limited: what broker/diskio sets and broker/burst changes. */
struct diskio_disk {
        struct disk disk;
        int slot;           /* of broker->disk_slots; -1: not charged */
        struct io_use seen; /* at the last look */
};

struct diskio {
        bool governed;          /* the broker keeps its bucket */
        bool burst;             /* io.max is, or is to be, at the ceiling; else at the claim */
        bool stepping;          /* its group is being frozen, to change io.max */
        unsigned step_failures; /* in a row: the next try waits longer */
        uint64_t step_usec;     /* give that up, or try it (again); 0: nothing is to be done */
        uint64_t left_bytes;    /* in the bucket, at seen_usec */
        uint64_t seen_usec, look_usec;
        unsigned char image[REQUEST_DISKS_MAX]; /* the first whole disk of each --disk-image */
        size_t n;
        struct diskio_disk disk[];
};

/* The project quota on its files: what broker/quota asks for and keeps. */
struct quota {
        struct child_quota child;
        int fds[CHILD_QUOTA_FILES_MAX]; /* O_PATH, of the files under it; none after a restart */
        size_t n_fds;
        int refused;                         /* errno: why there is none; 0: there is */
        sd_event_source *clearing;           /* the launcher takes it away; NULL: it does not */
        int (*cleared)(struct lease *lease); /* when it has */
};

/* Its console, until both it and its keeper are executed: see broker/console. */
struct console {
        int master_fd, slave_fd, listen_fd; /* -1: closed, or not open yet */
        struct launched keeper;
        char owner[12];
        char *argv[4];
        bool launching; /* the keeper is on its way to execve */
};

/* Passed by the client, or -1; closed once the VM has them. */
struct lease_fds {
        int fd[_REQUEST_FDS_N];
        int disk[REQUEST_DISKS_MAX]; /* O_PATH */
        size_t n_disks;
        int learn; /* the socket for the listener, if it is to learn */
};

#define LEASE_FDS_NULL                                                                             \
        { .fd = {-1, -1, -1, -1}, .learn = -1 }

/* Closes what a claim came with that comes to nothing. */
void lease_fds_close(struct lease_fds *fds);

struct lease {
        struct broker *broker;
        struct slice *slice;
        struct tenant *tenant; /* whose claim it is there; NULL until that is known */
        enum lease_state state;

        struct claim claim; /* its place in the queue; claim.demand is the charge */
        struct record record;
        struct named_owner *owner; /* NULL: it counts as nobody's, see broker/owning */
        struct owned owned;
        struct reservation *reservation; /* it is one, and no VM; owned; NULL */
        struct reservation *inside;      /* the one that its VM is charged to; NULL: the host */
        char detail[WHY_TEXT_MAX];       /* what a person should know about its state, or "" */

        struct connection *follower;      /* whose VM it is while attached; NULL: nobody listens */
        TAILQ_HEAD(, connection) killers; /* who wait for its end */

        /* until it is executed */
        struct run_request request;
        struct lease_fds fds;
        gid_t *groups; /* the caller's */
        size_t n_groups;
        gid_t run_group; /* the one that a VM of another user has beside its own */
        bool has_run_group;
        char **argv, **paths;
        struct taps *taps;       /* NULL: it has no network of ours; owned */
        struct diskio *diskio;   /* NULL: its I/O is not limited; owned */
        struct shrink *shrink;   /* its memory is being taken down; NULL: it is not */
        struct child_open *open; /* NULL: no image is opened for it; owned; until it is executed */
        struct quota *quota;     /* NULL: its disk space is counted only; owned */
        int *pass; /* descriptors for the hypervisor, 3 and on; borrowed; owned array */
        size_t n_pass;
        int qmp_fd;                   /* the socket of broker/qmp, until the VM has it; -1 */
        bool has_qmp;                 /* the command asks for one; after a restart: it is there */
        int gpu_fds[RECORD_GPUS_MAX]; /* the files of its GPUs, until the VM has them; -1 */
        uint32_t gpu_fds_asked;       /* bits: those that the command asks for */
        bool gpu_busy;                /* a thread prepares its GPUs, or gives them back */
        struct console *console;      /* owned; until it and its VM are executed */
        bool has_console;             /* there is one; after a restart: its socket is there */
        struct filters *filters;      /* a reference, until it is executed */
        struct child_walls *walls;    /* owned; until it is executed */
        struct child_learn *learn;    /* NULL: it does not; likewise */
        char *cwd;         /* owned; the name of the working directory, if it needs one */
        bool launching;    /* the child is on its way to execve */
        uint64_t number;   /* counts up along broker->leases */
        bool told_started; /* the follower has had its "started" */

        struct launched process;
        int dir_fd;
        int watch_id;             /* -1: not watched */
        int held_fds[WATCH_HELD]; /* -1 until it is waited for, see lease_hold() */
        struct limits limits;
        bool own_child; /* the launcher will tell how it ended */
        bool main_gone; /* the hypervisor's main process has ended */
        bool status_known;
        int exit_code, exit_signal; /* one of them, if known; the other is 0 or -1 */
        uint64_t oom_kills;
        int usage_slot; /* of its line for the usage log; -1: none yet, see broker/usage */
        bool oom_told;
        struct why *exec_why;          /* it never was executed, and why; owned; else NULL */
        char end_reason[32];           /* "exit", "kill", "client_gone", "exec_failed", ... */
        sd_event_source *pidfd_source; /* broker/parent; NULL: its end was seen */

        /* deadlines, CLOCK_BOOTTIME usec; 0: none */
        uint64_t wait_until_usec, launch_until_usec, kill_at_usec, retry_at_usec, client_until_usec;
        unsigned retries;
        uint64_t told_position;
        enum wait_reason told_reason;

        uint64_t arrived_usec, admitted_usec, made_usec, executed_usec;

        TAILQ_ENTRY(lease) link;
        UT_hash_handle hh_id, hh_name, hh_watch;
};

/* A lease with nothing in it yet, not listed anywhere. NULL: out of memory. */
struct lease *lease_new(struct broker *broker);

/* Whoever leaves in the middle of a step leaves a VM behind that runs. */
void lease_thaw(struct lease *lease);

/* Takes it off every list and frees it. It holds no charge, has no group and no process any more.
 */
void lease_free(struct lease *lease);

/* Puts it at the end of the list of those that hold a charge. */
void lease_list_add(struct lease *lease);

/* Enters it into the maps of ids and names. */
void lease_index(struct lease *lease);

/* By name, id or ticket id; also those that wait. NULL if there is none. */
struct lease *lease_find(struct broker *broker, const char *name);

/* The books and the account that it is charged to: of the host, or of its reservation. */
struct ledger *lease_ledger(const struct lease *lease);
struct account *lease_account(const struct lease *lease);

/* "ID.vm", the name of its directory; of a reservation "ID.claim": no slice's ends like that. */
#define LEASE_DIRECTORY_MAX (RECORD_ID_MAX + 7)
const char *lease_directory(const struct lease *lease, char *buffer, size_t size);

/* In which that is: its slice's directory, or its reservation's. */
int lease_parent_fd(const struct lease *lease);

/* Where that is, for people: an absolute path. */
const char *lease_path(const struct lease *lease, char *buffer, size_t size);

/*
 * Its directory, open; and closed again. A VM that runs costs no descriptor for it: the table of
 * descriptors is copied for every launch. Answers CGROUP_E_*.
 */
_must_check_ int lease_open_dir(struct lease *lease, struct why *why);
void lease_close_dir(struct lease *lease);

/* News of its group, from now on; and no more. Answers CGROUP_E_*. */
_must_check_ int lease_watch(struct lease *lease, struct why *why);
/*
 * From now on the kernel's own changes are news, too: the group running empty. Needed only when its
 * main process is gone and others are left. What happened before is not told: look once more after
 * it.
 */
_must_check_ int lease_hold(struct lease *lease, struct why *why);
void lease_unwatch(struct lease *lease);

/* Notes why it never was executed, unless that is noted already. Negative: out of memory. */
_must_check_ int lease_note_exec(struct lease *lease, int code, const struct why *why);

/* Drops what only the launch needed: the request, argv, the client's descriptors and our own of its
 * taps. */
void lease_drop_launch(struct lease *lease);

/* The follower, if there is one, is told no more; the lease goes on alone. */
void lease_detach_follower(struct lease *lease);

/* Adds an event about this lease, with fields made by event_number() and its like. */
void lease_event_fields(struct lease *lease, const char *kind, const struct event_field *fields,
                        size_t n);
#define lease_event(lease, kind, ...)                                                              \
        lease_event_fields(lease, kind, (const struct event_field[]){__VA_ARGS__},                 \
                           ARRAY_SIZE(((const struct event_field[]){__VA_ARGS__})))

static inline struct lease *claim_lease(struct claim *claim) {
        return container_of(claim, struct lease, claim);
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_RECORD_H
#define PROVIUM_CGROUP_RECORD_H

/*
 * The lease record: who owns this directory, kept by the kernel with the directory itself.
 *
 * Two extended attributes of the VM's group. "trusted.provium.lease" is written before any process
 * exists: its first line is the charge, in a form that never changes between versions, so that an
 * older or newer broker always knows what was sold even if it understands nothing else; the rest is
 * one JSON object. "trusted.provium.main" is the hypervisor's pid, written once it exists: a group
 * without it was still being made. Both are atomic, invisible to unprivileged processes, and gone
 * with the directory.
 *
 * A pid alone names nobody; a pid that is listed in the cgroup.procs of this very directory does.
 */

#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>
#include <cgroup/cgroup.h>

#define RECORD_VERSION 1
#define RECORD_MAIN_ATTRIBUTE                                                                      \
        "trusted.provium.main" /* written by the child itself, see launcher/child.h */
#define RECORD_MAX 4096        /* bytes of the whole attribute */
#define RECORD_ID_MAX 16
#define RECORD_COMMAND_MAX 255
#define RECORD_NETS_MAX 8
#define RECORD_BRIDGE_MAX 16 /* IFNAMSIZ */
#define RECORD_QUEUES_MAX 8  /* of one tap */

/* One of its taps. The link itself is found by its alias, which names the lease. */
struct record_net {
        char bridge[RECORD_BRIDGE_MAX];
        unsigned queues;
};

#define RECORD_GPUS_MAX 16
#define RECORD_GROUPS_MAX 5
#define RECORD_GPU_NAME_MAX 36

/* One of its GPU slots. */
struct record_gpu {
        char name[RECORD_GPU_NAME_MAX + 1]; /* a PCI address, or a mediated device's UUID */
        bool lent;                          /* it was taken from the host's driver */
};

struct record {
        char id[RECORD_ID_MAX + 1];
        char name[TEXT_NAME_MAX + 1];
        char slice[TEXT_NAME_MAX + 1];
        char owner[TEXT_NAME_MAX +
                   1]; /* who of its user holds it, in his own words; "": nobody said */
        struct demand charge;
        uint64_t cpu_milli, memory_bytes; /* as claimed, before headroom and overhead */
        uint64_t download_bytes_per_s, upload_bytes_per_s;
        /* Finer than disk_io, 0: not named */
        uint64_t disk_read_bytes_per_s, disk_write_bytes_per_s, disk_ios_per_s;
        size_t n_nets; /* 0: it has no network */
        struct record_net nets[RECORD_NETS_MAX];
        uint16_t minor, download_minor; /* its classes on the IFB; 0: none */
        /* The project quota on its files: 0: none */
        uint32_t quota_project;
        dev_t quota_dev;     /* of their file system */
        bool quota_in_force; /* false: it was still to be set */
        size_t n_gpus;
        struct record_gpu gpus[RECORD_GPUS_MAX];
        uid_t uid; /* who asked for it, and may do with it what he likes */
        gid_t gid;
        uid_t run_uid; /* as whom it runs */
        gid_t run_gid;
        gid_t quota_groups[RECORD_GROUPS_MAX]; /* groups of that user whose quotas it counts for */
        size_t n_quota_groups;
        uint64_t order;      /* its ticket's number: CLOCK_BOOTTIME of its arrival, ns */
        uint64_t created_ns; /* CLOCK_REALTIME, for people */
        uint64_t grace_usec;
        uint64_t time_usec;  /* how long it will run, as was promised; 0: nothing was */
        bool ends;           /* it is ended then */
        uint64_t until_usec; /* when that is over, CLOCK_BOOTTIME; 0: it has not started */
        /* What it was sold until now, for the account. CLOCK_BOOTTIME: since when it is held, and
         * up to when the sums count, which are of claims that it had before; 0, 0: an older
         * version's. */
        uint64_t held_since_usec, counted_until_usec;
        uint64_t claimed_cpu_usec, claimed_memory_mib_ms;
        bool detached;
        bool learns; /* its system calls are recorded by its client, under no list */
        /* It is a reservation: a group without processes of its own, with those of VMs in it.
         * memory_bytes is what their guests may have together. */
        bool reserves;
        uint64_t reserved_vms;                /* for so many it has what a hypervisor needs */
        bool over;                            /* its end was begun */
        char command[RECORD_COMMAND_MAX + 1]; /* for people: the words of the command, escaped */
};

/* Formats @record into @buffer of RECORD_MAX bytes; returns its length. */
_must_check_ int record_format(const struct record *record, char buffer[RECORD_MAX]);

/*
 * Parses the text of an attribute. Answers RECORD; then *charge_knownp says whether at least
 * @record->charge could be read.
 */
_must_check_ int record_parse(struct record *record, const char *text, size_t length,
                              bool *charge_knownp, struct why *why);

/* Writes the record, before the process exists. Answers HOST. */
_must_check_ int record_write(int dir_fd, const struct record *record, struct why *why);
/* Reads it back. As record_parse; RECORD also if there is none. */
_must_check_ int record_read(int dir_fd, struct record *record, bool *charge_knownp,
                             struct why *why);

/* The hypervisor's pid, or 0 if it was never noted. Answers RECORD if it is no pid. */
_must_check_ int record_read_main(int dir_fd, pid_t *pidp, struct why *why);

#endif

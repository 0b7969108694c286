/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SLICE_H
#define PROVIUM_BROKER_SLICE_H

/*
 * A slice: its policy, its part of the books, and its directory in the tree. Claims in it wait in
 * the lanes of its tenants (broker/tenant.h).
 *
 * The directory's cpu.weight and memory.low are always the sums over its VMs: a parent's protection
 * bounds its children's, and a slice with many VMs may not weigh as much as a slice with one. They
 * go up before a VM starts, and down after it is gone. A slice may lie in another, by its name:
 * then its directory does, and what is charged to it is charged to that one, too.
 */

#include <uthash.h>

#include <admission/queue.h>
#include <broker/broker.h>
#include <cgroup/limits.h>

struct broker;
struct policy;
struct slice_policy;
struct why;

struct slice {
        char *name;
        struct account account;
        uint64_t n_waiting;                /* claims in it */
        const struct slice_policy *policy; /* NULL: only adopted VMs are left in it */
        struct slice *parent;              /* NULL: it lies in no other */
        uint64_t n_inner;                  /* slices that lie in it */
        uint64_t n_leases;                 /* that refer to it, waiting ones too */

        int dir_fd, weight_fd, low_fd; /* -1 until the first VM */
        int watch_id;
        struct limits limits;       /* as written */
        uint64_t weight, low_bytes; /* as written */
        bool io_stepping;           /* it is being frozen, to change its io.max */
        uint64_t io_step_usec;      /* when to go on with that; 0: nothing is to be done */
        uint64_t io_until_usec;     /* when to give it up */
        unsigned io_failures;       /* in a row */
        bool suspect;               /* somebody wrote to its files: to be compared */
        bool suspect_weights;       /* to cpu.weight or memory.low, as we do ourselves */
        bool suspect_children;      /* to its subtree_control: its VMs' limits may be lost */
        bool unbalanced;            /* a VM is gone: weight and low are to come down */
        TAILQ_ENTRY(slice) unbalanced_link;
        UT_hash_handle hh, hh_watch;
};

/* The slice of that name, or NULL. */
struct slice *slice_find(struct broker *broker, const char *name);

/* Finds or makes the object (not the directory) for a slice found in the tree or in the policy, and
 * those that it lies in. @name is one that text_check_slice() takes. Negative: out of memory. */
_must_check_ int slice_get(struct broker *broker, const char *name, struct slice **slicep);

/* Takes policy and ratios into the books of all slices, makes those that are new, and writes
 * changed limits into directories that exist. What cannot be written is logged and kept as it was.
 * Negative: out of memory. */
_must_check_ int slices_configure(struct broker *broker);

/* Makes or opens the directory, and those it lies in, and puts the slice's own limits in force.
 * Answers CGROUP_E_*. */
_must_check_ int slice_open(struct broker *broker, struct slice *slice, struct why *why);

/*
 * A VM of it is gone: its weights are to come down. Not at once, because mostly the next VM of the
 * same slice is on its way, but within SLICE_SETTLE_USEC, and before any other slice is given more:
 * at no instant is more guaranteed than there is.
 */
#define SLICE_SETTLE_USEC UINT64_C(1000000)
void slice_unbalance(struct broker *broker, struct slice *slice);
/* Brings down what is to come down; of @except (may be NULL) nothing. */
void slices_settle(struct broker *broker, struct slice *except);

/* Its directory was taken away by somebody (it was empty): the next VM makes it again. */
void slice_lost(struct broker *broker, struct slice *slice);

/* Writes cpu.weight and memory.low as the books say now, of those it lies in first. Answers
 * CGROUP_E_LIMIT. */
_must_check_ int slice_protect(struct broker *broker, struct slice *slice, struct why *why);

/* A slice that nobody refers to any more, that no policy names, and that no other lies in: its
 * directory and object go, and then perhaps those of the one it lies in. */
void slice_forget_unused(struct broker *broker, struct slice *slice);

/* Ends the step in which it is frozen (broker/slice_io), if it is in one. */
void slice_thaw(struct slice *slice);

/* Closes all; with @remove also takes away empty directories. */
void slices_deinit(struct broker *broker, bool remove);

/* "NAME.slice", or "PARENT.slice/CHILD.slice": below the root. */
#define SLICE_DIRECTORY_MAX 96
const char *slice_directory(const char *name, char *buffer, size_t size);

/* The cpu.weight of @cpu_milli where the whole effective limit is 10,000; at least 1. */
uint64_t slice_weight(const struct broker *broker, uint64_t cpu_milli);

#endif

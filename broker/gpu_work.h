/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_WORK_H
#define PROVIUM_BROKER_GPU_WORK_H

/*
 * What is written to sysfs for slots: before a VM may have them, and after it had them.
 *
 * Each of these writes may wait, a reset for seconds and the removal of a mediated device until
 * nobody has it open any more, so none has a place on the loop. A piece of work is a value of its
 * own that shares nothing with anybody: the loop makes it (broker/gpu), gpu_work_run() is called in
 * a thread, and the loop takes it back.
 */

#include <base/why.h>
#include <broker/gpu_found.h>

enum gpu_task {
        GPU_PREPARE, /* bind functions to vfio-pci, make mediated devices, find the files */
        GPU_RELEASE, /* reset functions, give them back, remove mediated devices that we made */
};

struct gpu_part {
        struct gpu_slot slot;       /* after GPU_PREPARE with group and file */
        bool made;                  /* the mediated device is ours: made and removed by us */
        int errnum;                 /* what the kernel refused with; 0: it did not */
        char detail[GPU_TEXT_SIZE]; /* the sentence; "": done */
};

struct gpu_work {
        enum gpu_task task;
        char lease[GPU_WORD_SIZE];
        char sys_dir[256], dev_dir[64];
        bool give_back; /* functions that were taken from the host's driver go back to it */
        size_t n;
        struct gpu_part parts[];
};

/*
 * Does all of it that can be done, part by part, and notes how it went. To be called in a thread
 * (base/thread.h): it blocks. Both tasks may be done again: what is done already is left as it is.
 *
 * PREPARE stops at the first refusal; a function that could not be bound is given back to its
 * driver, and what was made is for RELEASE to remove. A function that was bound to vfio-pci stays
 * so for the next VM, unless it is to be given back.
 *
 * Both refuse what somebody has open, which VFIO lets only one: nobody is given what another
 * still uses, and a release does not wait for whoever that is.
 *
 * RELEASE writes to `reset` where there is such a file; where there is none, VFIO's own reset, when
 * the last descriptor was closed, must have been enough.
 */
void gpu_work_run(struct gpu_work *work);

#endif

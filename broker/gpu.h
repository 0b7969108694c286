/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_H
#define PROVIUM_BROKER_GPU_H

/*
 * Who has which GPU slot.
 *
 *         gpu_take(gpus, lease, 2)           all or nothing; the names go into the lease's record
 *         gpu_prepare(gpus, lease, &work)    gpu_work_run(work) in a thread, then
 *         gpu_done(gpus, work)               back on the loop; gpu_next() tells files and devices
 *         ... the VM runs ...
 *         gpu_release(gpus, lease, &work)    likewise in a thread: reset, removal
 *         gpu_done(gpus, work)               0: the slots are free again
 *
 * A slot is given back only when it has been reset or removed: one whose release was refused stays
 * with its lease, says why, and gpu_release() may be tried again.
 *
 * After a restart gpu_claim() gives an adopted VM the slots its record names. A mediated device
 * that we have made is known by its UUID: the first six bytes are a hash of the broker's root, as
 * an alias tells whose a link is. Those that no lease has claimed are a crash's leftovers, and
 * gpu_sweep()'s.
 */

#include <broker/gpu_find.h>
#include <broker/gpu_found.h>

struct gpu_work;
struct gpus;
struct why;

enum {
        _GPU_E_SUCCESS,
        GPU_E_FULL,   /* so many are not free; nothing was taken */
        GPU_E_ABSENT, /* there is no such slot (any more) */
        GPU_E_TAKEN,  /* it is another lease's */
        GPU_E_HOST,   /* the kernel refused */
};

/*
 * Looks for slots below @sys_dir. @owner names the broker's root; both are copied, and the texts in
 * @options. Negative: out of memory. Free takes NULL and returns NULL; nothing in sysfs changes.
 */
_must_check_ int gpus_new(struct gpus **gpusp, const char *sys_dir, const char *owner,
                          const struct gpu_options *options);
struct gpus *gpus_free(struct gpus *gpus);

/* Other options from the next look on. */
void gpus_configure(struct gpus *gpus, const struct gpu_options *options);

/*
 * Looks anew. Slots that are leased stay so, even those that are gone from sysfs. While work is
 * under way what is found would be half of it: then this is done when that ends. Negative: out of
 * memory, and nothing has changed.
 */
_must_check_ int gpus_refresh(struct gpus *gpus);

size_t gpus_total(const struct gpus *gpus);
size_t gpus_used(const struct gpus *gpus);
/* As many of them can be leased: all but leftovers that are not gone yet. */
size_t gpus_capacity(const struct gpus *gpus);
/* What was found, borrowed until the next call of anything that is not const; and of its slot @i
 * whether it is somebody's, and why it could not be given back (""). */
const struct gpu_found *gpus_found(const struct gpus *gpus);
bool gpus_slot_used(const struct gpus *gpus, size_t i);
const char *gpus_slot_detail(const struct gpus *gpus, size_t i);
/* And why its last lease did not get it (""): it is the last to be tried again. */
const char *gpus_slot_refused(const struct gpus *gpus, size_t i);

/* Gives @lease (its id) @n slots, the first that are free. Answers FULL. */
_must_check_ int gpu_take(struct gpus *gpus, const char *lease, size_t n, struct why *why);

/* Gives @lease the slot that its record names, @lent as that says. Once more is no harm. Answers
 * ABSENT, TAKEN. */
_must_check_ int gpu_claim(struct gpus *gpus, const char *lease, const char *name, bool lent,
                           struct why *why);

/* The slot of @lease after @after; NULL: the first, and no more. Its name is what is to be recorded
 * and its file is /dev/vfio/GROUP with the numbers @dev, if that is not 0. Borrowed until the next
 * call of anything that is not const. */
const struct gpu_slot *gpu_next(const struct gpus *gpus, const char *lease,
                                const struct gpu_slot *after);

/* Gives back at once all slots of @lease, for which no work was ever begun. */
void gpu_drop(struct gpus *gpus, const char *lease);

/*
 * Makes the work that is to be done in a thread; it is the caller's until gpu_done(). NULL: the
 * lease has no slots, or there is no leftover. A lease has one piece of work at a time. Negative:
 * out of memory.
 */
_must_check_ int gpu_prepare(struct gpus *gpus, const char *lease, struct gpu_work **workp);
_must_check_ int gpu_release(struct gpus *gpus, const char *lease, struct gpu_work **workp);
/* Once, when everything that runs was adopted. */
_must_check_ int gpu_sweep(struct gpus *gpus, struct gpu_work **workp);

/* Takes work back that has been run, and frees it. Answers HOST with the first refusal. Negative:
 * out of memory. */
_must_check_ int gpu_done(struct gpus *gpus, struct gpu_work *work, struct why *why);

/* As gpu_find_summary(). */
const char *gpus_summary(const struct gpus *gpus, char *buffer, size_t size);

#endif

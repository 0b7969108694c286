/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_HANDLES_H
#define PROVIUM_TC_HANDLES_H

/*
 * The numbers of classes: minors of the one HTB, 16 bits, given out and taken back for as long as
 * the broker lives.
 *
 * Next fit: a number that has just come back is the last to be given out again, so that a frame
 * that is still on its way with the old number meets no class, and not a stranger's.
 *
 * Not every number is good. The class is written into skb->priority, which the frame keeps when it
 * has left the IFB, and an uplink with the kernel's default queue (pfifo_fast) reads its lowest
 * four bits as an urgency (prio2band, net/sched/sch_generic.c). Only those are used that mean best
 * effort: 0, 4, 8 to 15. The others are left to majors (shape_free_major()), since the leaf of a
 * class has the class's number as its major.
 */

#include <base/macro.h>

#define HANDLES_MIN 0x10
#define HANDLES_MAX 0xfffe
#define HANDLES_TOTAL 40949 /* usable numbers: 10 of each 16, without 0xffff */

enum {
        _HANDLES_E_SUCCESS,
        HANDLES_E_FULL,
};

struct handles {
        uint64_t words[1024]; /* a bit for each number; 1: taken, or never to be given */
        uint32_t next;        /* where the search begins */
        uint32_t used;
};

void handles_init(struct handles *handles);

/* Is @minor one that can be given out? */
bool handles_usable(uint16_t minor);

/* Takes a free number. Answers FULL. */
_must_check_ int handles_take(struct handles *handles, uint16_t *minorp);

/* Takes the number of a class that was found in the kernel; false if it is taken already, or none
 * of ours. */
_must_check_ bool handles_claim(struct handles *handles, uint16_t minor);

/* Gives a number back that was taken. */
void handles_drop(struct handles *handles, uint16_t minor);

#endif

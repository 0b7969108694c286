/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_RIG_REVIVE_H
#define PROVIUM_TESTS_RIG_REVIVE_H

/*
 * Emulated processors that keep a translation of code which is no longer there.
 *
 * QEMU's TCG throws away what it has translated of a page before it writes there. A processor that
 * translates the old code between the two keeps it. The kernel patches its own code while it runs
 * (static keys): it puts a breakpoint over an instruction, lets all processors see it, and puts the
 * new instruction in its place. A processor that has kept the breakpoint meets it for ever: the
 * kernel finds none in memory, takes it for one that has just gone, and goes back to run what is
 * there now. If that is in the scheduler, both processors stand soon, without interrupts, and no
 * watchdog of the guest says a word. In 7.2 a few hundred changes of cpu.max beside busy processes
 * are enough, or a guest of the guest's own KVM that starts; 10.0 has it, too, less often.
 *
 * So the registers are looked at every half second, which does not stop the guest. A processor that
 * is in the kernel, without interrupts, on one and the same stack for four looks, is taken for
 * stuck: the guest is stopped (by QEMU's stub for gdb), and what is there is written back at each
 * place of the kernel's code that a stack names. QEMU then translates anew.
 */
#include <stdint.h>

#define REVIVE_LOOK_MS 500
#define REVIVE_PROCESSORS_MAX 16

struct revive {
        const char *dir;        /* with QEMU's sockets: "monitor" and "gdb" */
        int monitor_fd;         /* -1: not connected yet */
        struct {
                uint64_t stack; /* 0: it was not in such a state */
                unsigned looks;
        } processor[REVIVE_PROCESSORS_MAX];
};

enum revived {
        REVIVE_NOTHING,         /* nothing is stuck, or QEMU cannot be asked yet */
        REVIVE_DONE,            /* something was, and what it runs will be translated anew */
        REVIVE_FAILED,          /* something is, and QEMU did not do what was asked */
};

/* One look. */
enum revived revive_look(struct revive *revive);

#endif

/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A real Linux as a guest: the rig's kernel with an initramfs that is one static program and the
 * modules it needs, and the fastest way to run it.
 *
 * Inside the rig the processor is emulated, and the emulation knows AMD's virtualization: with it
 * the rig's own KVM runs a guest as fast as the rig itself, up in ten seconds. Emulated once more
 * it takes more than a minute. So KVM, wherever it can be had.
 */

#include <stddef.h>

/**
 * guest_accel() - the value of QEMU's -accel
 *
 * Loads the modules of KVM. Without it the test is skipped, or with PROVIUM_FLOWS=1 goes on slowly
 * and says so in a note. To be asked first of all.
 */
const char *guest_accel(void);

/**
 * guest_kernel() - the path of the kernel, which is the rig's; skips the test without one
 * @path: where it goes, of @size bytes; returned
 */
const char *guest_kernel(char *path, size_t size);

/**
 * guest_pack() - make /run/guest.cpio
 * @program: a helper's name, to be /init
 * @modules: names with blanks between, which it finds as /m/00, /m/01, ... with what they need
 *
 * Returns its path, for -initrd.
 */
const char *guest_pack(const char *program, const char *modules);

/**
 * guest_serve() - a listening TCP socket on every address, which the guest calls
 */
int guest_serve(unsigned port);

/* What the kernel is told by every guest, for -append: nothing that is only waiting. */
#define GUEST_APPEND "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable cryptomgr.notests"

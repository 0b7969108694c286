/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_BPF_H
#define PROVIUM_CGROUP_BPF_H

/*
 * The few bpf(2) calls that a device program needs, bare: no libbpf, no files of types. What the
 * program says is devices.c's; here is how it gets to a group.
 */

#include <cgroup/cgroup.h>

struct bpf_insn;

/*
 * Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE (needs CAP_BPF or CAP_SYS_ADMIN). The
 * descriptor is the caller's. Answers UNSUPPORTED (a kernel without), HOST (what the verifier said
 * last stands in the sentence).
 */
_must_check_ int bpf_load_device(const struct bpf_insn *insns, size_t n, int *prog_fdp,
                                 struct why *why);

/* The number by which the kernel knows a program until it is gone; never 0. Answers HOST. */
_must_check_ int bpf_program_id(int prog_fd, uint32_t *idp, struct why *why);

/*
 * Attaches it to the group beside what is there (BPF_F_ALLOW_MULTI). Answers EXISTS (this very
 * program is attached already), GONE, HOST (EPERM also where an ancestor's program allows no other
 * below it).
 */
_must_check_ int bpf_attach_device(int dir_fd, int prog_fd, struct why *why);

/* The programs attached to the group itself, not to its ancestors. Answers GONE, HOST. */
#define BPF_PROGRAMS_MAX 64 /* the kernel's own limit for one group */
_must_check_ int bpf_attached_devices(int dir_fd, uint32_t ids[BPF_PROGRAMS_MAX], size_t *np,
                                      struct why *why);

#endif

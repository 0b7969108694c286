/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SURVEY_KEPT_H
#define PROVIUM_BROKER_SURVEY_KEPT_H

/*
 * The files of VMs' groups that are kept open from one survey to the next, by the VMs' ids. Belongs
 * to the thread in whose table of descriptors they are.
 */

#include <stdint.h>
#include <uthash.h>

#include <cgroup/record.h>
#include <cgroup/usage.h>

struct survey_kept_vm {
        char id[RECORD_ID_MAX + 1];
        uint64_t round; /* the last survey that it was in */
        struct usage_files files;
        UT_hash_handle hh;
};

struct survey_kept {
        struct survey_kept_vm *by_id;
        size_t max; /* of VMs; 0: nothing is kept */
        uint64_t round;
};

/* The files of the VM @id, to be kept; NULL: they cannot be. */
struct usage_files *survey_kept_files(struct survey_kept *kept, const char *id);

/* A survey is over: closes the files of those who were not in it. */
void survey_kept_settle(struct survey_kept *kept);
/* Closes all. */
void survey_kept_deinit(struct survey_kept *kept);

#endif

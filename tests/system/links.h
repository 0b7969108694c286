/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Links and traffic control as iproute2 shows them, which knows nothing of us: what a test of the
 * network compares with what the broker says that it made.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct house;

#define LINKS_MBPS UINT64_C(125000) /* bytes per second */

/* Runs a line of shell, whose words come as with printf; needs status 0. */
void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its standard output, malloc'd, whatever its status. */
char *sh_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, parsed; new reference. */
json_t *sh_json(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* house_open() with bridges br0 and br1, and without links of an earlier test. */
void links_open(struct house *house, const char *conf, const char *slice);
/* house_close(); then no link of ours may be left, the IFB included. */
void links_close(struct house *house);

/* Links whose alias begins so: the number of them. */
unsigned links_count(const char *alias);
/* Name and tag of the one IFB of ours; "" if there is none. */
struct ifb {
        char name[16], tag[16];
};
struct ifb links_ifb(void);

struct class {
        char handle[16], parent[16]; /* parent "": beside the root class */
        char leaf[16];               /* kind of its queue, or "" */
        uint64_t rate, ceil;         /* bytes per second, as exact as tc prints them */
        uint64_t bytes;
};
#define CLASSES_MAX 512
/* The HTB classes of @dev, at most CLASSES_MAX; returns how many. */
size_t links_classes(const char *dev, struct class *classes);
/* Of VMs: without the root and the strays. */
size_t links_vm_classes(struct class *classes);

/* What a VM's network is to be. */
struct wanted {
        const char *vm;      /* its name */
        const char *bridges; /* of each tap in order, with blanks between */
        const char *user;    /* "" : root */
        unsigned queues;     /* of each; 0: one */
        bool isolated;
        uint64_t download, rate, ceil; /* bytes per second */
};
/* Is it so, in every object of the kernel? Else @why says what is not. */
bool links_are(const struct wanted *wanted, char *why, size_t size);
void expect_links(const struct wanted *wanted);
/* Until it is so: for what is repaired. */
void wait_links(const struct wanted *wanted);
/* Nothing of VMs is left but the IFB as it was made; waits for what goes by itself. */
void expect_no_links(void);
/* Is it so now? */
bool links_gone(void);

/* The links @devs (blanks between) with qdiscs, classes and filters, but without counters: to be
 * compared before and after. malloc'd. */
char *links_of_others(const char *devs);

/* limits or stats of `provium show`, malloc'd; "" if there is no such. */
char *shown(const char *vm, const char *group, const char *key);
/* Is the text in one of its notes? */
bool noted(const char *vm, const char *text);
/* Name of the VM's N-th tap, malloc'd. */
char *tap_of(const char *vm, unsigned n);
/* The VM's id, malloc'd. */
char *id_of(const char *vm);

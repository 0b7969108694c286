/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_REQUEST_H
#define PROVIUM_PROTO_REQUEST_H

/*
 * The requests of dev.provium.Broker with types and bounds (the interface itself is
 * proto/dev.provium.Broker.varlink). A request that was parsed is well formed; whether it is
 * allowed and whether it fits is decided elsewhere.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>

struct why;

#define REQUEST_ARGS_MAX 1024            /* words in a command */
#define REQUEST_ENV_MAX 1024             /* variables */
#define REQUEST_STRINGS_MAX (256 * 1024) /* bytes of command and environment together */
#define REQUEST_TOKEN_MAX 160            /* characters in a ticket */
#define REQUEST_NETS_MAX 8               /* taps of one VM */
#define REQUEST_QUEUES_MAX 8             /* of one tap */
#define REQUEST_TAP_FDS_MAX 32           /* of all: for each queue, the tap's and vhost's */
#define REQUEST_DISKS_MAX 16             /* files of disks of one VM */
#define REQUEST_DISK_PATH_MAX 1024       /* bytes in the path of one */
#define REQUEST_DEFAULT UINT64_MAX       /* this axis was not named: take the default */
#define REQUEST_WAIT_FOREVER UINT64_MAX
#define REQUEST_PRIORITY_MAX 1000 /* and the lowest is the same below zero */
#define REQUEST_SIGNAL_MAX 64
#define REQUEST_VMS_MAX 65536 /* that a reservation is for */

#define PROTO_INTERFACE "dev.provium.Broker"
/* Descriptors that go with Run, in this order; then one for each of its disks, and one if it is to
 * learn. */
enum { REQUEST_FD_STDIN, REQUEST_FD_STDOUT, REQUEST_FD_STDERR, REQUEST_FD_CWD, _REQUEST_FDS_N };
#define REQUEST_RUN_FDS_MAX (_REQUEST_FDS_N + REQUEST_DISKS_MAX + 1)

enum {
        _REQUEST_E_SUCCESS,
        REQUEST_E_INVALID, /* why names the field, what it held, and what is valid */
};

/* One tap: the bridge it is a port of, and how many queues it has. */
struct net_request {
        char bridge[TEXT_INTERFACE_MAX + 1];
        unsigned queues; /* 1 to REQUEST_QUEUES_MAX; of all taps, REQUEST_TAP_FDS_MAX / 2 */
};

struct run_request {
        char slice[TEXT_NAME_MAX + 1]; /* "" : "default" */
        char name[TEXT_NAME_MAX + 1];  /* "" : the broker makes one */
        char owner[TEXT_NAME_MAX + 1]; /* "" : nobody */
        struct demand claim;           /* REQUEST_DEFAULT where not named; network: always, its two
                                        * ways are named apart */
        uint64_t download_bytes_per_s, upload_bytes_per_s; /* REQUEST_DEFAULT, each by itself */
        /* Each by itself; REQUEST_DEFAULT: only claim's disk_io counts. Else from 1 */
        uint64_t disk_read_bytes_per_s, disk_write_bytes_per_s, disk_ios_per_s;
        struct net_request nets[REQUEST_NETS_MAX];
        size_t n_nets;
        bool nets_given;    /* false: the slice's default; true and n_nets 0: no network */
        int64_t priority;   /* 0 */
        uint64_t wait_usec; /* 0: refuse at once; REQUEST_WAIT_FOREVER */
        uint64_t time_usec; /* how long it will run, as a promise; 0: nobody says */
        bool ends;          /* it is ended when that is over */
        bool detach, dry_run;
        bool learn;    /* no list of system calls is in force, and the caller is asked at each */
        bool console;  /* only with detach: the broker makes one, and its stdio is not ours */
        bool reserves; /* it is a Reserve, without a program: nothing of nets, learn, console */
        uint64_t vms;  /* for how many it shall suffice; REQUEST_DEFAULT */
        char ticket[REQUEST_TOKEN_MAX +
                    1]; /* from an earlier "queued" reply: keeps the place; "" */
        char **argv;    /* n_argv strings and a NULL; at least one; owned */
        size_t n_argv;
        char **envp; /* "NAME=VALUE", and a NULL; owned */
        size_t n_envp;
        char **disks; /* n_disks paths, for people (the files are the descriptors), and a NULL;
                       * owned; NULL if there are none */
        size_t n_disks;
};

#define RUN_REQUEST_NULL                                                                           \
        {}

/*
 * Parses the parameters of Run. @request is written only on success, and then owns its strings.
 * Answers REQUEST_E_INVALID; the sentence begins with the field ("claim.memory is -5; ..."), see
 * request_invalid_field(). Negative: out of memory.
 */
_must_check_ int run_request_parse(struct run_request *request, const json_t *parameters,
                                   struct why *why);
/* The same as parameters of a call: a new reference, or NULL (out of memory, or a string that is
 * not UTF-8). Strings that are "" and values that are REQUEST_DEFAULT are left out. */
json_t *run_request_format(const struct run_request *request);
/*
 * The same of Reserve: owner is given, every axis may be 0, and those that are not
 * named are; argv, if there is one, is for people. What is not its own is as in RUN_REQUEST_NULL.
 */
_must_check_ int reserve_request_parse(struct run_request *request, const json_t *parameters,
                                       struct why *why);
json_t *reserve_request_format(const struct run_request *request);
/* Frees the strings; idempotent. */
void run_request_deinit(struct run_request *request);

/*
 * The requests that name one VM: Show{vm}, Kill{vm, signal?, grace_usec?}, Signal{vm, signal},
 * Explain{vm}, Attach{vm, ticket?}.
 */
struct vm_request {
        char vm[TEXT_NAME_MAX + 1]; /* name or id; checked as a name */
        int signal;                 /* 0: not given; else 1..64 */
        uint64_t grace_usec;        /* REQUEST_DEFAULT: the policy's */
        char ticket[REQUEST_TOKEN_MAX + 1];
};

/* Release{owner, grace_usec?}: a reservation, by its owner, name or id. */
struct release_request {
        char owner[TEXT_NAME_MAX + 1];
        uint64_t grace_usec; /* REQUEST_DEFAULT: the policy's */
};

_must_check_ int release_request_parse(struct release_request *request, const json_t *parameters,
                                       struct why *why);
json_t *release_request_format(const struct release_request *request);

/* What a caller of vm_request_format() starts from. */
#define VM_REQUEST_NULL                                                                            \
        { .grace_usec = REQUEST_DEFAULT }

_must_check_ int vm_request_parse(struct vm_request *request, const json_t *parameters,
                                  struct why *why);
json_t *vm_request_format(const struct vm_request *request);

/* Resize{vm, claim}: what a running VM is sold anew; at least one axis is named, and none of
 * disk_read, disk_write and disk_iops. */
struct resize_request {
        char vm[TEXT_NAME_MAX + 1]; /* name or id */
        struct demand claim;        /* REQUEST_DEFAULT where not named, as in struct run_request */
        uint64_t download_bytes_per_s, upload_bytes_per_s;
};

_must_check_ int resize_request_parse(struct resize_request *request, const json_t *parameters,
                                      struct why *why);
json_t *resize_request_format(const struct resize_request *request);

/* ImageCheck{size}: may an image of that many bytes be pulled? */
struct image_request {
        uint64_t size_bytes;
};

_must_check_ int image_request_parse(struct image_request *request, const json_t *parameters,
                                     struct why *why);
json_t *image_request_format(const struct image_request *request);

/* Events: from which number on (REQUEST_DEFAULT: not said), and a set of kinds (proto/event). */
struct events_request {
        uint64_t since, kinds;
};

/* Negative: out of memory; else REQUEST_E_INVALID with the reason. */
_must_check_ int events_request_parse(struct events_request *request, const json_t *parameters,
                                      struct why *why);

/* Usage{since_ns?, until_ns?, by?}: sums over the VMs that ran within that time. */
enum usage_by {
        USAGE_BY_ALL, /* one row */
        USAGE_BY_SLICE,
        USAGE_BY_USER,
        USAGE_BY_VM, /* by name, within slice and user */
        _USAGE_BY_N,
};
/* "all", "slice", ... */
const char *usage_by_name(enum usage_by by);

struct usage_request {
        uint64_t since_ns, until_ns; /* CLOCK_REALTIME; 0, REQUEST_DEFAULT: without a bound */
        enum usage_by by;
};

_must_check_ int usage_request_parse(struct usage_request *request, const json_t *parameters,
                                     struct why *why);
json_t *usage_request_format(const struct usage_request *request);

/*
 * The small requests. Each refuses every parameter but its own, with REQUEST_E_INVALID.
 * request_parse_none: List, PolicyReload, Upgrade, GetInfo. request_parse_text: at most one string
 * parameter @key of printable ASCII (Resources{instance}, PolicyShow{slice},
 * GetInterfaceDescription{interface}), "" in @buffer if it is not given. request_parse_number: at
 * most one number @key from 0, REQUEST_DEFAULT if it is not given.
 * request_parse_flag: at most one bool @key (Drain{undo}), false if it is not given.
 */
_must_check_ int request_parse_none(const json_t *parameters, struct why *why);
_must_check_ int request_parse_text(const json_t *parameters, const char *key, char *buffer,
                                    size_t size, struct why *why);
_must_check_ int request_parse_number(const json_t *parameters, const char *key, uint64_t *valuep,
                                      struct why *why);
_must_check_ int request_parse_flag(const json_t *parameters, const char *key, bool *valuep,
                                    struct why *why);

/* The field that a REQUEST_E_INVALID's sentence is about (its first word), for the error Invalid's
 * "field"; written to @buffer, which is returned. */
const char *request_invalid_field(const struct why *why, char *buffer, size_t size);

/* The text of the interface, as org.varlink.service.GetInterfaceDescription gives it. */
extern const char proto_interface_description[];
extern const char proto_service_description[]; /* org.varlink.service itself */

#endif

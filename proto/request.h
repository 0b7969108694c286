/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_REQUEST_H
#define PROVIUM_PROTO_REQUEST_H

/*
 * The requests of dev.provium.Broker with types and bounds (the interface itself is
 * proto/dev.provium.Broker.varlink). A request that was parsed is well formed; whether it is allowed
 * and whether it fits is decided elsewhere.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>

struct why;

#define REQUEST_ARGS_MAX 1024               /* words in a command */
#define REQUEST_ENV_MAX 1024                /* variables */
#define REQUEST_STRINGS_MAX (256 * 1024)    /* bytes of command and environment together */
#define REQUEST_TOKEN_MAX 160               /* characters in a ticket */
#define REQUEST_DEFAULT UINT64_MAX          /* this axis was not named: take the default */
#define REQUEST_WAIT_FOREVER UINT64_MAX

#define PROTO_INTERFACE "dev.provium.Broker"
/* Descriptors that go with Run, in this order. */
enum { REQUEST_FD_STDIN, REQUEST_FD_STDOUT, REQUEST_FD_STDERR, REQUEST_FD_CWD, _REQUEST_FDS_N };

enum {
        _REQUEST_E_SUCCESS,
        REQUEST_E_INVALID, /* why names the field, what it held, and what is valid */
};

struct run_request {
        char slice[TEXT_NAME_MAX + 1]; /* "" : "default" */
        char name[TEXT_NAME_MAX + 1];  /* "" : the broker makes one */
        struct demand claim;           /* REQUEST_DEFAULT where not named; network: max(download, upload) */
        uint64_t download_bytes_per_s, upload_bytes_per_s; /* REQUEST_DEFAULT */
        int64_t priority;              /* 0 */
        uint64_t wait_usec;            /* 0: refuse at once; REQUEST_WAIT_FOREVER */
        bool detach, dry_run;
        char ticket[REQUEST_TOKEN_MAX + 1]; /* from an earlier "queued" reply: keeps the place; "" */
        char **argv;  /* n_argv strings and a NULL; at least one; owned */
        size_t n_argv;
        char **envp;  /* "NAME=VALUE", and a NULL; owned */
        size_t n_envp;
};

#define RUN_REQUEST_NULL {}

_must_check_ int run_request_parse(struct run_request *request, const json_t *parameters,
                                   struct why *why); /* negative: out of memory */
json_t *run_request_format(const struct run_request *request); /* new reference, or NULL */
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

_must_check_ int vm_request_parse(struct vm_request *request, const json_t *parameters, struct why *why);
json_t *vm_request_format(const struct vm_request *request);

/* The text of the interface, as org.varlink.service.GetInterfaceDescription gives it. */
extern const char proto_interface_description[];
extern const char proto_service_description[]; /* org.varlink.service itself */

#endif

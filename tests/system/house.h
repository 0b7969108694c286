/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A broker of a test's own, in the rig: its policies, its process, its log, its socket, and the
 * clients that talk to it. Everything lies below HOUSE_DIR and in the cgroup HOUSE_ROOT.
 *
 * Nothing here sleeps: a start is awaited through sd_notify's socket, the end of a process through
 * its pidfd, what the broker does through its events. Every wait has a deadline, and one that
 * passes is a failed check of the test (need), with the broker's log printed.
 */

#include <jansson.h>
#include <proto/stream.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "unit.h"

#define HOUSE_DIR "/run/house"
#define HOUSE_ETC HOUSE_DIR "/etc"
#define HOUSE_LOG HOUSE_DIR "/log"
#define HOUSE_STATE HOUSE_DIR "/state"
#define HOUSE_SOCKET HOUSE_DIR "/run/control"
#define HOUSE_ROOT "/sys/fs/cgroup/house"
#define HOUSE_WAIT_MS 20000 /* for what takes milliseconds; more only shows that it never comes */

/* What [Broker] and the like say where a test does not care: an overhead of nothing, so that
 * memory.max is the claim, and a capacity that does not depend on the rig's. */
#define HOUSE_CONF                                                                                 \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\n[Ratio]\nCPU=1\n"                                \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"
/* The machine that tests run on is short of CPUs, which must hold none of them up; and the pages of
 * the rig are nobody's to merge. A drop-in of the vendor's, so that no test's own broker.conf can
 * miss it. */
#define HOUSE_GATES "[Broker]\nKSM=no\n[Gates]\nPSI=no\n"
/* Tests of other things than walls have none, and run as root. */
#define HOUSE_OPEN                                                                                 \
        "[Sandbox]\nAllowRoot=yes\nDropCapabilities=no\nPrivateDevices=no\n"                       \
        "PrivatePIDs=no\nPrivateIPC=no\nPrivateHostname=no\nPrivateCgroups=no\n"                   \
        "PrivateNetwork=no\nSeccomp=none\n"
#define HOUSE_SLICE HOUSE_OPEN "[Access]\nUsers=*\n"

struct house {
        pid_t broker;
        int pidfd, notify_fd;
        unsigned starts;
};

/* Makes the directories, writes the policies (NULL: those above; slice "t"), starts the broker. */
void house_open(struct house *house, const char *conf, const char *slice);
void house_conf(const char *conf);
/* Instead of HOUSE_GATES, which NULL is; until the next house_open(). */
void house_gates(const char *text);
void house_slice(const char *name, const char *text);
/* Starts the broker (again) and waits until it says that it is ready. @wrapper: words before the
 * program, NULL-terminated, or NULL. */
void house_start(struct house *house);
void house_start_with(struct house *house, const char *const *wrapper);
/* The same, but gives back its exit status if it leaves instead; -1: it is ready. */
int house_try_start(struct house *house, const char *const *wrapper);
/* Ends it: SIGTERM, status 0 wanted; SIGKILL. VMs go on. */
void house_stop(struct house *house);
void house_kill(struct house *house);
/* SIGHUP, until it says that it has reloaded. */
void house_reload(struct house *house);
/* At the end of a test: no VM, no charge, no group, no descriptor is left; then stops the broker.
 */
void house_close(struct house *house);
/* Ends every VM, whatever it is, through the broker. */
void house_end_all(struct house *house);

/* The log so far, malloc'd. Where it fails a test prints its end. */
char *house_log(void);
bool house_log_has(const char *text);

/* A connection. */
struct line {
        struct stream stream;
};
bool line_open(struct line *line);
bool line_open_at(struct line *line, const char *path);
void line_close(struct line *line);
/* Sends a call; takes over @parameters (NULL: none). @fds are dup'ed. */
void line_call(struct line *line, const char *method, json_t *parameters, bool more, const int *fds,
               size_t n_fds);
/* Run, with /dev/null thrice and the root directory as the four descriptors. */
void line_run(struct line *line, json_t *parameters);
/* Sends bytes as they are. False: the peer closed. */
bool line_raw(struct line *line, const void *bytes, size_t size);
/* The next reply, a new reference; NULL: closed by the broker, or nothing came in time (*timeoutp).
 */
json_t *line_reply(struct line *line, int timeout_ms, bool *timeoutp);
/* The state of a reply's Run ("queued", "started", ...), or its error without the interface's name.
 */
const char *reply_word(const json_t *reply);
const char *reply_text(const json_t *reply, const char *member); /* of "run", or of parameters */
json_int_t reply_number(const json_t *reply, const char *member);
/* Waits for a reply whose word is @word, past those that come before; needs it. */
json_t *line_wait(struct line *line, const char *word);

/* One call and its one reply, over a connection of its own. */
json_t *ask(const char *method, json_t *parameters);
/* The same, by a process of user @uid; only for replies that fit into a pipe. */
json_t *ask_as(uid_t uid, const char *method, json_t *parameters);
/* allocated of one resource; the number of VMs; the number of waiting claims. */
json_int_t allocated(const char *resource);
json_int_t count_vms(void);
json_int_t count_waiting(void);
/* Resources as one text, without what changes by itself: to be compared before and after. */
char *ledger_text(void);

/* Events, from now on. */
struct news {
        struct line line;
        json_t *list; /* taken from the wire, not yet looked at */
        size_t at;
};
void news_open(struct news *news);
void news_close(struct news *news);
/* The next event at all, borrowed until the next call; NULL after @timeout_ms. */
const json_t *news_next(struct news *news, int timeout_ms);
/* The next event of @kind (about the VM @name, if not NULL); needs it. */
const json_t *news_wait(struct news *news, const char *kind, const char *name);

/* A program that runs beside the test, its stdout and stderr in pipes. */
struct job {
        pid_t pid;
        int pidfd, out_fd, err_fd;
        char out[8192], err[8192];
        size_t n_out, n_err;
};
/* Starts it; the words end with NULL. "provium" talks to our broker. */
void job_start(struct job *job, const char *const *words);
#define JOB(job, ...) job_start(job, (const char *const[]){__VA_ARGS__, NULL})
/* `provium run --slice t` with these options, command and all. */
#define JOB_RUN(job, ...) JOB(job, "provium", "run", "--slice", "t", __VA_ARGS__)
/* Waits until its stdout holds @text; needs it. */
void job_wait_out(struct job *job, const char *text);
void job_wait_err(struct job *job, const char *text);
/* Waits for its end: the exit status, 128+N for a signal, -1 when the time is up (it goes on). */
int job_wait(struct job *job, int timeout_ms);
/* Start, wait, status. */
int job_run(struct job *job, const char *const *words);
#define SHELL(job, ...) job_run(job, (const char *const[]){__VA_ARGS__, NULL})
void job_kill(struct job *job, int signo);
/* Takes what is in the pipes without waiting. */
void job_drain(struct job *job);

/* Text of a file of a VM's group: the VM by name, through the broker's own word for its path. */
char *vm_path(const char *name); /* malloc'd */
void vm_file(const char *name, const char *file, char *text, size_t size);
void file_get(const char *path, char *text, size_t size);
int file_put(const char *path, const char *text);       /* 0 or errno */
json_int_t file_key(const char *path, const char *key); /* "KEY N" lines; -1 */

/* How many groups of VMs there are, and what they have been sold together, by the tree itself. */
struct tree {
        unsigned vms;
        uint64_t memory_max, cpu_usec; /* sums; cpu per 100 ms */
};
void tree_walk(struct tree *tree);
unsigned count_fds(pid_t pid);
uint64_t rss_kib(pid_t pid); /* its own memory, without mapped files */
uint64_t now_ms(void);
uint64_t now_us(void);
/* Waits for a pidfd. False: the time is up. */
bool pidfd_wait(int pidfd, int timeout_ms);
/* Waits until @done(userdata) is true, looking every few milliseconds: only for what has no news.
 */
bool wait_until(bool (*done)(void *userdata), void *userdata, int timeout_ms);

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_OPTIONS_H
#define PROVIUM_BROKER_OPTIONS_H

/*
 * What the broker's command line says. Every place in the file system can be moved, for tests and
 * for hosts that are arranged otherwise.
 */

#include <sys/types.h>

#include <base/macro.h>

struct options {
        const char *config_dir; /* --config-dir (/etc/provium) */
        const char *vendor_dir; /* --vendor-dir (/usr/lib/provium) */
        const char *run_dir;   /* --run-dir (/run/provium): the control socket is "control" in it */
        const char *state_dir; /* --state-dir (/var/lib/provium): the usage log */
        const char *cgroup_mount; /* --cgroup-mount; NULL: where libcgroup finds it */
        const char *cgroup_root;  /* --cgroup-root, relative to the mount; NULL: by --scope */
        const char *proc_dir;     /* --proc (/proc) */
        const char *sys_dir;      /* --sys (/sys) */
        const char *journal;      /* --journal SOCKET; NULL: systemd's, if our log goes there */
        bool no_systemd;          /* --no-systemd: no scope, even where systemd runs */
        /* --mem, --cpus, --cpu-overcommit: a fixed pool, whatever the policy says; 0: not given */
        uint64_t pool_memory_bytes, pool_cpu_milli, pool_overcommit_milli;
        bool no_ksm;       /* --no-ksm: KSM= of the policy does not count */
        bool check;        /* --check: load the policies, say what is wrong, leave */
        bool hold;         /* --hold: be the holder of the scope (internal) */
        bool keep_console; /* --keep-console UID: keep the console of a VM of that user (internal)
                            */
        uid_t console_owner;
        const char *launcher_socket; /* --launcher-socket PATH; NULL: a launcher of our own */
        bool launcher;               /* --launcher: be one (internal) */
        const char *launcher_fds;    /* --launcher-fds L,C: after re-execution (internal) */
        int resume_fd;               /* --resume FD: continue after re-execution (internal); -1 */
        char *const *argv;           /* as started, for re-execution */
};

enum {
        OPTIONS_RUN = 0,
        OPTIONS_EXIT = 1,  /* help or version was printed */
        OPTIONS_USAGE = 2, /* an error was printed */
};

/* Parses; prints help, version and errors itself. */
int options_parse(struct options *options, int argc, char **argv);

#endif

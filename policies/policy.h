/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_POLICY_H
#define PROVIUM_POLICIES_POLICY_H

/*
 * What the operator wrote, as typed values: broker.conf and one file per slice.
 *
 * A policy set is loaded whole or not at all: every file, every drop-in, every name of a user or
 * group is checked first, and only a set without an error replaces the one in force. Values that no
 * file names come from one table of keys (policies/keys.c), which also prints `provium policy show`
 * and the reference in provium.conf(5).
 *
 * Where files come from: broker.conf and slices/NAME.slice below the configuration directory
 * (/etc/provium), or, if there is no file of that name, below the vendor directory
 * (/usr/lib/provium). Then the drop-ins *.conf of both, sorted by name, one in /etc replacing a
 * vendor's of the same name; they lie in broker.conf.d/ and slices/NAME.slice.d/, or, shorter, in
 * broker.d/ and slices/NAME.d/. A later assignment wins; an empty one returns to the default. Lists
 * add up instead. Names that begin with a dot, and other endings, are passed over.
 *
 * A slice may have any name that text_check_name() takes: its directory in the cgroup tree is
 * NAME.slice, and so never meets the holder's or the broker's own. Slices lie in each other: the
 * file of "ci/nightly" is slices/ci/nightly.slice, beside slices/ci.slice, without which it is an
 * error. What a VM of it has counts for both, and its directory is ci.slice/nightly.slice. Who may
 * use it, and all else, is said in its own file alone.
 */

#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>

struct why;

#define POLICY_SLICES_MAX 1024
#define POLICY_FILE_MAX (256 * 1024) /* bytes in one file */
#define POLICY_LINE_MAX 190          /* bytes in one line that is not a comment */
#define POLICY_DROPINS_MAX 128       /* drop-ins of one file */
#define POLICY_NAMES_MAX 256         /* users or groups in one list */
#define POLICY_ERRORS_MAX 32         /* errors kept of one load; the rest are counted */
#define POLICY_INTERFACE_MAX 16      /* bytes in the name of an interface, NUL included */
#define POLICY_ADDRESSES_MAX 4       /* of one bridge */
#define POLICY_BRIDGES_MAX 16        /* names in a slice's Bridges= */
#define POLICY_NONE UINT64_MAX       /* "infinity": no limit on this axis */
#define POLICY_AUTO (UINT64_MAX - 1) /* "auto": discover it, or take the stated default */

enum {
        _POLICY_E_SUCCESS,
        POLICY_E_INVALID, /* at least one file has an error; see the list */
        POLICY_E_DENIED,  /* this user may not use this slice */
};

/* An address with the subnet that it is in. */
struct policy_address {
        int family;              /* AF_INET, AF_INET6 */
        unsigned char bytes[16]; /* in the order of the network; IPv4: the first four */
        unsigned prefix;         /* bits that belong to the subnet */
};

/* broker.conf, [Network] */
struct network_policy {
        char bridge[POLICY_INTERFACE_MAX]; /* Bridge= (""): made and kept by the broker; "": none */
        struct policy_address addresses[POLICY_ADDRESSES_MAX]; /* Address=: the bridge's own */
        size_t n_addresses;
        char uplink[POLICY_INTERFACE_MAX]; /* Uplink= (""): becomes a port of that bridge; its speed
                                            * is then the capacity */
        bool nat;                          /* NAT= (no): masquerade, and forward */
        bool full_duplex;                  /* FullDuplex= (no): account the two ways apart */
        uint64_t upload_ceil_milli;        /* UploadCeil= (4): what a VM may borrow up to */
        uint64_t download_bucket_milli;    /* DownloadBucket= (4): of what the rate carries in 20
                                            * ms: size of a burst to a VM, at least 128 KiB */
};

/* Who lets a VM read and write more than its claim for a while; BurstBy= in this order. */
enum disk_burst {
        DISK_BURST_BROKER,     /* the broker keeps the bucket and takes one frozen step */
        DISK_BURST_HYPERVISOR, /* its throttle group ({disk.N.throttle}); io.max is at the ceiling
                                */
        DISK_BURST_NONE,       /* nobody; io.max is the claim */
        _DISK_BURST_N,
};

/* What fills the disk; each has a directory. */
enum disk_share {
        DISK_SHARE_IMAGES,
        DISK_SHARE_OCI_CACHE,
        DISK_SHARE_VOLUMES,
        DISK_SHARE_OVERLAYS,
        _DISK_SHARE_N,
};

/* broker.conf, [Disk] */
struct disk_policy {
        uint64_t burst_milli; /* Burst= (4): the ceiling of a burst, as a multiple of the claim */
        uint64_t burst_usec;  /* BurstTime= (10s): how long a full bucket lasts at the ceiling;
                               * it holds (Burst - 1) x claim x BurstTime */
        enum disk_burst burst_by; /* BurstBy= (broker) */
        uint64_t quiet_usec;      /* BurstQuiet= (60s): then a full bucket is granted again */
        /* Images= OCICache= Volumes= Overlays= (""): see policy_disk_directory() */
        char images_dir[256], oci_cache_dir[256], volumes_dir[256], overlays_dir[256];
        uint64_t min_free_bytes;   /* MinFree= (5GB): image pulls are refused below */
        uint64_t max_images_milli; /* MaxImageStorage= (0.2): share of the disk for images */
        bool project_quota;        /* ProjectQuota= (no): enforce space where it can be */
};

/* broker.conf, [Usage] */
struct usage_policy {
        uint64_t max_bytes; /* MaxSize= (8M): of one file of the usage log */
        uint64_t keep;      /* Keep= (4): older files beside it */
};

#define POLICY_GPUS_TEXT_MAX 192

/* broker.conf, [GPU] */
struct gpu_policy {
        char devices[POLICY_GPUS_TEXT_MAX]; /* Devices= (""): addresses, "" all */
        bool bind;                          /* Bind= (no): take them from the host's driver */
        bool give_back;                     /* GiveBack= (no): and return them to it */
        char mdev_type[TEXT_NAME_MAX + 1];  /* MdevType= ("") */
};

/* broker.conf, [Queue] */
struct queue_policy {
        uint64_t priority_step_usec; /* PriorityStep= (0): what a priority more is worth */
        bool backfill;               /* Backfill= (no) */
        uint64_t pass_for_usec;      /* PassFor= (0) */
        uint64_t lend_for_usec;      /* LendFor= (0) */
};

#define POLICY_LISTENS_MAX 8
#define POLICY_LISTEN_TEXT_MAX 63
#define POLICY_HTTP_TEXT_MAX 188

struct policy_listen {
        int family;              /* AF_INET, AF_INET6 */
        unsigned char bytes[16]; /* in the order of the network; IPv4: the first four */
        uint16_t port;
        char text[POLICY_LISTEN_TEXT_MAX + 1]; /* as it was written */
};

/* What readers over TCP, whom nobody knows, are shown; Show= in this order. */
enum http_show {
        HTTP_SHOW_TOTALS, /* what concerns nobody in particular */
        HTTP_SHOW_ALL,    /* everything, as root */
        _HTTP_SHOW_N,
};

/* broker.conf, [HTTP] */
struct http_policy {
        bool socket;                            /* Socket= (yes): RUN-DIR/http */
        char listen_text[POLICY_HTTP_TEXT_MAX]; /* Listen= ("") */
        struct policy_listen listens[POLICY_LISTENS_MAX];
        size_t n_listens;
        char hosts[POLICY_HTTP_TEXT_MAX]; /* Hosts= (""): names, separated by blanks */
        enum http_show show;              /* Show= (totals) */
        uint64_t connections_max;         /* MaxConnections= (256) */
        uint64_t connections_peer_max;    /* MaxConnectionsPerPeer= (64) */
};

#define POLICY_QUOTAS_MAX 64
/* broker.conf, [Quota]: what a user, or the members of a group, may hold in all slices together */
struct quota_policy {
        bool each;                    /* each user that is not named, root excepted */
        uint32_t id;                  /* else its number */
        struct demand limit;          /* of claims, in what is sold; POLICY_NONE per axis */
        uint64_t vms_max, queued_max; /* POLICY_NONE */
};

/* As whom a VM runs; User= */
struct policy_user {
        enum { POLICY_USER_CALLER, POLICY_USER_NAMED, POLICY_USER_DYNAMIC } kind;
        uid_t uid; /* of a named one */
        gid_t gid;
};

/* When a VM has a network namespace of its own; PrivateNetwork= in this order. */
enum private_network {
        PRIVATE_NETWORK_AUTO, /* if it has a tap of ours */
        PRIVATE_NETWORK_YES,
        PRIVATE_NETWORK_NO,
        _PRIVATE_NETWORK_N,
};

#define POLICY_DEVICES_MAX 256

/* slices/NAME.slice, [Sandbox] */
struct sandbox_policy {
        struct policy_user user;          /* User= (caller) */
        bool allow_root;                  /* AllowRoot= (no) */
        bool drop_capabilities;           /* DropCapabilities= (yes) */
        bool private_tmp;                 /* PrivateTmp= (no) */
        bool private_devices;             /* PrivateDevices= (yes) */
        char seccomp[TEXT_NAME_MAX + 1];  /* Seccomp= (generic): a list below seccomp/; "": none */
        bool seccomp_learn;               /* SeccompLearn= (no) */
        char devices[POLICY_DEVICES_MAX]; /* Devices=: names below /dev */
        bool read_only_root;              /* ReadOnlyRoot= (no) */
        bool private_pids;                /* PrivatePIDs= (yes) */
        bool private_ipc;                 /* PrivateIPC= (yes) */
        bool private_hostname;            /* PrivateHostname= (yes) */
        bool private_cgroups;             /* PrivateCgroups= (yes) */
        enum private_network private_network; /* PrivateNetwork= (auto) */
        bool core_dumps;                      /* CoreDumps= (no) */
        bool batch;                           /* Batch= (no): SCHED_BATCH */
};

/* What is sold of CPUs and memory; Mode= in this order. */
enum pool_mode {
        POOL_OVERSUBSCRIBED, /* [Capacity], [Reserve] and [Ratio] say it */
        POOL_FIXED,          /* Memory=, Cpus= and CpuOvercommit= do */
        POOL_AUTO,           /* 80 % of the memory, the CPUs that are online */
        _POOL_MODE_N,
};

/* broker.conf, [Pool] */
struct pool_policy {
        enum pool_mode mode;       /* Mode= (oversubscribed) */
        uint64_t memory_bytes;     /* Memory=, POLICY_AUTO: none */
        uint64_t cpu_milli;        /* Cpus=, POLICY_AUTO: none */
        uint64_t overcommit_milli; /* CpuOvercommit= (1); clamped like the ratio of CPU */
        bool overcommit_clamped;   /* to be announced */
};

/* Whether a gate is there; in this order. */
enum gate_use { GATE_USE_AUTO, GATE_USE_YES, GATE_USE_NO, _GATE_USE_N };

/* broker.conf, [Gates] */
struct gates_policy {
        enum gate_use psi;           /* PSI= (auto: but in a fixed pool) */
        uint64_t cpu_pressure_milli; /* CpuPressure= (0.5), POLICY_NONE: not heeded */
        uint64_t memory_pressure_milli;
        uint64_t io_pressure_milli;
        uint64_t resume_milli; /* Resume= (0.6): of each of those, for claims to start again */
        uint64_t pace_usec;    /* Pace= (2s): from one start to the next then, at least */
        enum gate_use memory;  /* MemoryAvailable= (auto: in an auto pool only) */
        uint64_t host_reserve_bytes; /* HostReserve= (1536M) */
        uint64_t cpu_milli_max;      /* MaxCpus=; POLICY_AUTO, POLICY_NONE */
};

/* broker.conf */
struct broker_policy {
        /* [Broker] */
        char data_directory[256]; /* DataDirectory= (/var/lib/provium): its file system is "disk" */
        uint64_t grace_usec;      /* GracePeriod= (10s): from TERM to cgroup.kill */
        uint64_t reconnect_usec;  /* ReconnectGrace= (30s): how long an attached VM outlives its
                                   * client after the broker itself came back */
        uint64_t vms_max;         /* MaxVMs= (4096) */
        uint64_t queue_max;       /* MaxQueued= (16384): claims waiting, all users together */
        uint64_t queue_user_max;  /* MaxQueuedPerUser= (4096), root excepted */
        uint64_t connections_user_max;     /* MaxConnectionsPerUser= (1024), root excepted */
        char dynamic_users[32];            /* DynamicUsers= (524288-589823): for User=dynamic */
        uid_t dynamic_first, dynamic_last; /* the same, as numbers */
        bool best_effort; /* BestEffort= (no): go on, and say so, where a limit cannot be set */
        bool ksm;         /* KSM= (yes): tune the merging of equal pages */
        bool journal;     /* Journal= (yes): events go to the journal with their fields */

        /* [Capacity], [Reserve], [Ratio]: keys CPU= Memory= Disk= DiskIO= Network= GPU= each */
        struct demand capacity;          /* POLICY_AUTO: discover */
        struct demand reserve;           /* kept for the host itself (0) */
        struct demand ratio_milli;       /* 4000 1000 1000 2000 2000 1000; clamped as SPEC says */
        bool ratio_clamped[_RESOURCE_N]; /* to be announced */

        /* [Claim]: what a claim that does not say gets. CPU=1 Memory=512M Disk=0 GPU=0;
         * Network= and DiskIO= auto: the share of the CPUs (admission/sizing) */
        struct demand claim;

        /* [Enforce] */
        uint64_t cpu_headroom_milli; /* CpuHeadroom= (0.04): of the claim, for the hypervisor's own
                                      * threads, added to cpu.max */
        uint64_t memory_overhead_bytes; /* MemoryOverhead= (100M): added to the claim and charged */
        uint64_t memory_high_milli;     /* MemoryHigh= (infinity): memory.high, of memory.max */
        uint64_t swap_max_bytes;        /* SwapMax= (0) */
        uint64_t pids_max;              /* PidsMax= (auto: 64 + 16 per started CPU) */

        struct network_policy network;
        struct disk_policy disk;
        struct pool_policy pool;
        struct gates_policy gates;
        struct gpu_policy gpu;
        struct usage_policy usage;

        struct http_policy http;

        struct queue_policy queue;
        struct quota_policy user_quotas[POLICY_QUOTAS_MAX], group_quotas[POLICY_QUOTAS_MAX];
        size_t n_user_quotas, n_group_quotas;
};

/* slices/NAME.slice */
struct slice_policy {
        char name[TEXT_NAME_MAX + 1];
        char path[512]; /* the main file it was read from, for messages */

        /* [Slice] Description= MaxVMs=; CPU= Memory= Disk= DiskIO= Network= GPU=: what the slice as
         * a whole may use, in the kernel (cpu.max, memory.max); times its Ratio, in the ledger.
         * Network= bounds what is sold; it is also where a VM's borrowed upload ends */
        char description[128];
        uint64_t vms_max;          /* POLICY_NONE */
        struct demand limit;       /* POLICY_NONE per axis */
        struct demand ratio_milli; /* [Ratio] CPU= ...: 1000 each; clamped as the broker's */
        bool ratio_clamped[_RESOURCE_N];

        /* [Guarantee] CPU= ...: kept free for this slice (0) */
        struct demand guarantee;
        bool lend; /* Lend= (no) */

        /* [VM] MaxCPU= MaxMemory= ...: one VM's largest claim (infinity); CPU= Memory= ...: its
         * default claim (auto: the broker's); MemoryHigh= SwapMax= PidsMax= GracePeriod= (auto: the
         * broker's) */
        struct demand vm_max;
        struct demand vm_claim;
        uint64_t memory_high_milli, swap_max_bytes, pids_max, grace_usec;
        uint64_t priority_max; /* [VM] MaxPriority= (0) */

        /* [Network] Bridge= (""): where a VM that does not say gets its tap; "": none. Bridges=
         * (""): others that its VMs may name, "*" any. Isolated= (no): no frames between its taps
         * and other isolated ones */
        char bridge[POLICY_INTERFACE_MAX];
        char bridges[POLICY_BRIDGES_MAX][POLICY_INTERFACE_MAX];
        size_t n_bridges;
        bool any_bridge;
        bool isolated;

        struct sandbox_policy sandbox;

        /* [Access] Users= (names or numbers, or "*" for everybody), Groups=. If both are empty,
         * nobody but root. */
        bool everybody;
        uid_t *users;
        size_t n_users;
        gid_t *groups;
        size_t n_groups;
};

struct policy_error {
        char path[512];
        unsigned line; /* 0: the file as a whole */
        char section[64], key[64];
        char text[400]; /* what is wrong and what is valid */
};

struct policy_errors {
        struct policy_error list[POLICY_ERRORS_MAX];
        size_t n;      /* in the list: the first ones found */
        size_t n_more; /* that did not fit */
};

struct policy {
        struct broker_policy broker;
        struct slice_policy *slices; /* sorted by name */
        size_t n_slices;
};

/*
 * Loads everything below @config_dir and @vendor_dir (paths; either may be missing as a whole,
 * which means defaults and no slices). Refused as errors: syntax, unknown sections and keys, values
 * out of range, unknown users, files over POLICY_FILE_MAX, whatever is a symbolic link or not
 * regular, files and directories that, when we are root, belong to somebody else or are writable by
 * others, slice names that are no names, drop-ins of a slice that is not there, guarantees whose
 * sum exceeds a configured capacity, default claims above the VM's maximum or the slice's limit,
 * names that no interface can have, addresses without a bridge, directories of [Disk] within each
 * other.
 * Returns 0 and a new set; POLICY_E_INVALID with @errors filled (at least one) and *policyp
 * untouched; negative on a fault (out of memory). Reads files and asks for users and groups, and so
 * may block; nothing here is for the path of a launch.
 */
_must_check_ int policy_load(struct policy **policyp, const char *config_dir,
                             const char *vendor_dir, struct policy_errors *errors);

/*
 * A set without slices from the text of one broker.conf (@length bytes), which belongs to whoever
 * likes: for a description of a host, not for what is put in force. @path is what errors call it.
 * Returns as policy_load() does.
 */
_must_check_ int policy_load_text(struct policy **policyp, const char *path, const char *text,
                                  size_t length, struct policy_errors *errors);

struct policy *policy_free(struct policy *policy); /* takes NULL, returns NULL */

static inline void policy_freep(struct policy **policyp) {
        policy_free(*policyp);
}

/* @overcommit_milli within 0.5 to 8, as CpuOvercommit= is kept; *clampedp: it was not. */
uint64_t policy_clamp_overcommit(uint64_t overcommit_milli, bool *clampedp);

/* The slice of that name, borrowed, or NULL. */
const struct slice_policy *policy_find_slice(const struct policy *policy, const char *name);

/* May a peer with these credentials use @slice? Root always may. Answers POLICY_E_DENIED. */
_must_check_ int policy_check_access(const struct slice_policy *slice, uid_t uid, gid_t gid,
                                     const gid_t *groups, size_t n_groups, struct why *why);

/* May a VM of @slice have a tap on @bridge? On the slice's own Bridge=, on that of broker.conf, on
 * those of its Bridges=. */
_must_check_ bool policy_may_join(const struct policy *policy, const struct slice_policy *slice,
                                  const char *bridge);

/* What @uid, or the members of @gid, may hold; NULL: nothing is said of them. */
const struct quota_policy *policy_user_quota(const struct broker_policy *broker, uid_t uid);
const struct quota_policy *policy_group_quota(const struct broker_policy *broker, gid_t gid);

#define POLICY_DIRECTORY_MAX 272 /* enough for every directory of [Disk], NUL included */

/* The directory below which files count as @share, absolute, into @buffer of POLICY_DIRECTORY_MAX
 * bytes, which is returned: the one that is set, or the one of its name below DataDirectory=. */
const char *policy_disk_directory(const struct broker_policy *broker, enum disk_share share,
                                  char buffer[POLICY_DIRECTORY_MAX]);

#define POLICY_ADDRESS_TEXT_MAX 64 /* enough for every address */

/* Prints @address as "10.77.0.1/24" into @buffer and returns it. */
const char *policy_address_format(const struct policy_address *address, char *buffer, size_t size);

#define POLICY_ERROR_LINE_MAX 1200 /* enough for every error as a line, NUL included */

/* Prints @error as one line "PATH:LINE: [Section] Key=: sentence", without what is not known, into
 * @buffer and returns it. */
const char *policy_error_format(const struct policy_error *error, char *buffer, size_t size);

/*
 * The values in force, printed as a broker.conf (@slice NULL) or a slice file that would produce
 * them. Returns a malloc'd text the caller frees, or NULL if out of memory. Asks for the names of
 * users and groups.
 */
char *policy_show(const struct policy *policy, const struct slice_policy *slice);

/* The reference section of provium.conf(5) in man(7) source, from the table of keys; malloc'd,
 * or NULL if out of memory. */
char *policy_reference(void);

#endif

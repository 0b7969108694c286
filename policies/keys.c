/* SPDX-License-Identifier: MIT */

/*
 * What an operator can say. A row is: where the value goes, section and name, how it is written,
 * the words that are valid beside a number, the smallest and largest value, the default as one
 * would write it, and the help. The order is that of the manual page.
 *
 * A new key is one row here and one member in policies/policy.h; nothing else needs to know. The
 * file is longer than most because it is a table.
 */

#include <policies/keys.h>
#include <policies/policy.h>

#include <base/units.h>

/* Where a value goes; without these two, each row would not fit its lines. */
#define B(member) POLICY_FILE_BROKER, offsetof(struct broker_policy, member)
#define S(member) POLICY_FILE_SLICE, offsetof(struct slice_policy, member)

#define ANY UNITS_VALUE_MAX
#define CPUS_MAX (1000 * 1000 * 1000ULL) /* a million CPUs, in thousandths */
#define GPUS_MAX 65536
#define MEMORY_MIN (1024 * 1024)
#define BORROW_MIN 1000 /* a multiple, in thousandths */
#define BORROW_MAX 64000
#define SECOND 1000000ULL /* usec */
#define HOUR (3600 * SECOND)
#define BROKER_TEXT(member) 0, sizeof(((struct broker_policy *)NULL)->member)
#define SLICE_TEXT(member) 0, sizeof(((struct slice_policy *)NULL)->member)

const struct key policy_keys[] = {
        {B(data_directory), "Broker", "DataDirectory", KEY_PATH, 0, BROKER_TEXT(data_directory),
         "/var/lib/provium", "The directory whose file system is the resource disk."},
        {B(grace_usec), "Broker", "GracePeriod", KEY_DURATION, 0, 0, HOUR, "10s",
         "How long a VM may take to end after SIGTERM, before its whole cgroup is killed."},
        {B(reconnect_usec), "Broker", "ReconnectGrace", KEY_DURATION, 0, 0, 24 * HOUR, "30s",
         "How long a VM that is not detached outlives its client after the broker itself was "
         "restarted, so that the client can come back."},
        {B(vms_max), "Broker", "MaxVMs", KEY_COUNT, 0, 1, 65535, "4096",
         "How many VMs may exist at a time."},
        {B(queue_max), "Broker", "MaxQueued", KEY_COUNT, 0, 0, 1000000, "16384",
         "How many claims may wait, those of all users together."},
        {B(queue_user_max), "Broker", "MaxQueuedPerUser", KEY_COUNT, 0, 0, 1000000, "4096",
         "How many claims one user may have waiting. Root is exempt."},
        {B(connections_user_max), "Broker", "MaxConnectionsPerUser", KEY_COUNT, 0, 1, 65536, "1024",
         "How many connections one user may hold. Root is exempt."},
        {B(dynamic_users), "Broker", "DynamicUsers", KEY_TEXT, 0, BROKER_TEXT(dynamic_users),
         "524288-589823",
         "Numbers of users that are nobody's, first and last: each VM of a slice with User=dynamic "
         "runs as one of its own, and none is used twice at a time."},
        {B(best_effort), "Broker", "BestEffort", KEY_BOOL, 0, 0, 1, "no",
         "What happens where the kernel cannot set or hold a limit: no refuses the VM, yes starts "
         "it and says in its status which limit is missing."},
        {B(ksm), "Broker", "KSM", KEY_BOOL, 0, 0, 1, "yes",
         "Whether the kernel's merging of equal pages (KSM) is switched on while the broker runs, "
         "and "
         "put back at its end. By how long a write to a merged page takes, one VM can tell what "
         "another has in memory: no where users do not trust each other."},
        {B(journal), "Broker", "Journal", KEY_BOOL, 0, 0, 1, "yes",
         "Whether events also go to systemd's journal, with their fields (provium-broker(8)), if "
         "the broker's log goes there."},

        {B(capacity.amount[RESOURCE_CPU]), "Capacity", "CPU", KEY_CPUS, KEY_AUTO, 1, CPUS_MAX,
         "auto", "CPUs of this host. auto: those online in the cpusets of the broker and its VMs."},
        {B(capacity.amount[RESOURCE_MEMORY]), "Capacity", "Memory", KEY_SIZE, KEY_AUTO, MEMORY_MIN,
         ANY, "auto",
         "Memory of this host. auto: all of it, or the memory.max of a cgroup above, if lower."},
        {B(capacity.amount[RESOURCE_DISK]), "Capacity", "Disk", KEY_SIZE, KEY_AUTO, 0, ANY, "auto",
         "Disk space. auto: the file system of DataDirectory=."},
        {B(capacity.amount[RESOURCE_DISK_IO]), "Capacity", "DiskIO", KEY_RATE, KEY_AUTO, 0, ANY,
         "auto", "Bandwidth of each whole disk. auto: 1GB/s."},
        {B(capacity.amount[RESOURCE_NETWORK]), "Capacity", "Network", KEY_RATE, KEY_AUTO, 0, ANY,
         "auto",
         "Bandwidth of the uplink. auto: the speed of Uplink=, else of the default route's device; "
         "where that is unknown, the network is not accounted until this key is set."},
        {B(capacity.amount[RESOURCE_GPU]), "Capacity", "GPU", KEY_COUNT, KEY_AUTO, 0, GPUS_MAX,
         "auto", "GPU slots. auto: the passthrough devices or vGPU slots found."},

        {B(reserve.amount[RESOURCE_CPU]), "Reserve", "CPU", KEY_CPUS, 0, 0, CPUS_MAX, "0",
         "CPUs kept for the host itself; never sold."},
        {B(reserve.amount[RESOURCE_MEMORY]), "Reserve", "Memory", KEY_SIZE, 0, 0, ANY, "0",
         "Memory kept for the host itself."},
        {B(reserve.amount[RESOURCE_DISK]), "Reserve", "Disk", KEY_SIZE, 0, 0, ANY, "0",
         "Disk space kept for the host itself."},
        {B(reserve.amount[RESOURCE_DISK_IO]), "Reserve", "DiskIO", KEY_RATE, 0, 0, ANY, "0",
         "Disk bandwidth kept for the host itself, of each disk."},
        {B(reserve.amount[RESOURCE_NETWORK]), "Reserve", "Network", KEY_RATE, 0, 0, ANY, "0",
         "Network bandwidth kept for the host itself."},
        {B(reserve.amount[RESOURCE_GPU]), "Reserve", "GPU", KEY_COUNT, 0, 0, GPUS_MAX, "0",
         "GPU slots kept for the host itself."},

        {B(ratio_milli.amount[RESOURCE_CPU]), "Ratio", "CPU", KEY_RATIO, 0, 1, ANY, "4",
         "How often each CPU is sold. Values outside 0.5 to 8 are moved to the nearest of them, "
         "with a notice."},
        {B(ratio_milli.amount[RESOURCE_MEMORY]), "Ratio", "Memory", KEY_RATIO, 0, 1, ANY, "1",
         "How often each byte of memory is sold; 0.5 to 16. Above 1, VMs can be killed for want of "
         "memory that they were sold."},
        {B(ratio_milli.amount[RESOURCE_DISK]), "Ratio", "Disk", KEY_RATIO, 0, 1, ANY, "1",
         "How often each byte of disk space is sold; 0.5 to 16."},
        {B(ratio_milli.amount[RESOURCE_DISK_IO]), "Ratio", "DiskIO", KEY_RATIO, 0, 1, ANY, "2",
         "How often the bandwidth of each disk is sold; 0.5 to 16."},
        {B(ratio_milli.amount[RESOURCE_NETWORK]), "Ratio", "Network", KEY_RATIO, 0, 1, ANY, "2",
         "How often the bandwidth of the uplink is sold; 0.5 to 16."},
        {B(ratio_milli.amount[RESOURCE_GPU]), "Ratio", "GPU", KEY_RATIO, 0, 1, ANY, "1",
         "How often each GPU slot is sold; 0.5 to 16."},

        {B(claim.amount[RESOURCE_CPU]), "Claim", "CPU", KEY_CPUS, 0, 1, CPUS_MAX, "1",
         "CPUs of a VM that does not say how many it wants."},
        {B(claim.amount[RESOURCE_MEMORY]), "Claim", "Memory", KEY_SIZE, 0, MEMORY_MIN, ANY, "512M",
         "Memory of a VM that does not say."},
        {B(claim.amount[RESOURCE_DISK]), "Claim", "Disk", KEY_SIZE, 0, 0, ANY, "0",
         "Disk space of a VM that does not say."},
        {B(claim.amount[RESOURCE_DISK_IO]), "Claim", "DiskIO", KEY_RATE, KEY_AUTO, 0, ANY, "auto",
         "Disk bandwidth of a VM that does not say. auto: the same share of what can be sold as "
         "it has of the host's CPUs. With as many CPUs sold as there are, all of it is sold then; "
         "to sell more CPUs than that to VMs that do not say, set a number, such as 50MB/s."},
        {B(claim.amount[RESOURCE_NETWORK]), "Claim", "Network", KEY_RATE, KEY_AUTO, 0, ANY, "auto",
         "Network bandwidth, each way, of a VM that does not say. auto: as for DiskIO=."},
        {B(claim.amount[RESOURCE_GPU]), "Claim", "GPU", KEY_COUNT, 0, 0, GPUS_MAX, "0",
         "GPU slots of a VM that does not say."},

        {B(cpu_headroom_milli), "Enforce", "CpuHeadroom", KEY_SHARE, 0, 0, 1000, "0.04",
         "Added to each VM's cpu.max for the hypervisor's own threads, as a share of its CPUs."},
        {B(memory_overhead_bytes), "Enforce", "MemoryOverhead", KEY_SIZE, 0, 0, ANY, "100M",
         "Memory of the hypervisor itself: added to what the VM claims, charged, and allowed."},
        {B(memory_high_milli), "Enforce", "MemoryHigh", KEY_SHARE, KEY_INFINITY, 1, 1000,
         "infinity",
         "Where reclaim begins, as a share of memory.max. infinity: only at memory.max itself."},
        {B(swap_max_bytes), "Enforce", "SwapMax", KEY_SIZE, KEY_INFINITY, 0, ANY, "0",
         "How much of a VM may be swapped out."},
        {B(pids_max), "Enforce", "PidsMax", KEY_COUNT, KEY_AUTO | KEY_INFINITY, 1, 4194304, "auto",
         "Processes and threads of a VM. auto: 64, and 16 more for each CPU begun."},

        {B(network.bridge), "Network", "Bridge", KEY_INTERFACE, 0, BROKER_TEXT(network.bridge), "",
         "A bridge that the broker makes and keeps; VMs of every slice may join it. Empty: none."},
        {B(network.addresses), "Network", "Address", KEY_ADDRESSES, 0, 0, POLICY_ADDRESSES_MAX, "",
         "The bridge's own addresses with their subnets, such as 10.77.0.1/24 fd77::1/64, at most "
         "four. Several assignments add up, an empty one starts over."},
        {B(network.uplink), "Network", "Uplink", KEY_INTERFACE, 0, BROKER_TEXT(network.uplink), "",
         "A device that becomes a port of the bridge. Its speed is then the capacity of the "
         "network, "
         "where [Capacity] Network= is auto."},
        {B(network.nat), "Network", "NAT", KEY_BOOL, 0, 0, 1, "no",
         "Whether what leaves the bridge's subnets for elsewhere is masqueraded (nftables) and IP "
         "forwarding is turned on. Needs Address=."},
        {B(network.full_duplex), "Network", "FullDuplex", KEY_BOOL, 0, 0, 1, "no",
         "Whether download and upload are accounted apart, each against the whole capacity. no: a "
         "VM is charged the larger of the two."},
        {B(network.upload_ceil_milli), "Network", "UploadCeil", KEY_RATIO, 0, BORROW_MIN,
         BORROW_MAX, "4",
         "Up to how much a VM may send while others leave room, as a multiple of its claim."},
        {B(network.download_bucket_milli), "Network", "DownloadBucket", KEY_RATIO, 0, BORROW_MIN,
         BORROW_MAX, "4",
         "The size of a burst to a VM, as a multiple of what its rate carries in 20 ms, and at "
         "least 128 KiB."},

        {B(disk.burst_milli), "Disk", "Burst", KEY_RATIO, 0, BORROW_MIN, BORROW_MAX, "4",
         "Up to how much a VM may read and write while its bucket lasts, as a multiple of its "
         "claim."},
        {B(disk.burst_usec), "Disk", "BurstTime", KEY_DURATION, 0, 0, HOUR, "10s",
         "How long a VM may go on at that rate when its bucket is full. The bucket holds what it "
         "then does above its claim: (Burst - 1) x claim x BurstTime. 0: no bursts."},
        {B(disk.burst_by), "Disk", "BurstBy", KEY_WORD, 0, 0, 0, "broker",
         "Who keeps the bucket. broker: the broker does, and sets io.max to the claim when it is "
         "empty. hypervisor: the hypervisor does, with the limits of {disk.N.throttle} in its "
         "command, and io.max stands at the burst. none: there are no bursts, io.max is the claim.",
         "broker, hypervisor, none"},
        {B(disk.quiet_usec), "Disk", "BurstQuiet", KEY_DURATION, 0, SECOND, HOUR, "60s",
         "For how long a VM has to stay within its claim before the broker gives it a full bucket "
         "again."},
        {B(disk.images_dir), "Disk", "Images", KEY_PATH, 0, BROKER_TEXT(disk.images_dir), "",
         "The directory below which files count as images. Empty: images below DataDirectory=."},
        {B(disk.oci_cache_dir), "Disk", "OCICache", KEY_PATH, 0, BROKER_TEXT(disk.oci_cache_dir),
         "", "The same for the OCI cache. Empty: oci-cache below DataDirectory=."},
        {B(disk.volumes_dir), "Disk", "Volumes", KEY_PATH, 0, BROKER_TEXT(disk.volumes_dir), "",
         "The same for volumes. Empty: volumes below DataDirectory=."},
        {B(disk.overlays_dir), "Disk", "Overlays", KEY_PATH, 0, BROKER_TEXT(disk.overlays_dir), "",
         "The same for overlays. Empty: overlays below DataDirectory=. None of the four may lie in "
         "another: its files would count twice."},
        {B(disk.min_free_bytes), "Disk", "MinFree", KEY_SIZE, 0, 0, ANY, "5GB",
         "Image pulls are refused if they would leave less of the disk free."},
        {B(disk.max_images_milli), "Disk", "MaxImageStorage", KEY_SHARE, 0, 0, 1000, "0.2",
         "Image pulls are refused if images would then take more than this share of the disk."},
        {B(disk.project_quota), "Disk", "ProjectQuota", KEY_BOOL, 0, 0, 1, "no",
         "Whether claims of disk space are enforced with project quotas, where the file system has "
         "them."},

        {B(gpu.devices), "GPU", "Devices", KEY_TEXT, 0, BROKER_TEXT(gpu.devices), "",
         "The GPUs that VMs may be given, by their addresses on the PCI bus, separated by spaces: "
         "0000:01:00.0, or 0000:41:* for all that begin so. Empty: all that are found."},
        {B(gpu.bind), "GPU", "Bind", KEY_BOOL, 0, 0, 1, "no",
         "Whether a GPU may be taken from the host's driver and bound to vfio-pci when a VM gets "
         "it; never the console's. no: VMs get those that somebody has bound to it before."},
        {B(gpu.give_back), "GPU", "GiveBack", KEY_BOOL, 0, 0, 1, "no",
         "Whether a GPU that was taken from the host's driver so goes back to it after the VM. no: "
         "it stays with vfio-pci for the next."},
        {B(gpu.mdev_type), "GPU", "MdevType", KEY_TEXT, 0, BROKER_TEXT(gpu.mdev_type), "",
         "The type of mediated devices that are made of a card, by its directory (nvidia-471) or "
         "its name (GRID A100-10C). Empty, or where a card has no such type: the one of which it "
         "has most instances already, or else can make most."},

        {B(usage.max_bytes), "Usage", "MaxSize", KEY_SIZE, 0, 65536, 64 * 1024 * 1024, "8M",
         "How long a file of the usage log may get before the next is begun. A VM takes some 500 "
         "bytes."},
        {B(usage.keep), "Usage", "Keep", KEY_COUNT, 0, 1, 64, "4",
         "How many older files of the usage log are kept beside the newest. What is older is "
         "forgotten."},

        {B(pool.mode), "Pool", "Mode", KEY_WORD, 0, 0, _POOL_MODE_N - 1, "oversubscribed",
         "What is sold of CPUs and memory. oversubscribed: what [Capacity], [Reserve] and [Ratio] "
         "say. fixed: what the next three keys say and nothing else, so that the same budget "
         "always gives the same schedule. auto: 80 % of the memory, and the CPUs that are online, "
         "each once; [Gates] then adds to that. In the last two, CPU and memory of those three "
         "sections are not heeded.",
         "oversubscribed, fixed, auto"},
        {B(pool.memory_bytes), "Pool", "Memory", KEY_SIZE, KEY_AUTO, MEMORY_MIN, ANY, "auto",
         "The memory of a fixed pool, which needs a number."},
        {B(pool.cpu_milli), "Pool", "Cpus", KEY_CPUS, KEY_AUTO, 1, CPUS_MAX, "auto",
         "The CPUs of a fixed pool, likewise."},
        {B(pool.overcommit_milli), "Pool", "CpuOvercommit", KEY_RATIO, 0, 1, ANY, "1",
         "How often each CPU of a fixed pool is sold. Values outside 0.5 to 8 are moved to the "
         "nearest of them, with a notice."},

        {B(gates.psi), "Gates", "PSI", KEY_WORD, 0, 0, _GATE_USE_N - 1, "auto",
         "Whether VMs wait to be started (psi_pressure) while tasks of this host wait too much for "
         "what they need, as the kernel measures it. VMs that run are left alone. auto: in every "
         "pool but a fixed one.",
         "auto, yes, no"},
        {B(gates.cpu_pressure_milli), "Gates", "CpuPressure", KEY_SHARE, KEY_INFINITY, 1, 1000,
         "0.5",
         "Above which share of time (avg10) with some task waiting for a CPU nothing is started. "
         "While a tenth of the CPUs' time is idle, what VMs wait for is their own limits, and only "
         "the waiting of others counts. infinity: not heeded."},
        {B(gates.memory_pressure_milli), "Gates", "MemoryPressure", KEY_SHARE, KEY_INFINITY, 1,
         1000, "0.1",
         "The same with all tasks waiting for memory at once. While a tenth of the memory is "
         "available, only the waiting of others than VMs counts."},
        {B(gates.io_pressure_milli), "Gates", "IOPressure", KEY_SHARE, KEY_INFINITY, 1, 1000,
         "infinity",
         "The same with all tasks waiting for disks at once. VMs that are held to their disk I/O "
         "count in it."},
        {B(gates.resume_milli), "Gates", "Resume", KEY_SHARE, 0, 1, 1000, "0.6",
         "To what share of these three the pressure has to fall before VMs are started again: 0.6 "
         "of 0.5 is 0.3."},
        {B(gates.pace_usec), "Gates", "Pace", KEY_DURATION, 0, SECOND / 10, HOUR, "2s",
         "After a pause VMs are started one by one: the next when the pressure is still low this "
         "long after the last."},
        {B(gates.memory), "Gates", "MemoryAvailable", KEY_WORD, 0, 0, _GATE_USE_N - 1, "auto",
         "Whether a VM waits (memory_available) until what is available of the host's memory, less "
         "what VMs were granted and have not touched yet, covers its claim and HostReserve=. auto: "
         "in an auto pool only.",
         "auto, yes, no"},
        {B(gates.host_reserve_bytes), "Gates", "HostReserve", KEY_SIZE, 0, 0, ANY, "1536M",
         "How much of that is kept for the host itself."},
        {B(gates.cpu_milli_max), "Gates", "MaxCpus", KEY_CPUS, KEY_AUTO | KEY_INFINITY, 1, CPUS_MAX,
         "auto",
         "How many CPUs of VMs may run at a time, whatever was oversold. auto: in an auto pool "
         "half "
         "of those that are online, and at least two; else infinity."},

        {B(queue.priority_step_usec), "Queue", "PriorityStep", KEY_DURATION, 0, 0, HOUR, "0",
         "What a priority of one more is worth of waiting: a claim is served as if it had come so "
         "much earlier. 0: priorities are not heeded, first come, first served."},
        {B(queue.backfill), "Queue", "Backfill", KEY_BOOL, 0, 0, 1, "no",
         "Whether a claim may pass one that waits for the pool if it cannot delay it, because it "
         "said how long it runs (provium run --time)."},
        {B(queue.pass_for_usec), "Queue", "PassFor", KEY_DURATION, 0, 0, 24 * HOUR, "0",
         "How long the first that waits for the pool may be passed by whatever fits; after that, "
         "by none that could delay it."},
        {B(queue.lend_for_usec), "Queue", "LendFor", KEY_DURATION, 0, 0, 24 * HOUR, "0",
         "For how long guarantees of slices with Lend=yes are lent while they are not used, to "
         "claims that are ended by then (provium run --max-time). A claim of the slice may have to "
         "wait that long for its guarantee. 0: none is lent."},

        {B(http.socket), "HTTP", "Socket", KEY_BOOL, 0, 0, 1, "yes",
         "Whether readers are served at the socket http beside the control socket. Everybody may "
         "connect, and sees of VMs and events their own; root sees all."},
        {B(http.listen_text), "HTTP", "Listen", KEY_TEXT, 0, BROKER_TEXT(http.listen_text), "",
         "Addresses with their ports, separated by blanks, such as 127.0.0.1:9787 [::1]:9787, at "
         "which readers are served over TCP, without a password. Empty: none."},
        {B(http.hosts), "HTTP", "Hosts", KEY_TEXT, 0, BROKER_TEXT(http.hosts), "",
         "Names by which browsers may call this host, separated by blanks, beside its addresses "
         "and localhost."},
        {B(http.show), "HTTP", "Show", KEY_WORD, 0, 0, 0, "totals",
         "What readers over TCP are shown. totals: what is sold and used in all. all: every VM and "
         "every event too, with its user and name; for addresses that none but operators reach.",
         "totals, all"},
        {B(http.connections_max), "HTTP", "MaxConnections", KEY_COUNT, 0, 1, 1024, "256",
         "How many readers there may be at a time."},
        {B(http.connections_peer_max), "HTTP", "MaxConnectionsPerPeer", KEY_COUNT, 0, 1, 1024,
         "64", "How many of those may be one user's, or come from one address."},

        {B(user_quotas), "Quota", "User", KEY_USER_QUOTAS, 0, 0, POLICY_QUOTAS_MAX, "",
         "What one user may hold in all slices together: a name or number, or * for each user but "
         "root who is not named, and then any of CPU= Memory= Disk= DiskIO= Network= GPU= MaxVMs= "
         "MaxQueued=, as in: alice CPU=8 Memory=16G MaxVMs=20. One line for each user."},
        {B(group_quotas), "Quota", "Group", KEY_GROUP_QUOTAS, 0, 0, POLICY_QUOTAS_MAX, "",
         "What the members of a group may hold together, likewise. It counts for VMs that are "
         "started from then on, and for at most five groups of a user."},

        {S(description), "Slice", "Description", KEY_TEXT, 0, SLICE_TEXT(description), "",
         "A few words for people."},
        {S(vms_max), "Slice", "MaxVMs", KEY_COUNT, KEY_INFINITY, 0, 65535, "infinity",
         "How many VMs this slice may have at a time."},
        {S(limit.amount[RESOURCE_CPU]), "Slice", "CPU", KEY_CPUS, KEY_INFINITY, 1, CPUS_MAX,
         "infinity",
         "CPUs that all VMs of this slice may use together, held by the kernel. Their claims may "
         "add up to this, times the slice's own [Ratio]."},
        {S(limit.amount[RESOURCE_MEMORY]), "Slice", "Memory", KEY_SIZE, KEY_INFINITY, MEMORY_MIN,
         ANY, "infinity", "Memory of all VMs together, likewise."},
        {S(limit.amount[RESOURCE_DISK]), "Slice", "Disk", KEY_SIZE, KEY_INFINITY, 0, ANY,
         "infinity", "Disk space of all VMs together."},
        {S(limit.amount[RESOURCE_DISK_IO]), "Slice", "DiskIO", KEY_RATE, KEY_INFINITY, 0, ANY,
         "infinity", "Disk bandwidth of all VMs together, on each disk."},
        {S(limit.amount[RESOURCE_NETWORK]), "Slice", "Network", KEY_RATE, KEY_INFINITY, 0, ANY,
         "infinity",
         "Network bandwidth, each way, that may be sold to all VMs together. Each is held "
         "to what it was sold; only its uploads may borrow, up to this."},
        {S(limit.amount[RESOURCE_GPU]), "Slice", "GPU", KEY_COUNT, KEY_INFINITY, 0, GPUS_MAX,
         "infinity", "GPU slots of all VMs together."},

        {S(ratio_milli.amount[RESOURCE_CPU]), "Ratio", "CPU", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own CPU= is sold to its VMs; 0.5 to 8. The host's ratio applies to "
         "the host's capacity, not here."},
        {S(ratio_milli.amount[RESOURCE_MEMORY]), "Ratio", "Memory", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own Memory= is sold; 0.5 to 16."},
        {S(ratio_milli.amount[RESOURCE_DISK]), "Ratio", "Disk", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own Disk= is sold; 0.5 to 16."},
        {S(ratio_milli.amount[RESOURCE_DISK_IO]), "Ratio", "DiskIO", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own DiskIO= is sold; 0.5 to 16."},
        {S(ratio_milli.amount[RESOURCE_NETWORK]), "Ratio", "Network", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own Network= is sold; 0.5 to 16."},
        {S(ratio_milli.amount[RESOURCE_GPU]), "Ratio", "GPU", KEY_RATIO, 0, 1, ANY, "1",
         "How often the slice's own GPU= is sold; 0.5 to 16."},

        {S(guarantee.amount[RESOURCE_CPU]), "Guarantee", "CPU", KEY_CPUS, 0, 0, CPUS_MAX, "0",
         "CPUs kept free for this slice when others ask. Guarantees are not oversubscribed: those "
         "of all slices must fit the configured capacity less the reserve, and each the slice's "
         "own limit."},
        {S(guarantee.amount[RESOURCE_MEMORY]), "Guarantee", "Memory", KEY_SIZE, 0, 0, ANY, "0",
         "Memory kept free for this slice."},
        {S(guarantee.amount[RESOURCE_DISK]), "Guarantee", "Disk", KEY_SIZE, 0, 0, ANY, "0",
         "Disk space kept free for this slice."},
        {S(guarantee.amount[RESOURCE_DISK_IO]), "Guarantee", "DiskIO", KEY_RATE, 0, 0, ANY, "0",
         "Disk bandwidth kept free for this slice."},
        {S(guarantee.amount[RESOURCE_NETWORK]), "Guarantee", "Network", KEY_RATE, 0, 0, ANY, "0",
         "Network bandwidth kept free for this slice."},
        {S(guarantee.amount[RESOURCE_GPU]), "Guarantee", "GPU", KEY_COUNT, 0, 0, GPUS_MAX, "0",
         "GPU slots kept free for this slice."},
        {S(lend), "Guarantee", "Lend", KEY_BOOL, 0, 0, 1, "no",
         "Whether others may borrow what this slice does not use of its guarantee, for LendFor= of "
         "broker.conf at most."},

        {S(vm_max.amount[RESOURCE_CPU]), "VM", "MaxCPU", KEY_CPUS, KEY_INFINITY, 1, CPUS_MAX,
         "infinity",
         "The most that one VM may claim; more is refused at once. It may be above what the whole "
         "slice has: then the slice's limit decides."},
        {S(vm_max.amount[RESOURCE_MEMORY]), "VM", "MaxMemory", KEY_SIZE, KEY_INFINITY, MEMORY_MIN,
         ANY, "infinity", "The most memory that one VM may claim, without MemoryOverhead=."},
        {S(vm_max.amount[RESOURCE_DISK]), "VM", "MaxDisk", KEY_SIZE, KEY_INFINITY, 0, ANY,
         "infinity", "The most disk space that one VM may claim."},
        {S(vm_max.amount[RESOURCE_DISK_IO]), "VM", "MaxDiskIO", KEY_RATE, KEY_INFINITY, 0, ANY,
         "infinity", "The most disk bandwidth that one VM may claim."},
        {S(vm_max.amount[RESOURCE_NETWORK]), "VM", "MaxNetwork", KEY_RATE, KEY_INFINITY, 0, ANY,
         "infinity", "The most network bandwidth that one VM may claim, each way."},
        {S(vm_max.amount[RESOURCE_GPU]), "VM", "MaxGPU", KEY_COUNT, KEY_INFINITY, 0, GPUS_MAX,
         "infinity", "The most GPU slots that one VM may claim."},

        {S(vm_claim.amount[RESOURCE_CPU]), "VM", "CPU", KEY_CPUS, KEY_AUTO, 1, CPUS_MAX, "auto",
         "CPUs of a VM that does not say how many it wants. auto: [Claim] of broker.conf, but no "
         "more than MaxCPU=. A value above MaxCPU= or the slice's limit is an error."},
        {S(vm_claim.amount[RESOURCE_MEMORY]), "VM", "Memory", KEY_SIZE, KEY_AUTO, MEMORY_MIN, ANY,
         "auto", "Memory of a VM that does not say, likewise."},
        {S(vm_claim.amount[RESOURCE_DISK]), "VM", "Disk", KEY_SIZE, KEY_AUTO, 0, ANY, "auto",
         "Disk space of a VM that does not say, likewise."},
        {S(vm_claim.amount[RESOURCE_DISK_IO]), "VM", "DiskIO", KEY_RATE, KEY_AUTO, 0, ANY, "auto",
         "Disk bandwidth of a VM that does not say, likewise."},
        {S(vm_claim.amount[RESOURCE_NETWORK]), "VM", "Network", KEY_RATE, KEY_AUTO, 0, ANY, "auto",
         "Network bandwidth, each way, of a VM that does not say, likewise."},
        {S(vm_claim.amount[RESOURCE_GPU]), "VM", "GPU", KEY_COUNT, KEY_AUTO, 0, GPUS_MAX, "auto",
         "GPU slots of a VM that does not say, likewise."},

        {S(memory_high_milli), "VM", "MemoryHigh", KEY_SHARE, KEY_AUTO | KEY_INFINITY, 1, 1000,
         "auto", "Where reclaim begins, as a share of memory.max. auto: broker.conf."},
        {S(swap_max_bytes), "VM", "SwapMax", KEY_SIZE, KEY_AUTO | KEY_INFINITY, 0, ANY, "auto",
         "How much of a VM may be swapped out. auto: broker.conf."},
        {S(pids_max), "VM", "PidsMax", KEY_COUNT, KEY_AUTO | KEY_INFINITY, 1, 4194304, "auto",
         "Processes and threads of a VM. auto: broker.conf."},
        {S(grace_usec), "VM", "GracePeriod", KEY_DURATION, KEY_AUTO, 0, HOUR, "auto",
         "Time from SIGTERM to the kill. auto: broker.conf."},
        {S(priority_max), "VM", "MaxPriority", KEY_COUNT, 0, 0, 1000, "0",
         "The highest priority that a claim may have, where PriorityStep= of broker.conf heeds "
         "priorities."},

        {S(bridge), "Network", "Bridge", KEY_INTERFACE, 0, SLICE_TEXT(bridge), "",
         "The bridge on which each VM of this slice gets a tap, if it does not say otherwise. "
         "Empty: none."},
        {S(bridges), "Network", "Bridges", KEY_INTERFACES, 0, 0, POLICY_BRIDGES_MAX, "",
         "Other bridges that its VMs may ask for (run --net): names, separated by spaces, at most "
         "16; * is any. Several assignments add up, an empty one starts over. Bridge= here and "
         "that of broker.conf need no mention."},
        {S(isolated), "Network", "Isolated", KEY_BOOL, 0, 0, 1, "no",
         "Whether taps of this slice exchange no frames with isolated taps of the same bridge, "
         "each other's included."},

        {S(sandbox.user), "Sandbox", "User", KEY_USER, 0, 0, 0, "caller",
         "As whom a VM runs: caller, who asked for it; a name or number; or dynamic, a user of its "
         "own from DynamicUsers= of broker.conf. One that is not the caller has no groups but that "
         "of /dev/kvm."},
        {S(sandbox.allow_root), "Sandbox", "AllowRoot", KEY_BOOL, 0, 0, 1, "no",
         "Whether a VM may run as root, which root's own would with User=caller."},
        {S(sandbox.drop_capabilities), "Sandbox", "DropCapabilities", KEY_BOOL, 0, 0, 1, "yes",
         "Whether a VM has no capability, root not excepted, and can gain none. no: root's own has "
         "those of the broker."},
        {S(sandbox.seccomp), "Sandbox", "Seccomp", KEY_TEXT, 0, SLICE_TEXT(sandbox.seccomp),
         "generic",
         "The list of system calls that it may make, a file in seccomp/ below /etc/provium or "
         "/usr/lib/provium: qemu, cloud-hypervisor, firecracker, generic for any other, or one of "
         "your own. none: all."},
        {S(sandbox.seccomp_learn), "Sandbox", "SeccompLearn", KEY_BOOL, 0, 0, 1, "no",
         "Whether those who may use the slice may also run a VM with --seccomp learn, which writes "
         "such a list: while it learns, none is in force. Root may."},
        {S(sandbox.private_tmp), "Sandbox", "PrivateTmp", KEY_BOOL, 0, 0, 1, "no",
         "Whether /tmp and /var/tmp are empty directories of its own, which count as its memory "
         "and end with it. Files that others put into /tmp are then out of its reach."},
        {S(sandbox.private_devices), "Sandbox", "PrivateDevices", KEY_BOOL, 0, 0, 1, "yes",
         "Whether it may open no devices but those that Devices= names, block devices given as "
         "its disks, and terminals of its own, wherever they are found; and whether its /dev holds "
         "only these."},
        {S(sandbox.devices), "Sandbox", "Devices", KEY_TEXT, 0, SLICE_TEXT(sandbox.devices),
         "null zero full random urandom tty kvm vhost-net vhost-vsock",
         "Names below /dev, separated by spaces. What this host has not got is left out."},
        {S(sandbox.read_only_root), "Sandbox", "ReadOnlyRoot", KEY_BOOL, 0, 0, 1, "no",
         "Whether all file systems are read-only to it, but /dev, /proc and a /tmp of its own. "
         "Disks that it writes are then passed as {disk.N}."},
        {S(sandbox.private_pids), "Sandbox", "PrivatePIDs", KEY_BOOL, 0, 0, 1, "yes",
         "Whether it sees no processes but its own. Its main process is number 1 then, whose end "
         "ends the others, and which a signal that it does not handle does not reach: one that "
         "would end it is followed by a kill."},
        {S(sandbox.private_ipc), "Sandbox", "PrivateIPC", KEY_BOOL, 0, 0, 1, "yes",
         "Whether its System V IPC and its POSIX message queues are its own."},
        {S(sandbox.private_hostname), "Sandbox", "PrivateHostname", KEY_BOOL, 0, 0, 1, "yes",
         "Whether its host name is its own."},
        {S(sandbox.private_cgroups), "Sandbox", "PrivateCgroups", KEY_BOOL, 0, 0, 1, "yes",
         "Whether its cgroup is the root of what it sees of them."},
        {S(sandbox.private_network), "Sandbox", "PrivateNetwork", KEY_WORD, 0, 0,
         _PRIVATE_NETWORK_N - 1, "auto",
         "Whether it is in a network of its own, with nothing in it but a loopback: yes, no, or "
         "auto, if it has a tap of ours, which works all the same.",
         "auto, yes, no"},
        {S(sandbox.core_dumps), "Sandbox", "CoreDumps", KEY_BOOL, 0, 0, 1, "no",
         "Whether it may leave core dumps, which hold the guest's memory."},
        {S(sandbox.batch), "Sandbox", "Batch", KEY_BOOL, 0, 0, 1, "no",
         "Whether it is scheduled as a batch job (SCHED_BATCH)."},

        {S(users), "Access", "Users", KEY_USERS, 0, 0, POLICY_NAMES_MAX, "",
         "Who may use this slice: names or numbers, separated by spaces; * is everybody. Several "
         "assignments add up, an empty one starts over. Root always may; if neither Users= nor "
         "Groups= names anybody, nobody else may."},
        {S(groups), "Access", "Groups", KEY_GROUPS, 0, 0, POLICY_NAMES_MAX, "",
         "Groups whose members may use this slice, likewise."},
};

_Static_assert(ARRAY_SIZE(policy_keys) == KEYS_N, "KEYS_N is the number of rows");

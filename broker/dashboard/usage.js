// SPDX-License-Identifier: MIT
// What each VM uses, from the kernel's counters in two answers of /stats: CPU time and bytes are sums
// since the VM began, so a rate needs two looks; before the second it is unknown, not zero.

const RATES = ['cpu', 'disk_io', 'download', 'upload'];
let before = { taken_ns: 0, vms: new Map() };

function counters(stats) {
  const disks = stats.disks?.map((d) => d.read_bytes + d.written_bytes);
  return {
    cpu: stats.cpu_usec,
    disk_io: disks?.reduce((sum, n) => sum + n, 0),
    download: stats.download?.bytes,
    upload: stats.upload?.bytes,
  };
}

function rates(old, now, seconds) {
  const used = {};
  for (const what of RATES) {
    if (old?.counters[what] === undefined || now[what] === undefined) continue;
    // Counters of taps begin anew when a VM's link does.
    const change = Math.max(0, now[what] - old.counters[what]);
    // Microseconds per second are millionths of a CPU; everything else is bytes.
    used[what] = Math.round(what === 'cpu' ? change / seconds / 1000 : change / seconds);
  }
  return used;
}

// Of all VMs together; undefined where one is not known, or with @known if none is.
function sum(vms, what, known = false) {
  const values = vms.map((vm) => vm.used[what]).filter((value) => value !== undefined);
  if (values.length < vms.length && (!known || values.length === 0)) return undefined;
  return values.reduce((total, value) => total + value, 0);
}

// Returns the VMs of @resources with `used`, and what all of them use together as far as it is known
// of each: { vms, host }.
export function uses(resources, stats) {
  const fresh = stats.taken_ns !== before.taken_ns;
  const seconds = (stats.taken_ns - before.taken_ns) / 1e9;
  const byId = new Map();
  for (const vm of stats.vms) {
    const old = before.vms.get(vm.id);
    const now = counters(vm);
    const used = fresh ? rates(old, now, seconds) : old?.used ?? {};
    used.memory = vm.memory;
    byId.set(vm.id, { counters: now, used, stats: vm });
  }
  if (fresh) before = { taken_ns: stats.taken_ns, vms: byId };

  const vms = (resources.allocations ?? []).map((allocation) => {
    const known = byId.get(allocation.instance_id);
    return {
      ...allocation,
      key: allocation.instance_id,
      state: known?.stats.state,
      used: known?.used ?? {},
      age_s: allocation.created_ns === undefined ? undefined : Date.now() / 1000 - allocation.created_ns / 1e9,
    };
  });
  const host = {
    cpu: sum(vms, 'cpu'),
    memory: sum(vms, 'memory'),
    disk_io: sum(vms, 'disk_io'),
    network_upload: sum(vms, 'upload', true),
    gpu: resources.gpu?.used_slots,
  };
  // A VM without a tap has no counters, and uses none of it.
  const download = sum(vms, 'download', true);
  if (resources.network_upload) host.network = download;
  else if (download !== undefined && host.network_upload !== undefined)
    host.network = Math.max(download, host.network_upload);
  return { vms, host };
}

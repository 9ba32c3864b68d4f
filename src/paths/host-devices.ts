import type { Device } from '../events/interned.js';

/** A device of this host as `ip` lists it, with who reads it: plain data, recorded with the run. */
export interface HostDevice {
  /** Inode number of its network namespace; 0: that of vdiag itself, not known by number. */
  netns: number;
  ifindex: number;
  name: string;
  /** `tap`, `tun`, `macvtap`, `veth`, `bridge`, `openvswitch`, `vxlan`, `vlan`, `bond`, `physical`, `loopback` … */
  kind: string;
  /** Name of the bridge or switch it is a port of, and that one's kind. */
  master?: string;
  masterKind?: string;
  /** Domain or namespace behind it: `web-1`. */
  guest?: string;
  /** Process that reads it, with its threads that handle packets (vhost, qemu's I/O thread). */
  consumer?: { pid: number; comm: string; tids: number[] };
}

const BY_NAME: readonly [RegExp, string][] = [
  [/^(tap|vnet|fwtap|tun)/, 'tap'],
  [/^macvtap/, 'macvtap'],
  [/^(veth|qvo|qvb|lxc|cali)/, 'veth'],
  [/^(br|virbr|docker|cni|vmbr)/, 'bridge'],
  [/^(vxlan|flannel)/, 'vxlan'],
  [/^(genev|geneve)/, 'geneve'],
  [/^ovs/, 'openvswitch'],
  [/^bond/, 'bond'],
  [/^(en|eth|ib)/, 'physical'],
  [/^lo$/, 'loopback'],
  [/\.\d+$/, 'vlan'],
];

/** What the run knows about devices by the identity that events carry. */
export class HostDevices {
  private readonly byIndex = new Map<string, HostDevice>();
  private readonly byName = new Map<string, HostDevice>();
  /** By the number of a device; false: looked for and not there. */
  private readonly found: (HostDevice | false | undefined)[] = [];

  constructor(devices: readonly HostDevice[]) {
    for (const device of devices) {
      this.byIndex.set(`${device.netns}/${device.ifindex}`, device);
      // A namespace without a number, or a device that is known by its name alone.
      if (device.netns === 0 || device.ifindex === 0) this.byName.set(device.name, device);
    }
  }

  find(device: Device): HostDevice | undefined {
    if (device.id === 0) return undefined;
    const found = this.found[device.id];
    if (found !== undefined) return found || undefined;
    const indexed = this.byIndex.get(`${device.netns}/${device.ifindex}`);
    const known = indexed?.name === device.name ? indexed : this.byName.get(device.name);
    while (this.found.length <= device.id) this.found.push(undefined);
    this.found[device.id] = known ?? false;
    return known;
  }

  /** Kind of a device, by the host's list, else by the habit of its name; undefined when neither tells. */
  kind(device: Device): string | undefined {
    if (device.id === 0) return undefined;
    return this.find(device)?.kind ?? BY_NAME.find(([name]) => name.test(device.name))?.[1];
  }
}

import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';

/**
 * A folder with Debian's Open vSwitch and its libraries, fetched if it is not in the cache.
 * @throws with apt's words if it cannot be had.
 */
export async function fetchOpenVswitch(): Promise<string> {
  const result = await execa('sh', [packagePath('scripts', 'fetch-openvswitch')], { reject: false, stdin: 'ignore' });
  if (result.exitCode !== 0) throw new Error(`Open vSwitch could not be fetched: ${result.stderr}`);
  return result.stdout.trim();
}

/**
 * Shell functions for a VM that has the folder at /job/openvswitch and the module `openvswitch`: `ovs COMMAND …` runs one of
 * its programs, `switch_up` starts database and daemon anew, with no bridge.
 */
export const OPEN_VSWITCH = `
export OVS_RUNDIR=/run/openvswitch OVS_LOGDIR=/run/openvswitch OVS_DBDIR=/run/openvswitch
ovs() { command=$1; shift; LD_LIBRARY_PATH=/job/openvswitch/lib /job/openvswitch/$command "$@"; }
switch_up() {
  for daemon in ovs-vswitchd ovsdb-server; do
    [ ! -e $OVS_RUNDIR/$daemon.pid ] || kill $(cat $OVS_RUNDIR/$daemon.pid)
  done
  rm -rf $OVS_RUNDIR; mkdir -p $OVS_RUNDIR
  ovs ovsdb-tool create $OVS_RUNDIR/conf.db /job/openvswitch/vswitch.ovsschema
  ovs ovsdb-server $OVS_RUNDIR/conf.db --remote=punix:$OVS_RUNDIR/db.sock --detach --no-chdir --pidfile --log-file
  ovs ovs-vsctl --no-wait init
  ovs ovs-vswitchd unix:$OVS_RUNDIR/db.sock --detach --no-chdir --pidfile --log-file
}
`;

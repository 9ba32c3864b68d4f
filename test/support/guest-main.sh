#!/bin/sh
# Second stage of a test VM, on its root image: mounts the kernel's file systems, runs the job, sends its results out.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm /dev/net /run/netns /job /out
# Opening it loads the tun module.
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
hostname vm
ip link set lo up
job= out= seconds=60
for spec in $(cat /proc/cmdline); do
	case $spec in
	vm.job=*) job=/dev/${spec#*=} ;;
	vm.out=*) out=/dev/${spec#*=} ;;
	vm.seconds=*) seconds=${spec#*=} ;;
	esac
done
mkdir -p /out/artefacts
tar -xf "$job" -C /job
cd /job
echo "guest: job starts" >/dev/ttyS0
timeout -k 5 "$seconds" sh /job/job.sh >/out/stdout 2>/out/stderr </dev/null
echo $? >/out/status
echo "guest: job ended with $(cat /out/status)" >/dev/ttyS0
dmesg >/out/dmesg
tar -cf "$out" -C /out .
sync
poweroff -f

#!/bin/busybox sh
# First process of a test VM: loads what reaches the disks, lays a writable tmpfs over the read-only root image and goes on there.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in $($b cat /modules/order); do
	$b insmod "/modules/$module" || echo "guest: $module was not loaded"
done
$b mkdir -p /mnt/base /mnt/write /mnt/root
$b mount -t ext4 -o ro /dev/vda /mnt/base && $b mount -t tmpfs -o size=75% tmpfs /mnt/write || {
	echo "guest: the root image could not be mounted"
	$b poweroff -f
}
$b mkdir /mnt/write/up /mnt/write/work
# A kernel without overlays gets the whole of it in memory.
$b mount -t overlay -o lowerdir=/mnt/base,upperdir=/mnt/write/up,workdir=/mnt/write/work overlay /mnt/root || {
	$b cp -a /mnt/base/. /mnt/write/up
	$b mount --bind /mnt/write/up /mnt/root
}
for spec in $($b cat /proc/cmdline); do
	case $spec in
	vm.modules=*) $b mount -t ext4 -o ro "/dev/${spec#*=}" /mnt/root/usr/lib/modules ;;
	vm.project=*) $b mount -t ext4 -o ro "/dev/${spec#*=}" /mnt/root/vdiag ;;
	esac
done
$b mount -t devtmpfs dev /mnt/root/dev
$b umount /proc
exec $b switch_root /mnt/root /usr/sbin/guest-main

#!/bin/busybox sh
# First process of a network guest: brings its interface up, then runs the commands that come over the second serial port.
# A command is a line "ID SHELL COMMAND"; its answer is "@begin ID STATUS", what it printed, "@end ID". Commands run at the same time.
/bin/busybox mkdir -p /proc /sys /dev /tmp /usr/bin /usr/sbin /sbin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /tmp
for module in $(cat /modules/order); do
	insmod "/modules/$module" || echo "guest: $module was not loaded"
done
for spec in $(cat /proc/cmdline); do
	case $spec in
	guest.address=*) address=${spec#*=} ;;
	esac
done
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
port=/dev/ttyS1
stty -F $port raw -echo
answer() {
	until mkdir /tmp/lock 2>/dev/null; do usleep 10000; done
	{
		echo "@begin $1 $2"
		cat "/tmp/out.$1"
		echo "@end $1"
	} >$port
	rm -f "/tmp/out.$1"
	rmdir /tmp/lock
}
exec <$port
echo "@ready" >$port
while read -r id command; do
	(
		sh -c "$command" >"/tmp/out.$id" 2>&1 </dev/null
		answer "$id" $?
	) &
done

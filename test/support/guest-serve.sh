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
export port=/dev/ttyS1
stty -F $port raw -echo

cat >/bin/serve <<'END'
#!/bin/sh
# Reads commands and lets each run as a child of the first process, not of this one: a child that ends while busybox' shell
# is in "read" makes it lose what it has read so far.
echo "@ready" >$port
while read -r id command; do
	(run-command "$id" "$command" </dev/null &)
done <$port
END
cat >/bin/run-command <<'END'
#!/bin/sh
sh -c "$2" >"/tmp/out.$1" 2>&1
status=$?
until mkdir /tmp/lock 2>/dev/null; do usleep 10000; done
{
	echo "@begin $1 $status"
	cat "/tmp/out.$1"
	echo "@end $1"
} >$port
rm -f "/tmp/out.$1"
rmdir /tmp/lock
END
chmod +x /bin/serve /bin/run-command
# Somebody must hold the port open, or its settings are lost between two answers.
serve &
exec 9<>$port
# Children of the first process that are ignored leave no zombies.
trap '' CHLD
exec sleep 1000000

#!/bin/bash
# Network namespaces whose tools' real answers become test/evidence/samples/entries.json (see capture-samples.ts).
# gca and gcb hang on a bridge in gcr. Usage: capture-samples.sh setup|traffic|refuse|teardown, as root.
set -u
A="ip netns exec gca"
B="ip netns exec gcb"
R="ip netns exec gcr"
PIDS=/tmp/vdiag-capture-samples.pids

setup() {
  : > "$PIDS"
  for n in gca gcb gcr; do ip netns add $n; ip -n $n link set lo up; done
  $R ip link add gbr0 type bridge
  for x in a b; do
    ip link add gp$x netns gcr type veth peer name eth0 netns gc$x
    $R ip link set gp$x master gbr0 up
    ip -n gc$x link set eth0 up
  done
  $R ip link set gbr0 up
  $R bridge link set dev gpb isolated on
  ip -n gca addr add 10.92.0.1/24 dev eth0
  ip -n gcb addr add 10.92.0.2/24 dev eth0
  ip -n gca addr add fd92::1/64 dev eth0 nodad
  ip -n gcb addr add fd92::2/64 dev eth0 nodad
  ip -n gcr addr add 10.92.0.254/24 dev gbr0
  $R ip link add gvx0 type vxlan id 42 remote 10.92.0.1 dstport 4789 dev gbr0
  $R ip link set gvx0 mtu 1450 up
  $R ip tuntap add dev gtap0 mode tap
  $R ip link set gtap0 master gbr0 up
  $R ip link add gdown0 type ifb
  $A ping -c1 -W1 10.92.0.254 > /dev/null
  $B ping -c1 -W1 10.92.0.254 > /dev/null
  # A rate limit, and classes with limits.
  $R tc qdisc add dev gpa root tbf rate 700kbit burst 4kb limit 100kb
  $R tc qdisc add dev gpb root handle 1: htb default 10
  $R tc class add dev gpb parent 1: classid 1:1 htb rate 2mbit ceil 2mbit
  $R tc class add dev gpb parent 1:1 classid 1:10 htb rate 300kbit ceil 500kbit
  $R tc class add dev gpb parent 1:1 classid 1:20 htb rate 1mbit ceil 2mbit
  $R tc qdisc add dev gbr0 clsact
  # Firewalls of every kind in one namespace.
  $B iptables-legacy -N LOGDROP
  $B iptables-legacy -A LOGDROP -m comment --comment 'drop $(it) "now"' -j DROP
  $B iptables-legacy -A INPUT -i lo -j ACCEPT
  $B iptables-legacy -A INPUT -p udp -m udp --dport 5353 -s 10.92.0.1/32 -j LOGDROP
  $B iptables-legacy -A INPUT -p tcp -m multiport --dports 7001,7003:7005 -j REJECT --reject-with tcp-reset
  $B iptables-legacy -A INPUT ! -s 10.92.0.0/24 -p tcp -j DROP
  $B iptables-legacy -P FORWARD DROP
  $B ip6tables-legacy -A INPUT -p udp --dport 5399 -j DROP
  $B iptables-nft -A INPUT -p udp --dport 5354 -j DROP
  $B iptables-nft -A INPUT -p tcp -m tcp --dport 7010 --tcp-flags SYN,RST,ACK,FIN SYN -j REJECT
  $B nft -f - << NFT
table inet guard {
  set blocked { type ipv4_addr; flags interval; elements = { 10.92.0.1, 10.93.0.0/16 } }
  chain input {
    type filter hook input priority 10; policy accept;
    iifname "lo" accept
    ct state established,related accept
    udp dport { 5355, 6000-6010 } counter drop comment "ports we do not serve"
    udp dport 5356 drop
    ip saddr @blocked udp dport 5357 counter reject
    tcp dport vmap { 7020 : drop, 7021 : jump deep }
    udp dport 5358 jump deep
  }
  chain deep { ip protocol udp counter drop; }
  chain forward { type filter hook forward priority 0; policy drop; }
}
NFT
  $R ebtables-nft -A FORWARD -p IPv4 --ip-dst 10.92.0.77 -j DROP
  # Sockets: a full accept queue, a small receive buffer that nobody empties, one on loopback only, one for IPv6 and IPv4.
  $B python3 - << 'PY' &
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('10.92.0.2', 7100)); s.listen(1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', 5500)); u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
l = socket.socket(); l.bind(('127.0.0.1', 7200)); l.listen(5)
s6 = socket.socket(socket.AF_INET6); s6.bind(('::', 7300)); s6.listen(5)
time.sleep(60)
PY
  echo $! >> "$PIDS"
  # Holds a tap, and is stopped later, as a guest's QEMU may be.
  $R python3 - << 'PY' &
import os, fcntl, struct, time
f = os.open('/dev/net/tun', os.O_RDWR); fcntl.ioctl(f, 0x400454ca, struct.pack('16sH14s', b'gtap0', 0x1002, b'')); time.sleep(60)
PY
  echo $! >> "$PIDS"
  sleep 1
}

traffic() {
  $A python3 - << 'PY'
import socket, time
cs = []
for i in range(4):
    c = socket.socket(); c.setblocking(False)
    try: c.connect(('10.92.0.2', 7100))
    except BlockingIOError: pass
    cs.append(c)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def send(port, size, to='10.92.0.2', n=20):
    for i in range(n):
        try: u.sendto(b'x' * size, (to, port))
        except OSError: pass
for p in (5353, 5354, 5355, 5356, 5357, 5358, 5500, 5777): send(p, 400)
u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u6.sendto(b'x', ('fd92::2', 5399))
for p in (7001, 7010, 7020, 7555, 7200):
    c = socket.socket(); c.settimeout(0.3)
    try: c.connect(('10.92.0.2', p))
    except OSError: pass
send(6001, 1200, n=120)
PY
  $B python3 -c "
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(200):
    try: u.sendto(b'x' * 1400, ('10.92.0.1', 9))
    except OSError: pass
"
  kill -STOP "$(tail -1 "$PIDS")"
  sleep 0.5
}

# Routes, rules and neighbours that refuse.
refuse() {
  $B ip route add blackhole 10.99.1.0/24
  $B ip route add unreachable 10.99.2.0/24
  $B ip route add prohibit 10.99.3.0/24
  $B ip route add 10.99.4.0/24 via 10.92.0.254
  $B ip route add 10.99.5.0/24 via 10.92.0.254 mtu lock 1300
  $B ip rule add from all to 10.98.0.0/16 prohibit
  $B ip rule add fwmark 0x7/0xff lookup 77
  $B ip neigh add 10.92.0.66 lladdr 02:00:00:00:00:66 dev eth0 2> /dev/null
  $B ip neigh add proxy 10.92.0.68 dev eth0
  $B ping -c1 -W1 10.92.0.67 > /dev/null || true
}

teardown() {
  for pid in $(cat "$PIDS" 2> /dev/null); do kill -CONT "$pid" 2> /dev/null; kill "$pid" 2> /dev/null; done
  rm -f "$PIDS"
  for n in gca gcb gcr; do ip netns del $n 2> /dev/null; done
}

"$1"

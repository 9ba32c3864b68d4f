# Runs in a guest with Debian's 6.1 kernel (capture-vm-samples.ts): shapers that the development machine's kernel lacks.
ip netns add a
ip netns add b
A="ip netns exec a"
B="ip netns exec b"
ip link add v0 netns a type veth peer name v1 netns b
$A ip addr add 10.9.0.1/24 dev v0
$B ip addr add 10.9.0.2/24 dev v1
$A ip link set v0 up
$B ip link set v1 up
for module in sch_netem sch_fq sch_cake sch_htb sch_hfsc sch_ingress act_police cls_u32 bridge; do modprobe $module; done
show() { echo "=== $1"; shift; "$@" 2>&1; }
$A tc qdisc add dev v0 root netem delay 50ms 10ms loss 2.5% limit 500
show netem.json $A tc -j -s -d qdisc show
show netem.txt $A tc -s -d qdisc show
$A tc qdisc replace dev v0 root netem rate 1mbit delay 5ms
show netem-rate.json $A tc -j -s -d qdisc show
show netem-rate.txt $A tc -s -d qdisc show
$A tc qdisc replace dev v0 root fq maxrate 50mbit
show fq.json $A tc -j -s -d qdisc show
show fq.txt $A tc -s -d qdisc show
$A tc qdisc replace dev v0 root cake bandwidth 20mbit
show cake.json $A tc -j -s -d qdisc show
$A tc qdisc replace dev v0 root handle 1: hfsc default 1
$A tc class add dev v0 parent 1: classid 1:1 hfsc sc rate 1mbit ul rate 2mbit
show hfsc.json $A tc -j -s -d qdisc show
show hfsc.txt $A tc -s -d qdisc show
show hfsc-class.txt $A tc -s -d class show dev v0
$A tc qdisc del dev v0 root
$B tc qdisc add dev v1 ingress
$B tc filter add dev v1 ingress protocol ip prio 5 u32 match ip dst 10.9.0.2/32 action police rate 100kbit burst 10k conform-exceed drop
show police-before.txt $B tc -s filter show dev v1 ingress
show ingress-before.json $B tc -j -s -d qdisc show
$A ping -f -c 200 -s 1000 10.9.0.2 > /dev/null
show police.txt $B tc -s filter show dev v1 ingress
show ingress.json $B tc -j -s -d qdisc show
ip link add br0 type bridge vlan_filtering 1
ip link add d0 type dummy
ip link set d0 master br0
ip link set d0 up
ip link set br0 up
bridge vlan add dev d0 vid 7-9
bridge link set dev d0 state 0
show vlan.json bridge -j vlan show
show link.json ip -j -s -d link show

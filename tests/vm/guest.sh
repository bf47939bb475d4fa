#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Process 1 of a guest that tests one kernel: the host's root below an overlay, so all of this is
# written to memory.  What it is to do comes in the folder shared as "out", and so does what is found.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C

end() {
	sync
	echo o >/proc/sysrq-trigger
	exec sleep 60
}
trap end EXIT

mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ip link set lo up
# As on a host with bridged containers: its own chains see what is bridged.
modprobe br_netfilter || echo "no br_netfilter"
mkdir -p /run/out
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 out /run/out || exit 1
kept=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^polc\.kept=//p')
[ -z "$kept" ] || mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 kept "$kept"
# shellcheck source=/dev/null
. /run/out/todo

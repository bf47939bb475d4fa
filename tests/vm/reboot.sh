#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
#
# `make check-vm`: a Debian of its own with our packages in QEMU, booted by systemd from one disk, again
# and again: what is in force after a reboot, after a reset in the middle of things, with a damaged object; containers
# that send from before polload.service on, Docker's among them; each unit restarted, killed, stopped,
# upgraded, removed.  inside.sh says what is to be seen.
#
#	tests/vm/reboot.sh [BEGIN-OF-VERSION...]	of the kernel; usual: 6.12.
. "$(dirname "$0")/vm.sh"

suite=${PACKAGE_SUITE:-$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}
seconds=${POLC_VM_SECONDS:-3600}
dir=$vm_dir/reboot
vm_packages+=(mmdebstrap e2fsprogs dpkg-dev debhelper)

# A Debian with what our packages need and with Docker, made once.
base() {
	local include
	include=systemd,systemd-sysv,udev,dbus,kmod,iproute2,nftables,jq,procps,docker.io,adduser
	# what our packages link; apt knows
	include+=,$(for deb in "$dir"/packages/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' |
		sed 's/^ *//; s/ .*//' | grep -v -e '^pol' -e '^clang' -e '-dev$' | sort -u | paste -sd ,)
	[ "$include" != "$(cat "$dir/base.include" 2>/dev/null)" ] || return 0
	echo "a Debian $suite"
	rm -f "$dir/base.tar" "$dir/base.include"
	vm_quietly mmdebstrap --variant=minbase --include="$include" "$suite" "$dir/base.tar" "$vm_mirror" ||
		vm_fail "mmdebstrap"
	echo "$include" >"$dir/base.include"
}

policy() { # PORT
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48, 10.90.0.0/24, fd90::/64;
cidr scanners = 203.0.113.0/24, 2001:db8:bad::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 7000, $1, 8088; }
policy server {
    allow from client on tcp 7000, $1;
    allow from client on tcp 8088 http { allow GET "/hello"; }
    allow from world on tcp 80;
    allow from host on tcp 80;
}
service web {
    vip 198.18.0.80, 2001:db8:3::80 on tcp 80;
    backend server on tcp 80;
    check tcp every 1 timeout 1 rise 1 fall 1;
}
filter edge on up0 { drop from scanners on tcp 80; pass; }
END
}

unit() { # NAME TYPE WANTED-BY LINE...: of what inside does
	cat <<END
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
$(printf '%s\n' "${@:4}")
[Service]
Type=$2
RemainAfterExit=yes
KillMode=process
SendSIGHUP=no
ExecStart=/vm/inside ${1#vm-}
[Install]
WantedBy=$3
END
}

into_root() { # ROOT: our packages, the test's own, their units
	local root=$1 vm=$1/vm port name
	mkdir -p "$vm/next" "$root/root/packages"
	cp "$dir"/packages/{polload,polproxy,polc-agent,polc-cni}_*.deb "$root/root/packages/"
	cp "$dir"/next/{polload,polproxy,polc-agent,polc-cni}_*.deb "$vm/next/"
	vm_quietly chroot "$root" sh -c 'dpkg -i /root/packages/*.deb' || vm_fail "dpkg -i"
	cp "$vm_tree/tests/vm/reboot-inside.sh" "$vm/inside"
	cp "$vm_build/tests/tools/probe" "$vm_build/tests/tools/http" "$vm/"
	chmod +x "$vm/inside"
	echo 1 >"$vm/stage"
	for port in 8080 8081; do
		[ $port = 8080 ] && name=one || name=two
		policy $port >"$dir/$name.pol"
		(cd "$dir" && "$vm_build/polc" $name.pol -o "$vm/$name.bpf.o" \
			--templates="$vm_tree/bpf-templates" --include="$vm_tree/include") || vm_fail "polc $name.pol"
	done
	cat >"$vm/host.yaml" <<'END'
host: machine
uplinks: [up0]
endpoints:
  - {name: client, interface: v-client, addresses: [10.66.1.2, "fd66:0:0:1::2"], labels: {app: client}}
  - {name: server, interface: v-server, addresses: [10.66.2.2, "fd66:0:0:2::2"], labels: {app: server}}
  - {name: stranger, interface: v-stranger, addresses: [10.66.3.2, "fd66:0:0:3::2"], labels: {app: stranger}}
END
	# Docker's image is one static program.
	gcc -static -O1 -o "$dir/probe" "$vm_tree/tests/tools/probe.c" -I"$vm_tree" -I"$vm_tree/include" >>"$vm_log" 2>&1 ||
		vm_fail "no static probe"
	tar -C "$dir" -cf "$vm/box.tar" probe
	mkdir -p "$root/etc/docker" "$root/etc/sysctl.d"
	# Not one packet is to be kept by rules of Docker's.
	echo '{"iptables": false, "bridge": "none"}' >"$root/etc/docker/daemon.json"
	printf '%s=1\n' net.ipv4.ip_forward net.ipv6.conf.all.forwarding kernel.sysrq >"$root/etc/sysctl.d/vm.conf"
	echo machine >"$root/etc/hostname"
	echo "/dev/vda / ext4 defaults 0 0" >"$root/etc/fstab"
	unit vm-attack oneshot sysinit.target 'Before=polload.service' 'After=local-fs.target' \
		>"$root/etc/systemd/system/vm-attack.service"
	unit vm-plug oneshot multi-user.target 'After=network-pre.target vm-attack.service' 'Wants=network-pre.target' \
		'Before=network.target' >"$root/etc/systemd/system/vm-plug.service"
	unit vm-stage exec multi-user.target 'After=vm-plug.service' >"$root/etc/systemd/system/vm-stage.service"
	vm_quietly chroot "$root" systemctl enable vm-attack vm-plug vm-stage || vm_fail "systemctl enable"
	vm_quietly chroot "$root" systemctl disable docker.service docker.socket
	# what would only take time
	vm_quietly chroot "$root" systemctl mask getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service \
		apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
}

disk() {
	local root=$dir/root
	rm -rf "$root"
	mkdir -p "$root"
	tar -C "$root" -xf "$dir/base.tar" || vm_fail "tar"
	into_root "$root"
	rm -f "$dir/disk"
	truncate -s 3G "$dir/disk"
	vm_quietly mkfs.ext4 -q -F -d "$root" "$dir/disk" || vm_fail "mkfs.ext4"
	rm -rf "$root"
}

[ -x "$vm_build/tests/tools/http" ] || vm_fail "$vm_build: not built; make check-vm builds what this needs"
[ "$(id -u)" = 0 ] || vm_fail "needs root"
vm_install
[ $# != 0 ] || set -- 6.12.
version=$(vm_newest "$@") || exit 1
vm_initrd "$version"
mkdir -p "$dir"
[ -n "${REBOOT_KEEP_PACKAGES:-}" ] || DEB_BUILD_OPTIONS=nocheck top_srcdir=$vm_tree top_builddir=$vm_build \
	"$vm_tree/tests/package/build.sh" "$dir" || exit 1
base
disk
accelerator=$(vm_accelerator "$version")
echo "Debian's kernel $version, by ${accelerator/tcg/software emulation}"
line="polc.root=disk:vda systemd.show_status=no apparmor=0 selinux=0"
# These watch how long a CPU gets nowhere. An emulated one stands still while its host has other work, which is no BUG of ours.
[ "$accelerator" != tcg ] || line+=" nosoftlockup workqueue.watchdog_thresh=0"
# A reset is one: the machine comes up again by itself.
vm_boot "$seconds" "$accelerator" "$version" "$line" -action reboot=reset \
	-drive "file=$dir/disk,format=raw,if=virtio,cache=writeback" |
	tee "$dir/console" | grep --line-buffered -a -E '^(==|ok |not ok |# |1\.\.|guest:)|panic|BUG:|Oops'
planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$dir/console")
passed=$(grep -a -c '^ok ' "$dir/console")
boots=$(grep -a -c '^== boot' "$dir/console")
echo
echo "$passed of ${planned:-?} as they should be, $boots boots; what the machine said is in $dir/console"
[ -n "$planned" ] && [ "$passed" = "$planned" ] && [ "$boots" = 4 ] &&
	! grep -a -q -E '^not ok|panic|BUG:|Oops' "$dir/console"

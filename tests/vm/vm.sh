# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# Virtual machines for tests: Debian's kernels, fetched as packages and never installed, an
# initramfs with busybox and their modules, and QEMU.  By KVM where that boots a kernel, else
# by software emulation, some fifteen times slower.
#
# What is fetched stays in $vm_dir (build/vm, or POLC_VM).
set -u
export LC_ALL=C

vm_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
vm_build=${top_builddir:-$vm_tree/build}
vm_dir=${POLC_VM:-$vm_build/vm}
mkdir -p "$vm_dir" || exit 3
vm_log=$vm_dir/log
: >"$vm_log"

vm_fail() { # WHAT
	echo "$(basename "$0"): $1" >&2
	[ ! -s "$vm_log" ] || tail -n 20 "$vm_log" | sed 's/^/    /' >&2
	exit 1
}

vm_quietly() {
	printf '\n$ %s\n' "$*" >>"$vm_log"
	"$@" >>"$vm_log" 2>&1 </dev/null
}

# ---- what this needs of the host ---------------------------------------------------------

vm_packages=(qemu-system-x86 cpio kmod xz-utils debian-archive-keyring)

vm_install() {
	local package missing=()
	[ "$(uname -m)" = x86_64 ] || vm_fail "Debian's amd64 kernels are what this boots, and this is no x86_64"
	command -v apt-get >/dev/null || vm_fail "needs apt-get: kernels and QEMU are Debian's"
	for package in "${vm_packages[@]}"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	[ ${#missing[@]} = 0 ] && return
	echo "installing ${missing[*]}"
	[ "$(id -u)" = 0 ] || vm_fail "missing, and this is not root: ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive vm_quietly apt-get install --yes --no-install-recommends "${missing[@]}" || {
		vm_quietly apt-get update &&
			DEBIAN_FRONTEND=noninteractive vm_quietly apt-get install --yes --no-install-recommends "${missing[@]}"
	} || vm_fail "apt-get install failed"
}

# ---- packages of other suites: an apt of our own, the host's is not changed ------------------

vm_mirror=${POLC_MIRROR:-http://deb.debian.org/debian}
vm_suites="bookworm bookworm-backports trixie trixie-backports sid"

vm_apt() { # COMMAND ARGUMENT...
	local command=$1
	shift
	"$command" -o Dir="$vm_dir/apt" -o Dir::State::status="$vm_dir/apt/status" -o APT::Sandbox::User=root \
		-o APT::Architecture=amd64 "$@"
}

vm_lists() {
	local suite
	mkdir -p "$vm_dir"/apt/{etc/apt/{apt.conf.d,preferences.d},var/lib/apt/lists/partial,var/cache/apt/archives/partial}
	: >"$vm_dir/apt/status"
	for suite in $vm_suites; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $vm_mirror $suite main"
	done >"$vm_dir/apt/etc/apt/sources.list"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $vm_mirror-security bookworm-security main" \
		>>"$vm_dir/apt/etc/apt/sources.list"
	vm_quietly vm_apt apt-get update || vm_fail "apt-get update: $vm_mirror"
}

# The newest version of linux-image-amd64 that begins so.
vm_version() { # BEGIN
	vm_apt apt-cache madison linux-image-amd64 | awk -v begin="$1" '$3 && index($3, begin) == 1 { print $3 }' |
		sort -V | tail -n 1
}

vm_suite_of() { # VERSION
	vm_apt apt-cache madison linux-image-amd64 | awk -v v="$1" '$3 == v { sub("/.*", "", $6); print $6; exit }'
}

# Newer Debians cut a kernel into several packages: image, binary, base, modules.
vm_package() { # PACKAGE VERSION FOLDER
	(cd "$3" && vm_quietly vm_apt apt-get download "$1=$2") || return
	vm_quietly dpkg-deb --extract "$3/$1"_*.deb "$3" && rm -f "$3/$1"_*.deb
}

vm_depends() { # PACKAGE VERSION
	vm_apt apt-cache show "$1=$2" | sed -n 's/^Depends: //p' | tr ',|' '\n' | sed 's/^ *//; s/ .*//'
}

# A kernel below $vm_dir/kernels/VERSION: vmlinuz, modules (a link), release.
vm_fetch() { # VERSION
	local version=$1 into=$vm_dir/kernels/$1 image part release
	[ ! -e "$into/release" ] || return 0
	rm -rf "$into"
	mkdir -p "$into"
	image=$(vm_depends linux-image-amd64 "$version" | grep '^linux-image-[0-9]' | head -n 1)
	[ -n "$image" ] || vm_fail "linux-image-amd64 $version names no image"
	release=${image#linux-image-}
	for part in "$image" $(vm_depends "$image" "$version" |
		grep -Fx -e "linux-binary-$release" -e "linux-modules-$release" -e "linux-base-$release"); do
		vm_package "$part" "$version" "$into" || vm_fail "cannot fetch $part $version"
	done
	find "$into" -name 'vmlinuz*' -type f -exec cp {} "$into/vmlinuz" \;
	ln -s "$(cd "$into" && find . -type d -path '*/lib/modules/*' -name "$release" | head -n 1)" "$into/modules"
	if [ ! -s "$into/vmlinuz" ] || [ ! -d "$into/modules/kernel" ]; then
		vm_fail "no kernel or no modules in $image $version"
	fi
	# what the package's own script would do
	vm_quietly depmod -b "$(readlink -f "$into/modules/../../..")" "$release" || vm_fail "depmod $release"
	echo "$release" >"$into/release"
}

vm_of_these() { # BEGIN...: the newest of the versions read
	local begin version
	while read -r version; do
		for begin; do
			case $version in "$begin"*) echo "$version" ;; esac
		done
	done | sort -V | tail -n 1
}

vm_here() { # BEGIN...: the newest version fetched before
	local release
	for release in "$vm_dir"/kernels/*/release; do
		[ -e "$release" ] && basename "$(dirname "$release")"
	done | vm_of_these "$@"
}

# The newest version that begins so, fetched; one that is here already is good enough.
vm_newest() { # BEGIN...
	local version begin
	version=$(vm_here "$@")
	if [ -z "$version" ] || [ ! -x "$vm_dir/busybox" ]; then
		vm_lists
		version=${version:-$(for begin; do vm_version "$begin"; done | vm_of_these "$@")}
		[ -n "$version" ] || vm_fail "no kernel $* at $vm_mirror (suites: $vm_suites)"
		vm_fetch "$version"
	fi
	echo "$version"
}

# ---- initramfs -----------------------------------------------------------------------------------

vm_busybox() {
	[ -x "$vm_dir/busybox" ] && return
	mkdir -p "$vm_dir/unpack"
	vm_package busybox-static "$(vm_apt apt-cache policy busybox-static | awk '$1 == "Candidate:" { print $2 }')" \
		"$vm_dir/unpack" || vm_fail "cannot fetch busybox-static"
	find "$vm_dir/unpack" -name busybox -type f -perm -1 -exec cp {} "$vm_dir/busybox" \;
	rm -rf "$vm_dir/unpack"
	[ -x "$vm_dir/busybox" ] || vm_fail "no busybox in busybox-static"
}

vm_initrd() { # VERSION
	local kernel=$vm_dir/kernels/$1 release tree module file
	release=$(cat "$kernel/release")
	tree=$kernel/initramfs
	vm_busybox
	rm -rf "$tree"
	mkdir -p "$tree/bin" "$tree/modules.d"
	cp "$vm_dir/busybox" "$tree/bin/busybox"
	ln -s busybox "$tree/bin/sh"
	cp "$vm_tree/tests/vm/init" "$tree/init"
	chmod +x "$tree/init"
	for module in virtio_pci virtio_blk 9pnet_virtio 9p overlay ext4; do
		modprobe -d "$(readlink -f "$kernel/modules/../../..")" -S "$release" --show-depends "$module" 2>>"$vm_log"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		module=$(basename "${file%.xz}")
		case $file in
		*.xz) xz -dc "$file" >"$tree/modules.d/$module" ;;
		*) cp "$file" "$tree/modules.d/$module" ;;
		esac
		echo "$module"
	done >"$tree/order"
	[ -s "$tree/order" ] || vm_fail "no modules for the initramfs of $release"
	(cd "$tree" && find . | cpio -o -H newc 2>>"$vm_log" | gzip -1) >"$kernel/initrd" || vm_fail "cpio"
	rm -rf "$tree"
}

# ---- QEMU ---------------------------------------------------------------------------------------------

# How many times slower the clock of a machine by software emulation goes: one that is as much slower than a real one
# has, by its own clock, the time that tests give a real one (tests/tools/slowclock.c).
vm_slow=${POLC_VM_SLOW:-1}

# The words that start a machine, to machine=(): all but where its serial line goes.
vm_machine() { # ACCELERATOR VERSION COMMAND-LINE QEMU-OPTION...
	local accelerator=$1 kernel=$vm_dir/kernels/$2 line=$3
	shift 3
	machine=()
	if [ "$accelerator" = tcg ]; then
		accelerator=tcg,thread=multi
		[ "$vm_slow" = 1 ] || machine=(env "SLOWCLOCK=$vm_slow" "LD_PRELOAD=$vm_build/tests/tools/slowclock.so")
	fi
	machine+=(qemu-system-x86_64 -accel "$accelerator" -cpu max
		-smp "${POLC_VM_CPUS:-2}" -m "${POLC_VM_MEMORY:-4096}"
		-nodefaults -no-reboot -display none -net none
		-kernel "$kernel/vmlinuz" -initrd "$kernel/initrd"
		-fsdev "local,id=modules,path=$(readlink -f "$kernel/modules"),security_model=none,readonly=on"
		-device "virtio-9p-pci,fsdev=modules,mount_tag=modules"
		-append "console=ttyS0 panic=-1 quiet no_timer_check $line" "$@")
}

# Boots a kernel for so long at most, prints the machine's serial line.
vm_boot() { # SECONDS ACCELERATOR VERSION COMMAND-LINE QEMU-OPTION...
	local seconds=$1 machine
	shift
	vm_machine "$@"
	timeout --kill-after=10 "$seconds" "${machine[@]}" -serial stdio </dev/null 2>>"$vm_log" | sed -u 's/\r$//'
	[ "${PIPESTATUS[0]}" != 124 ] || echo "guest: ended after $seconds s"
}

vm_share() { # TAG FOLDER ro|rw: QEMU's options
	local how=
	[ "$3" = rw ] || how=,readonly=on
	printf '%s\n' -fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap$how" \
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1"
}

# kvm or tcg.  That /dev/kvm is there says little (nested, it may start and never get anywhere), so
# a kernel is booted as far as its initramfs.
vm_accelerator() { # VERSION
	local said
	if [ -n "${POLC_VM_ACCELERATOR:-}" ]; then
		echo "$POLC_VM_ACCELERATOR"
	elif [ -w /dev/kvm ]; then
		said=$(vm_boot 30 kvm "$1" polc.root=none)
		case $said in
		*"guest: polc.root=none"*) echo kvm ;;
		*) echo tcg ;;
		esac
	else
		echo tcg
	fi
}

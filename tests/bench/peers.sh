#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Peers that this Debian does not have, or not new enough, for `make bench`: bpfilter out of the newest suite that has it,
# below build/peers, with the libraries of that suite beside it and programs in build/peers/bin that start it with these. Nothing
# of this host is changed; `make bench` looks there first. What a peer is fetched by is the apt of ../vm/vm.sh.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../vm/vm.sh
. "$here/../vm/vm.sh"
into=$vm_build/peers

vm_packages=(debian-archive-keyring)
vm_install
vm_lists
needed=$(vm_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
	--no-enhances bpfilter | grep '^[a-z0-9]')
[ -n "$needed" ] || vm_fail "no bpfilter in $vm_suites"
rm -rf "$into"
mkdir -p "$into/bin"
# shellcheck disable=SC2086
(cd "$into" && vm_quietly vm_apt apt-get download $needed) || vm_fail "cannot fetch bpfilter"
for package in "$into"/*.deb; do
	vm_quietly dpkg-deb --extract "$package" "$into" || vm_fail "cannot unpack ${package##*/}"
	rm "$package"
done
loader=$(find "$into" -name 'ld-linux-x86-64.so.2' -type f)
for program in bpfilter bfcli; do
	cat >"$into/bin/$program" <<-END
		#!/bin/sh
		exec "$loader" --library-path "$(dirname "$loader")" "$(find "$into" -path "*/sbin/$program" -type f)" "\$@"
	END
	chmod +x "$into/bin/$program"
	"$into/bin/$program" --version || vm_fail "$program does not run"
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Two builds of different versions, one after the other on one host: what the previous polload and the previous
# polc put in force, this polload takes over under traffic, or it says why not and what to do, and then what is
# in force stays in force. tests/e2e/version.sh has each reason why, made by hand.
#
#	make check-previous PREVIOUS=COMMIT    (the commit before this one)
#	PREVIOUS_TREE=DIR PREVIOUS_BUILD=DIR tests/package/previous.sh
if [ -z "${PREVIOUS_BUILD:-}" ]; then
	top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
	dir=${top_builddir:-$top/build}/tests/previous.dir
	commit=$(git -C "$top" rev-parse --verify "${PREVIOUS:-HEAD~1}^{commit}") || exit 99
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	if [ "$(cat "$dir/commit" 2>/dev/null)" != "$commit" ]; then
		echo "# building $commit"
		rm -rf "$dir"
		mkdir -p "$dir/tree/build" || exit 99
		git -C "$top" archive "$commit" | tar -C "$dir/tree" -xf - || exit 99
		# by its own choice of a compiler: some commits do not take every CC
		(cd "$dir/tree" && unset CC && PATH=/usr/lib/ccache:$PATH && ./autogen.sh && cd build && ../configure && make -j"$(nproc)" polc polload) \
			>"$dir/log" 2>&1 || {
			tail -n 20 "$dir/log"
			exit 1
		}
		echo "$commit" >"$dir/commit"
	fi
	export PREVIOUS_TREE=$dir/tree PREVIOUS_BUILD=$dir/tree/build
fi
. "$(dirname "$0")/../e2e/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_policy 8080 >one.pol
POLC_TEMPLATES=$PREVIOUS_TREE/bpf-templates POLC_INCLUDE=$PREVIOUS_TREE/include "$PREVIOUS_BUILD/polc" one.pol -o one.bpf.o ||
	bail "the previous polc"
shop_policy 8081 | compile two
"$PREVIOUS_BUILD/polload" apply one.bpf.o -H host.yaml >/dev/null || bail "the previous polload"

shop_streams
phase="the previous version has in force"
shop_in_force one

before=$(find bpf state -printf '%p %i\n' | grep -v debug | sort)
run "$POLLOAD" apply two.bpf.o
if [ "$code" = 0 ]; then
	echo "# taken over"
	shop_goes_on "the connections go on in the new version"
	phase="the new version has in force"
	shop_in_force two
	run "$POLLOAD" rollback
	# An object of the other compiler may be refused, but only with a word about it.
	if [ "$code" = 0 ]; then
		shop_in_force one
	else
		like "back: why not" "version" "$err"
		shop_in_force two
	fi
else
	echo "# refused: $err"
	like "refused: why" "layout" "$err"
	like "refused: what next" "remove" "$err"
	is "nothing has changed" "$before" "$(find bpf state -printf '%p %i\n' | grep -v debug | sort)"
	shop_goes_on "the connections go on in the previous version"
	phase="still in force"
	shop_in_force one
	run "$POLLOAD" remove
	is "the new version removes it" "0 " "$code $err"
	run "$POLLOAD" apply two.bpf.o -H host.yaml
	is "and applies its own" "0 " "$code $err"
	phase="the new version has in force"
	shop_in_force two
fi

# ---- the host boots into the new version ---------------------------------------------------------

"$POLLOAD" remove >/dev/null
"$PREVIOUS_BUILD/polload" apply one.bpf.o -H host.yaml >/dev/null || bail "the previous polload"
for device in $(tc qdisc show | sed -n 's/^qdisc clsact .* dev \([^ ]*\) .*/\1/p'); do
	tc qdisc del dev "$device" clsact
done
nft flush ruleset
umount bpf
mount -t bpf bpf bpf || bail "cannot empty the BPF file system"
run "$POLLOAD" boot
if [ "$code" = 0 ]; then
	phase="booted"
	shop_in_force one
else # closed, with a word about it, until somebody compiles the policy again
	like "the boot: why not" "version" "$err"
	like "the boot: what then" "LOCKDOWN" "$err"
	like "the boot: what next" "compile the policy again" "$err"
	phase="in the lockdown"
	expect timeout client server tcp 8080
	expect timeout client server tcp 8081
	run "$POLLOAD" apply two.bpf.o -H host.yaml
	is "an object of this version opens it" "0 " "$code $err"
	phase="then"
	shop_in_force two
fi
run "$POLLOAD" remove
is "remove" "0 " "$code $err"
is "nothing is left" "" "$(find bpf state -mindepth 1 ! -name "*.debug")$(tc qdisc show | grep clsact)"
shop_streams_end
finish

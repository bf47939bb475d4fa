#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
#
# `make try-vm`: Debian's kernel in QEMU over this host's root (read-only, changes stay in the guest's
# memory), the demo in it, then a shell there with polc and polload in its path.
#
#	tests/vm/try.sh [BEGIN-OF-VERSION...]	the newest of these kernels; usual: 6.12.
#
# A kernel that is there already (build/vm/kernels) is taken as it is, so only the first run needs
# the network.  TRY=demo, or a stdin that is no terminal: ends after the demo, with 0 if all
# was as the policy says.
. "$(dirname "$0")/vm.sh"

# What the guest does; its words end with "guest: CODE", or with a shell.
todo() { # demo|shell
	cat <<END
cd '$vm_build'
export PATH='$vm_build':\$PATH POLC_TEMPLATES='$vm_tree/bpf-templates' POLC_INCLUDE='$vm_tree/include' TERM='${TERM:-dumb}'
echo "kernel \$(uname -r)"
END
	if [ "$1" = demo ]; then
		echo "NO_COLOR=1 '$vm_tree/tests/demo/demo.sh' --build '$vm_build'; echo \"guest: \$?\""
		return
	fi
	cat <<END
stty $(stty size | sed 's/\(.*\) /rows \1 cols /')
'$vm_tree/tests/demo/demo.sh' --build '$vm_build'
cat <<'HELP'

A shell in the guest: what is changed here is gone with it. polc, polload and polproxy are in the path.
    polc $vm_tree/lang/examples/shop.pol -o /tmp/shop.o && polload check /tmp/shop.o
    $vm_tree/tests/demo/demo.sh --build $vm_build --keep
exit ends the machine, and so does Ctrl-A X.

HELP
setsid --ctty --wait bash -i </dev/ttyS0 >/dev/ttyS0 2>&1
END
}

for program in polc polload polproxy; do
	[ -x "$vm_build/$program" ] || vm_fail "$vm_build/$program is not there: run ./quickstart, or make try-vm, which builds it"
done
[ $# != 0 ] || set -- 6.12.
vm_install
version=$(vm_newest "$@") || exit 1
vm_initrd "$version"
accelerator=$(vm_accelerator "$version")
out=$vm_dir/try
mkdir -p "$out"
mapfile -t options < <(vm_share root / ro; vm_share out "$out" rw)
line="mitigations=off polc.root=9p:root polc.init=$vm_tree/tests/vm/guest.sh"
echo "Debian's kernel $version, by ${accelerator/tcg/software emulation (the demo takes some minutes)}"
if [ "${TRY:-}" != demo ] && [ -t 0 ] && [ -t 1 ]; then
	todo shell >"$out/todo"
	vm_machine "$accelerator" "$version" "$line" "${options[@]}"
	exec "${machine[@]}" -serial mon:stdio 2>>"$vm_log"
fi
todo demo >"$out/todo"
vm_boot "${POLC_VM_SECONDS:-2400}" "$accelerator" "$version" "$line" "${options[@]}" | tee "$out/console"
grep -q '^guest: 0$' "$out/console"

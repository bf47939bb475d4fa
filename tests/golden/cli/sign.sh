# SPDX-License-Identifier: GPL-2.0-only
# Keys and signatures: what is made, and what is refused.
try() {
	echo "\$ polc $*"
	"$POLC" "$@"
	echo "= $?"
}
cd "$TMPDIR" || exit
umask 022
printf 'an object' >a.bpf.o
printf 'another' >b.bpf.o
try keygen k
stat -c '%a %s %n' k k.pub
try keygen k
try sign --key k a.bpf.o b.bpf.o
stat -c '%a %s %n' ./*.sig
try sign a.bpf.o
try sign --key k
try sign --key none a.bpf.o
try sign --key k none
try sign --key k .
chmod 640 k
try sign --key k a.bpf.o
chmod 600 k k.pub
try sign --key k.pub a.bpf.o
try sign --key a.bpf.o b.bpf.o
chmod 600 a.bpf.o
try sign --key a.bpf.o b.bpf.o
try keygen
try keygen a b
try keygen nowhere/k
try keygen --key k a
try check --key k a.bpf.o
ls

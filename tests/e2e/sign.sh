#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# With keys in the trust folder, an object is applied only if one of them signed its bytes.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
mkdir keys
for name in ops other stranger; do
	"$POLC" keygen "$name" >/dev/null || bail "cannot make keys"
done

apply() { # WHAT PATTERN ARGUMENT...: refused, and nothing changed; without a pattern: accepted
	local what=$1 pattern=$2 before
	shift 2
	before=$(snapshot)
	run "$POLLOAD" apply "$@" --trust-dir keys
	if [ -z "$pattern" ]; then
		is "$what: accepted" "0 " "$code $err"
		return
	fi
	is "$what: refused" 2 "$code"
	like "$what: says why" "$pattern" "$err"
	is "$what: nothing changed" "$before" "$(snapshot)"
}

signature() { # OBJECT: what inspect says
	"$POLLOAD" inspect "$1" --trust-dir keys | sed -n 's/^signature *//p'
}

# ---- no keys: no signature asked -----------------------------------------------------

apply "a trust folder without keys" "" one.bpf.o -H host.yaml
is "inspect: none" "none" "$(signature one.bpf.o)"
"$POLC" sign --key stranger one.bpf.o
is "inspect: nothing to check it with" "there, but no key here to check it with" "$(signature one.bpf.o)"
apply "signed by whomever" "" one.bpf.o
rm one.bpf.o.sig
run "$POLLOAD" apply one.bpf.o --trust-dir nowhere
is "a trust folder that was named and is not there" 2 "$code"
like "says so" "nowhere: cannot open the trust folder" "$err"

# ---- a key ---------------------------------------------------------------------------

cp ops.pub keys
apply "unsigned" "not signed: there is no two.bpf.o.sig" two.bpf.o
like "unsigned: says what to do" "polc sign --key" "$err"
is "inspect: none, but asked for" "none, but this host asks for one" "$(signature two.bpf.o)"
"$POLC" sign --key stranger two.bpf.o
apply "wrong key" "no key in keys signed this object" two.bpf.o
like "inspect: wrong" "WRONG" "$(signature two.bpf.o)"
"$POLC" sign --key ops two.bpf.o
is "inspect: valid" "valid, by ops.pub" "$(signature two.bpf.o)"
is "inspect --json" '["valid","ops.pub"]' \
	"$("$POLLOAD" inspect two.bpf.o --trust-dir keys --json | jq -c '[.signature, .signed_by]')"

flip() { # FILE OFFSET
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\0$(printf %o $((byte ^ 1)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

size=$(stat -c %s two.bpf.o)
for at in 8 $((size / 2)) $((size - 1)); do
	cp two.bpf.o flipped.bpf.o
	cp two.bpf.o.sig flipped.bpf.o.sig
	flip flipped.bpf.o "$at"
	apply "byte $at flipped" "no key in keys signed this object" flipped.bpf.o
done
for at in 0 31 63; do
	cp two.bpf.o flipped.bpf.o
	cp two.bpf.o.sig flipped.bpf.o.sig
	flip flipped.bpf.o.sig "$at"
	apply "byte $at of the signature flipped" "no key in keys signed this object" flipped.bpf.o
done
cp two.bpf.o flipped.bpf.o
head -c 63 two.bpf.o.sig >flipped.bpf.o.sig
apply "a short signature" "no key in keys signed this object" flipped.bpf.o
{ cat two.bpf.o.sig; echo; } >flipped.bpf.o.sig
apply "a long one" "no key in keys signed this object" flipped.bpf.o
cp two.bpf.o.sig one.bpf.o.sig
apply "another object's" "no key in keys signed this object" one.bpf.o
{ cat two.bpf.o; echo; } >flipped.bpf.o
cp two.bpf.o.sig flipped.bpf.o.sig
apply "something behind what was signed" "no key in keys signed this object" flipped.bpf.o
phase="still one"
shop_in_force one
apply "right key" "" two.bpf.o
phase="signed"
shop_in_force two
cp other.pub keys
apply "one of two keys" "" two.bpf.o
rm keys/ops.pub
apply "a key that was withdrawn" "no key in keys signed this object" two.bpf.o
run "$POLLOAD" rollback
is "rollback asks for no signature: only root can write what it kept" "0 " "$code $err"

# ---- keys that cannot be read refuse all -------------------------------------------------

cp ops.pub keys
chown 1234 keys/ops.pub
apply "a key of somebody else's" "belongs to user 1234" two.bpf.o
chown 0 keys/ops.pub
chmod 666 keys/ops.pub
apply "a key that all may write" "mode 0666" two.bpf.o
chmod 644 keys/ops.pub
echo nonsense >keys/bad.pub
apply "a broken key" "keys/bad.pub: not a public Ed25519 key" two.bpf.o
like "inspect: unknown" "unknown: keys/bad.pub" "$(signature two.bpf.o)"
mv keys/bad.pub keys/bad.pem
apply "a name that is none of a key" "not the name of a key" two.bpf.o
rm keys/bad.pem
cp ops keys/secret.pub
apply "a secret key" "take it away from here" two.bpf.o
rm keys/secret.pub
chmod 777 keys
apply "a folder that all may write" "can write to folder" two.bpf.o
chmod 755 keys

# ---- the file changes while it is applied -----------------------------------------------------

# Under one name stand in turn a signed object, and the same of another policy with that
# one's signature. What is in force afterwards was signed, every time.
shop_policy 9090 | compile evil
apply "signed, before the swaps" "" two.bpf.o
cp two.bpf.o swap.bpf.o
cp two.bpf.o.sig swap.bpf.o.sig
(while :; do
	cp evil.bpf.o next && mv next swap.bpf.o
	cp two.bpf.o next && mv next swap.bpf.o
done) &
swapper=$!
wrong=0 accepted=0 refused=0
for _ in $(seq 40); do
	if "$POLLOAD" apply swap.bpf.o --trust-dir keys >/dev/null 2>&1; then
		accepted=$((accepted + 1))
	else
		refused=$((refused + 1))
	fi
	[ "$("$POLLOAD" status --json | jq -r .policy)" = two.pol ] || wrong=$((wrong + 1))
done
kill "$swapper"
wait "$swapper" 2>/dev/null
is "swapped under its name 40 times: never in force unsigned" 0 "$wrong"
echo "# $accepted accepted, $refused refused"
finish

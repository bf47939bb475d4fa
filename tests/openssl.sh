#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Keys and signatures are those of openssl, both ways: the commands of polc(1).
# shellcheck disable=SC2317 # called by name
set -u
: "${POLC:=${top_builddir:-build}/polc}"
command -v openssl >/dev/null || {
	echo "openssl is not installed"
	exit 77
}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
tests=0
failed=0

check() { # WHAT COMMAND...
	local what=$1
	shift
	tests=$((tests + 1))
	if "$@" >out 2>&1; then
		echo "ok $tests - $what"
	else
		sed 's/^/# /' out
		echo "not ok $tests - $what"
		failed=1
	fi
}

openssl_sign() { # KEY OBJECT SIGNATURE
	openssl pkeyutl -sign -rawin -inkey "$1" -in "$2" -out "$3"
}

openssl_verify() { # PUBLIC-KEY OBJECT SIGNATURE
	openssl pkeyutl -verify -rawin -pubin -inkey "$1" -in "$2" -sigfile "$3"
}

head -c 100000 /dev/urandom >object
if ! openssl genpkey -algorithm ed25519 -out theirs 2>out ||
	! openssl pkey -in theirs -pubout -out theirs.pub || ! openssl_sign theirs object probe.sig 2>>out; then
	echo "this openssl cannot: $(head -1 out)"
	exit 77
fi
check "polc makes keys" "$POLC" keygen ours
check "openssl reads our secret key" openssl pkey -in ours -noout
openssl pkey -in ours -pubout -out ours.openssl.pub
check "and finds our public key to belong to it" diff <(grep -v '^#' ours.pub) ours.openssl.pub
check "polc signs with our key" "$POLC" sign --key ours object
check "openssl verifies that" openssl_verify ours.pub object object.sig
check "openssl signs with our key" openssl_sign ours object other.sig
check "which is the same signature" cmp object.sig other.sig
chmod 600 theirs
check "polc signs with a key of openssl's" "$POLC" sign --key=theirs object
check "openssl verifies that too" openssl_verify theirs.pub object object.sig
echo >>object
check "but not over other bytes" eval '! openssl_verify theirs.pub object object.sig'
echo "1..$tests"
exit $failed

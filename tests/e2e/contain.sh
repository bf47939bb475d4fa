#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Files that break a parser: the parser's process dies, and nothing has changed. A library
# put before libelf and libyaml stands for a bug in them that a file can reach.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile

cat >crash.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
static void strike(const char *name)
{
	const char *how = getenv("STRIKE");

	if (!how || *how != *name)
		return;
	if (how[1] == 'c')
		__builtin_trap();
	if (how[1] == 'm')
		while (malloc(1 << 24))
			;
	if (how[1] == 'f')
		system("touch escaped");
	abort();
}
void *elf_memory(char *p, unsigned long n);
void *elf_memory(char *p, unsigned long n)
{
	strike("elf");
	return ((void *(*)(char *, unsigned long))dlsym(RTLD_NEXT, "elf_memory"))(p, n);
}
int yaml_parser_initialize(void *p);
int yaml_parser_initialize(void *p)
{
	strike("yaml");
	return ((int (*)(void *))dlsym(RTLD_NEXT, "yaml_parser_initialize"))(p);
}
END
"${CC:-cc}" -shared -fPIC -w -o crash.so crash.c 2>/dev/null || skip "no compiler for a shared library"

refuses() { # WHAT HOW PATTERN ARGUMENT...
	local what=$1 how=$2 pattern=$3 before
	shift 3
	before=$(snapshot)
	run env STRIKE="$how" LD_PRELOAD="$work/crash.so" "$POLLOAD" "$@"
	is "${phase:+$phase: }$what: exit code" 2 "$code"
	like "$what: says so" "$pattern" "$err"
	is "$what: nothing changed" "$before" "$(snapshot)"
}

all_crashes() {
	refuses "an object that crashes the reader" ec "broken: reading it fails with" apply two.bpf.o -H host.yaml
	like "and blames the file" "two.bpf.o: broken" "$err"
	refuses "one that fills the memory" em "Aborted" apply two.bpf.o -H host.yaml
	refuses "one that starts a program" ef "Bad system call" apply two.bpf.o -H host.yaml
	is "which did not run" "" "$(ls escaped 2>/dev/null)"
	refuses "a manifest that crashes the reader" yc "broken: reading it fails with" apply two.bpf.o
	run "$POLLOAD" inspect two.bpf.o
	is "an object that is whole is read" 0 "$code"
	refuses "the same looked at" ec "broken: reading it fails with" inspect two.bpf.o
	refuses "and checked" ec "broken: reading it fails with" check two.bpf.o
}

phase="nothing in force"
all_crashes
is "nothing is left" "" "$(find bpf state -mindepth 1 ! -name '*.debug')"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
phase="one in force"
all_crashes
shop_in_force one

# ---- damaged files, by the dozen ---------------------------------------------------------

RANDOM=${POLC_SEED:-1}
size=$(stat -c %s two.bpf.o)
bad='' refused=0
for i in $(seq 40); do
	cp two.bpf.o damaged.bpf.o
	# the header, the section headers at the end, or anywhere
	case $((i % 3)) in
	0) at=$((RANDOM % 64)) ;;
	1) at=$((size - 1 - RANDOM % 2300)) ;;
	2) at=$((RANDOM * 32768 % size + RANDOM % 1000)) ;;
	esac
	printf '%b' "\\0$(printf %o $((RANDOM % 256)))" |
		dd of=damaged.bpf.o bs=1 seek="$at" conv=notrunc status=none
	run "$POLLOAD" apply damaged.bpf.o
	[ "$code" -le 3 ] || bad+=" $at:$code"
	[ "$code" = 0 ] || refused=$((refused + 1))
	"$POLLOAD" status >/dev/null 2>&1 || bad+=" $at:status"
done
is "40 damaged objects: refused or applied, whole" "" "$bad"
echo "# $refused refused"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "apply goes on" "0 " "$code $err"
finish

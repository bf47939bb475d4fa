# SPDX-License-Identifier: GPL-2.0-only
# What is wrong with a command line, and its exit code.
try() {
	echo "\$ polc $*"
	"$POLC" "$@"
	echo "= $?"
}
cd "$TMPDIR" || exit
printf 'default deny;\nendpoint a = k == "a";\n' >ok.pol
try
try chekc ok.pol
try lint ok.pol
try check
try check --json ok.pol
try ok.pol ok.pol
try --nonsense ok.pol
try --clagn=clang ok.pol
try -x ok.pol
try -o
try --format=xml ok.pol
try --color=red ok.pol
try fmt -w --check ok.pol
try fmt -S ok.pol
try list -w ok.pol
try explain ok.pol
try --dump=nothing ok.pol
try --explain P9999
try nosuch.pol
printf '\177ELF\002\001\001\000' >ok.bpf.o
try check ok.bpf.o
rm ok.bpf.o
try ok.pol -o ok.pol
try ok.pol -o .
try -S ok.pol -o /nonexistent/ok.c
try ok.pol --clang=/nonexistent/clang
ls

# SPDX-License-Identifier: GPL-2.0-only
# What verify says without loading anything; the kernel's part is in tests/verify.
cd "$TMPDIR" || exit
try() {
	echo "\$ polc $*"
	"$POLC" "$@"
	echo "= $?"
}
cat >web.pol <<'POL'
default deny;
pool 10.66.0.0/16;
endpoint web = app == "web";
endpoint client = app == "client";
policy web {
	allow from client on tcp 80;
	deny from world in 192.0.2.0/24;
}
POL
"$POLC" web.pol -o web.bpf.o || exit
try verify --tables-only web.bpf.o
try verify --tables-only --json web.bpf.o web.pol
sed 's/tcp 80/tcp 81/' web.pol >other.pol
try verify --tables-only web.bpf.o other.pol
try verify --tables-only --json web.bpf.o other.pol
mkdir elsewhere
mv web.bpf.o elsewhere
(cd elsewhere && try verify --tables-only web.bpf.o)
try verify --tables-only elsewhere/web.bpf.o
echo nonsense >bad.bpf.o
try verify bad.bpf.o web.pol
try verify elsewhere/web.bpf.o none.pol
try verify
try verify a b c
try verify --stats a
try lint --tables-only web.pol

# An object that opens tcp 81 and still says that it is made of web.pol.
mkdir forged
mv other.pol forged/web.pol
"$POLC" forged/web.pol || exit
hash() { "$POLC" --dump=manifest "$1" | sed -n 's/^sources: "\(.*\)"/\1/p'; }
sed -i "s/$(hash forged/web.pol)/$(hash web.pol)/; s/tcp 81/tcp 80/g" forged/web.bpf.o
try verify --tables-only forged/web.bpf.o web.pol
try verify --tables-only --json forged/web.bpf.o web.pol

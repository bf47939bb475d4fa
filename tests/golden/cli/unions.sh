# SPDX-License-Identifier: GPL-2.0-only
# Unions of thousands of named sets: what they take is what the sets have together.
cd "$TMPDIR" || exit

# Sets that do not touch each other, SIZE single addresses in each.
sets() { # COUNT SIZE
	awk -v count="$1" -v size="$2" 'BEGIN {
		print "default deny;\nendpoint a = x == \"y\";"
		for (i = 0; i < count; i++) {
			printf "cidr c%d = ", i
			for (k = 0; k < size; k++) {
				at = 2 * (i * size + k)
				printf "%s10.%d.%d.%d", k ? ", " : "", at / 65536, at / 256 % 256, at % 256
			}
			print ";"
		}
	}'
}
names() { # COUNT [BEFORE-EACH]
	seq -s ", " -f "${2:-}c%.0f" 0 $(($1 - 1))
}
try() { # COMMAND...
	"$POLC" "$@"
	echo "= $?"
}

{
	sets 700 60
	echo "policy a { allow from { $(names 700) } on tcp 1; }"
} >large.pol
try check large.pol
{
	sets 6000 1
	echo "policy a {
		allow from { $(names 6000) } on tcp 1;
		allow from { $(names 6000 'world in ') } on tcp 2;
		allow from { any } except { $(names 6000) } on tcp 3;
		allow from any on tcp 4;
	}
	filter f on eth0 { drop from { $(names 6000) } on tcp 4; pass; }"
} >many.pol
try check many.pol
for on in 'tcp 1' 'tcp 2' 'tcp 3' 'tcp 4'; do
	for from in 10.0.0.0 10.0.46.222 10.0.46.223 10.0.46.224; do
		"$POLC" explain many.pol "from $from to a on $on" 2>&1 | head -1
	done
done

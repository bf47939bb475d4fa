# SPDX-License-Identifier: GPL-2.0-only
# Selectors so long, or so hard, that lint gives up: it says so, and it comes to an end.
cd "$TMPDIR" || exit

terms() { # COUNT OP BETWEEN
	for ((i = 0; i < $1; i++)); do
		((i)) && printf ' %s ' "$3"
		printf '(a%d == "1" %s b%d == "1")' "$i" "$2" "$i"
	done
}

# More pigeons than holes: nothing but trying all of it would show that nobody is this.
pigeons() { # HOLES
	local p q h
	for ((p = 0; p <= $1; p++)); do
		for ((h = 0; h < $1; h++)); do
			((h)) && printf ' or ' || printf '('
			printf 'p%dh%d == "1"' "$p" "$h"
		done
		printf ') and '
	done
	for ((h = 0; h < $1; h++)); do
		for ((p = 0; p <= $1; p++)); do
			for ((q = 0; q < p; q++)); do
				printf '(p%dh%d != "1" or p%dh%d != "1") and ' "$p" "$h" "$q" "$h"
			done
		done
	done
	printf 'true'
}

try() { # FILE
	timeout 300 "$POLC" lint --json "$1" | jq -c '.[] | {code, line: .span.start.line, message}'
	echo "= ${PIPESTATUS[0]}"
}

cat >long.pol <<POL
default deny;
endpoint a = $(terms 1400 or and);
endpoint b = not ($(terms 1400 and or));
policy a {
	allow from b;
	deny to { a except b } on udp;
}
POL
try long.pol

# The rule has nothing before it, so that nothing but its own selector is looked at.
cat >hard.pol <<POL
default deny;
endpoint a = x == "y";
endpoint hard = $(pigeons 9);
policy a {
	deny from hard on tcp 1;
}
POL
try hard.pol

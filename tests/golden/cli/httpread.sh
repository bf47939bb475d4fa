# SPDX-License-Identifier: GPL-2.0-only
# Two spellings of one path or query: what judges them, and what the compiler refuses.
mkdir -p "$TMPDIR/r" && cd "$TMPDIR/r" || exit
cat >r.pol <<'POL'
default deny;
endpoint c = app == "c";
endpoint s = app == "s";
policy c { allow to s on tcp 80; }
policy s {
	allow from c on tcp 80 http {
		allow GET "/ok/**";
		deny * "/ok/@me";
		deny * "/ok/**" where query ~".*debug.*";
		allow GET "/plain/@me";
		allow GET ~"/both/(@|%40)me";
	}
}
assert deny from c to s on tcp 80 GET "/ok/@me";
assert deny from c to s on tcp 80 GET "/ok/%40me";
assert allow from c to s on tcp 80 GET "/plain/@me";
assert deny from c to s on tcp 80 GET "/plain/%40me";
assert allow from c to s on tcp 80 GET "/both/%40me";
POL
"$POLC" check r.pol
echo "exit: $?"
for line in 'allow from c to s on tcp 80 GET "/ok/%40me"' \
	'allow from c to s on tcp 80 GET "/plain/%40me"' \
	'deny from c to s on tcp 80 GET "/both/%40me"'; do
	{ sed '/^assert/d' r.pol; echo "assert $line;"; } >wrong.pol
	"$POLC" check wrong.pol | grep -E 'error|note|[0-9] \| assert'
done
for path in /ok/a%40b /ok/%40me '/ok/x?%64ebug=1' '/ok/x?%2564ebug=1' '/plain/%40me?x' /plain/@me '/a*b' \
	'/v1/a.b%3Arun(%2A)'; do
	"$POLC" explain r.pol from c to s on tcp 80 GET "\"$path\"" | grep -v gress
done
"$POLC" explain --json r.pol from c to s on tcp 80 GET '"/ok/%40me"' | grep -o '"http":{[^}]*}'
cat >s.pol <<'POL'
default deny;
policy "s" on any {
	allow from any on tcp 80 http {
		allow GET ~"/ok/%40me";
		deny * ~"/v1/.*%3Arun";
		allow GET ~"/ok/(@|%40)you";
		deny * "/**" where query ~".*%2Fetc.*";
		deny * "/**" where query ~".*%3cscript.*";
		deny * "/**" where query ~".*%3Cscript.*";
	}
}
POL
"$POLC" check s.pol
echo "exit: $?"

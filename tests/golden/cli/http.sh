# SPDX-License-Identifier: GPL-2.0-only
# Requests: assertions over every method, host and path, and explain.
d=$(mktemp -d) || exit
cd "$d" || exit
cat >web.pol <<'END'
default deny;
pool 10.1.0.0/16;
endpoint web = app == "web";
endpoint job = app == "job";
policy web {
    allow from job on tcp 80 http {
        allow GET, HEAD "/jobs/**";
        allow POST "/orders" where header "content-type" == "application/json";
        allow GET "/inner" where host == "inner.example";
        deny * "/jobs/secret";
    }
    allow from world on tcp 80 http { allow GET "/"; }
    allow from any on tcp 443;
}
policy job { allow to web; }
assert allow from job to web on tcp 80 GET "/jobs/7";
assert deny from job to web on tcp 80 DELETE "/jobs/7";
assert deny from job to web on tcp 80 GET "/jobs/secret";
assert deny from world to web on tcp 80 GET "/jobs/7";
assert allow from world to web on tcp 443;
END
"$POLC" check web.pol
for line in 'deny from job to web on tcp 80 POST "/orders"' \
	'allow from job to web on tcp 80 GET "/inner"' \
	'deny from job to web on tcp 80 GET "/inner"' \
	'allow from job to web on tcp 80' 'deny from job to web on tcp 80' \
	'allow from job to web on tcp 80 GET "/a/../b"'; do
	{ sed '/^assert/d' web.pol; echo "assert $line;"; } >wrong.pol
	"$POLC" check wrong.pol | grep -E 'error|note|[0-9] \| assert'
done
for flow in 'GET "/jobs/7"' 'DELETE "/jobs/7"' 'GET "/jobs/secret"' ''; do
	"$POLC" explain web.pol "from job to web on tcp 80 $flow"
	echo "exit: $?"
done
"$POLC" explain --json web.pol 'from job to web on tcp 80 GET "/jobs/7"'
cat >lines.pol <<'END'
default deny;
endpoint web = app == "web";
policy web {
    allow from any on tcp 80 http {
        allow GET "/a/**";
        allow GET "/a/b";
        allow GET "/a/b" where header "x";
        allow GET "/c";
        deny * "/c";
        deny GET "/c";
    }
    allow from any on tcp 80 http { allow GET "/other"; }
}
END
"$POLC" lint lines.pol
sed 's|/other|/another|' lines.pol >other.pol
"$POLC" diff --fail-on widen lines.pol lines.pol
echo "exit: $?"
"$POLC" diff --fail-on widen lines.pol other.pol
echo "exit: $?"
rm -rf "$d"
# Queries.
mkdir -p "$TMPDIR/q" && cd "$TMPDIR/q" || exit
cat >q.pol <<'POL'
default deny;
endpoint c = app == "c";
endpoint s = app == "s";
policy c { allow to s on tcp 80; }
policy s {
	allow from c on tcp 80 http {
		allow GET "/a" where not query;
		allow GET "/b" where query == "id=1" and host == "h";
		allow GET "/b" where query ~"x=[0-9]+";
	}
}
assert deny from c to s on tcp 80 GET "/b?y";
POL
"$POLC" check q.pol
sed -i '/^assert/d' q.pol
"$POLC" fmt --check q.pol
echo "= $?"
for path in /a '/a?' '/a?x' /b '/b?x=7' '/b?x=7&y' '/c?x' '/a//?x'; do
	printf '%s: ' "$path"
	"$POLC" explain q.pol from c to s on tcp 80 GET "\"$path\"" 2>&1 | head -1
done

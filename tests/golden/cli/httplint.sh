# SPDX-License-Identifier: GPL-2.0-only
# Lines of several blocks that hold on the same connections.
d=$(mktemp -d) || exit
cd "$d" || exit
cat >two.pol <<'END'
default deny;
endpoint web = app == "web";
endpoint job = app == "job";
policy web {
    allow from job on tcp 80 http {
        allow GET "/a/b";
        allow GET "/private/x";
        allow GET "/mine";
        allow GET "/both";
        deny * "/b";
    }
}
policy "wide" on web {
    allow from any on tcp 80-90 http {
        allow GET "/a/**";
        allow GET "/both";
        deny * "/private/**";
        allow GET "/mine" where header "x";
    }
}
policy "twin" on web {
    allow from job on tcp 80 http {
        allow GET "/twin";
        deny * "/b";
    }
    allow from job on tcp 80 http { allow GET "/twin"; }
    allow from world on tcp 80 http { allow GET "/a/b"; deny * "/a/b/c"; }
}
END
"$POLC" lint two.pol
cat >apart.pol <<'END'
default deny;
endpoint web = app == "web";
endpoint job = app == "job";
policy web { allow from job on tcp 80 http { allow GET "/a"; } }
policy job { allow from any on tcp 80 http { allow GET "/**"; deny * "/a"; } }
policy "part" on web { allow from 10.0.0.0/8 on tcp 80 http { allow GET "/**"; } }
END
"$POLC" lint apart.pol
echo "exit: $?"

# SPDX-License-Identifier: GPL-2.0-only
# Where things go.
cd "$TMPDIR" || exit
printf 'default deny;\nendpoint a = k == "a";\npolicy a { allow from world on tcp 80; }\n' >p.pol
"$POLC" -S p.pol && ls && rm p.bpf.c
"$POLC" -S p.pol -o - | grep -c pol_ep_in
"$POLC" p.pol && ls && "$POLC" p.pol -o - | cmp - p.bpf.o && echo same
"$POLC" fmt p.pol >q.pol
cat q.pol
"$POLC" fmt --check p.pol q.pol
echo "= $?"
"$POLC" fmt -w p.pol && cmp p.pol q.pol && echo same
"$POLC" list --json p.pol

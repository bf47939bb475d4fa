#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# mandoc and groff warn of nothing in the manual pages, each page of ours that one names is there, and all options are
# told of everywhere.
. "$(dirname "$0")/lib.sh"
needs mandoc groff
cd "$top" || exit 99

for page in man/*.[1-8]; do
	wrong=$({
		mandoc -T lint -W warning "$page"
		groff -mdoc -ww -z -Tutf8 "$page"
		sed -nE 's/^\.Xr (pol[a-z-]*) ([1-8]).*/\1.\2/p' "$page" | sort -u | while read -r other; do
			[ -e "man/$other" ] || echo "$page names $other, which is not there"
		done
	} 2>&1)
	result "$page" "$wrong"
done

# ---- what programs accept, their --help, their pages and the completions say the same ------------------------------

accepted() { # PROGRAM: its long options, as its own table has them
	case $1 in
	polc) sed -n 's/^\t{ "\([a-z-]*\)", [a-z]*_argument,.*/--\1/p' tool/options.c ;;
	polload) grep -oE '"--[a-z-]+"' runtime/command/command.h | tr -d '"' ;;
	polproxy) grep -oE '\{ "[a-z-]+", [01], NULL' proxy/main.c | sed 's/.*"\(.*\)".*/--\1/' ;;
	polc-agent) sed -n 's/^\t*{ "\([a-z-]*\)", [a-z]*_argument,.*/--\1/p' container/agent_main.c ;;
	esac | sort -u
}

helped() { # PROGRAM: of its help and that of its commands
	{
		"$build/$1" --help
		[ "$1" != polc ] || for verb in $("$build/polc" --help | sed -n 's/^       polc \([a-z]*\) .*/\1/p'); do
			"$build/polc" "$verb" --help
		done
	} </dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

paged() { # PAGE; the last are Docker's
	grep -oE '(Fl|,) -[a-z][a-z-]*' "$1" | sed 's/.* /-/' | grep -vxE -- '--(subnet|internal)' | sort -u
}

differ() { # WHAT A B: lines of A that B lacks, and the other way round
	result "$1" "$(comm -3 "$2" "$3" | sed 's/^\t/only there: /; /^-/s/^/missing: /')"
}

for program in polc polload polproxy polc-agent; do
	accepted $program >"$work/accepted"
	helped $program >"$work/helped"
	paged man/$program.[18] >"$work/paged"
	result "$program: its options are found" "$([ "$(wc -l <"$work/accepted")" -gt 7 ] || cat "$work/accepted")"
	differ "$program --help: its options" "$work/accepted" "$work/helped"
	differ "$program: options in the page" "$work/accepted" "$work/paged"
	case $program in polc | polload)
		grep -oE -- '--[a-z][a-z-]*' completions/polc.bash | sort -u >"$work/completed"
		result "$program: options that are completed" "$(comm -23 "$work/accepted" "$work/completed")" ;;
	esac
	case $program in
	polc) "$build/polc" --help | sed -n 's/^       polc \([a-z]*\) .*/\1/p' ;;
	polload) sed -n 's/^\t{ "\([a-z]*\)", [0-9].*, cmd_[a-z]* },$/\1/p' runtime/command/main.c; echo agent ;;
	esac | sort -u >"$work/verbs"
	result "$program: commands in the page, in the help and completed" "$(while read -r verb; do
		grep -qE "^\.(Cm|It Cm) ([a-z]+ , )*$verb\b" man/$program.[18] || echo "page: $verb"
		"$build/$program" --help | grep -qE "^ +($program )?$verb\b" || echo "help: $verb"
		grep -qE "[ \"]${verb}[ \"]" completions/polc.bash || echo "completions: $verb"
	done <"$work/verbs")"
	result "$program: exit codes in the page" "$(grep -q '^\.Sh EXIT STATUS' man/$program.[18] || echo "no EXIT STATUS")"
done
sed -n 's/^\tX([A-Z_]*, *"\([a-z_]*\)", *"\(.*\)").*/.It Li \1\t\2/p' include/polc/reasons.h | grep -v 'Li none' >"$work/reasons"
result "polload: reasons of drops in the page" "$([ "$(wc -l <"$work/reasons")" -gt 40 ] || echo "not found"
	awk '/^\.It Li/ { name = $0; next } name != "" { sub(/\.$/, ""); print name "\t" $0; name = "" }' man/polload.8 |
		grep -vxFf - "$work/reasons")"
finish

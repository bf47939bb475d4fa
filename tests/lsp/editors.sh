#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The syntax files of editors know every word of the language, and no other; the JSON is JSON.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99
tests=0

report() { # NAME PROBLEMS
	tests=$((tests + 1))
	[ -z "$2" ] && echo "ok $tests - $1" && return
	printf '%s\n' "$2" | sed 's/^/# /'
	echo "not ok $tests - $1"
}

words() { sed -n 's/^%token.* "\([a-z][a-z0-9]*\)"$/\1/p' lang/parse.y | sort; }
vim() { sed -n 's/^syntax keyword [A-Za-z]* //p' editors/vim/syntax/polc.vim | tr ' ' '\n' | sort; }
vscode() {
	jq -r '.patterns[].match // empty' editors/vscode/syntaxes/polc.tmLanguage.json |
		grep -o '(?:[a-z0-9|]*)(?!' | sed 's/^(?://; s/)(?!$//' | tr '|' '\n' | sort
}

report "the words of the language" "$([ "$(words | wc -l)" -gt 50 ] || words)"
report "Vim knows them all" "$(diff <(words) <(vim))"
report "VS Code knows them all" "$(diff <(words) <(vscode))"
for file in editors/vscode/*.json editors/vscode/syntaxes/*.json; do
	report "$file is JSON" "$(jq . "$file" 2>&1 >/dev/null)"
done
# Every path that the package names is there.
while read -r path; do
	report "$path is there" "$([ -e "editors/vscode/$path" ] || echo missing)"
done < <(jq -r '.contributes | .languages[].configuration, .grammars[].path' editors/vscode/package.json)
echo "1..$tests"

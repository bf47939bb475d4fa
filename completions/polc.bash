# SPDX-License-Identifier: GPL-2.0-only
# bash completion for polc(1) and polload(8)
# shellcheck shell=bash

_polc_files() { # SUFFIX...: folders, and files with one of the suffixes
	local suffix
	mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	for suffix; do
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X "!*$suffix" -- "$cur")
	done
	compopt -o filenames 2>/dev/null
}

_polc_words() { # WORD...
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

# The first word that is no option, and how many there are before the cursor.
_polc_command() {
	local i
	command='' arguments=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*)
			[ -n "$command" ] || command=${COMP_WORDS[i]}
			arguments=$((arguments + 1))
			;;
		esac
	done
}

_polc() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command arguments
	COMPREPLY=()
	_polc_command
	case $prev in
	-o | --output) _polc_files .o .c; return ;;
	-H) _polc_files .yaml .yml; return ;;
	--format) _polc_words text json sarif; return ;;
	--key) _polc_files; return ;;
	--explain) return ;;
	esac
	case $cur in
	--format=*) cur=${cur#*=}; _polc_words text json sarif dot svg; return ;;
	--fail-on=*) cur=${cur#*=}; _polc_words any widen narrow never; return ;;
	--workloads=*) cur=${cur#*=}; _polc_files .yaml .yml; return ;;
	--dump=*) cur=${cur#*=}; _polc_words ast ir decisions classes tables c manifest help; return ;;
	-*)
		case $command in
		fmt) _polc_words -w --write --check --help ;;
		check) _polc_words --format= --color= --help ;;
		list) _polc_words --json --workloads= --help ;;
		explain) _polc_words --json --help ;;
		graph) _polc_words --format= --help ;;
		diff) _polc_words --json --fail-on= --help ;;
		lint) _polc_words --fix -H --json --format= --help ;;
		import) _polc_words -o --host --lax --help ;;
		verify) _polc_words -H --json --tables-only --help ;;
		sign) _polc_words --key --help ;;
		'' | *.pol) _polc_words -o --output -S --stats --endpoint-kinds= --dump= --format= --color= --clang= --templates= --include= --explain --version --help ;;
		*) _polc_words --help ;;
		esac
		return
		;;
	esac
	case $command in
	'')
		_polc_files .pol
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < \
			<(compgen -W "check fmt list explain lint diff graph verify lsp import keygen sign" -- "$cur")
		;;
	import) _polc_files .yaml .yml .json ;;
	explain)
		if [ "$arguments" = 1 ]; then
			_polc_files .pol
		else
			_polc_words from to on tcp udp icmp icmp6 any world host
		fi
		;;
	sign) _polc_files .o ;;
	verify)
		if [ "$arguments" = 1 ]; then
			_polc_files .o
		else
			_polc_files .pol
		fi
		;;
	keygen) _polc_files ;;
	lsp) ;;
	*) _polc_files .pol ;;
	esac
}

_polload() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command arguments
	COMPREPLY=()
	_polc_command
	case $prev in
	-H | --host) _polc_files .yaml .yml; return ;;
	--bpffs | --state-dir | --trust-dir | --proxy-socket | --from) _polc_files; return ;;
	esac
	case $cur in
	-*)
		case $command in
		apply) _polc_words -H --host --audit --shadow --no-import --grace --trust-dir --allow-unprivileged-bpf --json --verbose --bpffs --state-dir --proxy-socket --help ;;
		shadow) _polc_words --commit --drop --json --bpffs --state-dir --help ;;
		inspect) _polc_words --trust-dir --json --help ;;
		top) _polc_words --once --every --json --help ;;
		metrics) _polc_words --json --listen --help ;;
		rules) _polc_words --unused --json --help ;;
		boot) _polc_words --watch --trust-dir --json --bpffs --state-dir --help ;;
		monitor) _polc_words --each --aggregate --rate --count --for --json --help ;;
		'') _polc_words --version --help ;;
		*) _polc_words --json --verbose --bpffs --state-dir --proxy-socket --help ;;
		esac
		return
		;;
	esac
	case $command in
	'') _polc_words apply check status rules flows endpoints endpoint filter services service health agent monitor top why suggest metrics inspect proxy rollback shadow boot lockdown remove ;;
	apply | check | inspect) _polc_files .o ;;
	monitor | flows | top) _polc_words new log drop audit http allow deny reject refuse fail from to peer on reason rule tcp udp icmp icmp6 any world host nodes ;;
	why) _polc_words from to on tcp udp icmp icmp6 host nodes ;;
	filter)
		case $arguments in
		1) _polc_words add del replace list ;;
		2) ;;
		*) _polc_words --from ;;
		esac
		;;
	endpoint)
		case $arguments in
		1) _polc_words add del hold ;;
		2) ;;
		*)
			_polc_words interface= address= label= mac=
			compopt -o nospace 2>/dev/null
			;;
		esac
		;;
	esac
}

complete -F _polc polc
complete -F _polload polload

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Makes report.md and its pictures of what a run has measured (../bench.sh).
#
#	report.sh FOLDER [TEMPLATE [AIMS]]	from FOLDER's *.csv, into FOLDER
#	report.sh summary FILE...		prints what is in CSV files
#	report.sh beside FOLDER			the reports in its folders beside each other: its README.md
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C

make() { # ARGUMENTS of awk
	awk -f "$here/stats.awk" -f "$here/svg.awk" -f "$here/report.awk" "$@"
}

if [ "$1" = summary ]; then
	shift
	make kind=samples "$@" kind=summary /dev/null
	exit
fi
if [ "$1" = beside ]; then
	reports=()
	for report in "$2"/*/report.md; do
		name=${report%/report.md}
		reports+=("name=${name##*/}" "$report")
	done
	awk -f "$here/beside.awk" "${reports[@]}" >"$2/README.md.new"
	mv "$2/README.md.new" "$2/README.md"
	exit
fi
folder=$1 template=${2:-$here/report.md.in} aims=${3:-$here/aims}
samples=()
for file in "$folder"/*.csv; do
	case ${file##*/} in status.csv | '*.csv') ;; *) samples+=("$file") ;; esac
done
[ -e "$folder/status.csv" ] || : >"$folder/status.csv"
make -v out="$folder" kind=samples "${samples[@]:-/dev/null}" kind=status "$folder/status.csv" \
	kind=aims "$aims" kind=template "$template" >"$folder/report.md.new"
mv "$folder/report.md.new" "$folder/report.md"

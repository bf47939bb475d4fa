# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# Which of all the places where something can fail a test tries, for the tests that try one of them in a run.
#   FAULTS=N        so many of each command, spread over all that it can meet; all: every one of them
#   FAULT_PART=I/N  the Ith of N shares of these, so that several runs at once try all
#   FAULT_FROM=N    none before it: goes on with a run that was broken off
: "${FAULTS:=1}" "${FAULT_PART:=1/1}" "${FAULT_FROM:=1}"

places() { # TOTAL: their numbers
	local step=1 nth=0 i
	[ "$FAULTS" = all ] || step=$((($1 + FAULTS - 1) / FAULTS))
	for ((i = 1 + step / 2; i <= $1; i += step)); do
		[ $((nth++ % ${FAULT_PART#*/} + 1)) = "${FAULT_PART%/*}" ] && [ "$i" -ge "$FAULT_FROM" ] && echo $i
	done
}
strange() { # PLACE WHAT: said at once, all of them take an hour
	odd=$((odd + 1))
	echo "$1: $2" | sed 's/^/# /'
}

# SPDX-License-Identifier: GPL-2.0-only
# What the passes leave.
for pass in help ir decisions classes; do
	echo "\$ polc --dump=$pass"
	"$POLC" --dump=$pass ../list/shop.pol
	echo "= $?"
done

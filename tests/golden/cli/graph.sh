# SPDX-License-Identifier: GPL-2.0-only
# The graph of an example, which Graphviz must be able to read.
"$POLC" graph ../list/shop.pol
echo "= $?"
"$POLC" graph --json ../list/shop.pol
echo "= $?"

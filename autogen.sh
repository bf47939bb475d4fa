#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Makes ./configure.
set -e
cd "$(dirname "$0")"
for tool in autoreconf automake; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; on Debian: apt-get install autoconf automake" >&2
		exit 1
	}
done
exec autoreconf --force --install

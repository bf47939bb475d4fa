#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All packet cases through the data path.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
build=${top_builddir:-$top/build}
exec "$build/tests/packet/run" "$build/tests/packet/fixture.bpf.o" "$top"/tests/packet/*.pkt

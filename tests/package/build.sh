#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian packages, from what a release has: DIR/packages, and the same once more as the next version, to
# upgrade to, in DIR/next. Logs are in DIR.
#
#	tests/package/build.sh DIR	DEB_BUILD_OPTIONS=nocheck: without the tests of the build
set -u
export LC_ALL=C
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
dir=$1
packages="polc polload polproxy polc-agent polc-cni"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

fail() {
	echo "$(basename "$0"): $1" >&2
	[ -z "${2:-}" ] || tail -n 30 "$2" >&2
	exit 1
}

for tool in dpkg-buildpackage dh; do
	command -v $tool >/dev/null || fail "$tool is missing: apt-get install dpkg-dev debhelper"
done
mkdir -p "$dir" && cd "$dir" || exit 99
echo "building the packages"
rm -rf source packages next
mkdir packages next
make -C "$build" distdir distdir="$dir/source" >distdir.log 2>&1 || fail "make distdir" distdir.log
(cd source && dpkg-buildpackage -us -uc -b -j"$(nproc)") >build.log 2>&1 || fail "dpkg-buildpackage" build.log
version=$(dpkg-parsechangelog -l source/debian/changelog -S Version)
for package in $packages; do
	mv "${package}_${version}"_*.deb packages/ || fail "no package $package" build.log
done
rm -rf source ./*-dbgsym_*.deb ./polc_*.buildinfo ./polc_*.changes

for package in $packages; do
	dpkg-deb --raw-extract packages/"${package}_${version}"_*.deb next/tree
	sed -i "s/^Version: .*/Version: $version+next/; s/(= $version)/(= $version+next)/" next/tree/DEBIAN/control
	dpkg-deb --root-owner-group --build next/tree next/ >/dev/null || fail "dpkg-deb"
	rm -rf next/tree
done

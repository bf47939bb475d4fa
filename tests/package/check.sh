#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian packages: built from what a release has, and in a fresh root, made by debootstrap, installed, used,
# upgraded while a policy is in force, removed and purged; afterwards the root is as it was. Root and network;
# the machine itself is left alone but for the folder given, which keeps the fresh root for the next time.
#
#	apt-get install dpkg-dev debhelper debootstrap lintian
#	make check-package
set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
dir=${PACKAGE_DIR:-$build/tests/package.dir}
suite=${PACKAGE_SUITE:-$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}

fail() {
	echo "check-package: $1" >&2
	[ -z "${2:-}" ] || tail -n 30 "$2" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root"
for tool in debootstrap lintian; do
	command -v $tool >/dev/null || fail "$tool is missing: apt-get install dpkg-dev debhelper debootstrap lintian"
done
mkdir -p "$dir" || exit 99

"$top/tests/package/build.sh" "$dir" || exit 1
cd "$dir" || exit 99
lintian --allow-root --fail-on error,warning packages/*.deb >lintian.log 2>&1 || fail "lintian" lintian.log

# ---- a fresh root -------------------------------------------------------------------------

if [ ! -e "$suite.tar" ]; then
	echo "debootstrap $suite"
	rm -rf root
	debootstrap --variant=minbase "$suite" root "${PACKAGE_MIRROR:-http://deb.debian.org/debian}" \
		>debootstrap.log 2>&1 || fail "debootstrap" debootstrap.log
	tar -C root -cf "$suite.tar.new" . || fail "tar"
	mv "$suite.tar.new" "$suite.tar"
fi
rm -rf root
mkdir root
tar -C root -xf "$suite.tar" || fail "tar"
# What our packages depend on and inside.sh calls, and nothing of ours: what it leaves is not ours to take away.
depends=iproute2,$(for deb in packages/*.deb; do dpkg-deb -f "$deb" Depends; done | paste -sd , | sed 's/polload (= [^)]*),//g')
cp /etc/resolv.conf root/etc/
chroot root sh -c "apt-get update && apt-get -y --no-install-recommends satisfy '$depends' && apt-get clean" \
	>depends.log 2>&1 || fail "what the packages depend on" depends.log
mkdir root/packages
cp -r packages root/packages/first
cp -r next root/packages/next
cp "$top/tests/package/inside.sh" root/packages/

# ---- and in it ------------------------------------------------------------------------------

# Network, mounts and processes of its own: what is applied there is no business of this host.
# shellcheck disable=SC2016 # of the inner shell
unshare -mnpf --kill-child sh -c '
	mount --make-rprivate / &&
	mount -t proc proc "$1/proc" && mount -t sysfs sysfs "$1/sys" && mount -t bpf bpf "$1/sys/fs/bpf" &&
	mount --rbind /dev "$1/dev" &&
	exec chroot "$1" /bin/bash /packages/inside.sh' sh "$dir/root" </dev/null
code=$?
rm -rf root next
exit $code

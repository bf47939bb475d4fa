dnl SPDX-License-Identifier: GPL-2.0-only
dnl What is missing is collected and reported once, with the Debian package that has it.

# POLC_MISSING(WHAT, PACKAGE)
AC_DEFUN([POLC_MISSING], [
polc_missing="$polc_missing
  $1 (Debian: $2)"
polc_packages="$polc_packages $2"
])

# POLC_PROG(VARIABLE, COMMANDS, PACKAGE) - a program by its whole path
AC_DEFUN([POLC_PROG], [
AC_PATH_PROGS([$1], [$2])
AS_IF([test -z "$$1"], [POLC_MISSING([$2], [$3])])
])

# POLC_LIB(PREFIX, MODULE, VERSION, PACKAGE) - PREFIX_CFLAGS and PREFIX_LIBS by pkg-config
AC_DEFUN([POLC_LIB], [
AC_ARG_VAR([$1][_CFLAGS], [compiler flags for $2])
AC_ARG_VAR([$1][_LIBS], [linker flags for $2])
AC_MSG_CHECKING([for $2 >= $3])
AS_IF([test -n "$[]$1[]_LIBS"], [AC_MSG_RESULT([given: $[]$1[]_LIBS])],
  [test -n "$PKG_CONFIG" && $PKG_CONFIG --exists "$2 >= $3"],
  [[$1]_CFLAGS=`$PKG_CONFIG --cflags $2`
   [$1]_LIBS=`$PKG_CONFIG --libs $2`
   polc_version=`$PKG_CONFIG --modversion $2`
   AC_MSG_RESULT([$polc_version])],
  [AC_MSG_RESULT([no])
   POLC_MISSING([$2 >= $3], [$4])])
])

# POLC_TRY_CFLAGS(VARIABLE, FLAGS...) - appends those that compiler and linker take
AC_DEFUN([POLC_TRY_CFLAGS], [
m4_foreach_w([polc_flag], [$2], [
AC_MSG_CHECKING([whether $CC takes polc_flag])
polc_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -Werror polc_flag"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
  [AC_MSG_RESULT([yes]); $1="$$1 polc_flag"], [AC_MSG_RESULT([no])])
CFLAGS=$polc_save_CFLAGS
])
])

# POLC_TRY_LDFLAGS(VARIABLE, FLAGS...)
AC_DEFUN([POLC_TRY_LDFLAGS], [
m4_foreach_w([polc_flag], [$2], [
AC_MSG_CHECKING([whether the linker takes polc_flag])
polc_save_LDFLAGS=$LDFLAGS
LDFLAGS="$LDFLAGS polc_flag"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
  [AC_MSG_RESULT([yes]); $1="$$1 polc_flag"], [AC_MSG_RESULT([no])])
LDFLAGS=$polc_save_LDFLAGS
])
])

# POLC_CLANG_BPF - is $CLANG a clang that has the bpf target, and are the headers there?
AC_DEFUN([POLC_CLANG_BPF], [
AC_MSG_CHECKING([whether $CLANG compiles for bpf])
AS_ECHO(["int f(void) { return 2; }"]) > conftest.c
AS_IF([$CLANG --target=bpf -O2 -g -c conftest.c -o conftest.bpf.o >&AS_MESSAGE_LOG_FD 2>&1],
  [AC_MSG_RESULT([yes])
   AC_MSG_CHECKING([for the headers of BPF programs])
   AS_ECHO(["#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
int f(void) { return 2; }"]) > conftest.c
   polc_multiarch=`${CC:-${polc_cc:-cc}} -print-multiarch 2>/dev/null`
   AS_IF([$CLANG --target=bpf -O2 -g -I/usr/include/$polc_multiarch -c conftest.c -o conftest.bpf.o >&AS_MESSAGE_LOG_FD 2>&1],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      POLC_MISSING([linux/bpf.h and bpf/bpf_helpers.h], [linux-libc-dev libbpf-dev])])],
  [AC_MSG_RESULT([no])
   POLC_MISSING([$CLANG with the bpf target], [clang])])
rm -f conftest.c conftest.bpf.o
])

# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += container/libcontainer.a
container_libcontainer_a_SOURCES = \
	container/cni.c \
	container/cni.h \
	container/cni_request.c \
	container/labels.c \
	container/labels.h

# Where runtimes look for plugins; a packager moves it to /opt/cni/bin or the like.
cnidir = $(libexecdir)/cni
cni_PROGRAMS = polc-cni
polc_cni_SOURCES = container/cni_main.c
polc_cni_LDADD = container/libcontainer.a $(runtime_libs) $(JANSSON_LIBS)

# SPDX-License-Identifier: GPL-2.0-only
noinst_LIBRARIES += container/libcontainer.a
container_libcontainer_a_SOURCES = \
	container/agent.c \
	container/agent.h \
	container/call.c \
	container/call.h \
	container/cni.c \
	container/cni.h \
	container/cni_request.c \
	container/docker.c \
	container/docker.h \
	container/driver.c \
	container/driver.h \
	container/engine.c \
	container/engine.h \
	container/ipam.c \
	container/ipam.h \
	container/labels.c \
	container/labels.h \
	container/link.c \
	container/link.h \
	container/pins.c \
	container/pins.h \
	container/present.c \
	container/present.h \
	container/serve.c \
	container/whose.c \
	container/whose.h

# Where runtimes look for plugins; a packager moves it to /opt/cni/bin or the like.
cnidir = $(libexecdir)/cni
cni_PROGRAMS = polc-cni
polc_cni_SOURCES = container/cni_main.c
polc_cni_LDADD = container/libcontainer.a $(runtime_libs) $(JANSSON_LIBS)

sbin_PROGRAMS += polc-agent
polc_agent_SOURCES = container/agent_main.c
polc_agent_LDADD = container/libcontainer.a $(runtime_libs) $(JANSSON_LIBS) $(CURL_LIBS) $(MICROHTTPD_LIBS)

EXTRA_DIST += container/polc-agent.service.in
CLEANFILES += container/polc-agent.service
container/polc-agent.service: $(srcdir)/container/polc-agent.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) container && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/container/polc-agent.service.in >$@.tmp && mv $@.tmp $@
nodist_unit_DATA += container/polc-agent.service

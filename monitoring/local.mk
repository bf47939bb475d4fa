# SPDX-License-Identifier: GPL-2.0-only
monitoringdir = $(pkgdatadir)/monitoring
dist_monitoring_DATA = monitoring/grafana.json monitoring/alerts.yml
EXTRA_DIST += monitoring/polload-metrics.service.in
CLEANFILES += monitoring/polload-metrics.service
monitoring/polload-metrics.service: $(srcdir)/monitoring/polload-metrics.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) monitoring && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/monitoring/polload-metrics.service.in >$@.tmp && mv $@.tmp $@
nodist_unit_DATA += monitoring/polload-metrics.service

# SPDX-License-Identifier: GPL-2.0-only
monitoringdir = $(pkgdatadir)/monitoring
dist_monitoring_DATA = monitoring/grafana.json monitoring/alerts.yml
monitoring_units = monitoring/polload-health.service monitoring/polload-metrics.service
EXTRA_DIST += $(monitoring_units:.service=.service.in)
CLEANFILES += $(monitoring_units)
$(monitoring_units): %.service: $(srcdir)/%.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) monitoring && $(SED) 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/$*.service.in >$@.tmp && mv $@.tmp $@
nodist_unit_DATA += $(monitoring_units)

# SPDX-License-Identifier: GPL-2.0-only
dist_man_MANS += \
	man/polc.1 \
	man/polc-agent.8 \
	man/polc-cni.8 \
	man/polload.8 \
	man/polproxy.8 \
	man/polc-policy.5 \
	man/polc-host.5

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells a service manager, if one has asked for it in NOTIFY_SOCKET, that we serve: sd_notify(3)
 * with READY=1.  Nothing depends on whether it hears it.
 */
#ifndef POL_NOTIFY_H
#define POL_NOTIFY_H

void pol_notify_ready(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that the fixture's tables and the runner share. */
#ifndef POL_PACKET_FIXTURE_H
#define POL_PACKET_FIXTURE_H

enum { ROW_A_EGRESS = 1, ROW_A_INGRESS = 2, ROW_B_EGRESS = 3, ROW_B_INGRESS = 4 };

/* 3 * POL_CLASSES_PADDED + kind */
enum { COL_A = 96, COL_B = 97, COL_C = 98 };

enum { L4_OTHER, L4_WEB, L4_REJECT, L4_LIMIT, L4_LIMIT2, L4_LOG, L4_AUDIT, L4_HTTP };

enum {
	V_CLOSED = 0, V_EGRESS = 2, V_INGRESS, V_OFFICE, V_REJECT, V_LIMIT, V_LIMIT2, V_LOG,
	V_AUDIT, V_HTTP,
};

/* Word of cb: for whose device a packet was judged (tc_index). */
#define CASE_FOR 4

#endif

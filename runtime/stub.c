/* SPDX-License-Identifier: GPL-2.0-only */
#include "stub.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

/*
 * Written as instructions so that the host needs no compiler and the stub of
 * every version can be read in one place.
 */
#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADD_REG(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define AND_IMM(d, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(size, d, o, i) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define JUMP_IF_0(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Two instructions: a map, or the address of its first value. */
#define LOAD_MAP(d, kind, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, kind, 0, fd), INSN(0, 0, 0, 0, 0)

static const char *const names[POL_HOOK_MAX] = {
	[POL_HOOK_EP_OUT] = "stub_ep_out",
	[POL_HOOK_EP_IN] = "stub_ep_in",
	[POL_HOOK_UPLINK_IN] = "stub_uplink_in",
};

const char *prt_stub_name(enum pol_hook hook)
{
	return names[hook];
}

static int refused(enum pol_hook hook, const char *log, struct pol_err *e)
{
	int code = -errno;

	if (code == -EPERM)
		pol_err_help(e, "loading BPF needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the first user namespace");
	return pol_err(e, code, "program '%s': the kernel refused it: %s%s%.200s", names[hook],
		       strerror(-code), *log ? ": " : "", log);
}

int prt_stub_load(enum pol_hook hook, int active, int root, int drops, int *fd, struct pol_err *e)
{
	const struct bpf_insn code[] = {
		MOV_REG(BPF_REG_6, BPF_REG_1),
		/* The word is read once: one packet meets one generation. */
		LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, active),
		LOAD(BPF_DW, BPF_REG_3, BPF_REG_1, 0),
		JUMP_IF_0(BPF_REG_3, 6),
		AND_IMM(BPF_REG_3, 1),
		ADD_IMM(BPF_REG_3, POL_ROOT_SLOT((int)hook, 0)),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		LOAD_MAP(BPF_REG_2, BPF_PSEUDO_MAP_FD, root),
		CALL(BPF_FUNC_tail_call),
		/* Nothing in force, or nothing there: count and drop. */
		STORE_IMM(BPF_W, BPF_REG_10, -4, POL_REASON_NO_PROGRAM),
		LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_FD, drops),
		MOV_REG(BPF_REG_2, BPF_REG_10),
		ADD_IMM(BPF_REG_2, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		JUMP_IF_0(BPF_REG_0, 7),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct pol_count, packets)),
		ADD_IMM(BPF_REG_1, 1),
		STORE(BPF_DW, BPF_REG_0, BPF_REG_1, offsetof(struct pol_count, packets)),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct pol_count, bytes)),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct __sk_buff, len)),
		ADD_REG(BPF_REG_1, BPF_REG_2),
		STORE(BPF_DW, BPF_REG_0, BPF_REG_1, offsetof(struct pol_count, bytes)),
		MOV_IMM(BPF_REG_0, TC_ACT_SHOT),
		EXIT(),
	};
	char log[65536] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log));	/* asked for a log only when it fails */
	int got = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, names[hook], "GPL", code,
				POL_ARRAY_LEN(code), &opts);

	if (got < 0)
		return refused(hook, log, e);
	*fd = got;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "stub.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

/*
 * Written as instructions so that the host needs no compiler and the stub of
 * every version can be read in one place.
 */
#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADD_REG(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define SUB_REG(d, s) INSN(BPF_ALU64 | BPF_SUB | BPF_X, d, s, 0, 0)
#define AND_IMM(d, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(size, d, o, i) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define JUMP_IF_0(d, o) JUMP_IF(d, 0, o)
#define JUMP_IF(d, i, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Two instructions: a map, or the address of its first value. */
#define LOAD_MAP(d, kind, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, kind, 0, fd), INSN(0, 0, 0, 0, 0)

static const char *const names[POL_HOOKS] = {
	[POL_HOOK_EP_OUT] = "stub_ep_out",         [POL_HOOK_EP_IN] = "stub_ep_in",
	[POL_HOOK_UPLINK_IN] = "stub_uplink_in",   [POL_HOOK_LO_IN] = "stub_lo_in",
	[POL_HOOK_UPLINK_OUT] = "stub_uplink_out", [POL_HOOK_XDP] = "stub_xdp",
};

const char *prt_stub_name(enum pol_hook hook)
{
	return names[hook];
}

static int refused(const char *name, const char *log, struct pol_err *e)
{
	int code = -errno;

	if (code == -EPERM)
		pol_err_help(
			e,
			"loading BPF needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the first user namespace");
	return pol_err(e, code, "program '%s': the kernel refused it: %s%s%.200s", name,
		       strerror(-code), *log ? ": " : "", log);
}

/*
 * expected_attach_type, which is none, and the flag for frames of several buffers are the same
 * of all XDP programs: the kernel refuses a tail call between programs that differ in them.
 */
static int load(const char *name, bool xdp, const struct bpf_insn *code, size_t n, int *fd,
		struct pol_err *e)
{
	char log[65536] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log,
		    .log_size = sizeof(log)); /* asked for a log only when it fails */
	int got;

	if (xdp)
		opts.prog_flags = BPF_F_XDP_HAS_FRAGS;
	got = bpf_prog_load(xdp ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS, name, "GPL", code, n,
			    &opts);
	if (got < 0)
		return refused(name, log, e);
	*fd = got;
	return 0;
}

/* The word is read once: one packet meets one generation.  On a miss code goes on behind it. */
#define JUMP_INTO(active, root, slot)                                                              \
	MOV_REG(BPF_REG_6, BPF_REG_1), LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, active),          \
		LOAD(BPF_DW, BPF_REG_3, BPF_REG_1, 0), JUMP_IF_0(BPF_REG_3, 6),                    \
		AND_IMM(BPF_REG_3, 1), ADD_IMM(BPF_REG_3, slot), MOV_REG(BPF_REG_1, BPF_REG_6),    \
		LOAD_MAP(BPF_REG_2, BPF_PSEUDO_MAP_FD, root), CALL(BPF_FUNC_tail_call)

/* Counts a drop for want of a program; leaves out `rest` instructions if it cannot. */
#define COUNT_PACKET(drops, rest)                                                                  \
	STORE_IMM(BPF_W, BPF_REG_10, -4, POL_REASON_NO_PROGRAM),                                   \
		LOAD_MAP(BPF_REG_1, BPF_PSEUDO_MAP_FD, drops), MOV_REG(BPF_REG_2, BPF_REG_10),     \
		ADD_IMM(BPF_REG_2, -4), CALL(BPF_FUNC_map_lookup_elem),                            \
		JUMP_IF_0(BPF_REG_0, 3 + (rest)),                                                  \
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct pol_count, packets)),           \
		ADD_IMM(BPF_REG_1, 1),                                                             \
		STORE(BPF_DW, BPF_REG_0, BPF_REG_1, offsetof(struct pol_count, packets))

#define STUB_XDP(active, root, drops)                                                              \
	JUMP_INTO(active, root, 0), COUNT_PACKET(drops, 6),                                        \
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct pol_count, bytes)),             \
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct xdp_md, data_end)),              \
		LOAD(BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct xdp_md, data)),                  \
		SUB_REG(BPF_REG_2, BPF_REG_3), ADD_REG(BPF_REG_1, BPF_REG_2),                      \
		STORE(BPF_DW, BPF_REG_0, BPF_REG_1, offsetof(struct pol_count, bytes)),            \
		MOV_IMM(BPF_REG_0, XDP_DROP), EXIT()

static int load_xdp(int active, int root, int drops, int *fd, struct pol_err *e)
{
	const struct bpf_insn code[] = { STUB_XDP(active, root, drops) };

	return load(names[POL_HOOK_XDP], true, code, POL_ARRAY_LEN(code), fd, e);
}

/* ---- behind a dispatcher -------------------------------------------------------------- */

/*
 * A number as libxdp reads it: a pointer to an array of so many (its protocol.org, "Processing
 * program metadata").
 */
static int add_number(struct btf *btf, int of, int n)
{
	return btf__add_ptr(btf, btf__add_array(btf, of, of, (unsigned)n));
}

/*
 * int polload_xdp(struct xdp_md *ctx), and what libxdp asks of it: its priority, and that the next
 * program has its turn if it passes.  *func is the function's type.
 */
static struct btf *make_btf(int *func)
{
	struct btf *btf = btf__new_empty();
	int word, context, proto, config, fields[2];

	if (!btf)
		return NULL;
	word = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	context = btf__add_ptr(btf, btf__add_struct(btf, "xdp_md", 0));
	proto = btf__add_func_proto(btf, word);
	btf__add_func_param(btf, "ctx", context);
	*func = btf__add_func(btf, PRT_XDP_JOINER, BTF_FUNC_GLOBAL, proto);
	fields[0] = add_number(btf, word, PRT_XDP_PRIORITY);
	fields[1] = add_number(btf, word, 1);
	config = btf__add_struct(btf, NULL, 2 * sizeof(uint64_t));
	btf__add_field(btf, "priority", fields[0], 0, 0);
	btf__add_field(btf, "XDP_PASS", fields[1], 64, 0);
	config = btf__add_var(btf, "_" PRT_XDP_JOINER, BTF_VAR_GLOBAL_ALLOCATED, config);
	btf__add_datasec(btf, ".xdp_run_config", 2 * sizeof(uint64_t));
	if (btf__add_datasec_var_info(btf, config, 0, 2 * sizeof(uint64_t)) ||
	    btf__load_into_kernel(btf)) {
		btf__free(btf);
		return NULL;
	}
	return btf;
}

/*
 * What an extension is loaded against; later it is linked to a dispatcher's function.  The function
 * that it stands in for must be one that changes packets, as a dispatcher's are and as everything
 * behind a tail call is taken to (kernel/bpf/verifier.c, changes_pkt_data), and not the only one:
 * some kernels of 2024 follow a null pointer there.  Its attach type must be the dispatcher's, which
 * libbpf gives to all XDP programs; an extension has none itself, and so have none those that it
 * jumps to.
 */
static int load_anchor(int btf, int func, int *fd, struct pol_err *e)
{
	static const struct bpf_insn code[] = {
		INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 1),
		EXIT(),
		MOV_IMM(BPF_REG_2, 0),
		CALL(BPF_FUNC_xdp_adjust_tail),
		MOV_IMM(BPF_REG_0, XDP_DROP),
		EXIT(),
	};
	const struct bpf_func_info funcs[] = { { 0, (uint32_t)func }, { 2, (uint32_t)func } };
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log),
		    .prog_btf_fd = (uint32_t)btf, .func_info = funcs, .func_info_cnt = 2,
		    .func_info_rec_size = sizeof(*funcs), .expected_attach_type = BPF_XDP,
		    .prog_flags = BPF_F_XDP_HAS_FRAGS);

	*fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "xdp_anchor", "GPL", code, POL_ARRAY_LEN(code),
			    &opts);
	return *fd < 0 ? refused("xdp_anchor", log, e) : 0;
}

static int load_joiner(int btf, int func, int anchor, const struct bpf_insn *code, size_t n,
		       int *fd, struct pol_err *e)
{
	const struct bpf_func_info funcs[] = { { 0, (uint32_t)func } };
	char log[65536] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log),
		    .prog_btf_fd = (uint32_t)btf, .func_info = funcs, .func_info_cnt = 1,
		    .func_info_rec_size = sizeof(*funcs), .attach_prog_fd = (uint32_t)anchor,
		    .attach_btf_id = (uint32_t)func, .prog_flags = BPF_F_XDP_HAS_FRAGS);

	*fd = bpf_prog_load(BPF_PROG_TYPE_EXT, PRT_XDP_JOINER, "GPL", code, n, &opts);
	return *fd < 0 ? refused(PRT_XDP_JOINER, log, e) : 0;
}

int prt_stub_load_joiner(int active, int root, int drops, int *fd, struct pol_err *e)
{
	const struct bpf_insn code[] = { STUB_XDP(active, root, drops) };
	int anchor POL_CLEANUP(pol_cleanup_fd) = -1;
	int func, r;
	struct btf *btf = make_btf(&func);

	if (!btf)
		return pol_err(e, -errno, "program '%s': cannot load its types: %s", PRT_XDP_JOINER,
			       strerror(errno));
	r = load_anchor(btf__fd(btf), func, &anchor, e);
	r = r ? r : load_joiner(btf__fd(btf), func, anchor, code, POL_ARRAY_LEN(code), fd, e);
	btf__free(btf);
	return r;
}

/* ---- TC ---------------------------------------------------------------------------------- */

#define LO_ONLY 5 /* instructions at the begin of load_tc's code */

static int load_tc(enum pol_hook hook, int active, int root, int drops, int *fd, struct pol_err *e)
{
	/*
	 * The host's own traffic goes by lo.  What is not for the proxy passes before anything of ours
	 * could fail, and other filters there see it.
	 */
	const size_t only_lo = hook == POL_HOOK_LO_IN ? 0 : LO_ONLY;
	const struct bpf_insn code[] = {
		LOAD(BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct __sk_buff, mark)),
		AND_IMM(BPF_REG_2, POL_MARK_MASK),
		JUMP_IF(BPF_REG_2, POL_MARK_PROXY, 2),
		MOV_IMM(BPF_REG_0, TC_ACT_UNSPEC),
		EXIT(),
		JUMP_INTO(active, root, POL_ROOT_SLOT((int)hook, 0)),
		COUNT_PACKET(drops, 4),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct pol_count, bytes)),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct __sk_buff, len)),
		ADD_REG(BPF_REG_1, BPF_REG_2),
		STORE(BPF_DW, BPF_REG_0, BPF_REG_1, offsetof(struct pol_count, bytes)),
		MOV_IMM(BPF_REG_0, TC_ACT_SHOT),
		EXIT(),
	};

	return load(names[hook], false, code + only_lo, POL_ARRAY_LEN(code) - only_lo, fd, e);
}

int prt_stub_load(enum pol_hook hook, int active, int root, int drops, int *fd, struct pol_err *e)
{
	return hook == POL_HOOK_XDP ? load_xdp(active, root, drops, fd, e)
				    : load_tc(hook, active, root, drops, fd, e);
}

int prt_stub_load_pass(int *fd, struct pol_err *e)
{
	static const struct bpf_insn code[] = { MOV_IMM(BPF_REG_0, XDP_PASS), EXIT() };

	return load(PRT_XDP_PASS, true, code, POL_ARRAY_LEN(code), fd, e);
}

int prt_stub_load_pass_tc(int *fd, struct pol_err *e)
{
	static const struct bpf_insn code[] = { MOV_IMM(BPF_REG_0, TC_ACT_OK), EXIT() };

	return load("pass", false, code, POL_ARRAY_LEN(code), fd, e);
}

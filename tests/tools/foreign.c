/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program of somebody else on an interface, for the tests of polload:
 *
 *	foreign DEVICE xdp|tcx-ingress|tcx-egress
 *
 * Says "there" once it is attached and takes it off when standard input ends.  It lets
 * everything pass.  Exit code 77: this kernel has no such place.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int cmd, union bpf_attr *a)
{
	return (int)syscall(SYS_bpf, cmd, a, sizeof(*a));
}

/* r0 = verdict; exit */
static int load(uint32_t type, uint32_t attach, int verdict)
{
	struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = verdict },
				   { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.prog_type = type;
	a.expected_attach_type = attach;
	a.insns = (uint64_t)(uintptr_t)code;
	a.insn_cnt = 2;
	a.license = (uint64_t)(uintptr_t) "GPL";
	memcpy(a.prog_name, "foreigner", 9);
	return bpf(BPF_PROG_LOAD, &a);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint32_t type, attach;
		int verdict;
	} places[] = {
		{ "xdp", BPF_PROG_TYPE_XDP, 37 /* BPF_XDP */, 2 /* XDP_PASS */ },
		{ "tcx-ingress", BPF_PROG_TYPE_SCHED_CLS, 46, -1 /* TCX_NEXT */ },
		{ "tcx-egress", BPF_PROG_TYPE_SCHED_CLS, 47, -1 },
	};
	union bpf_attr a;
	char c;

	for (unsigned i = 0; argc == 3 && i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(argv[2], places[i].name))
			continue;
		memset(&a, 0, sizeof(a));
		a.link_create.prog_fd =
			(uint32_t)load(places[i].type, places[i].attach, places[i].verdict);
		a.link_create.target_ifindex = if_nametoindex(argv[1]);
		a.link_create.attach_type = places[i].attach;
		if (bpf(BPF_LINK_CREATE, &a) < 0) {
			perror(argv[2]);
			return errno == EINVAL ? 77 : 1;
		}
		puts("there");
		fflush(stdout);
		while (read(0, &c, 1) > 0)
			;
		return 0;
	}
	return 2;
}

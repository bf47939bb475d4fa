/* SPDX-License-Identifier: GPL-2.0-only */
/* What cppcheck, which is not shown libbpf, reads instead of its macros. */
#ifndef POLC_TESTS_CPPCHECK_H
#define POLC_TESTS_CPPCHECK_H

#define _Noreturn __attribute__((noreturn))
#define LIBBPF_OPTS(type, name, ...) struct type name = { __VA_ARGS__ }
#define bpf_object__for_each_program(p, o)                                                         \
	for (p = NULL; (p = bpf_object__next_program(o, p));)
#define bpf_object__for_each_map(p, o) for (p = NULL; (p = bpf_object__next_map(o, p));)

#endif

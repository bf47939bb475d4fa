/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <stdio.h>

#include "runtime/input/admit.h"
#include "show.h"

struct shown_signature {
	const char *word; /* of the JSON */
	char key[256], text[600];
};

static void counts_text(const struct prt_object *o, const struct shown_signature *s,
			struct pol_buf *out)
{
	const struct prt_manifest *m = &o->manifest;

	pol_buf_printf(out, "policy      %s\n", prt_safe(m->policy.p));
	pol_buf_printf(out, "compiler    polc %s, abi %u\n", prt_safe(m->polc.p), m->abi);
	pol_buf_printf(out, "sources     sha256 %s\n", prt_safe(m->sources.p));
	pol_buf_printf(out, "signature   %s\n", s->text);
	pol_buf_printf(out, "default     %s%s\n", m->default_allow ? "allow" : "deny",
		       m->host_open ? ", host open" : "");
	pol_buf_printf(out, "classes     %u of addresses, %u of protocols and ports\n",
		       m->address_classes, m->l4_classes);
	pol_buf_printf(out, "tables      %u of %u pages, %u of %u verdicts, %u limits\n",
		       m->pages_used, o->max_pages, m->verdicts_used, o->max_verdicts, m->nlimits);
	pol_buf_printf(out, "selectors   %zu, in %zu predicates and %zu blocks\n", m->nselectors,
		       m->npreds, m->nblocks);
	pol_buf_printf(out, "endpoints  ");
	for (size_t i = 0; i < m->nclasses; i++)
		pol_buf_printf(out, " %s", prt_safe(m->class[i].name.p));
	pol_buf_addz(out, m->nclasses ? "\n" : " none\n");
}

static void rules_text(const struct prt_rules *rules, struct pol_buf *out)
{
	pol_buf_printf(out, "rules       %zu\n", rules->n);
	for (size_t i = 0; i < rules->n; i++) {
		const struct prt_rule *r = &rules->v[i];

		pol_buf_printf(out, "  %s:%u  %s: %s: %s%s\n", prt_safe(r->file.p), r->line,
			       prt_safe(r->policy.p), prt_safe(r->direction.p), prt_safe(r->text.p),
			       r->audit ? " (audit)" : "");
	}
}

static void member(struct pol_buf *out, const char *key, struct pol_str s)
{
	prt_show_key(out, false, key);
	pol_buf_json(out, s);
}

static void json(const struct prt_object *o, const struct shown_signature *s,
		 const struct prt_rules *rules, struct pol_buf *out)
{
	const struct prt_manifest *m = &o->manifest;

	pol_buf_addz(out, "{\"policy\": ");
	pol_buf_json(out, m->policy);
	member(out, "polc", m->polc);
	member(out, "sources", m->sources);
	member(out, "signature", pol_str(s->word));
	if (s->key[0])
		member(out, "signed_by", pol_str(s->key));
	pol_buf_printf(out, ", \"abi\": %u, \"default\": \"%s\", \"host_open\": %s", m->abi,
		       m->default_allow ? "allow" : "deny", m->host_open ? "true" : "false");
	pol_buf_printf(out, ", \"address_classes\": %u, \"l4_classes\": %u, \"pages\": [%u, %u]",
		       m->address_classes, m->l4_classes, m->pages_used, o->max_pages);
	pol_buf_printf(out, ", \"verdicts\": [%u, %u], \"limits\": %u, \"selectors\": %zu",
		       m->verdicts_used, o->max_verdicts, m->nlimits, m->nselectors);
	pol_buf_printf(out, ", \"predicates\": %zu, \"blocks\": %zu, \"endpoints\": [", m->npreds,
		       m->nblocks);
	for (size_t i = 0; i < m->nclasses; i++) {
		pol_buf_addz(out, i ? ", " : "");
		pol_buf_json(out, m->class[i].name);
	}
	pol_buf_addz(out, "],\n \"rules\": [");
	for (size_t i = 0; i < rules->n; i++) {
		const struct prt_rule *r = &rules->v[i];

		pol_buf_printf(out, "%s{\"rule\": %zu", i ? ",\n  " : "", i);
		member(out, "file", r->file);
		pol_buf_printf(out, ", \"line\": %u", r->line);
		member(out, "policy", r->policy);
		member(out, "direction", r->direction);
		member(out, "action", r->action);
		member(out, "text", r->text);
		pol_buf_printf(out, ", \"audit\": %s}", r->audit ? "true" : "false");
	}
	pol_buf_addz(out, "]}\n");
}

static void describe(const struct prt_looked *looked, struct shown_signature *s)
{
	const struct prt_signature *found = &looked->signature;

	if (looked->trouble.text[0]) {
		s->word = "unknown";
		snprintf(s->text, sizeof(s->text), "unknown: %s", prt_safe(looked->trouble.text));
		return;
	}
	switch (found->is) {
	case PRT_SIGNED_NOT:
		s->word = "none";
		snprintf(s->text, sizeof(s->text), "none%s",
			 found->nkeys ? ", but this host asks for one" : "");
		return;
	case PRT_SIGNED_UNKNOWN:
		s->word = "unchecked";
		snprintf(s->text, sizeof(s->text), "there, but no key here to check it with");
		return;
	case PRT_SIGNED_WRONG:
		s->word = "wrong";
		snprintf(s->text, sizeof(s->text),
			 "WRONG: by no key of this host, or of another object");
		return;
	case PRT_SIGNED_BY:
		s->word = "valid";
		snprintf(s->key, sizeof(s->key), "%s", found->key);
		snprintf(s->text, sizeof(s->text), "valid, by %s", prt_safe(found->key));
		return;
	}
}

int prt_show_inspect(const struct prt_env *env, const char *path, struct pol_buf *out,
		     struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct shown_signature signature = { 0 };
	struct prt_looked looked = { .env = env };
	struct prt_rules rules = { 0 };
	int r = prt_look_object(path, &looked, &o, e);

	r = r ? r : prt_rules_parse(o, &rules, e);
	if (!r)
		describe(&looked, &signature);
	if (!r && env->json) {
		json(o, &signature, &rules, out);
	} else if (!r) {
		counts_text(o, &signature, out);
		rules_text(&rules, out);
	}
	prt_rules_free(&rules);
	return r;
}

void prt_show_checked(const struct prt_env *env, const char *path, const struct prt_gen *g,
		      struct pol_buf *out)
{
	if (env->json)
		pol_buf_addz(out, "{\"accepted\": true, \"programs\": [");
	else
		pol_buf_printf(out, "%s: the kernel accepts it\n", prt_safe(path));
	for (size_t i = 0; i < PRT_PROG_MAX; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(g->prog[i], &info, &len))
			continue;
		pol_buf_printf(
			out,
			env->json
				? "%s{\"name\": \"%s\", \"verified\": %u, \"instructions\": %u, \"jited_bytes\": %u}"
				: "%s  %-14s %7u instructions verified, %5u loaded, %6u bytes of machine code\n",
			env->json && i ? ", " : "", prt_gen_program_name((enum prt_prog)i),
			info.verified_insns, info.xlated_prog_len / 8, info.jited_prog_len);
	}
	if (env->json)
		pol_buf_addz(out, "]}\n");
}

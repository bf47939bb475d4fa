/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "object.h"
#include "base/yaml.h"

enum { FILE_, LINE, POLICY, DIRECTION, ACTION, TEXT, NAME, IMPLICIT, TIER, AUDIT, KEYS };

static int read_rule(const struct pol_yaml_doc *doc, const struct pol_yaml *at,
		     struct prt_rule *rule)
{
	static const char *const key[] = { "file", "line", "policy",   "direction", "action",
					   "text", "name", "implicit", "tier",      "audit" };
	struct pol_str *const text[KEYS] = {
		[FILE_] = &rule->file,          [POLICY] = &rule->policy,
		[DIRECTION] = &rule->direction, [ACTION] = &rule->action,
		[TEXT] = &rule->text,           [NAME] = &rule->name,
		[IMPLICIT] = &rule->implicit,   [TIER] = &rule->tier,
	};
	const struct pol_yaml *v[KEYS];
	int ret = pol_yaml_map(doc, at, "a rule", key, KEYS, v);

	for (unsigned i = 0; !ret && i < KEYS; i++) {
		if (!v[i] && i <= TEXT)
			ret = pol_yaml_err(doc, at, "a rule needs `%s`", key[i]);
		else if (v[i] && text[i])
			ret = pol_yaml_text(doc, v[i], key[i], text[i]);
	}
	if (!ret)
		ret = pol_yaml_u32(doc, v[LINE], "line", 0, 0x7fffffff, &rule->line);
	if (!ret && v[AUDIT])
		ret = pol_yaml_bool(doc, v[AUDIT], "audit", &rule->audit);
	return ret;
}

static int read_rules(const struct pol_yaml_doc *doc, const struct prt_object *o,
		      const struct prt_rule **out)
{
	static const struct pol_yaml_limits limits = {
		.depth = 4, .nodes = 32u << 20, .scalar = 65536, .keys = 64
	};
	struct prt_rule *v;
	struct pol_yaml root;
	int ret = pol_yaml_parse(doc, o->rules_text, &limits, &root);

	if (!ret)
		ret = pol_yaml_list(doc, &root, "the rules");
	if (!ret && root.n != o->nrules)
		ret = pol_yaml_err(doc, &root, "%zu rules, but %u lines that begin one", root.n,
				   o->nrules);
	if (ret)
		return ret;
	v = pol_arena_alloc(doc->arena, root.n * sizeof(*v));
	for (size_t i = 0; !ret && i < root.n; i++)
		ret = read_rule(doc, &root.item[i], &v[i]);
	*out = v;
	return ret;
}

int prt_rules_parse(const struct prt_object *o, struct prt_rules *out, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct pol_str where = pol_arena_printf(arena, "%.*s: rules", POL_STR_ARG(o->path));
	struct pol_yaml_doc doc = { .path = where.p, .code = -ENOEXEC, .arena = arena, .err = e };
	const struct prt_rule *v = NULL;
	int ret = read_rules(&doc, o, &v);

	if (ret)
		pol_arena_free(arena);
	else
		*out = (struct prt_rules){ .arena = arena, .v = v, .n = o->nrules };
	return ret;
}

void prt_rules_free(struct prt_rules *r)
{
	pol_arena_free(r->arena);
	*r = (struct prt_rules){ 0 };
}

const struct prt_rule *prt_rules_get(const struct prt_rules *r, uint32_t rule)
{
	return rule < r->n ? &r->v[rule] : NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request is judged in each of its readings (polc/http.h), and in the last of those that an allow has to
 * hold in nothing is left to decode.  So an expression that wants `%40` would never allow, and
 * deny one spelling of two.  Which ones these are: the product of the automaton with one of
 * the texts that have nothing to decode is searched for an accepting state.
 */
#include "compiler/http/automaton.h"

/* Outside of an encoded byte; behind its `%`; behind its first digit, which is added. */
enum { OUTSIDE, SIGN, FIRST, PLACES = FIRST + 16 };

static int digit(unsigned byte)
{
	return byte >= '0' && byte <= '9'   ? (int)(byte - '0')
	       : byte >= 'A' && byte <= 'F' ? (int)(byte - 'A' + 10)
					    : -1;
}

/* Where the byte leads, or -1: no text of that reading goes on so. */
static int follow(int place, unsigned byte, enum pol_http_reading how)
{
	static const char digits[] = "0123456789ABCDEF";
	char out[3];

	if (place == OUTSIDE)
		return byte == '%' ? SIGN : byte > ' ' && byte < 0x7f ? OUTSIDE : -1;
	if (digit(byte) < 0)
		return -1;
	if (place == SIGN)
		return FIRST + digit(byte);
	const char sent[] = { '%', digits[place - FIRST], (char)byte };

	return pol_http_read((struct pol_str){ sent, 3 }, how, out).n == 3 ? OUTSIDE : -1;
}

struct search {
	const struct pol_dfa *d;
	bool *seen; /* by state and place */
	POL_VEC(uint32_t) left; /* of them, to go on from */
};

static void reach(struct search *s, uint32_t state, int place)
{
	uint32_t at = state * PLACES + (uint32_t)place;

	if (!state || s->seen[at])
		return;
	s->seen[at] = true;
	*pol_vec_push(&s->left) = at;
}

bool pol_dfa_accepts_read(const struct pol_dfa *d, enum pol_http_reading how)
{
	struct search s = { .d = d, .seen = calloc(d->states, PLACES * sizeof(*s.seen)) };
	bool found = false;

	if (!s.seen)
		pol_no_memory();
	reach(&s, d->start, OUTSIDE);
	while (s.left.n && !found) {
		uint32_t at = s.left.v[--s.left.n], state = at / PLACES;
		int place = (int)(at % PLACES);

		found = place == OUTSIDE && d->accept[state];
		for (unsigned byte = '!'; byte < 0x7f; byte++) {
			int to = follow(place, byte, how);

			if (to >= 0)
				reach(&s, d->next[(size_t)state * d->classes + d->class[byte]], to);
		}
	}
	pol_vec_free(&s.left);
	free(s.seen);
	return found;
}

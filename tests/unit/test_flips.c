/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A damaged object: one place after the other is changed.  Whatever reads objects refuses the result
 * or takes it for what it says (tests/fuzz/fuzz_object.c asks for that: verdicts are in range,
 * nothing is read past an end); it never crashes and never hangs.  What is signed is refused
 * whichever bit is not as it was.
 *
 * A small object is made, and every STEPth place of it tried.  POLC_FLIPS=all: every place;
 * POLC_FLIPS=FILE: every place of that object, as polc wrote it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/sign.h"
#include <polc/abi.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
extern unsigned long fuzz_object_accepted, fuzz_object_placed;

#define PATIENCE 60 /* seconds that reading one may take */
#define STEP 7
#define MADE_SIZE 20000u /* bytes of the object that the fuzzer makes, at least; it goes round */

static const uint8_t changes[] = { 0x01, 0x80, 0xff };

static const char *asked(void)
{
	const char *v = getenv("POLC_FLIPS");

	return v ? v : "";
}

static struct pol_str read_file(const char *path)
{
	struct pol_err e = { 0 };
	struct pol_str s;
	char *p;

	if (pol_read_file(path, 1u << 26, &p, &s.n, &e))
		fail_msg("%s", e.text);
	s.p = p;
	return s;
}

/* ---- one that is made: the fuzzer's input says what is added where ------------------------- */

/* The manifest of its corpus, with the version of now; two bytes 0x1e; room for an offset and what is added. */
static char *input_of(size_t *n)
{
	const char *top = getenv("top_srcdir"), *abi;
	char path[4096], *text;
	struct pol_str m;

	snprintf(path, sizeof(path), "%s/tests/fuzz/object-corpus/small", top ? top : "..");
	m = read_file(path);
	abi = strstr(m.p, "\nabi: ");
	assert_non_null(abi);
	text = malloc(m.n + 64);
	assert_non_null(text);
	*n = (size_t)sprintf(text, "%.*s\nabi: %u%s%c%c", (int)(abi - m.p), m.p,
			     (unsigned)POL_ABI_VERSION, strchr(abi + 1, '\n'), 0x1e, 0x1e);
	free((char *)m.p);
	return text;
}

static void test_made(void **state)
{
	uint32_t step = strcmp(asked(), "all") ? STEP : 1;
	unsigned long tried = 1;
	size_t n;
	char *input = input_of(&n);

	(void)state;
	LLVMFuzzerTestOneInput((const uint8_t *)input, n);
	assert_int_equal(fuzz_object_accepted, 1); /* as it is, it is good */
	assert_int_equal(fuzz_object_placed, 1);
	for (uint32_t at = 0; at < MADE_SIZE; at += step)
		for (size_t i = 0; i < sizeof(changes); i++, tried++) {
			const uint16_t add = changes[i];

			memcpy(input + n, &at, sizeof(at));
			memcpy(input + n + sizeof(at), &add, sizeof(add));
			alarm(PATIENCE);
			LLVMFuzzerTestOneInput((const uint8_t *)input,
					       n + sizeof(at) + sizeof(add));
		}
	alarm(0);
	free(input);
	print_message("%lu tried, %lu refused, %lu placed\n", tried, tried - fuzz_object_accepted,
		      fuzz_object_placed);
	assert_true(fuzz_object_accepted < tried);
}

/* ---- one that polc wrote ------------------------------------------------------------------------ */

static void test_written(void **state)
{
	struct pol_str o;
	uint8_t *p;

	(void)state;
	if (!asked()[0] || !strcmp(asked(), "all"))
		return;
	o = read_file(asked());
	p = (uint8_t *)o.p;
	for (size_t at = 0; at < o.n; at++)
		for (size_t i = 0; i < sizeof(changes); i++) {
			p[at] ^= changes[i];
			alarm(PATIENCE);
			LLVMFuzzerTestOneInput(p, o.n);
			p[at] ^= changes[i];
		}
	alarm(0);
	free(p);
}

/* ---- signed -------------------------------------------------------------------------------------- */

static void flip_all(uint8_t *p, size_t n, const struct pol_public_key *key, const uint8_t *message,
		     size_t size, const uint8_t *signature)
{
	for (size_t bit = 0; bit < 8 * n; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (pol_sign_verify(key, message, size, signature))
			fail_msg("bit %zu is not as it was, and the signature holds", bit);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_signed(void **state)
{
	uint8_t message[300], signature[POL_SIGN_BYTES];
	struct pol_public_key key;
	struct pol_secret_key secret;

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7);
	assert_true(sodium_init() >= 0);
	assert_int_equal(crypto_sign_keypair(key.bytes, secret.bytes), 0);
	pol_sign(&secret, message, sizeof(message), signature);
	assert_true(pol_sign_verify(&key, message, sizeof(message), signature));
	flip_all(message, sizeof(message), &key, message, sizeof(message), signature);
	flip_all(signature, sizeof(signature), &key, message, sizeof(message), signature);
	flip_all(key.bytes, sizeof(key.bytes), &key, message, sizeof(message), signature);
	assert_true(pol_sign_verify(&key, message, sizeof(message), signature));
	assert_false(pol_sign_verify(&key, message, sizeof(message) - 1, signature));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

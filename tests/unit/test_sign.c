/* SPDX-License-Identifier: GPL-2.0-only */
/* Keys as text, signatures as RFC 8032 has them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sign.h"

/* The second test of RFC 8032, 7.1; as openssl prints its keys. */
#define PUBLIC "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
#define SECRET "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7"
static const uint8_t message[] = { 0x72 };
static const uint8_t signature[POL_SIGN_BYTES] = {
	0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
	0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
	0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
	0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
	0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
};

static void takes(const char *text)
{
	struct pol_public_key key;
	struct pol_err e = { 0 };

	if (pol_public_key_parse("k.pub", pol_str(text), &key, &e))
		fail_msg("%s", e.text);
	assert_true(pol_sign_verify(&key, message, sizeof(message), signature));
}

static void refuses(const char *text, const char *help)
{
	struct pol_public_key key;
	struct pol_err e = { 0 };

	assert_int_equal(pol_public_key_parse("k.pub", pol_str(text), &key, &e), -EINVAL);
	if (!strstr(e.help, help))
		fail_msg("`%s` is not in: %s", help, e.help);
}

static void test_public(void **state)
{
	(void)state;
	takes(PUBLIC);
	takes(PUBLIC "\n");
	takes("# of the operators\n\n" PUBLIC " \t\r\n\r\n# end");
	takes("-----BEGIN PUBLIC KEY-----\n" PUBLIC "\n-----END PUBLIC KEY-----\n");
	refuses("", "keygen");
	refuses("# " PUBLIC, "keygen");
	refuses(PUBLIC "\n" PUBLIC, "keygen");
	refuses(" " PUBLIC, "keygen");
	refuses(PUBLIC "=", "keygen");
	refuses("MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zg==", "keygen");
	refuses("MCowBQYDK2VuAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
		"keygen"); /* X25519 */
	refuses(SECRET, "take it away");
}

static void test_verify(void **state)
{
	struct pol_public_key key;
	uint8_t wrong[POL_SIGN_BYTES];

	(void)state;
	assert_int_equal(pol_public_key_parse("k", POL_STR(PUBLIC), &key, NULL), 0);
	for (size_t i = 0; i < POL_SIGN_BYTES; i++) {
		memcpy(wrong, signature, sizeof(wrong));
		wrong[i] ^= 1;
		assert_false(pol_sign_verify(&key, message, sizeof(message), wrong));
	}
	assert_false(pol_sign_verify(&key, "s", 1, signature));
	assert_false(pol_sign_verify(&key, message, 0, signature));
	key.bytes[3] ^= 4;
	assert_false(pol_sign_verify(&key, message, sizeof(message), signature));
	memset(&key, 0, sizeof(key)); /* of small order: it would verify anything */
	memset(wrong, 0, sizeof(wrong));
	assert_false(pol_sign_verify(&key, message, sizeof(message), wrong));
}

static void test_secret(void **state)
{
	char path[] = "/tmp/polc-sign-XXXXXX";
	struct pol_secret_key key, zero = { { 0 } };
	uint8_t made[POL_SIGN_BYTES];
	struct pol_err e = { 0 };

	(void)state;
	close(mkstemp(path));
	assert_int_equal(pol_write_file(path, SECRET, sizeof(SECRET) - 1, NULL), 0);
	assert_int_equal(pol_secret_key_read(path, &key, &e), -EPERM);
	assert_memory_equal(&key, &zero, sizeof(key));
	assert_int_equal(chmod(path, 0400), 0);
	e = (struct pol_err){ 0 };
	assert_int_equal(pol_secret_key_read(path, &key, &e), 0);
	pol_sign(&key, message, sizeof(message), made);
	assert_memory_equal(made, signature, sizeof(made));
	pol_secret_key_wipe(&key);
	assert_memory_equal(&key, &zero, sizeof(key));
	assert_int_equal(pol_write_file(path, PUBLIC, sizeof(PUBLIC) - 1, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(pol_secret_key_read(path, &key, &e), -EINVAL);
	assert_non_null(strstr(e.help, "public key"));
	unlink(path);
}

static void test_keygen(void **state)
{
	char dir[] = "/tmp/polc-keygen-XXXXXX", path[64], public_path[80], *text = NULL;
	struct pol_secret_key secret;
	struct pol_public_key key;
	uint8_t made[POL_SIGN_BYTES];
	struct pol_err e = { 0 };
	struct stat st;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/k", dir);
	snprintf(public_path, sizeof(public_path), "%s.pub", path);
	umask(0);
	assert_int_equal(pol_keygen(path, &e), 0);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(pol_keygen(path, &e), -EEXIST);
	assert_int_equal(pol_secret_key_read(path, &secret, NULL), 0);
	pol_sign(&secret, "abc", 3, made);
	pol_secret_key_wipe(&secret);
	assert_int_equal(pol_read_file(public_path, 1000, &text, &n, NULL), 0);
	assert_int_equal(pol_public_key_parse(public_path, (struct pol_str){ text, n }, &key, NULL),
			 0);
	assert_true(pol_sign_verify(&key, "abc", 3, made));
	free(text);
	/* A secret key that is in the way stays, and no public one appears beside it. */
	unlink(public_path);
	e = (struct pol_err){ 0 };
	assert_int_equal(pol_keygen(path, &e), -EEXIST);
	assert_int_equal(access(public_path, F_OK), -1);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_keygen),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}

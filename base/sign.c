/* SPDX-License-Identifier: GPL-2.0-only */
#include "sign.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What RFC 8410 puts before the 32 bytes of a key. */
static const uint8_t public_head[12] = {
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
};
static const uint8_t secret_head[16] = {
	0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
	0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
};

#define KEY 32u
#define DER_MAX (sizeof(secret_head) + KEY)
#define TEXT_MAX 512u

_Static_assert(POL_SIGN_BYTES == crypto_sign_BYTES, "a signature is what libsodium says");
_Static_assert(sizeof(((struct pol_secret_key *)0)->bytes) == crypto_sign_SECRETKEYBYTES,
	       "keys too");

/* Random numbers are needed for keygen alone; the rest of libsodium too wants to choose its code. */
static int start(struct pol_err *e)
{
	return sodium_init() < 0 ? pol_err(e, -ENOSYS, "libsodium does not start") : 0;
}

/* ---- key files -------------------------------------------------------------- */

static struct pol_str next_line(struct pol_str *rest)
{
	const char *end = memchr(rest->p, '\n', rest->n);
	struct pol_str line = { rest->p, end ? (size_t)(end - rest->p) : rest->n };

	rest->p += line.n + (end != NULL);
	rest->n -= line.n + (end != NULL);
	while (line.n && strchr(" \t\r", line.p[line.n - 1]))
		line.n--;
	return line;
}

/* The one line that counts; false: there is none, or two. */
static bool key_line(struct pol_str text, struct pol_str *out)
{
	*out = (struct pol_str){ 0 };
	while (text.n) {
		struct pol_str line = next_line(&text);

		if (!line.n || line.p[0] == '#' || (line.n >= 5 && !memcmp(line.p, "-----", 5)))
			continue;
		if (out->n)
			return false;
		*out = line;
	}
	return out->n;
}

static bool starts(const uint8_t *der, size_t n, const uint8_t *head, size_t head_n)
{
	return n == head_n + KEY && memcmp(der, head, head_n) == 0;
}

/* out: 32 bytes, the public key or the seed of a secret one. */
static int parse(const char *path, struct pol_str text, bool secret, uint8_t out[KEY],
		 struct pol_err *e)
{
	uint8_t der[DER_MAX];
	struct pol_str line;
	bool is_public, is_secret;
	size_t n = 0;

	if (!key_line(text, &line) || sodium_base642bin(der, sizeof(der), line.p, line.n, NULL, &n,
							NULL, sodium_base64_VARIANT_ORIGINAL))
		n = 0;
	is_public = starts(der, n, public_head, sizeof(public_head));
	is_secret = starts(der, n, secret_head, sizeof(secret_head));
	if (secret ? is_secret : is_public)
		memcpy(out, der + (secret ? sizeof(secret_head) : sizeof(public_head)), KEY);
	sodium_memzero(der, sizeof(der));
	if (secret ? is_secret : is_public)
		return 0;
	if (is_secret)
		pol_err_help(
			e,
			"it is the secret key: take it away from here, the public one stands in the .pub beside it");
	else if (is_public)
		pol_err_help(e, "it is the public key; the secret one is the file without .pub");
	else
		pol_err_help(
			e,
			"`polc keygen` makes keys, and so does `openssl genpkey -algorithm ed25519`");
	return pol_err(e, -EINVAL, "%s: not a %s Ed25519 key", path, secret ? "secret" : "public");
}

int pol_public_key_parse(const char *path, struct pol_str text, struct pol_public_key *out,
			 struct pol_err *e)
{
	int r = start(e);

	return r ? r : parse(path, text, false, out->bytes, e);
}

/* Not pol_read_file: it leaves copies in memory that grew. */
static int read_secret(const char *path, char text[POL_KEY_FILE_MAX], size_t *n, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st))
		return pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && st.st_mode & 077) {
		pol_err_help(e, "chmod 600 %s; if others may have read it, make another key", path);
		return pol_err(e, -EPERM, "%s: a secret key that others may use (mode %04o)", path,
			       (unsigned)(st.st_mode & 07777));
	}
	for (*n = 0; *n < POL_KEY_FILE_MAX; *n += (size_t)got) {
		got = read(fd, text + *n, POL_KEY_FILE_MAX - *n);
		if (got < 0 && errno != EINTR)
			return pol_err(e, -errno, "%s: cannot read: %s", path, strerror(errno));
		if (!got)
			return 0;
		if (got < 0)
			got = 0;
	}
	return pol_err(e, -EINVAL, "%s: too large for a key", path);
}

int pol_secret_key_read(const char *path, struct pol_secret_key *out, struct pol_err *e)
{
	char text[POL_KEY_FILE_MAX];
	uint8_t seed[KEY], public_key[KEY];
	size_t n = 0;
	int r = start(e);

	if (r)
		return r;
	/* Not to swap; where that is not allowed (RLIMIT_MEMLOCK), so be it. */
	sodium_mlock(out, sizeof(*out));
	r = read_secret(path, text, &n, e);
	r = r ? r : parse(path, (struct pol_str){ text, n }, true, seed, e);
	if (!r)
		crypto_sign_seed_keypair(public_key, out->bytes, seed);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(seed, sizeof(seed));
	if (r)
		pol_secret_key_wipe(out);
	return r;
}

void pol_secret_key_wipe(struct pol_secret_key *key)
{
	sodium_memzero(key, sizeof(*key)); /* also where munlock does not */
	sodium_munlock(key, sizeof(*key));
}

/* ---- signatures -------------------------------------------------------------- */

void pol_sign(const struct pol_secret_key *key, const void *data, size_t n,
	      uint8_t signature[POL_SIGN_BYTES])
{
	crypto_sign_detached(signature, NULL, data, n, key->bytes);
}

bool pol_sign_verify(const struct pol_public_key *key, const void *data, size_t n,
		     const uint8_t signature[POL_SIGN_BYTES])
{
	return !start(NULL) && !crypto_sign_verify_detached(signature, data, n, key->bytes);
}

/* ---- a new pair ----------------------------------------------------------------- */

static void write_pem(char text[TEXT_MAX], const char *comment, const char *label,
		      const uint8_t *head, size_t head_n, const uint8_t key[KEY])
{
	char line[sodium_base64_ENCODED_LEN(DER_MAX, sodium_base64_VARIANT_ORIGINAL)];
	uint8_t der[DER_MAX];

	memcpy(der, head, head_n);
	memcpy(der + head_n, key, KEY);
	sodium_bin2base64(line, sizeof(line), der, head_n + KEY, sodium_base64_VARIANT_ORIGINAL);
	snprintf(text, TEXT_MAX, "# %s\n-----BEGIN %s-----\n%s\n-----END %s-----\n", comment, label,
		 line, label);
	sodium_memzero(der, sizeof(der));
	sodium_memzero(line, sizeof(line));
}

/* Never over a file that is there: a lost secret key does not come back. */
static int write_new(const char *path, mode_t mode, const char *text, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	size_t n = strlen(text);

	if (fd < 0 && errno == EEXIST)
		pol_err_help(e, "take another name, or remove it if nothing was signed with it");
	if (fd < 0)
		return pol_err(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	if (fchmod(fd, mode) || write(fd, text, n) != (ssize_t)n || fsync(fd)) {
		int r = errno ? -errno : -EIO;

		unlink(path);
		return pol_err(e, r, "%s: cannot write: %s", path, strerror(-r));
	}
	return 0;
}

int pol_keygen(const char *path, struct pol_err *e)
{
	char *public_path POL_CLEANUP(pol_cleanup_free) = NULL;
	char secret[TEXT_MAX], open_text[TEXT_MAX];
	uint8_t seed[KEY], public_key[KEY];
	struct pol_secret_key key;
	int r = start(e);

	if (r)
		return r;
	if (asprintf(&public_path, "%s.pub", path) < 0)
		pol_no_memory();
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(public_key, key.bytes, seed);
	write_pem(open_text, "polc: public key; /etc/polc/trust.d/ANYTHING.pub trusts it",
		  "PUBLIC KEY", public_head, sizeof(public_head), public_key);
	write_pem(secret, "polc: SECRET key; `polc sign --key` signs objects with it",
		  "PRIVATE KEY", secret_head, sizeof(secret_head), seed);
	r = write_new(public_path, 0644, open_text, e);
	if (!r) {
		r = write_new(path, 0600, secret, e);
		if (r)
			unlink(public_path);
	}
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(&key, sizeof(key));
	return r;
}

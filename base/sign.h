/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Detached Ed25519 signatures (RFC 8032) over whole files, and the files of their keys.
 *
 * A signature file is the 64 bytes alone.  A key file is text: lines that are empty
 * or begin with "#" or "-----" mean nothing; one line is left, the base64 of the
 * key as RFC 8410 writes it.  So PEM files of openssl are key files, and what is
 * written here is PEM:
 *
 *	openssl genpkey -algorithm ed25519 -out ops.key
 *	openssl pkey -in ops.key -pubout -out ops.key.pub
 *	openssl pkeyutl -sign -rawin -inkey ops.key -in OBJ -out OBJ.sig
 *	openssl pkeyutl -verify -rawin -pubin -inkey ops.key.pub -in OBJ -sigfile OBJ.sig
 */
#ifndef POLC_SIGN_H
#define POLC_SIGN_H

#include "base.h"

#define POL_SIGN_BYTES 64
#define POL_SIGN_SUFFIX ".sig"
#define POL_KEY_FILE_MAX 4096u

struct pol_public_key { uint8_t bytes[32]; };
struct pol_secret_key { uint8_t bytes[64]; };	/* seed and public key, as libsodium has it */

/* -EINVAL: not one key, or a secret one (and e->help says so). */
int pol_public_key_parse(const char *path, struct pol_str text, struct pol_public_key *out,
			 struct pol_err *e);
bool pol_sign_verify(const struct pol_public_key *key, const void *data, size_t n,
		     const uint8_t signature[POL_SIGN_BYTES]);

/*
 * -EPERM: others may read the file.  Nothing of the secret is left anywhere
 * but in *out, which stays locked in memory until it is wiped.
 */
int pol_secret_key_read(const char *path, struct pol_secret_key *out, struct pol_err *e);
void pol_secret_key_wipe(struct pol_secret_key *key);
void pol_sign(const struct pol_secret_key *key, const void *data, size_t n,
	      uint8_t signature[POL_SIGN_BYTES]);

/* A new pair: the secret in `path` (0600), the public one in `path`.pub.  -EEXIST: one of them is there. */
int pol_keygen(const char *path, struct pol_err *e);

#endif

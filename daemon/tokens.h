/* Tokens: who may come over the network, from a file of hashed secrets, a line each:
 *
 *     NAME ROLE EXPIRES HASH        ci user 2027-01-31 sha256:9f86d0818…
 *
 * A token is a secret of at least 32 characters that were drawn at random, 256 bits of them when `fut daemon token` drew it. So its plain
 * SHA-256 gives nothing away to who reads the file: there is nothing to guess. A slow hash would protect weak secrets, which there are
 * none of, and would let strangers have us compute it. */
#ifndef FUTURED_DAEMON_TOKENS_H
#define FUTURED_DAEMON_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/owner.h"

enum { TOKEN_HASH = 32, TOKEN_NAME_MAX = 64, TOKEN_LENGTH_MIN = 32 };

struct token {
	char name[TOKEN_NAME_MAX + 1]; /* several tokens may share one, and then its role too: the old and the new, while one replaces the other */
	enum role role;
	int64_t expires; /* seconds since the epoch; INT64_MAX: never */
	uint8_t hash[TOKEN_HASH];
};

/* Reads a file, to be used from tokens_commit on; `file` NULL: there are none. False, with a sentence with file and line. */
bool tokens_prepare(const char *file, char *why, size_t size);
void tokens_commit(void);
/* Forgets what was prepared. */
void tokens_discard(void);
/* The token that this secret is, expired or not; NULL if it is none. It takes as long for any secret of that length. Borrowed until
 * the next commit. */
const struct token *tokens_find(const char *secret, size_t len);
const struct token *tokens_find_hash(const uint8_t hash[TOKEN_HASH]);
bool token_is_expired(const struct token *t);
size_t tokens_count(void);

#endif

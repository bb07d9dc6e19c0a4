/* The secret is 256 random bits and goes to stdout, once; the daemon is given its SHA-256, which only a guess of the whole secret would give.
 * It never stands in an argument, where every user of the machine can read it. */
#include "client/fut/token.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/fut/args.h"

enum { SECRET_BYTES = 32, SECRET_TEXT = 4 + 43 + 1, HASH_BYTES = 32, LINE_SIZE = 256 };

static bool
is_name(const char *s)
{
	size_t len = strlen(s);

	return len >= 1 && len <= 64 && *s != '-' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-") == len;
}

static bool
is_date(const char *s)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%Y-%m-%d", &tm);

	if (end != NULL && *end == 'T')
		end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return end != NULL && *end == '\0';
}

/* As the file wants it. */
static bool
read_expiry(struct fut *f, const char *text, char *out, size_t size)
{
	double seconds;
	struct tm tm;
	time_t at;

	if (strcmp(text, "never") == 0 || is_date(text)) {
		snprintf(out, size, "%s", text);
		return true;
	}
	if (!args_duration(f, "--expires", text, &seconds))
		return false;
	at = time(NULL) + (time_t)seconds;
	gmtime_r(&at, &tm);
	strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return true;
}

/* base64url without padding, behind a mark by which such secrets are found where they should not be. */
static bool
draw(char out[SECRET_TEXT])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[SECRET_BYTES + 1] = { 0 };
	size_t n = 4;

	if (getrandom(bytes, SECRET_BYTES, 0) != SECRET_BYTES)
		return false;
	memcpy(out, "fut_", 4);
	for (size_t bit = 0; bit < SECRET_BYTES * 8; bit += 6) {
		unsigned two = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
		out[n++] = digits[two >> (10 - bit % 8) & 63];
	}
	out[n] = '\0';
	explicit_bzero(bytes, sizeof bytes);
	return true;
}

/* OpenSSL is loaded for this alone: fut is started too often to be linked with it. */
static bool
hash(const char *secret, char out[2 * HASH_BYTES + 1])
{
	void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
	void *digest_symbol = library != NULL ? dlsym(library, "EVP_Digest") : NULL;
	void *sha_symbol = library != NULL ? dlsym(library, "EVP_sha256") : NULL;
	__typeof__(&EVP_Digest) digest;
	__typeof__(&EVP_sha256) sha;
	unsigned char bytes[HASH_BYTES];

	memcpy(&digest, &digest_symbol, sizeof digest);
	memcpy(&sha, &sha_symbol, sizeof sha);
	if (digest == NULL || sha == NULL || digest(secret, strlen(secret), bytes, NULL, sha(), NULL) != 1)
		return false;
	for (int i = 0; i < HASH_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

/* One line behind what is there; a new file is its owner's alone. */
static bool
append(struct fut *f, const char *path, const char *line)
{
	char text[LINE_SIZE + 2];
	struct stat st;
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	bool good = false;

	if (fd < 0) {
		fut_say(f, "%s: %s", path, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		char last = '\n';
		bool torn = st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
		int n = snprintf(text, sizeof text, "%s%s\n", torn ? "\n" : "", line);
		good = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
	}
	if (!good)
		fut_say(f, "%s: the line could not be written", path);
	close(fd);
	return good;
}

int
token_make(struct fut *f, const struct token_wish *w)
{
	char secret[SECRET_TEXT], digest[2 * HASH_BYTES + 1], expires[32], line[LINE_SIZE];

	if (!is_name(w->name))
		return args_wrong(f, "token: expected a name of 1 to 64 characters A-Z a-z 0-9 _ . @ -, got '%s'", w->name);
	if (strcmp(w->role, "admin") != 0 && strcmp(w->role, "user") != 0 && strcmp(w->role, "read-only") != 0)
		return args_wrong(f, "--role: expected admin, user or read-only, got '%s'", w->role);
	if (!read_expiry(f, w->expires, expires, sizeof expires))
		return EXIT_USAGE;
	if (!draw(secret) || !hash(secret, digest)) {
		fut_say(f, "token: there are no random numbers, or no OpenSSL (libcrypto.so.3)");
		return EXIT_FAILED;
	}
	snprintf(line, sizeof line, "%s %s %s sha256:%s", w->name, w->role, expires, digest);
	if (w->file != NULL && !append(f, w->file, line))
		return EXIT_FAILED;
	if (f->json)
		printf("{\"token\": \"%s\", \"line\": \"%s\"}\n", secret, line);
	else
		printf("%s\n", secret);
	explicit_bzero(secret, sizeof secret);
	if (w->file == NULL && !f->json)
		fprintf(stderr, "%s\n", line);
	else if (w->file != NULL)
		fut_note(f, "the line is in %s; the daemon reads it when it reloads", w->file);
	return EXIT_OK;
}

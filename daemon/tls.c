/* A session over the socket itself (no memory in between): SSL_read and SSL_write stand where a stream has recv and send. Buffers
 * are given back between records, so an idle connection holds little; there is no resumption, so there are no tickets and no cache. */
#include "daemon/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/keyfile.h"

enum { RECORD = 16 * 1024, NAME_MAX_LEN = 64 };

struct tls {
	SSL *ssl;
	bool shaken; /* the handshake is done */
	bool wants_write;
	char why[160];
};

/* ---- contexts ---- */

/* The newest error of the library, in words; what is older is of no interest. */
static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	return text ? text : "unknown error";
}

/* Nobody is asked for a passphrase: there is no terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *
open_pem(const char *file, bool secret, struct buf *b, char *why, size_t size)
{
	BIO *bio;

	if (!keyfile_read(file, secret, b, why, size))
		return NULL;
	if (!(bio = BIO_new_mem_buf(b->data, (int)b->len)))
		snprintf(why, size, "out of memory");
	return bio;
}

/* The certificate, and behind it those that lead to the root. */
static bool
use_certificate(SSL_CTX *ctx, const char *file, char *why, size_t size)
{
	struct buf b;
	BIO *bio = open_pem(file, false, &b, why, size);
	X509 *cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL) : NULL;
	bool good = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	if (bio && !good)
		snprintf(why, size, "%.300s: expected a certificate in PEM, got none: %s", file, reason());
	while (good && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			snprintf(why, size, "%.300s: a certificate of the chain is not taken: %s", file, reason());
			good = false;
		}
	}
	ERR_clear_error();
	BIO_free(bio);
	buf_clear(&b);
	return good;
}

static bool
use_key(SSL_CTX *ctx, const char *file, const char *cert, char *why, size_t size)
{
	struct buf b;
	BIO *bio = open_pem(file, true, &b, why, size);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	bool good = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	if (bio && !key)
		snprintf(why, size, "%.300s: expected a private key in PEM without a passphrase, got none: %s", file, reason());
	else if (key && !good)
		snprintf(why, size, "%.300s: is not the key of %.200s: %s", file, cert, reason());
	EVP_PKEY_free(key);
	BIO_free(bio);
	keyfile_clear(&b);
	return good;
}

/* Who signs clients' certificates, with the lists of those that were revoked, if there are any. */
static bool
use_client_ca(SSL_CTX *ctx, const char *file, char *why, size_t size)
{
	struct buf b;
	BIO *bio = open_pem(file, false, &b, why, size);
	STACK_OF(X509_INFO) *all = bio ? PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, NULL) : NULL;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	unsigned certificates = 0, lists = 0;

	for (int i = 0; all && i < sk_X509_INFO_num(all); i++) {
		const X509_INFO *info = sk_X509_INFO_value(all, i);
		if (info->x509 && X509_STORE_add_cert(store, info->x509) == 1 && SSL_CTX_add_client_CA(ctx, info->x509) == 1)
			certificates++;
		if (info->crl && X509_STORE_add_crl(store, info->crl) == 1)
			lists++;
	}
	if (bio && !certificates)
		snprintf(why, size, "%.300s: expected certificates in PEM, got none: %s", file, reason());
	if (lists)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bio);
	buf_clear(&b);
	ERR_clear_error();
	return certificates > 0;
}

struct ssl_ctx_st *
tls_context_new(const struct config_listen *l, char *why, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx) {
		snprintf(why, size, "TLS: %s", reason());
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, strcmp(l->min_version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20"); /* for 1.2: those with forward secrecy and authenticated encryption */
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (use_certificate(ctx, l->cert, why, size) && use_key(ctx, l->key, l->cert, why, size) &&
	    (!l->client_ca || use_client_ca(ctx, l->client_ca, why, size)))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

void
tls_context_drop(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

/* ---- sessions ---- */

struct tls *
tls_new(struct ssl_ctx_st *context, int fd)
{
	struct tls *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	if (!(t->ssl = SSL_new(context)) || SSL_set_fd(t->ssl, fd) != 1) {
		SSL_free(t->ssl);
		free(t);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(t->ssl);
	return t;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	if (t->shaken)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t);
}

enum tls_step
tls_handshake(struct tls *t)
{
	ERR_clear_error();
	int n = SSL_do_handshake(t->ssl);

	if (n == 1) {
		t->shaken = true;
		return TLS_DONE;
	}
	switch (SSL_get_error(t->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return TLS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WRITE;
	case SSL_ERROR_SSL: {
		long verdict = SSL_get_verify_result(t->ssl);
		snprintf(t->why, sizeof t->why, "%s%s%s", reason(), verdict == X509_V_OK ? "" : ": ",
		    verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict));
		return TLS_FAILED;
	}
	default:
		snprintf(t->why, sizeof t->why, "the connection ended");
		return TLS_FAILED;
	}
}

const char *
tls_why(const struct tls *t)
{
	return t->why;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

/* What recv or send would have said. */
static ssize_t
verdict(struct tls *t, int n)
{
	switch (SSL_get_error(t->ssl, n)) {
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		t->shaken = false; /* after such an error nothing more is said, a goodbye neither */
		errno = EPIPE;
		return -1;
	}
}

ssize_t
tls_read(struct tls *t, void *into, size_t room)
{
	size_t total = 0;
	int n;

	t->wants_write = false;
	do {
		ERR_clear_error();
		n = SSL_read(t->ssl, (char *)into + total, RECORD);
		if (n > 0)
			total += (size_t)n;
	} while (n > 0 && room - total >= RECORD);
	if (n > 0 || total) /* an error or the end is met again by the next call */
		return (ssize_t)total;
	return verdict(t, n);
}

ssize_t
tls_write(struct tls *t, const void *bytes, size_t len)
{
	ERR_clear_error();
	int n = SSL_write(t->ssl, bytes, len > RECORD ? RECORD : (int)len);
	if (n > 0)
		return n;
	ssize_t said = verdict(t, n);
	if (said == 0) { /* it will read no more */
		errno = EPIPE;
		return -1;
	}
	return said;
}

/* ---- who it is ---- */

bool
tls_peer_name(const struct tls *t, char *out, size_t size)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	X509_NAME *subject = cert && SSL_get_verify_result(t->ssl) == X509_V_OK ? X509_get_subject_name(cert) : NULL;
	int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1, len;
	unsigned char *text = NULL;
	bool good = false;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) /* two names are none */
		return false;
	len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len >= 1 && len <= NAME_MAX_LEN && (size_t)len < size && strlen((char *)text) == (size_t)len && *text != ' ' &&
	    strspn((char *)text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@- ") == (size_t)len) {
		memcpy(out, text, (size_t)len + 1);
		good = true;
	}
	OPENSSL_free(text);
	ERR_clear_error();
	return good;
}

bool
tls_peer_is_good(const struct tls *t, struct ssl_ctx_st *context)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	X509_STORE_CTX *ctx = cert ? X509_STORE_CTX_new() : NULL;
	bool good = ctx && X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(context), cert, SSL_get_peer_cert_chain(t->ssl)) == 1 &&
	    X509_STORE_CTX_set_default(ctx, "ssl_client") == 1 && X509_verify_cert(ctx) == 1;

	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

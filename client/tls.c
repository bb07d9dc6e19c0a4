/* Most connections are to Unix sockets, and programs such as fut are started for every single task: loading OpenSSL costs more than all
 * else that they load. So it is not linked but opened when it is needed; its headers give the types.
 *
 * Bytes pass through a BIO of our own, since OpenSSL's would raise SIGPIPE in a program that is not ours. */
#include "client/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client/blocking.h"

enum { RECORD = 16 * 1024 };

/* ---- the library ---- */

#define FUNCTIONS(X) \
	X(TLS_client_method) X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) X(SSL_CTX_set_options) X(SSL_CTX_set_verify) \
	X(SSL_CTX_set_default_verify_paths) X(SSL_CTX_load_verify_file) X(SSL_CTX_use_certificate_chain_file) X(SSL_CTX_use_PrivateKey_file) \
	X(SSL_CTX_check_private_key) X(SSL_CTX_set_default_passwd_cb) X(SSL_new) X(SSL_free) X(SSL_ctrl) X(SSL_set_bio) X(SSL_set1_host) \
	X(SSL_get0_param) X(SSL_set_connect_state) X(SSL_do_handshake) X(SSL_get_error) X(SSL_get_verify_result) X(SSL_read) X(SSL_write) \
	X(SSL_shutdown) X(X509_VERIFY_PARAM_set1_ip_asc) X(X509_verify_cert_error_string) X(ERR_peek_last_error) X(ERR_clear_error) \
	X(ERR_reason_error_string) X(BIO_meth_new) X(BIO_meth_set_write) X(BIO_meth_set_read) X(BIO_meth_set_ctrl) X(BIO_meth_set_create) \
	X(BIO_new) X(BIO_set_data) X(BIO_get_data) X(BIO_set_init) X(BIO_set_flags) X(BIO_clear_flags)

static struct {
#define X(name) __typeof__(&name) name;
	FUNCTIONS(X)
#undef X
} o;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;
static char missing[200];
static BIO_METHOD *method;

/* POSIX gives functions and objects the same pointers; C does not. */
static bool
find(void *library, const char *name, void *at)
{
	void *symbol = dlsym(library, name);

	if (symbol == NULL)
		snprintf(missing, sizeof missing, "libssl.so.3 has no %s", name);
	memcpy(at, &symbol, sizeof symbol);
	return symbol != NULL;
}

static int
on_write(BIO *b, const char *bytes, int len)
{
	int fd = (int)(intptr_t)o.BIO_get_data(b);
	ssize_t n = send(fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);

	o.BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		o.BIO_set_flags(b, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static int
on_read(BIO *b, char *into, int room)
{
	int fd = (int)(intptr_t)o.BIO_get_data(b);
	ssize_t n = recv(fd, into, (size_t)room, MSG_DONTWAIT);

	o.BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		o.BIO_set_flags(b, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static long
on_ctrl(BIO *b, int what, long number, void *pointer)
{
	(void)b, (void)number, (void)pointer;
	return what == BIO_CTRL_FLUSH || what == BIO_CTRL_DUP;
}

static int
on_create(BIO *b)
{
	o.BIO_set_init(b, 1);
	return 1;
}

static void
load(void)
{
	void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL) {
		const char *why = dlerror();
		snprintf(missing, sizeof missing, "%s", why != NULL ? why : "libssl.so.3 cannot be loaded");
		return;
	}
#define X(name) if (!find(library, #name, &o.name)) return;
	FUNCTIONS(X)
#undef X
	method = o.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "futured socket");
	if (method == NULL) {
		snprintf(missing, sizeof missing, "out of memory");
		return;
	}
	o.BIO_meth_set_write(method, on_write);
	o.BIO_meth_set_read(method, on_read);
	o.BIO_meth_set_ctrl(method, on_ctrl);
	o.BIO_meth_set_create(method, on_create);
	loaded = true;
}

static const char *
reason(void)
{
	const char *text = o.ERR_reason_error_string(o.ERR_peek_last_error());

	o.ERR_clear_error();
	return text != NULL ? text : "unknown error";
}

/* ---- a session ---- */

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	bool shaken;
	char why[200];
};

static int
no_passphrase(char *text, int size, int writing, void *data)
{
	(void)text, (void)size, (void)writing, (void)data;
	return -1; /* a library asks nobody */
}

static bool
read_files(SSL_CTX *ctx, const struct tls_files *files, char *why, size_t size)
{
	if (files->ca != NULL && o.SSL_CTX_load_verify_file(ctx, files->ca) != 1)
		snprintf(why, size, "%.150s: expected certificates in PEM: %s", files->ca, reason());
	else if (files->ca == NULL && o.SSL_CTX_set_default_verify_paths(ctx) != 1)
		snprintf(why, size, "the system's certificates cannot be found: %s", reason());
	else if (files->cert != NULL && o.SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
		snprintf(why, size, "%.150s: expected a certificate in PEM: %s", files->cert, reason());
	else if (files->cert != NULL &&
	         o.SSL_CTX_use_PrivateKey_file(ctx, files->key != NULL ? files->key : files->cert, SSL_FILETYPE_PEM) != 1)
		snprintf(why, size, "%.150s: expected the private key of the certificate in PEM, without a passphrase: %s",
			files->key != NULL ? files->key : files->cert, reason());
	else if (files->cert != NULL && o.SSL_CTX_check_private_key(ctx) != 1)
		snprintf(why, size, "%.100s is not the key of %.100s", files->key != NULL ? files->key : files->cert, files->cert);
	else
		return true;
	return false;
}

/* The certificate must be for this name, or for this address. */
static bool
set_host(SSL *ssl, const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1)
		return o.X509_VERIFY_PARAM_set1_ip_asc(o.SSL_get0_param(ssl), host) == 1;
	return o.SSL_set1_host(ssl, host) == 1 &&
	       o.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) == 1;
}

static enum futured_status
prepare(struct tls *t, int fd, const char *host, const struct tls_files *files, char *why, size_t size)
{
	BIO *bio;

	if ((t->ctx = o.SSL_CTX_new(o.TLS_client_method())) == NULL)
		goto no_memory;
	o.SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL); /* the daemon may want 1.3 */
	o.SSL_CTX_ctrl(t->ctx, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, NULL);
	o.SSL_CTX_set_options(t->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	o.SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	o.SSL_CTX_set_default_passwd_cb(t->ctx, no_passphrase);
	if (!read_files(t->ctx, files, why, size))
		return FUTURED_AUTHENTICATION;
	if ((t->ssl = o.SSL_new(t->ctx)) == NULL || !set_host(t->ssl, host) || (bio = o.BIO_new(method)) == NULL)
		goto no_memory;
	o.BIO_set_data(bio, (void *)(intptr_t)fd);
	o.SSL_set_bio(t->ssl, bio, bio);
	o.SSL_set_connect_state(t->ssl);
	return FUTURED_OK;
no_memory:
	snprintf(why, size, "out of memory");
	return FUTURED_NO_MEMORY;
}

static enum futured_status
failed_handshake(struct tls *t, int code, char *why, size_t size)
{
	long verdict = o.SSL_get_verify_result(t->ssl);

	if (verdict != X509_V_OK) {
		snprintf(why, size, "the daemon's certificate is not accepted: %s", o.X509_verify_cert_error_string(verdict));
		return FUTURED_AUTHENTICATION;
	}
	if (code == SSL_ERROR_SSL) {
		snprintf(why, size, "the TLS handshake failed: %s", reason());
		return FUTURED_AUTHENTICATION;
	}
	snprintf(why, size, "the connection ended in the TLS handshake");
	return FUTURED_NO_DAEMON;
}

static enum futured_status
shake(struct tls *t, int fd, double timeout, char *why, size_t size)
{
	double end = deadline_in(timeout);

	for (;;) {
		struct pollfd p = { .fd = fd };
		double left;
		int n, code;

		o.ERR_clear_error();
		if ((n = o.SSL_do_handshake(t->ssl)) == 1) {
			t->shaken = true;
			return FUTURED_OK;
		}
		code = o.SSL_get_error(t->ssl, n);
		if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
			return failed_handshake(t, code, why, size);
		p.events = code == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		left = deadline_left(end);
		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0) {
			snprintf(why, size, "no answer in the TLS handshake");
			return FUTURED_NO_DAEMON;
		}
	}
}

enum futured_status
tls_connect(int fd, const char *host, const struct tls_files *files, double timeout, struct tls **out, char *why, size_t size)
{
	enum futured_status status;
	struct tls *t;

	pthread_once(&once, load);
	if (!loaded) {
		snprintf(why, size, "TLS needs OpenSSL 3: %s", missing);
		return FUTURED_UNSUPPORTED;
	}
	if ((t = calloc(1, sizeof *t)) == NULL) {
		snprintf(why, size, "out of memory");
		return FUTURED_NO_MEMORY;
	}
	status = prepare(t, fd, host, files, why, size);
	if (status == FUTURED_OK)
		status = shake(t, fd, timeout, why, size);
	o.ERR_clear_error();
	if (status == FUTURED_OK)
		*out = t;
	else
		tls_free(t, false);
	return status;
}

void
tls_free(struct tls *t, bool farewell)
{
	if (t == NULL)
		return;
	if (t->shaken && farewell)
		o.SSL_shutdown(t->ssl);
	if (t->ssl != NULL)
		o.SSL_free(t->ssl);
	if (t->ctx != NULL)
		o.SSL_CTX_free(t->ctx);
	o.ERR_clear_error();
	free(t);
}

/* What recv or send would have said. */
static ssize_t
verdict(struct tls *t, int n)
{
	int code = o.SSL_get_error(t->ssl, n);

	if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	if (code == SSL_ERROR_ZERO_RETURN)
		return 0;
	snprintf(t->why, sizeof t->why, "%s", code == SSL_ERROR_SSL ? reason() : "the connection was reset");
	t->shaken = false;
	errno = ECONNRESET;
	return -1;
}

ssize_t
tls_recv(struct tls *t, void *into, size_t room)
{
	size_t total = 0;
	int n;

	do {
		o.ERR_clear_error();
		n = o.SSL_read(t->ssl, (char *)into + total, RECORD);
		if (n > 0)
			total += (size_t)n;
	} while (n > 0 && room - total >= RECORD);
	return total > 0 ? (ssize_t)total : verdict(t, n); /* what went wrong after that is met again */
}

ssize_t
tls_send(struct tls *t, const void *bytes, size_t len)
{
	ssize_t n;

	o.ERR_clear_error();
	n = o.SSL_write(t->ssl, bytes, len > RECORD ? RECORD : (int)len);
	if (n > 0)
		return n;
	n = verdict(t, (int)n);
	return n == 0 ? -1 : n;
}

const char *
tls_why(const struct tls *t)
{
	return t->why;
}

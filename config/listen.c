#include "config/listen.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/keys.h"
#include "config/memory.h"
#include "config/number.h"

const char *
listen_unix_path(const char *text)
{
	if (!strncmp(text, "unix:", 5))
		return text + 5;
	return text[0] == '/' || text[0] == '.' ? text : NULL;
}

/* HOST:PORT or [HOST]:PORT */
static bool
is_host_and_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;
	size_t host;

	if (!colon || number_parse(NUMBER_COUNT, colon + 1, &port) != NUMBER_OK || port < 1 || port > 65535)
		return false;
	host = (size_t)(colon - text);
	if (text[0] == '[')
		return host > 2 && host < 256 && text[host - 1] == ']' && !strpbrk(text + 1, "[ ") &&
			memchr(text, ']', host) == text + host - 1;
	return host > 0 && host < 256 && !memchr(text, ':', host) && !strpbrk(text, " []/");
}

bool
listen_expected(const char *text, char *expected, size_t size)
{
	if (strncmp(text, "tcp:", 4) != 0 && strncmp(text, "tls:", 4) != 0)
		snprintf(expected, size, "unix:PATH, tcp:HOST:PORT or tls:HOST:PORT");
	else if (!is_host_and_port(text + 4))
		snprintf(expected, size, "%.3s:HOST:PORT with a port from 1 to 65535 (and an IPv6 host in brackets)", text);
	else
		return false;
	return true;
}

static enum listen_scheme
scheme_of(const struct config_listen *l)
{
	return !strncmp(l->address, "tcp:", 4) ? LISTEN_TCP : !strncmp(l->address, "tls:", 4) ? LISTEN_TLS : LISTEN_UNIX;
}

/* Whether nobody from elsewhere can connect. A name other than localhost may mean anything, so it does not count. */
static bool
is_loopback(const char *address)
{
	char host[256];
	struct in_addr four;
	struct in6_addr six;
	const char *at = address + 4 + (address[4] == '[');
	size_t len = strcspn(at, address[4] == '[' ? "]" : ":");

	snprintf(host, sizeof(host), "%.*s", (int)len, at);
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return !strcmp(host, "localhost");
}

static void
key_path(const char *path, enum listen_key key, char *out)
{
	snprintf(out, REPORT_KEY, "%s", path);
	report_key(out, listen_keys[key].name, strlen(listen_keys[key].name));
}

static void
refuse(struct report *report, const struct node *n, const char *path, enum listen_key key, const char *sentence)
{
	char at[REPORT_KEY];

	key_path(path, key, at);
	report_add(report, n->line, n->col, at, "%s", sentence);
}

/* Keys that this kind of address has no use for. */
static void
check_schemes(const struct config_listen *l, const struct node *const *given, const char *path, struct report *report)
{
	char sentence[200];
	int key;

	for (key = 0; key < LISTEN_KEYS; key++) {
		const struct key *k = &listen_keys[key];

		if (!given[key] || k->kinds & scheme_of(l))
			continue;
		snprintf(sentence, sizeof(sentence), "expected only with %s, got it with %.4s (%s)",
			k->kinds == LISTEN_TCP ? "tcp:" : k->kinds == LISTEN_TLS ? "tls:" :
			"tcp: or tls:", scheme_of(l) == LISTEN_UNIX ? "unix:" : l->address, k->why_not);
		refuse(report, given[key], path, (enum listen_key)key, sentence);
	}
}

static void
check_tls(struct config_listen *l, const struct node *const *given, const struct node *n, const char *path, struct report *report)
{
	if (!l->cert)
		refuse(report, n, path, LISTEN_CERT, "expected the file of a certificate, got none");
	else if (!l->key && !(l->key = memory_text(l->cert, strlen(l->cert))))
		report->no_memory = true;
	if (!given[LISTEN_AUTH] && l->client_ca)
		l->auth = CONFIG_AUTH_CERTIFICATE;
	if (l->auth == CONFIG_AUTH_CERTIFICATE && !l->client_ca)
		refuse(report, n, path, LISTEN_CLIENT_CA, "expected the file of who signs clients' certificates, got none");
	if (given[LISTEN_ROLE] && l->auth != CONFIG_AUTH_CERTIFICATE)
		refuse(report, given[LISTEN_ROLE], path, LISTEN_ROLE, "expected only with auth: certificate (a token has its own role)");
}

void
listen_check(struct config_listen *l, const struct node *const *given, const struct node *n, const char *path, struct report *report)
{
	if (!l->address) {
		if (n->type == NODE_MAP && !given[LISTEN_ADDRESS])
			refuse(report, n, path, LISTEN_ADDRESS, "expected an address, got none");
		return;
	}
	check_schemes(l, given, path, report);
	if (scheme_of(l) == LISTEN_UNIX)
		return;
	if (!given[LISTEN_AUTH])
		l->auth = CONFIG_AUTH_TOKEN;
	if (scheme_of(l) == LISTEN_TLS)
		check_tls(l, given, n, path, report);
	else if (l->auth == CONFIG_AUTH_CERTIFICATE)
		refuse(report, given[LISTEN_AUTH], path, LISTEN_AUTH, "expected token with tcp: (there are no certificates)");
	if (scheme_of(l) == LISTEN_TCP && !l->plaintext && !is_loopback(l->address))
		refuse(report, given[LISTEN_ADDRESS], path, LISTEN_PLAINTEXT,
			"expected true beside a tcp: address beyond loopback: tokens, tasks and results can be read on the way (or use tls:)");
}

void
listen_check_all(const struct config_listen *l, size_t count, const struct node *item, const char *path, struct report *report)
{
	size_t i, j, local = 0;
	char quote[REPORT_QUOTE];

	for (i = 0; i < count; i++) {
		local += scheme_of(&l[i]) == LISTEN_UNIX;
		for (j = 0; j < i && strcmp(l[i].address, l[j].address) != 0; j++)
			;
		if (j < i)
			report_add(report, item[i].line, item[i].col, path, "expected each address once, got %s",
				report_quote(quote, l[i].address, strlen(l[i].address)));
	}
	if (count && !local)
		report_add(report, item[0].line, item[0].col, path, "expected a unix: address too, got none (tasks use it, and so do administrators)");
}

void
listen_check_tokens(const struct config *c, const struct node *n, struct report *report)
{
	const struct node *item = n->type == NODE_LIST ? n->item : n;
	size_t i;

	for (i = 0; i < c->listens; i++)
		if (c->listen[i].auth == CONFIG_AUTH_TOKEN && !c->tokens)
			report_add(report, item[i].line, item[i].col, "tokens",
				"expected a file, got none: without it nobody could connect to %s", c->listen[i].address);
}

void
listen_clear(struct config_listen *l)
{
	free(l->address);
	free(l->cert);
	free(l->key);
	free(l->client_ca);
	free(l->min_version);
	free(l->role);
}

#include "config/listen.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

/* TCP and TLS are written down for the clients; until the daemon can tell who is at the other end, it takes none. */
void
listen_refuse(const char *text, char *expected, size_t size)
{
	if (strncmp(text, "tcp:", 4) != 0 && strncmp(text, "tls:", 4) != 0)
		snprintf(expected, size, "unix:PATH, tcp:HOST:PORT or tls:HOST:PORT");
	else if (!is_host_and_port(text + 4))
		snprintf(expected, size, "%.3s:HOST:PORT with a port from 1 to 65535 (and an IPv6 host in brackets)", text);
	else
		snprintf(expected, size, "unix:PATH (this version has no authentication, so it does not listen on %.3s:)", text);
}

/* Addresses, and the user's own socket. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/address.h"

static bool
parse_path(const char *path, struct address *out, char *why, size_t why_size)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof out->path) {
		snprintf(why, why_size, "the path of a Unix socket has 1 to %zu bytes, got %zu", sizeof out->path - 1, len);
		return false;
	}
	memset(out, 0, sizeof *out);
	out->type = ADDRESS_UNIX;
	memcpy(out->path, path, len);
	return true;
}

static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned v = 0;

	if (*text == '\0' || strlen(text) > 5)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (unsigned)(*text - '0');
	}
	*port = (uint16_t)v;
	return v <= UINT16_MAX;
}

/* Names, IPv4 and (in brackets) IPv6 with its zone: no character outside these belongs in a host. */
static bool
is_host(const char *s, size_t len, bool brackets)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && strchr(brackets ? ":.%-_" : ".-_", s[i]) == NULL)
			return false;
	return len > 0;
}

static bool
parse_host_port(const char *text, enum address_type type, struct address *out, char *why, size_t why_size)
{
	bool brackets = *text == '[';
	const char *host = text + brackets;
	const char *host_end = brackets ? strchr(host, ']') : strrchr(host, ':');
	const char *colon = brackets && host_end != NULL ? host_end + 1 : host_end;
	size_t len = host_end != NULL ? (size_t)(host_end - host) : 0;
	uint16_t port;

	if (host_end == NULL || *colon != ':') {
		snprintf(why, why_size, "expected HOST:PORT");
		return false;
	}
	if (len >= sizeof out->host || !is_host(host, len, brackets)) {
		snprintf(why, why_size, "expected a host name or address before the port, IPv6 addresses in brackets");
		return false;
	}
	if (!parse_port(colon + 1, &port)) {
		snprintf(why, why_size, "expected a port from 0 to 65535");
		return false;
	}
	memset(out, 0, sizeof *out);
	out->type = type;
	out->port = port;
	memcpy(out->host, host, len);
	return true;
}

bool
address_parse(const char *text, struct address *out, char *why, size_t why_size)
{
	if (*text == '/' || *text == '.')
		return parse_path(text, out, why, why_size);
	if (strncmp(text, "unix:", 5) == 0)
		return parse_path(text + 5, out, why, why_size);
	if (strncmp(text, "tcp:", 4) == 0)
		return parse_host_port(text + 4, ADDRESS_TCP, out, why, why_size);
	if (strncmp(text, "tls:", 4) == 0)
		return parse_host_port(text + 4, ADDRESS_TLS, out, why, why_size);
	snprintf(why, why_size, "expected unix:PATH, tcp:HOST:PORT or tls:HOST:PORT");
	return false;
}

void
address_format(const struct address *a, char *text, size_t size)
{
	const char *scheme = a->type == ADDRESS_TLS ? "tls" : "tcp";

	if (a->type == ADDRESS_UNIX)
		snprintf(text, size, "unix:%s", a->path);
	else if (strchr(a->host, ':') != NULL)
		snprintf(text, size, "%s:[%s]:%u", scheme, a->host, (unsigned)a->port);
	else
		snprintf(text, size, "%s:%s:%u", scheme, a->host, (unsigned)a->port);
}

/* The address of the user's directory, whether it is there or not. */
static bool
name_directory(char *path, size_t size, char *why, size_t why_size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (runtime != NULL && *runtime == '/') /* the XDG specification says to ignore relative ones */
		n = snprintf(path, size, "%s/futured", runtime);
	else
		n = snprintf(path, size, "/tmp/futured-%lu", (unsigned long)geteuid());
	if (n >= 0 && (size_t)n < size)
		return true;
	snprintf(why, why_size, "XDG_RUNTIME_DIR is too long");
	return false;
}

/* Anyone may make a directory of that name in /tmp before us, or a symlink. */
static bool
check_directory(const char *path, char *why, size_t why_size)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		snprintf(why, why_size, "%s is not a directory", path);
	else if (st.st_uid != geteuid())
		snprintf(why, why_size, "%s belongs to another user", path);
	else if ((st.st_mode & 0777) != 0700)
		snprintf(why, why_size, "%s has mode %04o and not 0700", path, (unsigned)(st.st_mode & 07777));
	else
		return true;
	return false;
}

bool
address_user_directory(char *path, size_t size, bool create, char *why, size_t why_size)
{
	if (!name_directory(path, size, why, why_size))
		return false;
	bool made = create && mkdir(path, 0700) == 0;
	if ((create && !made && errno != EEXIST) || (made && chmod(path, 0700) != 0)) { /* whatever the umask took from it */
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return false;
	}
	return check_directory(path, why, why_size);
}

bool
address_user_socket(char *path, size_t size, char *why, size_t why_size)
{
	static const char name[] = "/futured.sock";
	size_t len;

	if (!address_user_directory(path, size, false, why, why_size))
		return false;
	len = strlen(path);
	if (len + sizeof name > size || len + sizeof name > sizeof ((struct address *)0)->path) {
		snprintf(why, why_size, "%s is too long for the path of a socket", path);
		return false;
	}
	memcpy(path + len, name, sizeof name);
	return true;
}

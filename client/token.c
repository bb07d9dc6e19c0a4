#include "client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_ours_alone(int fd, const char *path, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		snprintf(why, size, "%.200s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, size, "%.200s: expected a regular file with a token, got another kind", path);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		snprintf(why, size, "%.200s: expected a file of your own, got one of user %u", path, (unsigned)st.st_uid);
	else if ((st.st_mode & 077) != 0)
		snprintf(why, size, "%.200s: expected a file that only you can read, got mode %04o (chmod 600)", path, (unsigned)st.st_mode & 07777);
	else
		return true;
	return false;
}

/* One line of printing characters. */
static bool
trim(char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	text[len] = '\0';
	size_t start = strspn(text, " \t\r\n");
	memmove(text, text + start, len - start + 1);
	for (const char *at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return *text != '\0' && strlen(text) == len - start;
}

bool
token_read(const char *path, char out[TOKEN_SIZE], char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	ssize_t n = -1;
	bool good = false;

	if (fd < 0) {
		snprintf(why, size, "%.200s: %s", path, strerror(errno));
		return false;
	}
	if (is_ours_alone(fd, path, why, size)) {
		while (len < TOKEN_SIZE - 1 && ((n = read(fd, out + len, TOKEN_SIZE - 1 - len)) > 0 || (n < 0 && errno == EINTR)))
			len += n > 0 ? (size_t)n : 0;
		good = n == 0 && trim(out, len);
		if (!good)
			snprintf(why, size, "%.200s: expected a token, one line of at most %d characters without spaces", path, TOKEN_SIZE - 2);
	}
	if (!good)
		explicit_bzero(out, TOKEN_SIZE);
	close(fd);
	return good;
}

bool
token_stays_here(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
		return false;
	if (peer.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
	return peer.ss_family == AF_UNIX || (peer.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr));
}

/* Preloaded into the daemon by a test: notes the mode that each Unix socket has at the moment when bind() makes it visible. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
	int result = next(fd, addr, len);
	const struct sockaddr_un *un = (const void *)addr;
	const char *file = getenv("BINDMODE_FILE");
	struct stat st;
	FILE *out;

	if (result != 0 || addr->sa_family != AF_UNIX || !un->sun_path[0] || !file || lstat(un->sun_path, &st) != 0)
		return result;
	out = fopen(file, "a");
	if (out) {
		fprintf(out, "%o %s\n", (unsigned)st.st_mode, un->sun_path);
		fclose(out);
	}
	return result;
}

#include "daemon/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"

enum { TRIES = 2000, POLL_MS = 5, DEPTH = 4 };

bool
cgroup_own(char *out, size_t size)
{
	char line[2048], mount[1024] = "", path[900] = "";
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (strstr(line, " - cgroup2 "))
			sscanf(line, "%*s %*s %*s %*s %1000s", mount);
	if (f)
		fclose(f);
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "0::%890[^\n]", path);
	if (f)
		fclose(f);
	snprintf(out, size, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
	return *mount && *path;
}

bool
cgroup_write(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	bool written = write(fd, text, strlen(text)) >= 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return written;
}

bool
cgroup_read(int dir, const char *file, char *out, size_t size)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	int saved = errno;
	close(fd);
	errno = saved;
	out[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

bool
cgroup_lists(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (; *text; text += strcspn(text, " \n"), text += strspn(text, " \n"))
		if (strncmp(text, word, len) == 0 && strchr(" \n", text[len]))
			return true;
	return false;
}

unsigned long long
cgroup_count(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (; text && *text; text = strchr(text, '\n'), text = text ? text + 1 : NULL)
		if (strncmp(text, key, len) == 0 && text[len] == ' ')
			return strtoull(text + len, NULL, 10);
	return 0;
}

/* Those below first. */
static bool
remove_tree(const char *path, int depth)
{
	DIR *dir = depth ? opendir(path) : NULL;
	struct dirent *entry;
	char below[1600];

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below)
			remove_tree(below, depth - 1);
	if (dir)
		closedir(dir);
	return rmdir(path) == 0;
}

void
cgroup_end(const char *path)
{
	for (int tries = 0; tries < TRIES; tries++) {
		int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return;
		if (!cgroup_write(dir, "cgroup.kill", "1"))
			log_warn("cgroup", "%s/cgroup.kill: %s", path, strerror(errno));
		close(dir);
		if (remove_tree(path, DEPTH) || errno != EBUSY)
			return;
		poll(NULL, 0, POLL_MS);
	}
	log_error("cgroup", "%s still has processes in it", path);
}

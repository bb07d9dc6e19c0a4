/* Prints what a program was given when it was started, one "key<TAB>value" a line: what a task must find is compared with it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void
dump_descriptors(void)
{
	DIR *all = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[256];
	ssize_t len;
	int fd;

	while ((entry = readdir(all)) != NULL) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd == dirfd(all))
			continue;
		len = readlinkat(dirfd(all), entry->d_name, target, sizeof target);
		if (strncmp(target, "pipe:", 5) == 0)
			len = 4;
		printf("fd %d\t%.*s flags=%o\n", fd, (int)len, target, (unsigned)fcntl(fd, F_GETFL));
	}
	closedir(all);
}

static void
dump_lines(const char *path, const char *prefix)
{
	FILE *f = fopen(path, "re");
	char line[256];
	char *colon;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		colon = strchr(line, ':');
		if (colon == NULL || strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		*colon = '\0';
		printf("%s\t%s", line, colon + 1 + strspn(colon + 1, " \t"));
	}
	if (f != NULL)
		fclose(f);
}

static void
dump_limits(void)
{
	struct rlimit limit;

	for (int n = 0; n < RLIMIT_NLIMITS; n++)
		if (getrlimit((__rlimit_resource_t)n, &limit) == 0)
			printf("limit %d\t%lld %lld\n", n, (long long)limit.rlim_cur, (long long)limit.rlim_max);
}

static void
dump_oom(void)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "re");
	int v = -1;

	if (f == NULL || fscanf(f, "%d", &v) != 1)
		v = -9999;
	printf("oom\t%d\n", v);
	if (f != NULL)
		fclose(f);
}

static void
dump_ids(void)
{
	uid_t u[3];
	gid_t g[3], group[64];
	int count = getgroups(64, group);

	getresuid(&u[0], &u[1], &u[2]);
	getresgid(&g[0], &g[1], &g[2]);
	printf("uid\t%u %u %u\ngid\t%u %u %u\ngroups\t", u[0], u[1], u[2], g[0], g[1], g[2]);
	for (int i = 0; i < count; i++)
		printf("%s%u", i ? " " : "", group[i]);
	printf("\n");
}

int
main(int argc, char **argv)
{
	char cwd[4096];
	mode_t mask = umask(0);
	int reaper = 0, parent_death = 0, tty = open("/dev/tty", O_RDWR);

	printf("tty\t%s\n", tty >= 0 ? "yes" : strerror(errno));
	if (tty >= 0)
		close(tty);
	dump_descriptors();
	for (int i = 0; i < argc; i++)
		printf("argv %d\t%s\n", i, argv[i]);
	for (char **e = environ; *e != NULL; e++)
		printf("env\t%s\n", *e);
	dump_lines("/proc/self/status", "Sig");
	dump_lines("/proc/self/status", "ShdPnd");
	dump_lines("/proc/self/status", "Cap");
	dump_lines("/proc/self/status", "NoNewPrivs");
	dump_lines("/proc/self/status", "Seccomp");
	dump_lines("/proc/self/status", "Threads");
	dump_ids();
	dump_limits();
	dump_oom();
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	prctl(PR_GET_PDEATHSIG, &parent_death);
	printf("reaper\t%d\nparent_death\t%d\n", reaper, parent_death);
	printf("umask\t%o\ncwd\t%s\n", (unsigned)mask, getcwd(cwd, sizeof cwd) != NULL ? cwd : "?");
	printf("nice\t%d\nsession\t%s\ngroup\t%s\n", getpriority(PRIO_PROCESS, 0), getsid(0) == getpid() ? "own" : "inherited",
	       getpgrp() == getpid() ? "own" : "inherited");
	return 0;
}

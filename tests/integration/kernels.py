"""Kernels and file systems that can do less, made by a library that is loaded before libc."""

import os
import shutil
import subprocess

import pytest

KERNELS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int is(const char *kernel)
{
	return strcmp(getenv("KERNEL"), kernel) == 0;
}

long syscall(long number, ...)
{
	long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall"), args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_openat2 && ((struct open_how *)args[2])->resolve & RESOLVE_CACHED) {
		const char *suffix = strrchr((const char *)args[1], '.');
		int forgotten = is("forgetful") && suffix &&
				(!strcmp(suffix, ".gz") || !strcmp(suffix, ".zst") || !strcmp(suffix, ".br"));

		errno = is("old") ? EINVAL : EAGAIN;
		if (is("uncertain") || is("old") || forgotten)
			return -1;
	}
	return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int inotify_init1(int flags)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "inotify_init1");

	errno = EMFILE;
	return is("blind") ? -1 : real(flags);
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, "preadv64v2");

	errno = EOPNOTSUPP;
	return is("silent") && flags ? -1 : real(fd, iov, count, offset, flags);
}
"""


def lesser_kernel(folder, kernel):
    """The environment in which a program sees it.

    uncertain: a file system where each look at a name might wait. forgetful: one where each look at
    the name of an encoding might. old: no RESOLVE_CACHED. blind: no inotify left for this user.
    silent: a file system that can't say whether a read would wait.
    """
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    library = folder / "kernel.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=KERNELS.encode(), check=True)
    return dict(os.environ, LD_PRELOAD=str(library), KERNEL=kernel)

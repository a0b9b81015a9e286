/*
 * Programs as children, which wait before they begin until their parent is ready to see it.
 */
#include "sys/sys.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child: waits for a byte, then becomes the program, or says why it could not. */
static _Noreturn void become(char *const argv[], int go, int failed)
{
	sigset_t none;
	char byte;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	if (read(go, &byte, 1) == 1) {
		execvp(argv[0], argv);
		error = errno;
		(void)!write(failed, &error, sizeof(error));
	}
	_exit(127);
}

int sys_command_start(char *const argv[], struct sys_command *ret)
{
	int go[2], failed[2], error;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(failed, O_CLOEXEC) < 0) {
		error = -errno;
		close(go[0]);
		close(go[1]);
		return error;
	}
	pid = fork();
	error = -errno;
	if (pid == 0) {
		close(go[1]);
		become(argv, go[0], failed[1]);
	}
	close(go[0]);
	close(failed[1]);
	if (pid < 0) {
		close(go[1]);
		close(failed[0]);
		return error;
	}
	*ret = (struct sys_command){.pid = pid, .go = go[1], .failed = failed[0]};
	return 0;
}

int sys_command_go(struct sys_command *command)
{
	int error = 0;

	(void)!write(command->go, "", 1);
	close(command->go);
	/* Ends without a word when the program has begun: O_CLOEXEC. */
	while (read(command->failed, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	close(command->failed);
	if (error != 0)
		waitpid(command->pid, NULL, 0);
	return -error;
}

void sys_command_drop(struct sys_command *command)
{
	close(command->go);
	close(command->failed);
	while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

bool sys_command_ended(const struct sys_command *command, int *ret_status)
{
	return waitpid(command->pid, ret_status, WNOHANG) == command->pid;
}

void sys_command_signal(const struct sys_command *command, int signal)
{
	kill(command->pid, signal);
}

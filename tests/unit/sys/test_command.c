#include "unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/sys.h"

/* Of literals, which nobody changes. */
static void start(const char *const argv[], struct sys_command *ret)
{
	assert_int_equal(sys_command_start((char *const *)(const void *)argv, ret), 0);
}

static int end_of(const struct sys_command *command)
{
	int status;

	while (!sys_command_ended(command, &status))
		sys_poll(NULL, 0, 1);
	return status;
}

static void it_begins_when_it_may(void **state)
{
	const char *const argv[] = {"sh", "-c", "exit 5", NULL};
	struct sys_command command;
	int status;

	start(argv, &command);
	sys_poll(NULL, 0, 50);
	assert_false(sys_command_ended(&command, &status));
	assert_int_equal(sys_command_go(&command), 0);
	status = end_of(&command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
}

static void what_can_t_be_run_says_why(void **state)
{
	const char *const missing[] = {"/no/such/program", NULL}, *const folder[] = {"/tmp", NULL};
	struct sys_command command;

	start(missing, &command);
	assert_int_equal(sys_command_go(&command), -ENOENT);
	start(folder, &command);
	assert_int_equal(sys_command_go(&command), -EACCES);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	assert_int_equal(errno, ECHILD);
}

static void one_that_is_dropped_never_begins(void **state)
{
	const char *const argv[] = {"sh", "-c", "kill -TERM $PPID", NULL};
	struct sys_command command;

	start(argv, &command);
	sys_command_drop(&command);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Our own may be blocked and ignored: a program expects neither. */
static void it_gets_signals_as_a_program_expects_them(void **state)
{
	const char *const argv[] = {"sh", "-c", "kill -PIPE $$; exit 1", NULL};
	struct sys_command command;
	int status;

	signal(SIGPIPE, SIG_IGN);
	sys_signal_block(SIGPIPE);
	start(argv, &command);
	assert_int_equal(sys_command_go(&command), 0);
	status = end_of(&command);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGPIPE);
}

static void it_can_be_ended(void **state)
{
	const char *const argv[] = {"sleep", "1000", NULL};
	struct sys_command command;
	int status;

	start(argv, &command);
	assert_int_equal(sys_command_go(&command), 0);
	sys_command_signal(&command, SIGTERM);
	status = end_of(&command);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_begins_when_it_may),
	    cmocka_unit_test(what_can_t_be_run_says_why),
	    cmocka_unit_test(one_that_is_dropped_never_begins),
	    cmocka_unit_test(it_gets_signals_as_a_program_expects_them),
	    cmocka_unit_test(it_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

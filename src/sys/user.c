#include "sys/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/size.h"

#define NAME_MAX_BYTES 256

/* An id below the two that mean "none". */
static bool parse_id(const char *text, unsigned *ret)
{
	uint64_t value;

	if (number_parse(text, &value) < 0 || value >= UINT32_MAX - 1)
		return false;
	*ret = (unsigned)value;
	return true;
}

static int find_user(const char *name, struct user *ret, struct err *err)
{
	const struct passwd *found;
	unsigned id;

	errno = 0;
	found = getpwnam(name);
	if (!found && parse_id(name, &id)) {
		found = getpwuid(id);
		if (!found) {
			ret->uid = id;
			ret->gid = id;
			return 1;
		}
	}
	if (!found)
		return err_set(err, -EINVAL, "there is no user '%s'", name);
	ret->uid = found->pw_uid;
	ret->gid = found->pw_gid;
	ret->group_count = USER_GROUPS_MAX;
	if (getgrouplist(found->pw_name, found->pw_gid, ret->groups, &ret->group_count) < 0)
		return err_set(err, -E2BIG, "user '%s' is in more than %d groups", name,
			       USER_GROUPS_MAX);
	return 0;
}

static int find_group(const char *name, struct user *ret, struct err *err)
{
	const struct group *found = getgrnam(name);
	unsigned id;

	if (found)
		ret->gid = found->gr_gid;
	else if (parse_id(name, &id))
		ret->gid = id;
	else
		return err_set(err, -EINVAL, "there is no group '%s'", name);
	return 0;
}

int user_find(const char *text, struct user *ret, struct err *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	struct user user = {.name = text};
	char name[NAME_MAX_BYTES];
	int r;

	if (len == 0 || len >= sizeof(name) || (colon && !colon[1]))
		return err_set(err, -EINVAL, "a user is NAME or NAME:GROUP, not '%s'", text);
	memcpy(name, text, len);
	name[len] = '\0';
	r = find_user(name, &user, err);
	if (r < 0)
		return r;
	if (colon)
		r = find_group(colon + 1, &user, err);
	if (r < 0)
		return r;
	/* A number that nobody has a name for, or a group of its own: no others. */
	if (colon || user.group_count == 0) {
		user.groups[0] = user.gid;
		user.group_count = 1;
	}
	*ret = user;
	return 0;
}

static bool is_now(const struct user *user)
{
	uid_t real, effective, saved;
	gid_t group_real, group_effective, group_saved;

	if (getresuid(&real, &effective, &saved) < 0 ||
	    getresgid(&group_real, &group_effective, &group_saved) < 0)
		return false;
	return real == user->uid && effective == user->uid && saved == user->uid &&
	       group_real == user->gid && group_effective == user->gid && group_saved == user->gid;
}

/* ---- capabilities ---- */

typedef struct __user_cap_data_struct capability_sets[2];

static int read_capabilities(capability_sets *ret)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(ret, 0, sizeof(*ret));
	return syscall(SYS_capget, &header, *ret) < 0 ? -errno : 0;
}

bool user_has_capabilities(void)
{
	capability_sets sets;

	if (read_capabilities(&sets) < 0)
		return true;
	return sets[0].permitted || sets[1].permitted || sets[0].effective || sets[1].effective;
}

/* What a program that is executed could have again: for root all, unless they are taken out of the
 * bounding set. Only CAP_SETPCAP may; who has it not, and is not root, gets none by executing. */
static void empty_bounding_set(void)
{
	for (unsigned long number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
		if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
			return;
}

int user_drop_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	capability_sets sets;
	bool changes = false;
	int r = read_capabilities(&sets);

	if (r < 0)
		return r;
	empty_bounding_set();
	/* Linux before 4.3 has no ambient set, and so nothing in it. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t permitted = sets[i].permitted & (uint32_t)(keep >> (32 * i));
		struct __user_cap_data_struct wanted = {permitted, permitted, 0};

		changes |= memcmp(&sets[i], &wanted, sizeof(wanted)) != 0;
		sets[i] = wanted;
	}
	/* A service manager may have forbidden the call to those who have nothing to give up. */
	return changes && syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

/* ---- becoming another user ---- */

/* The ids are what they should be, and root's can't be had back. */
static bool is_for_good(const struct user *user)
{
	if (!is_now(user))
		return false;
	if (user->uid == 0)
		return true;
	return !user_has_capabilities() && setresuid(0, 0, 0) < 0 && setuid(0) < 0 &&
	       (user->gid == 0 || setresgid(0, 0, 0) < 0) && is_now(user);
}

int user_become(const struct user *user, struct err *err)
{
	int r = 0;

	if (is_now(user))
		return 0;
	if (geteuid() != 0)
		return err_set(err, -EPERM, "only root can become user '%s'", user->name);
	/* These first: afterwards there is no right to. */
	empty_bounding_set();
	if (setgroups((size_t)user->group_count, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		r = -errno;
	if (r < 0)
		return err_set(err, r, "can't become user '%s': %s", user->name, strerror(-r));
	if (!is_for_good(user))
		return err_set(err, -EPERM, "user '%s' could become root again: not started",
			       user->name);
	return 0;
}

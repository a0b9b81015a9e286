"""The shape of the tree: who includes whom, who may call the kernel, how long things are.

Run by tools/check, or by hand: /usr/bin/python3 -m pytest tests/layers.py
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# Which rooms a room may include, besides itself. "leat" is the public header.
MAY_INCLUDE = {
    "base": set(),
    "sys": {"base"},
    "engine": {"base", "sys", "leat"},
    "reactor": {"base", "sys"},
    "stream": {"base", "sys", "engine", "reactor", "leat"},
    "upstream": {"base", "sys", "reactor"},
    "http/core": {"base"},
    "kafka/wire": {"base"},
    "kafka/codec": {"base", "kafka/wire"},
    "kafka/store": {"base", "sys", "kafka/wire"},
    "kafka/broker/core": {"base", "kafka/wire"},
    "kafka/broker": {"base", "sys", "engine", "reactor", "admin", "kafka/wire", "kafka/codec", "kafka/store",
                     "kafka/broker/core", "leat"},
    "admin": {"base", "sys", "engine", "reactor", "stream", "http/core", "leat"},
    "http": {"base", "sys", "engine", "reactor", "http/core", "admin", "leat"},
    "relay": {"base", "sys", "engine", "reactor", "stream", "upstream", "admin", "leat"},
    "serve": {"base", "sys", "engine", "reactor", "stream", "upstream", "admin", "http", "relay", "kafka/store", "kafka/broker", "leat"},
    "copystat": {"base", "sys"},
    "lab": {"base", "sys", "leat", "copystat"},
    "cmd": {"base", "sys", "engine", "reactor", "http/core", "http", "kafka/wire", "kafka/store",
            "kafka/broker", "relay", "upstream", "stream", "serve", "copystat", "lab", "leat"},
}

# The kernel is asked in src/sys only. These are libc's names for asking it; a word that is also an
# ordinary function of ours is left out.
SYSTEM_CALLS = """
    read write pread pwrite readv writev preadv pwritev preadv2 pwritev2 open openat creat close
    socket socketpair bind listen accept accept4 connect shutdown getsockname getpeername setsockopt getsockopt
    send sendto sendmsg recv recvfrom recvmsg sendfile sendfile64 splice tee vmsplice copy_file_range
    stat fstat lstat fstatat statx fstatfs statfs lseek ftruncate truncate fallocate fsync fdatasync unlink unlinkat
    rename renameat link linkat symlink mkdir mkdirat rmdir dup dup2 dup3 fcntl ioctl getdents64
    opendir fdopendir readdir closedir posix_fadvise readahead memfd_create mmap munmap mremap madvise mincore mlock
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch pipe pipe2 epoll_create epoll_create1 epoll_ctl
    epoll_wait epoll_pwait poll ppoll select eventfd signalfd timerfd_create timerfd_settime
    clock_gettime clock_nanosleep nanosleep usleep sleep time gettimeofday getrusage
    sched_getaffinity sched_setaffinity getrlimit setrlimit prlimit uname getpid gettid fork vfork execve execv execvp
    waitpid kill unshare setns mount umount chdir fchdir chroot umask setuid setgid getuid geteuid prctl syscall fopen fdopen popen system
""".split()

# Lengths: a limit to think at, not a law. Each exception says why.
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
LONG_FUNCTIONS = {}  # "src/room/file.c:function": "why it reads better in one piece"
LONG_FILES = {}


def sources(folder, *patterns):
    return sorted(path for pattern in patterns for path in folder.rglob(pattern))


def strip(text):
    """Without comments and the insides of strings, line numbers kept."""

    def blank(match):
        found = match.group(0)
        if found.startswith('"'):
            return '""'
        return "\n" * found.count("\n") or " "

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def room_of(path):
    """The longest room that is a prefix of a path relative to src/."""
    rooms = [room for room in MAY_INCLUDE if str(path).startswith(room + "/")]
    return max(rooms, key=len, default=None)


SOURCES = sources(SRC, "*.c", "*.h")


def lines_with(path, pattern):
    return [(number, match) for number, line in enumerate(strip(path.read_text()).split("\n"), 1)
            for match in re.finditer(pattern, line)]


RAW_CALL = re.compile(rf"(?<![\w.>])({'|'.join(SYSTEM_CALLS)})\s*\((?!\*)")


def forbidden_includes(path):
    """Complaints about what a file of src/ includes; the build's config.h is anybody's."""
    room = room_of(path.relative_to(SRC))
    if not room:
        return ["is in no room: name it in MAY_INCLUDE"]
    found = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if match and match[1] != "config.h":
            other = "leat" if match[1].startswith("leat/") else room_of(match[1])
            if other != room and other not in MAY_INCLUDE[room]:
                found.append(f"line {number}: {room} may not include {match[1]}")
    return found


def raw_calls(path):
    return [f"line {number}: {match[1]}()" for number, match in lines_with(path, RAW_CALL)]


def complaints(check, paths):
    """What a check finds in files, as text: empty when all is well."""
    return "\n".join(f"{path.relative_to(ROOT)}: {found}" for path in paths for found in check(path))


def test_a_room_includes_only_what_it_may():
    assert complaints(forbidden_includes, SOURCES) == ""


def test_the_kernel_is_asked_in_src_sys_only():
    outside = [path for path in SOURCES if SRC / "sys" not in path.parents]
    assert complaints(raw_calls, outside) == "", "use sys.h, or add to it"


def declared_calls():
    declared = {}
    for path in sources(SRC / "sys", "*.h"):
        for match in re.finditer(r"^[a-z]\w*[\w\s*]*?\b(sys_\w+)\(", strip(path.read_text()), re.M):
            declared[match[1]] = path.name
    return declared


def listed_calls():
    text = (ROOT / "tests" / "fault" / "calls.def").read_text()
    return set(re.findall(r"^(?:CALL|SPECIAL)\([^,]*,\s*(sys_\w+)", text, re.M)) | \
        set(re.findall(r"^NEVER\((sys_\w+)\)", text, re.M))


def test_every_call_of_src_sys_is_in_the_fault_table():
    declared, listed = set(declared_calls()), listed_calls()
    missing, gone = sorted(declared - listed), sorted(listed - declared)
    assert len(declared) > 50
    assert (missing, gone) == ([], []), "tests/fault/calls.def lacks the first, and has the second too much"


def impure_calls(path):
    return [f"line {number}: {match[1]}()" for number, match in lines_with(path, r"\b(sys_\w+|pthread_create)\(")]


def test_base_and_the_pure_cores_do_no_input_or_output():
    assert complaints(impure_calls, sources(SRC / "base", "*.c") + sources(SRC / "http" / "core", "*.c") +
                      sources(SRC / "kafka" / "wire", "*.c") +
                      sources(SRC / "kafka" / "codec", "*.c") +
                      sources(SRC / "kafka" / "broker" / "core", "*.c")) == ""


def functions(path):
    """Name and body lines of each function: the project's layout has both braces in column 1."""
    lines = strip(path.read_text()).split("\n")
    start, name = None, None
    for number, line in enumerate(lines):
        if line == "{":
            head = " ".join(lines[max(0, number - 6):number])
            names = re.findall(r"(\w+)\s*\(", re.split(r"[;}]", head)[-1])
            start, name = number, names[0] if names else "?"
        elif line.startswith("}") and start is not None:
            yield name, number - start - 1
            start = None


def long_functions(path):
    name = path.relative_to(ROOT)
    return [f"{function}() has {count} lines" for function, count in functions(path)
            if count > FUNCTION_LINES_MAX and f"{name}:{function}" not in LONG_FUNCTIONS]


def long_file(path):
    count = len(path.read_text().split("\n"))
    return [f"has {count} lines"] if count > FILE_LINES_MAX and str(path.relative_to(ROOT)) not in LONG_FILES else []


def test_no_function_is_too_long():
    assert complaints(long_functions, SOURCES) == ""


def test_no_file_is_too_long():
    assert complaints(long_file, SOURCES) == ""


def test_the_exceptions_are_still_there():
    names = [str(path.relative_to(ROOT)) for path in SOURCES]
    for entry in [*LONG_FILES, *(entry.split(":")[0] for entry in LONG_FUNCTIONS)]:
        assert entry in names, f"{entry} is gone: take its exception out"


def test_the_check_itself_sees_what_it_is_for(tmp_path):
    path = tmp_path / "x.c"
    path.write_text('/* read(1) */ "write(2)"\nint f(void)\n{\n\treturn close(3) + sys_read(4) + ops->open(5);\n}\n')
    assert raw_calls(path) == ["line 4: close()"]
    assert impure_calls(path) == ["line 4: sys_read()"]
    assert list(functions(path)) == [("f", 1)]
    assert room_of("http/core/parser.h") == "http/core" and room_of("http/conn.h") == "http"
    assert "engine" not in MAY_INCLUDE["reactor"] and "reactor" not in MAY_INCLUDE["engine"]

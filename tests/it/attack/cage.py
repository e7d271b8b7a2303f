"""What a command in a sandbox tries: every attempt in a process of its own, one line for each.

    python3 cage.py victim FOLDER      outside, as the same user: makes what must not be reached, prints it as JSON,
                                       and once stdin ends what became of it
    python3 cage.py probe JSON         inside: `name: held`, or `name: LEAKED` and how
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import socket
import stat
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NULL = ctypes.c_void_p(None)
MARK = "mark-of-the-victim"
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000

# Numbers that every machine shares stand from 424 on.
X86_64 = dict(
    shmget=29, shmat=30, shmctl=31, semget=64, semop=65, semctl=66, msgget=68, msgsnd=69, msgrcv=70, msgctl=71,
    clone=56, ptrace=101, syslog=103, sched_setparam=142, sched_setscheduler=144, chroot=161, mount=165, umount2=166,
    pivot_root=155, personality=135, fchmod=91, chmod=90, mknod=133, creat=85, open=2, fchown=93, chown=92, lchown=94,
    utime=132, utimes=235, futimesat=261, adjtimex=159, acct=163, quotactl=179, tgkill=234, mq_open=240, ioprio_set=251, inotify_init1=294, inotify_add_watch=254,
    add_key=248, request_key=249, keyctl=250, migrate_pages=256, unshare=272,
    get_robust_list=274, move_pages=279, utimensat=280, setns=308, process_vm_readv=310, process_vm_writev=311,
    kcmp=312, sched_setattr=314, rt_sigqueueinfo=129, perf_event_open=298, fanotify_init=300, prlimit64=302, name_to_handle_at=303,
    open_by_handle_at=304, bpf=321, userfaultfd=323, fchmodat=268, setpriority=141, clock_gettime=228, getpid=39,
    pkey_alloc=330, linkat=265, timer_create=222, init_module=175, modify_ldt=154, vmsplice=278, io_setup=206,
)
ANY = dict(
    pidfd_send_signal=424, io_uring_setup=425, open_tree=428, move_mount=429, fsopen=430, fsconfig=431, fsmount=432,
    fspick=433, pidfd_open=434, clone3=435, openat2=437, pidfd_getfd=438, process_madvise=440, mount_setattr=442,
    memfd_secret=447, process_mrelease=448, cachestat=451, fchmodat2=452, statmount=457, listmount=458,
    setxattrat=463, removexattrat=466, open_tree_attr=467, file_setattr=469,
)
NUMBERS = {**(X86_64 if platform.machine() == "x86_64" else {}), **ANY}


def call(name, *arguments):
    """A system call; fails as Python's own do."""
    number = NUMBERS[name] if isinstance(name, str) else name
    # What is no pointer is passed as wide as the kernel takes it.
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def pointer(text):
    return ctypes.c_char_p(text.encode())


def zeros(size):
    return ctypes.create_string_buffer(size)


# --- outside ---------------------------------------------------------------------------------------------------------


def victim(folder):
    path = lambda name: os.path.join(folder, name)
    made = {"pid": os.getpid(), "mark": MARK}
    shared = call("shmget", 0, 4096, 0o1600)
    libc.shmat.restype = ctypes.c_void_p
    memory = libc.shmat(shared, None, 0)
    made["shm"] = shared
    made["shm_key"] = 0x5EED0000 | (os.getpid() & 0xFFFF)
    keyed = call("shmget", made["shm_key"], 4096, 0o1600)
    made["sem"] = call("semget", 0, 1, 0o1600)
    made["msg"] = call("msgget", 0, 0o1600)
    queue = f"baa-it-{os.getpid()}"
    made["mq"] = queue
    try:
        call("mq_open", pointer(queue), os.O_CREAT | os.O_RDWR, 0o600, NULL)
    except OSError:
        made["mq"] = None
    watched = []
    for name, kind in (("datagrams", socket.SOCK_DGRAM), ("stream", socket.SOCK_STREAM)):
        for where in (path(name), "\0" + path(name), os.path.join(made_root(), name) if made_root() else None):
            if where is None:
                continue
            one = socket.socket(socket.AF_UNIX, kind)
            one.bind(where)
            if kind == socket.SOCK_STREAM:
                one.listen()
            watched.append(one)
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    watched += [tcp, udp]
    made["tcp"], made["udp"] = tcp.getsockname()[1], udp.getsockname()[1]
    memory_of = ctypes.create_string_buffer(MARK.encode())
    made["address"] = ctypes.addressof(memory_of)
    print(json.dumps(made), flush=True)
    sys.stdin.read()
    reached = [one.getsockname() for one in watched if select.select([one], [], [], 0)[0]]
    after = {
        "reached": [str(name) for name in reached],
        "shared": ctypes.string_at(memory, 8).hex(),
        "memory": memory_of.value.decode(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "scheduler": os.sched_getscheduler(0),
        "processors": len(os.sched_getaffinity(0)),
        "limits": __import__("resource").getrlimit(__import__("resource").RLIMIT_CPU),
    }
    for kind, what in (("shmctl", shared), ("shmctl", keyed), ("msgctl", made["msg"])):
        call(kind, what, 0, NULL)
    call("semctl", made["sem"], 0, 0)
    if made["mq"]:
        libc.mq_unlink(pointer("/" + queue))
    print(json.dumps(after), flush=True)


def made_root():
    return os.environ.get("ROOT")


# --- inside ----------------------------------------------------------------------------------------------------------

ATTEMPTS = []


def attempt(function):
    ATTEMPTS.append((function.__name__.replace("_", "-"), function))
    return function


def each(names):
    """The same attempt on several things: `name-thing`."""

    def several(function):
        for name, thing in names.items():
            ATTEMPTS.append((f"{function.__name__.replace('_', '-')}-{name}", lambda thing=thing: function(thing)))
        return function

    return several


OUT = {}
FILES = {
    "of-the-home": lambda: OUT["outside"],
    "that-is-visible": lambda: OUT["visible"],
    "of-the-state": lambda: OUT["state"] + "/token",
}
VISIBLE = {"visible": lambda: OUT["visible"]}


def opened(path, flags=os.O_RDONLY):
    return os.open(path, flags)


def by_link(path, flags=os.O_RDONLY):
    return f"/proc/self/fd/{opened(path, flags)}"


# Modes, owners, times, attributes.


@each(FILES)
def mode(file):
    os.chmod(file(), 0o644)
    return True


@each(FILES)
def mode_through_a_descriptor(file):
    os.fchmod(opened(file()), 0o644)
    return True


@each(FILES)
def mode_through_a_path_descriptor(file):
    call("fchmodat2", opened(file(), os.O_PATH), pointer(""), 0o644, AT_EMPTY_PATH)
    return True


@each(FILES)
def mode_through_proc(file):
    os.chmod(by_link(file(), os.O_PATH), 0o644)
    return True


@each(FILES)
def owner(file):
    os.chown(file(), -1, os.getgid())
    return True


@each(FILES)
def owner_through_a_descriptor(file):
    os.fchown(opened(file()), os.getuid(), -1)
    return True


@each(VISIBLE)
def owner_without_following(file):
    os.lchown(file(), os.getuid(), -1)
    return True


@each(FILES)
def times(file):
    os.utime(file(), (1, 1))
    return True


@each(VISIBLE)
def times_the_old_way(file):
    call("utime", pointer(file()), NULL)
    return True


@each(VISIBLE)
def times_the_older_way(file):
    call("futimesat", AT_FDCWD, pointer(file()), NULL)
    return True


@each(FILES)
def times_through_a_descriptor(file):
    os.utime(opened(file()), (1, 1))
    return True


@each(VISIBLE)
def times_through_proc(file):
    os.utime(by_link(file()), None)
    return True


@each(FILES)
def attribute(file):
    os.setxattr(file(), "user.probe", b"x")
    return True


@each(VISIBLE)
def attribute_through_a_descriptor(file):
    os.setxattr(opened(file()), "user.probe", b"x")
    return True


@each(VISIBLE)
def attribute_without_following(file):
    os.setxattr(file(), "user.probe", b"x", follow_symlinks=False)
    return True


@each(VISIBLE)
def attribute_the_new_way(file):
    value = zeros(1)
    arguments = struct.pack("QII", ctypes.addressof(value), 1, 0)
    call("setxattrat", AT_FDCWD, pointer(file()), 0, pointer("user.probe"), ctypes.c_char_p(arguments), len(arguments))
    return True


@each(VISIBLE)
def attribute_taken_away(file):
    os.removexattr(file(), "user.there")
    return True


@each(VISIBLE)
def flags(file):
    fcntl.ioctl(opened(file()), 0x40086602, struct.pack("l", 0x40))
    return True


@each(VISIBLE)
def flags_the_new_way(file):
    call("file_setattr", AT_FDCWD, pointer(file()), ctypes.create_string_buffer(24), 24, 0)
    return True


@attempt
def times_of_what_is_read_from():
    before = os.fstat(0).st_mtime_ns
    os.utime(0, None)
    return stat.S_ISCHR(os.fstat(0).st_mode) and os.fstat(0).st_mtime_ns != before


@attempt
def times_of_a_device():
    os.utime("/dev/null", None)
    return True


@attempt
def mode_of_a_device():
    os.chmod("/dev/null", 0o666)
    return True


@attempt
def mode_of_what_is_read_from():
    os.fchmod(0, 0o666)
    return stat.S_ISCHR(os.fstat(0).st_mode)


@attempt
def mode_of_a_file_of_proc():
    os.chmod("/proc/cpuinfo", 0o444)
    return True


# Contents and names.


@each(VISIBLE)
def writing(file):
    os.write(opened(file(), os.O_WRONLY), b"x")
    return True


@each(VISIBLE)
def truncating(file):
    os.truncate(file(), 1)
    return True


@each(VISIBLE)
def renaming(file):
    os.rename(file(), file() + "-renamed")
    os.rename(file() + "-renamed", file())
    return True


@each(VISIBLE)
def making_beside(file):
    os.close(opened(file() + "-new", os.O_CREAT | os.O_WRONLY))
    return True


@each(FILES)
def linking(file):
    os.link(file(), f"linked-{os.getpid()}")
    return True


@attempt
def linking_a_descriptor():
    place = f"linked-{os.getpid()}"
    call("linkat", opened(OUT["outside"], os.O_PATH), pointer(""), AT_FDCWD, pointer(place), AT_EMPTY_PATH)
    return True


@each({"home": lambda: OUT["outside"], "token": lambda: OUT["state"] + "/token", "scratch": lambda: OUT["scratch"]})
def reading_the(file):
    return bool(os.read(opened(file()), 1)) or True


# Programs that run as their owner.


def setuid(path):
    return bool(os.stat(path).st_mode & 0o6000)


def fresh():
    return f"setuid-{os.getpid()}"


@attempt
def setuid_by_chmod():
    os.close(opened(fresh(), os.O_CREAT | os.O_WRONLY))
    os.chmod(fresh(), 0o4755)
    return setuid(fresh())


@attempt
def setuid_by_fchmodat2():
    os.close(opened(fresh(), os.O_CREAT | os.O_WRONLY))
    call("fchmodat2", AT_FDCWD, pointer(fresh()), 0o4755, 0)
    return setuid(fresh())


@attempt
def setgid_by_fchmod():
    os.fchmod(opened(fresh(), os.O_CREAT | os.O_WRONLY), 0o2755)
    return setuid(fresh())


@attempt
def setuid_by_open():
    os.open(fresh(), os.O_CREAT | os.O_WRONLY, 0o4755)
    return setuid(fresh())


@attempt
def setuid_by_the_old_open():
    call("open", pointer(fresh()), os.O_CREAT | os.O_WRONLY, 0o4755)
    return setuid(fresh())


@attempt
def setuid_by_creat():
    call("creat", pointer(fresh()), 0o4755)
    return setuid(fresh())


@attempt
def setuid_by_mknod():
    os.mknod(fresh(), stat.S_IFREG | 0o4755)
    return setuid(fresh())


@attempt
def setuid_by_openat2():
    how = struct.pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    call("openat2", AT_FDCWD, pointer(fresh()), ctypes.c_char_p(how), len(how))
    return setuid(fresh())


@attempt
def setuid_of_a_file_without_name():
    one = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755)
    return bool(os.fstat(one).st_mode & 0o6000)


# Other processes.

OTHERS = {"victim": lambda: OUT["pid"], "daemon": lambda: OUT["daemon"]}


@each(OTHERS)
def limits_of_the(pid):
    call("prlimit64", pid(), 7, NULL, zeros(16))
    return True


@each(OTHERS)
def limits_set_of_the(pid):
    before = zeros(16)
    call("prlimit64", pid(), 7, NULL, before)
    call("prlimit64", pid(), 7, before, NULL)
    return True


@each(OTHERS)
def priority_of_the(pid):
    os.setpriority(os.PRIO_PROCESS, pid(), os.getpriority(os.PRIO_PROCESS, pid()))
    return True


@each(OTHERS)
def priority_of_the_group_of_the(pid):
    os.setpriority(os.PRIO_PGRP, os.getpgid(pid()), 0)
    return True


@each(OTHERS)
def processors_of_the(pid):
    os.sched_setaffinity(pid(), os.sched_getaffinity(0))
    return True


@each(OTHERS)
def scheduler_of_the(pid):
    os.sched_setscheduler(pid(), os.SCHED_OTHER, os.sched_param(0))
    return True


@attempt
def scheduling_parameters():
    os.sched_setparam(OUT["pid"], os.sched_param(0))
    return True


@attempt
def scheduling_attributes():
    call("sched_setattr", OUT["pid"], ctypes.c_char_p(struct.pack("IIQiIQQQ", 48, 0, 0, 0, 0, 0, 0, 0)), 0)
    return True


@attempt
def input_priority():
    call("ioprio_set", 1, OUT["pid"], (2 << 13) | 4)
    return True


@each(OTHERS)
def signal_to_the(pid):
    os.kill(pid(), 0)
    return True


@attempt
def signal_to_a_thread():
    call("tgkill", OUT["pid"], OUT["pid"], 0)
    return True


@attempt
def signal_in_a_queue():
    information = ctypes.create_string_buffer(128)
    ctypes.memmove(information, struct.pack("iii", 0, 0, -1), 12)
    call("rt_sigqueueinfo", OUT["pid"], 0, information)
    return True


@each(OTHERS)
def handle_of_the(pid):
    return call("pidfd_open", pid(), 0) >= 0


@attempt
def signal_through_a_handle():
    call("pidfd_send_signal", call("pidfd_open", OUT["pid"], 0), 0, NULL, 0)
    return True


@attempt
def descriptor_through_a_handle():
    return call("pidfd_getfd", call("pidfd_open", OUT["pid"], 0), 0, 0) >= 0


@attempt
def memory_hints_through_a_handle():
    pages = struct.pack("QQ", OUT["address"] & ~4095, 4096)
    call("process_madvise", call("pidfd_open", OUT["pid"], 0), ctypes.c_char_p(pages), 1, 20, 0)
    return True


@attempt
def signals_of_a_descriptor():
    one, other = os.pipe()
    fcntl.fcntl(one, fcntl.F_SETOWN, OUT["pid"])
    return True


@attempt
def tracing():
    call("ptrace", 0x4206, OUT["pid"], 0, 0)
    call("ptrace", 17, OUT["pid"], 0, 0)
    return True


def remote(name, text):
    here = ctypes.create_string_buffer(text)
    local = struct.pack("QQ", ctypes.addressof(here), len(text))
    there = struct.pack("QQ", OUT["address"], len(text))
    call(name, OUT["pid"], ctypes.c_char_p(local), 1, ctypes.c_char_p(there), 1, 0)
    return here.raw


@attempt
def memory_read():
    return MARK.encode() in remote("process_vm_readv", b"\0" * len(MARK))


@attempt
def memory_written():
    remote("process_vm_writev", MARK.encode())
    return True


@each(OTHERS)
def memory_file_of_the(pid):
    opened(f"/proc/{pid()}/mem")
    return True


@attempt
def comparing():
    call("kcmp", os.getpid(), OUT["pid"], 1, 0, 0)
    return True


@attempt
def pages_moved():
    call("move_pages", OUT["pid"], 0, NULL, NULL, NULL, 0)
    return True


@attempt
def pages_migrated():
    nodes = ctypes.c_ulong(1)
    call("migrate_pages", OUT["pid"], 64, ctypes.byref(nodes), ctypes.byref(nodes))
    return True


@attempt
def robust_list():
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    call("get_robust_list", OUT["pid"], ctypes.byref(head), ctypes.byref(size))
    return True


@attempt
def clock_of_a_process():
    call("clock_gettime", (~OUT["pid"] << 3) | 2, zeros(16))
    return True


@attempt
def timer_on_the_clock_of_a_process():
    call("timer_create", (~OUT["pid"] << 3) | 2, NULL, zeros(4))
    return True


@each(OTHERS)
def command_line_of_the(pid):
    return bool(os.read(opened(f"/proc/{pid()}/cmdline"), 1))


@each(OTHERS)
def environment_of_the(pid):
    return os.read(opened(f"/proc/{pid()}/environ"), 1) is not None


@each(OTHERS)
def descriptors_of_the(pid):
    return os.listdir(f"/proc/{pid()}/fd") is not None


@each(OTHERS)
def status_of_the(pid):
    return bool(os.read(opened(f"/proc/{pid()}/status"), 1))


@attempt
def command_lines_of_all():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                line = file.read()
                if b"cage.py\0victim" in line or b"\0serve\0" in line:
                    return entry
    return False


@attempt
def first_process_written():
    opened("/proc/1/mem", os.O_RDWR)
    return True


@attempt
def launcher_written():
    opened(f"/proc/{os.getppid()}/mem", os.O_RDWR)
    parent = open(f"/proc/{os.getppid()}/status").read()
    return "python" not in parent.splitlines()[0]


# System V, queues.


@attempt
def shared_memory():
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(OUT["shm"], None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    ctypes.memmove(address, b"reached!", 8)
    return True


@attempt
def shared_memory_by_key():
    return call("shmget", OUT["shm_key"], 0, 0) >= 0


@attempt
def shared_memory_told_of():
    call("shmctl", OUT["shm"], 2, zeros(256))
    return True


@attempt
def semaphores():
    return call("semctl", OUT["sem"], 0, 12, 0) >= 0


@attempt
def messages():
    call("msgsnd", OUT["msg"], ctypes.c_char_p(struct.pack("l", 1) + b"x"), 1, 0o4000)
    return True


@attempt
def messages_received():
    call("msgrcv", OUT["msg"], zeros(64), 8, 0, 0o4000)
    return True


@attempt
def message_queue():
    return bool(OUT["mq"]) and call("mq_open", pointer(OUT["mq"]), os.O_RDWR, 0, NULL) >= 0


# Sockets.


@attempt
def tcp():
    socket.create_connection(("127.0.0.1", OUT["tcp"]), 2)
    return True


@attempt
def tcp_to_the_daemon():
    socket.create_connection(("127.0.0.1", OUT["port"]), 2)
    return True


@attempt
def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", OUT["udp"]))
    return True


@attempt
def udp_out():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
    return True


KINDS = {
    "echo": (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "six": (socket.AF_INET6, socket.SOCK_DGRAM, 0),
    "packets": (17, socket.SOCK_DGRAM, 0),
    "netlink": (16, socket.SOCK_RAW, 0),
    "netlink-audit": (16, socket.SOCK_RAW, 9),
    "netlink-events": (16, socket.SOCK_RAW, 15),
    "machines": (40, socket.SOCK_STREAM, 0),
    "ciphers": (38, socket.SOCK_SEQPACKET, 0),
    "local": (socket.AF_UNIX, socket.SOCK_STREAM, 0),
}


@each({name: kind for name, kind in KINDS.items()})
def socket_of_kind(kind):
    socket.socket(*kind)
    return True


def names(kind):
    folder = OUT["folder"]
    return {"path": f"{folder}/{kind}", "abstract": f"\0{folder}/{kind}", "in-a-root": f"{OUT['root']}/{kind}"}


PLACES = {"path": 0, "abstract": 1, "in-a-root": 2}


def place(kind, which):
    return list(names(kind).values())[which]


@each(PLACES)
def stream(which):
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(place("stream", which))
    return True


@each(PLACES)
def datagram(which):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", place("datagrams", which))
    return True


@each(PLACES)
def pair_connected(which):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.connect(place("datagrams", which))
    one.send(b"x")
    return True


@each(PLACES)
def pair_sending(which):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", place("datagrams", which))
    return True


@each(PLACES)
def pair_sending_a_message(which):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendmsg([b"x"], [], 0, place("datagrams", which))
    return True


@each(PLACES)
def pair_called_raw(which):
    one, two = ctypes.c_int * 2, None
    ends = one()
    if libc.socketpair(socket.AF_UNIX, 3, 0, ends):
        raise OSError(ctypes.get_errno(), "socketpair")
    socket.socket(fileno=ends[0]).sendto(b"x", place("datagrams", which))
    return True


@each(PLACES)
def pair_of_packets(which):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.connect(place("datagrams", which))
    return True


# Namespaces and mounts.

SPACES = {"users": 0x10000000, "mounts": 0x20000, "processes": 0x20000000, "network": 0x40000000, "objects": 0x8000000, "time": 0x80}


@each(SPACES)
def namespace_of(flag):
    call("unshare", flag)
    return True


@attempt
def namespace_by_clone():
    child = call("clone", 0x10000000 | signal.SIGCHLD, NULL, NULL, NULL, NULL)
    if child == 0:
        os._exit(0)
    return True


@attempt
def namespace_by_clone3():
    arguments = struct.pack("QQQQQQQQ", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call("clone3", ctypes.c_char_p(arguments), len(arguments))
    if child == 0:
        os._exit(0)
    return True


@attempt
def namespace_of_another():
    call("setns", opened(f"/proc/{OUT['pid']}/ns/net"), 0)
    return True


@attempt
def mounting():
    call("mount", pointer("none"), pointer("/tmp"), pointer("tmpfs"), 0, NULL)
    return True


@attempt
def root_changed():
    os.chroot(".")
    return True


@attempt
def tree_opened():
    return call("open_tree", AT_FDCWD, pointer("/"), 0x80000) >= 0


@attempt
def tree_opened_with_attributes():
    return call("open_tree_attr", AT_FDCWD, pointer("/"), 0x80000, NULL, 0) >= 0


@attempt
def mount_attributes():
    call("mount_setattr", AT_FDCWD, pointer("/"), 0, zeros(32), 32)
    return True


@each({"fsopen": ("fsopen", "tmpfs", 0), "fspick": ("fspick", AT_FDCWD, "/", 0)})
def new_mounts(arguments):
    return call(*[pointer(one) if index and isinstance(one, str) else one for index, one in enumerate(arguments)]) >= 0


@attempt
def mounts_listed():
    request = struct.pack("IIQQ", 24, 0, 0xFFFFFFFFFFFFFFFF, 0)
    return call("listmount", ctypes.c_char_p(request), zeros(2048), 256, 0) >= 0


# Watching.


@each({"home": lambda: OUT["folder"], "visible": lambda: os.path.dirname(OUT["visible"]), "system": lambda: "/etc"})
def watching_the(folder):
    return call("inotify_add_watch", call("inotify_init1", 0), pointer(folder()), 0xFFF) >= 0


@attempt
def watching_file_systems():
    return call("fanotify_init", 0x200, 0) >= 0


@each({"visible": lambda: os.path.dirname(OUT["visible"]), "system": lambda: "/etc"})
def notices_of_the(folder):
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(opened(folder()), fcntl.F_NOTIFY, 0x7FFFFFFF & 0x3F)
    return True


@each(VISIBLE)
def lease(file):
    fcntl.fcntl(opened(file()), fcntl.F_SETLEASE, fcntl.F_RDLCK)
    return True


@each(VISIBLE)
def hint(file):
    fcntl.fcntl(opened(file()), 1036, struct.pack("Q", 1))
    return True


# The rest of the kernel.


@each(
    {
        "ring": ("io_uring_setup", 1, zeros(120)),
        "keyring": ("keyctl", 0, -4, 1),
        "key": ("add_key", pointer("user"), pointer("probe"), pointer("x"), 1, -2),
        "key-request": ("request_key", pointer("user"), pointer("probe"), NULL, -2),
        "program": ("bpf", 5, zeros(128), 128),
        "counter": ("perf_event_open", ctypes.c_char_p(struct.pack("IIQ", 1, 128, 0) + b"\0" * 112), 0, -1, -1, 0),
        "faults": ("userfaultfd", 1),
        "messages": ("syslog", 10, NULL, 0),
        "secret-memory": ("memfd_secret", 0),
        "segments": ("modify_ldt", 0, zeros(64), 64),
        "clock": ("adjtimex", zeros(256)),
        "input": ("io_setup", 1, ctypes.byref(ctypes.c_ulong(0))),
    }
)
def kernels(arguments):
    return call(*arguments) >= 0


@attempt
def personality():
    return call("personality", 0x40000) >= 0


@attempt
def handle_of_a_file():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
    call("name_to_handle_at", AT_FDCWD, pointer(OUT["visible"]), handle, ctypes.byref(ctypes.c_int()), 0)
    return True


@attempt
def file_by_handle():
    call("open_by_handle_at", opened("/"), ctypes.create_string_buffer(struct.pack("Ii", 8, 1) + b"\0" * 8), 0)
    return True


def typed(number, argument):
    for one in (0, 1, 2):
        try:
            fcntl.ioctl(one, number, argument)
            return True
        except OSError as error:
            if error.errno == errno.EPERM:
                raise
    master, slave = os.openpty()
    os.setsid()
    fcntl.ioctl(slave, 0x540E, 0)
    fcntl.ioctl(slave, number, argument)
    return True


@attempt
def typing():
    return typed(0x5412, b"x")


@attempt
def console():
    return typed(0x541C, b"\x02")


@attempt
def call_of_32_bits():
    import mmap

    # mov eax, 20 (getpid); int 0x80; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()


@attempt
def call_of_x32():
    return call(0x40000000 | NUMBERS["getpid"]) > 0


@attempt
def calls_that_are_newer():
    for number in list(range(470, 600)) + [1 << 20, (1 << 31) - 1]:
        try:
            call(number, 0, 0, 0, 0, 0, 0)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                return f"{number}: {error}"
    return False


@attempt
def inherited_descriptors():
    others = []
    for one in range(3, 1024):
        try:
            others.append((one, os.readlink(f"/proc/self/fd/{one}"), os.fstat(one).st_mode))
        except OSError:
            pass
    return [one for one in others if "cage.py" not in one[1] and one[0] != REPORT[0]]


@attempt
def keys_listed():
    return bool(os.read(opened("/proc/keys"), 1))


@attempt
def kernels_settings():
    opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)
    return True


@attempt
def scratch_of_others():
    return [one for one in os.listdir("/tmp") if one.startswith("baa-conductor-") and one not in os.environ["HOME"]]


REPORT = [-1]


def probe(targets):
    OUT.update(json.loads(targets))
    part, parts = OUT["part"]
    for name, function in ATTEMPTS[part::parts]:
        out, to = os.pipe()
        child = os.fork()
        if child == 0:
            REPORT[0] = to
            os.close(out)
            try:
                leaked = function()
                said = f"LEAKED {leaked}" if leaked else "held"
            except BaseException as error:
                said = f"held ({error})"
            os.write(to, said.encode()[:512].replace(b"\n", b" "))
            os._exit(0)
        os.close(to)
        said = b""
        while part := os.read(out, 512):
            said += part
        os.close(out)
        _, status = os.waitpid(child, 0)
        print(f"{name}: {said.decode(errors='replace') or f'held (it was ended: {status})'}", flush=True)


if __name__ == "__main__":
    {"victim": victim, "probe": probe}[sys.argv[1]](sys.argv[2])

"""What is done to the machine itself: small disks, memory limits, other clocks; each says what it lacks here."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_MEGABYTES = 1_400
OOM_BYTES = 32 << 20
_GREEDY = """import sys, time
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write("0")
bytearray(int(sys.argv[2])).count(1)
time.sleep(60)"""
EMPTY_SECONDS = 10.0
MEMORY_V1 = Path("/sys/fs/cgroup/memory")
MEMORY_V2 = Path("/sys/fs/cgroup")
CLOCKS = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def no_small_disk() -> str | None:
    """Why no disk of a given size can be made here."""
    if os.geteuid() != 0:
        return "a disk of its own needs root"
    absent = [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]
    if absent:
        return f"{' and '.join(absent)} not found"
    return None if Path("/dev/loop-control").exists() else "no loop devices"


@contextmanager
def small_disk(image: Path, at: Path, megabytes: int = DISK_MEGABYTES) -> Iterator[Path]:
    """A file system of that size, in a file, mounted at a folder; a real disk lies under it."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1", str(image))
    at.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(at))
    (at / "lost+found").rmdir()
    at.chmod(0o755)
    try:
        yield at
    finally:
        _run("umount", "--lazy", str(at))
        image.unlink()


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """No byte is free on a disk while the block runs."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        found = os.statvfs(disk)
        taken, piece = 0, found.f_bavail * found.f_frsize
        while piece >= found.f_frsize:  # others write meanwhile, and the file system needs some for itself
            try:
                os.posix_fallocate(file.fileno(), taken, piece)
            except OSError:
                piece //= 2
            else:
                taken += piece
        try:
            yield
        finally:
            ballast.unlink()


def no_memory_limit() -> str | None:
    """Why the kernel's OOM killer cannot be called here."""
    root = _memory_root()
    if root is None:
        return "no memory control groups"
    return None if os.geteuid() == 0 and os.access(root, os.W_OK) else "control groups may be written by root only"


@contextmanager
def out_of_memory(pid: int) -> Iterator[None]:
    """Another process uses up the memory of the process's group: the kernel kills the one that may be killed (OOM)."""
    root = _memory_root()
    assert root is not None
    group = root / f"town-faults-{pid}"
    group.mkdir()
    limit = "memory.limit_in_bytes" if root == MEMORY_V1 else "memory.max"
    (group / limit).write_text(str(OOM_BYTES))
    (group / "cgroup.procs").write_text(str(pid))
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000")  # chosen before the greedy one
    greedy = subprocess.Popen([sys.executable, "-c", _GREEDY, str(group), str(OOM_BYTES * 4)])
    try:
        yield
    finally:
        greedy.kill()
        greedy.wait()
        give_up = time.monotonic() + EMPTY_SECONDS
        while (group / "cgroup.procs").read_text() and time.monotonic() < give_up:
            time.sleep(0.05)
        group.rmdir()


def _memory_root() -> Path | None:
    if (MEMORY_V1 / "memory.limit_in_bytes").exists() or (MEMORY_V1 / "cgroup.procs").exists():
        return MEMORY_V1
    controllers = MEMORY_V2 / "cgroup.controllers"
    return MEMORY_V2 if controllers.exists() and "memory" in controllers.read_text().split() else None


def no_other_clock() -> str | None:
    """Why no process can be given another clock."""
    return None if _clock_library() else "libfaketime is not installed"


def clock(seconds: int) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong; what it measures with the monotonic one stays right."""
    return {"LD_PRELOAD": str(_clock_library()), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def _clock_library() -> Path | None:
    return next(iter(sorted(Path("/").glob(CLOCKS.lstrip("/")))), None)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")

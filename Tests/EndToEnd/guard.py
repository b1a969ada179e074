"""Ends what a test process started, by process id, when that process dies without doing it itself.

Whatever runs for a test names the folder of its world in its arguments or its environment: a server, its roles, its PostgreSQL,
its cameras, a browser. The guard is told each folder, and that it is no longer used; when nobody can tell it anything any more, it
ends what still names one.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

# How long what is left has to end by itself, in seconds: a server whose supervisor is gone ends its database in an orderly way.
GRACE_S = 15


def processes_of(folder):
    """Ids of the processes that name the folder."""
    found, name = [], os.fsencode(str(folder))
    for process in pathlib.Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if any(name in (process / file).read_bytes() for file in ("cmdline", "environ")):
                    found.append(int(process.name))
            except OSError:
                continue  # ended meanwhile, or somebody else's
    return found


def end_processes(folder, grace_s=0):
    """Kills what still names the folder after so many seconds."""
    until = time.monotonic() + grace_s
    while (left := processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Guard:
    """The guard of this process; it starts with the first folder."""

    def __init__(self):
        self.process = None

    def watch(self, folder):
        if not self.process:
            # Of its own session: an interrupt of the terminal does not reach it.
            self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
        self.process.stdin.write(f"+{folder}\n")

    def forget(self, folder):
        self.process.stdin.write(f"-{folder}\n")


guard = Guard()


def main():
    folders = []
    for line in sys.stdin:
        sign, folder = line[0], line[1:].rstrip("\n")
        folders.append(folder) if sign == "+" else folders.remove(folder)
    for folder in folders:
        end_processes(folder, GRACE_S)
        for line in pathlib.Path("/proc/mounts").read_text().splitlines():
            if (mounted := line.split()[1]).startswith(folder + "/"):
                subprocess.run(["umount", mounted])
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

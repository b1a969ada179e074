"""The demonstration that the README promises, as a visitor runs it."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from conftest import PROGRAM, free_port
from guard import end_processes, guard


def test_the_demonstration_holds():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="plastron-demo-", dir="/tmp"))
    folder.chmod(0o755)
    ports = [str(free_port(kind)) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM)]
    guard.watch(folder)
    try:
        said = subprocess.run(
            [str(PROGRAM), "demo", "--data", str(folder / "data"), "--ingest-port", ports[0], "--console-port", ports[1],
             "--device-port", ports[2], "--once"], env=dict(os.environ, PLASTRON_METRICS_PORT=ports[3]), capture_output=True, text=True, timeout=180)
        assert said.returncode == 0 and "all of it holds" in said.stdout, said.stdout + said.stderr
        assert "FAIL" not in said.stdout
    finally:
        end_processes(folder)
        shutil.rmtree(folder, ignore_errors=True)
        guard.forget(folder)

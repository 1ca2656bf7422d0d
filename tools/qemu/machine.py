# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU machine: its description, its console as text with waiting, and how it ended.

How it ended comes from QEMU's own account (QMP's SHUTDOWN event), never from what the guest prints.
QMP: QEMU docs/interop/qmp-spec.rst; the event: qapi/run-state.json.
"""

import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

BUILD = Path(os.environ.get("DOMUS_BUILD", "build"))


@dataclass
class Config:
    """What to boot, and on which machine. Sizes as QEMU takes them, for instance 2G."""

    hypervisor: str = str(BUILD / "domus.elf")
    kernel: str = str(BUILD / "dom0/vmlinuz")
    initrd: str = str(BUILD / "dom0/initrd")
    machine: str = "pc"
    cpu: str = "qemu64,+svm,+npt"
    cpus: int = 2
    memory: str = "2G"
    dom0_memory: str = "1G"
    accel: str = "tcg,thread=multi"
    append: str = ""  # more for dom0's command line
    hypervisor_options: str = ""  # more for the hypervisor's
    devices: list[str] = field(default_factory=list)  # more of QEMU's arguments
    modules: list[str] | None = None  # instead of kernel and initrd: each "FILE ARGUMENTS"
    boot: list[str] | None = None  # QEMU's words for the medium to boot from, instead of loading all that itself
    reboot: bool = False  # let a reset start the machine again instead of ending QEMU
    qemu: str = "qemu-system-x86_64"

    def options(self) -> str:
        """The hypervisor's command line."""
        return (f"console=com1 com1=115200,8n1 dom0_mem={self.dom0_memory} loglvl=all guest_loglvl=all "
                f"{self.hypervisor_options}").strip()

    def kernel_arguments(self) -> str:
        """dom0's command line."""
        return f"console=hvc0 {self.append}".strip()

    def _direct_boot(self) -> list[str]:
        modules = self.modules
        if modules is None:
            modules = [f"{self.kernel} {self.kernel_arguments()}", self.initrd]
        words = ["-kernel", self.hypervisor, "-append", self.options()]
        if modules:
            # QEMU splits at commas; a doubled comma stands for one.
            words += ["-initrd", ",".join(module.replace(",", ",,") for module in modules)]
        return words

    def command(self) -> list[str]:
        """QEMU's command line, without any console or monitor."""
        words = [self.qemu, "-accel", self.accel, "-machine", self.machine, "-cpu", self.cpu, "-smp", str(self.cpus),
                 "-m", self.memory, "-display", "none", "-nodefaults", "-no-user-config"]
        words += self.boot if self.boot is not None else self._direct_boot()
        if not self.reboot:
            words.append("-no-reboot")
        return words + self.devices


class Ended(Exception):
    """The machine ended, or time ran out, before what was waited for came."""


class Machine:
    """A running QEMU. Use it as a context manager: leaving the block ends QEMU by its own process id."""

    def __init__(self, config: Config, log: Path | None = None, echo=None):
        self.text = ""  # all that the console said, without carriage returns
        self.shutdown_reason: str | None = None  # guest-shutdown, guest-reset, host-signal, ...
        self.exit_status: int | None = None
        self.started = time.monotonic()
        self.resets = 0
        self._position = 0  # how far expect() has read
        self._echo = echo
        self._folder = Path(tempfile.mkdtemp(prefix="domus-qemu-"))
        self._log = open(log, "w", encoding="utf-8") if log else None
        self._qmp_buffer = b""
        self._answers: dict[int, object] = {}  # to commands of monitor(), by their ids
        self._commands = 0
        self._selector = selectors.DefaultSelector()
        self._console = self._listen("console")
        self._qmp = self._listen("qmp")
        command = config.command() + [
            "-chardev", f"socket,id=console,path={self._folder}/console", "-serial", "chardev:console",
            "-chardev", f"socket,id=qmp,path={self._folder}/qmp", "-mon", "chardev=qmp,mode=control"]
        if self._log:
            self._log.write("$ " + " ".join(f"'{word}'" if " " in word else word for word in command) + "\n")
        self._errors = open(self._folder / "errors", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors)
        try:
            self._console = self._accept(self._console)
            self._qmp = self._accept(self._qmp)
        except OSError:
            self.close()
            raise Ended(f"QEMU did not start: {self.errors()}") from None
        self._selector.register(self._console, selectors.EVENT_READ, self._read_console)
        self._selector.register(self._qmp, selectors.EVENT_READ, self._read_qmp)
        self.qmp("qmp_capabilities")

    def _listen(self, name: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._folder / name))
        listener.listen(1)
        return listener

    def _accept(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(0.2)
        for _ in range(150):
            try:
                connection, _ = listener.accept()
                listener.close()
                return connection
            except TimeoutError:
                if self.process.poll() is not None:
                    break
        listener.close()
        raise OSError("no connection from QEMU")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def errors(self) -> str:
        """What QEMU itself complained about."""
        if self._errors.closed:
            return ""
        self._errors.flush()
        return Path(self._errors.name).read_text(encoding="utf-8", errors="replace").strip()

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def qmp(self, name: str, **arguments):
        """Sends a QMP command; its answer is not waited for."""
        try:
            self._qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        except OSError:
            pass

    def monitor(self, line: str, timeout: float = 60) -> str:
        """Runs a command of QEMU's monitor for people and returns what it prints."""
        self._commands += 1
        number = self._commands
        message = {"execute": "human-monitor-command", "arguments": {"command-line": line}, "id": number}
        try:
            self._qmp.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Ended(f"the machine ended before '{line}'") from None
        deadline = time.monotonic() + timeout
        while number not in self._answers:
            if time.monotonic() >= deadline or not self._pump(deadline):
                raise Ended(f"QEMU did not answer '{line}'")
        return str(self._answers.pop(number)).replace("\r", "")

    def type(self, text: str):
        """Types on the console."""
        try:
            self._console.sendall(text.encode())
        except OSError:
            raise Ended("the machine ended before it could be typed to") from None

    def _read_console(self) -> bool:
        try:
            data = self._console.recv(65536)
        except OSError:
            data = b""
        text = data.decode("utf-8", "replace").replace("\r", "")
        self.text += text
        if self._log:
            self._log.write(text)
            self._log.flush()
        if self._echo and text:
            self._echo(text)
        return bool(data)

    def _read_qmp(self) -> bool:
        try:
            data = self._qmp.recv(65536)
        except OSError:
            data = b""
        *lines, self._qmp_buffer = (self._qmp_buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "id" in message:
                self._answers[message["id"]] = message.get("return", message)
            elif message.get("event") == "SHUTDOWN":
                self.shutdown_reason = message["data"]["reason"]
            elif message.get("event") == "RESET" and message["data"].get("guest"):
                self.resets += 1
        return bool(data)

    def _pump(self, deadline: float) -> bool:
        """Reads what there is, waiting for something until `deadline`. False: both channels are closed."""
        if not self._selector.get_map():
            return False
        for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
            if not key.data():
                self._selector.unregister(key.fileobj)
        return True

    def expect(self, pattern: str, timeout: float) -> re.Match:
        """Waits until the console, from where the last expect() ended, matches `pattern` (multi-line)."""
        deadline = time.monotonic() + timeout
        compiled = re.compile(pattern, re.MULTILINE)
        while True:
            found = compiled.search(self.text, self._position)
            if found:
                self._position = found.end()
                return found
            if time.monotonic() >= deadline:
                problem = f"no /{pattern}/ on the console within {timeout:.0f} s; {self.last_words()}"
                self._inquest()
                raise Ended(problem)
            if not self._pump(deadline):
                raise Ended(f"the machine ended ({self.shutdown_reason}) without /{pattern}/; {self.last_words()}")

    def _inquest(self):
        """Puts into the log what a hang may be found by: who runs where, the last events, and every CPU's registers."""
        try:
            self.type("\x01\x01\x01reT\x01\x01\x01")  # the hypervisor's own view, if it still answers
            self.watch(3)
            for _ in range(3):
                registers = self.monitor("info registers -a", timeout=10)
                if self._log:
                    self._log.write(f"\n--- registers at {self.elapsed():.1f} s ---\n{registers}")
                self.watch(0.3)
        except Ended:
            pass

    def watch(self, seconds: float):
        """Reads what the console says for so long, or until the machine ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._pump(deadline):
            pass

    def wait(self, timeout: float) -> str:
        """Waits until the machine ends by itself; returns the reason that QEMU gives for it."""
        deadline = time.monotonic() + timeout
        while self._pump(deadline):
            if time.monotonic() >= deadline:
                problem = f"still running after {timeout:.0f} s; {self.last_words()}"
                self._inquest()
                raise Ended(problem)
        try:
            self.exit_status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise Ended("QEMU closed its channels but did not exit") from None
        if self.shutdown_reason is None:
            raise Ended(f"QEMU exited with status {self.exit_status} and no reason; {self.errors()}")
        return self.shutdown_reason

    def last_words(self) -> str:
        """The console's last line, for messages."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return f"last on the console: {lines[-1][:160]!r}" if lines else f"the console is silent {self.errors()}"

    def close(self):
        """Ends QEMU if it still runs, and removes what this object made (not the log)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._selector.close()
        for handle in (self._console, self._qmp, self._errors, self._log):
            if handle:
                handle.close()
        shutil.rmtree(self._folder, ignore_errors=True)

"""Types the commands of a page into shells, as a reader would, and compares what they print with the page.

In a page, a block of ```console holds commands, each behind `$ `, and below each what it prints. There, `[..]` stands for
anything in a line and a line `...` for any lines. A word behind `console` says where it is typed:

* nothing: in the page's second terminal, one shell for the whole page;
* `node`: in a first terminal of its own, where the command stays until `stop`;
* `eventually`: in the second terminal, the whole block again until it prints what the page says;
* `shows`: no command; what the first terminal then prints;
* `stop`: the page says in words that Ctrl-C is pressed in the first terminal; what it then prints may follow.

Blocks of ```python are programs. Whoever waits longer than PATIENCE_S for a fact waits in vain.
"""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PATIENCE_S = float(os.environ.get("PATIENCE_S", 900))
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """(line, language, word, text) of each block that is typed."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        language, word, body = found[1], found[2].strip(), found[3]
        if language in ("console", "python", "sh"):
            assert language != "sh", f"{page}: write commands as console, with what they print:\n{body}"
            yield text.count("\n", 0, found.start()) + 1, language, word, body


def steps(body):
    """(command, expected lines) of each command of a block; a command goes on behind `> `."""
    steps = []
    for line in body.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
        else:
            steps[-1][1].append(line)
    return steps


def fits(expected, printed):
    """Whether the lines are as expected."""
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(re.escape(part) for part in line.rstrip().split("[..]")) + r"[ ]*\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


class Shell:
    """A bash that commands are typed into, one after another."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )

    def type(self, command):
        """What it prints, and its exit code."""
        mark = f"--{os.urandom(8).hex()}--"
        self.process.stdin.write(f"{command}\necho {mark}$?\n")
        self.process.stdin.flush()
        printed = []
        in_vain = threading.Timer(PATIENCE_S, os.killpg, (self.process.pid, signal.SIGKILL))
        in_vain.start()
        try:
            for line in self.process.stdout:
                before, found, code = line.rstrip("\n").partition(mark)
                if found:
                    return printed + ([before] if before else []), int(code)
                printed.append(before)
        finally:
            in_vain.cancel()
        raise AssertionError("\n".join([f"$ {command}", "does not end, or ended the shell. It printed:", *printed]))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Terminal:
    """A command that stays."""

    def __init__(self, command, folder, environment):
        self.printed, self.changed, self.seen, self.has_ended = [], threading.Condition(), 0, False
        self.process = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.printed.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.printed.append("(the command has ended)")
            self.has_ended = True
            self.changed.notify_all()

    def wait_for(self, expected):
        """Until it has printed this, behind what was waited for before."""
        def found():
            ends = range(self.seen, len(self.printed) + 1)
            return next((end for end in ends if fits(expected, self.printed[self.seen : end])), None)
        with self.changed:
            self.changed.wait_for(lambda: self.has_ended or found() is not None, PATIENCE_S)
            end = found()
            assert end is not None, differs(expected, self.printed[self.seen :])
            self.seen = end

    def stop(self):
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        self.reader.join()
        return code


def differs(expected, printed):
    return "the page says:\n" + "\n".join(expected) + "\n\nit prints:\n" + "\n".join(printed)


class Reader:
    """Somebody who reads a page and types what it says."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        self.shell, self.terminal = Shell(folder, environment), None

    def follow(self, page):
        try:
            for line, language, word, body in blocks(page):
                try:
                    self.block(language, word, body)
                except AssertionError as error:
                    seen = "\n".join(self.terminal.printed[-40:]) if self.terminal else ""
                    raise AssertionError(f"{page.name}, line {line}: {error}\n\nthe first terminal shows:\n{seen}") from None
        finally:
            if self.terminal:
                self.terminal.stop()
            self.shell.close()

    def block(self, language, word, body):
        if language == "python":
            done = subprocess.run(["python3", "-"], input=body, cwd=self.folder, env=self.environment, text=True, capture_output=True)
            assert done.returncode == 0, done.stderr
        elif word == "node":
            ((command, expected),) = steps(body)
            self.terminal = Terminal(command, self.folder, self.environment)
            self.terminal.wait_for(expected)
        elif word == "shows":
            self.terminal.wait_for(body.splitlines())
        elif word == "stop":
            code, terminal, self.terminal = self.terminal.stop(), self.terminal, None
            # `make` ends as one that was interrupted, whatever it ran.
            assert code in (0, -signal.SIGINT), f"it ended with {code}"
            expected = body.splitlines()
            assert fits(["...", *expected, "(the command has ended)"], terminal.printed), differs(expected, terminal.printed)
        else:
            end = time.monotonic() + (PATIENCE_S if word == "eventually" else 0)
            while (wrong := self.type(body)) and time.monotonic() < end:
                time.sleep(0.2)
            assert not wrong, wrong

    def type(self, body):
        """What is not as the page says; `None` when all is."""
        for command, expected in steps(body):
            printed, code = self.shell.type(command)
            if not fits(expected, printed):
                return f"$ {command}   (exit code {code})\n{differs(expected, printed)}"
        return None


def copy(repository, folder):
    """Makes the folder what the repository holds; what was built there before stays."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=repository, check=True, capture_output=True, text=True).stdout.split("\0")
    wanted = {folder / name: repository / name for name in names if name and (repository / name).is_file()}
    built = {folder / "target", folder / "functions" / "target"}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path in wanted or any(path.is_relative_to(target) for target in built):
            continue
        if not path.is_dir():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()
    for path, source in wanted.items():
        # What is the same keeps its time, so that it is not built again.
        if not path.is_file() or path.read_bytes() != source.read_bytes():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path)


def loopback_up():
    """In a network of its own, where every port is free, nothing is up at first."""
    up_and_running = struct.pack("16sh14x", b"lo", 0x41)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, up_and_running)  # SIOCSIFFLAGS


if __name__ == "__main__":
    loopback_up()
    repository, *pages = map(pathlib.Path, sys.argv[1:])
    for page in pages:
        shutil.rmtree(repository / ".tidemill", ignore_errors=True)
        Reader(repository, os.environ).follow(repository / page)

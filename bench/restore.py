#!/usr/bin/env python3
"""Time from the start of `ringfence run --restore` to the first answered keystroke: Return, which waits in the terminal from
the start, is answered by a new prompt of the default guest's shell. With --make the snapshot is made first.

    bench/restore.py SNAPSHOT [--make] [--rounds N] [--program PATH]... [-- OPTION...]

Several programs (bin/ringfence of several trees) take turns; each goes on with SNAPSHOT.NUMBER of its own, since saved code
fits one version only. Prints medians and the least of elapsed and processor time.
"""
import argparse
import os
import pty
import resource
import select
import statistics
import subprocess
import sys
import time

PROMPT = b"# "


class Machine:
    """`ringfence run` on a terminal of its own."""

    def __init__(self, program, options):
        self.terminal, side = pty.openpty()
        self.seen = b""
        self.started = time.monotonic()
        # What is typed before the program reads waits in the terminal.
        os.write(self.terminal, b"\r")
        command = [program, "run", *options]
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, close_fds=True)
        os.close(side)

    def wait_for(self, text, seconds=120):
        """Reads until the text appears; returns the time since the start."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            if time.monotonic() > end or not select.select([self.terminal], [], [], 1)[0]:
                if time.monotonic() > end:
                    sys.exit(f"no {text!r} within {seconds} s; seen: {self.seen[-300:]!r}")
                continue
            try:
                self.seen += os.read(self.terminal, 4096)
            except OSError:
                sys.exit(f"the machine has ended: {self.seen[-300:]!r}")
        return time.monotonic() - self.started

    def type(self, text):
        os.write(self.terminal, text)

    def quit(self):
        self.type(b"\x01x")
        try:
            while os.read(self.terminal, 4096):
                pass
        except OSError:
            pass
        self.process.wait()
        os.close(self.terminal)


def make(program, snapshot, options):
    machine = Machine(program, ["--snapshot", snapshot, *options])
    machine.wait_for(PROMPT)
    time.sleep(3)
    machine.type(b"\x01s")
    machine.wait_for(b"ringfence: saved")
    machine.quit()


def restore(program, snapshot, options):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    machine = Machine(program, ["--restore", snapshot, *options])
    elapsed = machine.wait_for(PROMPT)
    machine.quit()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--program", action="append")
    options = parser.parse_args(words[:at])
    rest = words[at + 1 :]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    programs = options.program or [os.path.join(root, "bin", "ringfence")]
    results = {program: [] for program in programs}
    snapshots = {program: f"{options.snapshot}.{number}" for number, program in enumerate(programs)}
    if options.make:
        for program in programs:
            make(program, snapshots[program], rest)
    for program in programs:
        # The first start fills Node.js's cache of compiled sources.
        restore(program, snapshots[program], rest)
    for _ in range(options.rounds):
        for program in programs:
            results[program].append(restore(program, snapshots[program], rest))
    for program, times in results.items():
        for name, values in zip(("elapsed", "processor"), zip(*times)):
            middle, least = statistics.median(values), min(values)
            print(f"{program}: {name} {middle * 1000:.0f} ms, least {least * 1000:.0f} ms")


main()

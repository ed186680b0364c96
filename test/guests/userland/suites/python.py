"""Runs modules of Python's own test suite, and prints for each how many tests ran and how they ended."""
import re
import subprocess
import sys

for name in sys.argv[1:]:
    run = subprocess.run(
        [sys.executable, "-m", "test", "-v", name], capture_output=True, text=True, errors="replace"
    )
    output = run.stdout + run.stderr
    ran = sum(int(count) for count in re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE))
    verdicts = re.findall(r"^(?:OK|FAILED)(?: \(.*\))?$", output, re.MULTILINE)
    print(f"SUITE python {name}: ran {ran}, {'; '.join(verdicts) or 'no verdict'}, status {run.returncode}", flush=True)
    if run.returncode != 0:
        print(output[-2000:])

"""Before the first question: is there what a project needs? Must run, and say so, on any Python 3."""

import subprocess
import sys

problems = []
if sys.hexversion < 0x030B0000:
    version = ".".join(str(part) for part in sys.version_info[:2])
    problems.append("Python " + version + " is too old; run cookiecutter with Python 3.11 or newer")
try:
    subprocess.check_output(["git", "--version"])
except (OSError, subprocess.CalledProcessError):
    problems.append("git does not run; install it and try again")
for problem in problems:
    sys.stderr.write("cookiecutter-gitloop: " + problem + "\n")
sys.exit(1 if problems else 0)

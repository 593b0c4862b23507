"""Programs that kill themselves, as the kernel does it when memory is short or a machine is taken away."""

from __future__ import annotations

PROGRAM = """
import os, signal
{imports}
real = {where}.{name}
def killed(*given, **named):
    found = real(*given, **named) if {after} else None
    os.kill(os.getpid(), signal.SIGKILL)
{where}.{name} = killed
"""


def killed(imports: str, where: str, name: str, when: str) -> str:
    """Code after which a call of `where.name` ends the process by SIGKILL: `before` it does anything, or `after`."""
    return PROGRAM.format(imports=imports, where=where, name=name, after=when == "after")

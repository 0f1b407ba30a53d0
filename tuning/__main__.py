"""The command `surefoot`, also as `python -m tuning`: Ctrl-C is heard from the first moment on."""

from __future__ import annotations

import os
import signal

from tuning.cli.exit_codes import ExitCode

__all__ = ["main"]


def main() -> None:
    """Run the command and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell ignores it
        signal.signal(signal.SIGINT, _leave)  # raising would show where in NumPy the import was
        from tuning.cli.main import main as command

        signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        from tuning.cli.main import main as command
    command()


def _leave(*_: object) -> None:
    """Nothing has been started yet."""
    os.write(2, b"surefoot: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()

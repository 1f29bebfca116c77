"""The keystore's password from a file; never from an argument or the environment, which others can read.

In: a path. Out: the password. Asking a person is the command line's business.
"""

from __future__ import annotations

from pathlib import Path

from headwater.errors import InvalidInput, NotFound


def read_password(file: str | Path) -> str:
    """The file's first line without its end. Raises NotFound, InvalidInput if it is empty or not UTF-8."""
    path = Path(file)
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise NotFound(f"there is no password file {path}", "make it, readable by you only") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"the password file {path} is not UTF-8", "save it as UTF-8") from None
    if not lines or not lines[0]:
        raise InvalidInput(f"the password file {path} is empty", "write the password on its first line")
    return lines[0]

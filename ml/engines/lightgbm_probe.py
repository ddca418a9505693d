"""Model text is read by LightGBM in another process first: some damaged texts end the process that reads.

Text whose trees are not as long as its header says is one; such an end is no error that could be caught.
"""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from ml.engines.lightgbm_reading import REFUSED
from ml.errors import EngineRefused

_LONGEST_S = 120.0
_REMEMBERED = 64
_found: dict[str, str | None] = {}  # by digest of a text: why not


def refuse_deadly(text: str) -> None:
    """Raise EngineRefused for text that LightGBM refuses or does not survive; a text is tried once."""
    encoded = text.encode()
    digest = sha256(encoded).hexdigest()
    if digest not in _found:
        while len(_found) >= _REMEMBERED:
            _found.pop(next(iter(_found)), None)
        _found[digest] = _problem(encoded)
    if problem := _found[digest]:
        raise EngineRefused("lightgbm", "load", problem)


def _problem(text: bytes) -> str | None:
    from lightgbm.basic import _LIB

    script = Path(__file__).with_name("lightgbm_reading.py")
    command = [sys.executable, "-I", "-S", str(script), _LIB._name]
    try:
        done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"LightGBM has not read it within {_LONGEST_S:g} s"
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip()[-300:]
    if done.returncode == REFUSED:
        return said
    return f"LightGBM does not survive reading it: {said or f'it ended with {done.returncode}'}"

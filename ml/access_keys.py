"""Keys that callers of an endpoint show: made, kept as hashes in a file, revoked.

A key is 256 random bits, so that one SHA-256 of it is as good as a slow hash. Nobody is let in here.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from ml.errors import AccessKeyExists, AccessKeysMissing, AccessKeysUnreadable, NoSuchAccessKey

Scope = Literal["predict", "receipts", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "hw_"
_LOOPBACK = ("127.", "localhost", "::1")


class AccessKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key by its hash. `admin` includes the other scopes; None `per_second` is no limit of requests."""

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    made_at: datetime
    per_second: float | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether its holder may do what needs the scope."""
        return scope in self.scopes or "admin" in self.scopes


def digest_of(key: str) -> str:
    """What a file keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(file: Path) -> tuple[AccessKey, ...]:
    """All keys of a file, none where there is no file; raises AccessKeysUnreadable."""
    try:
        return tuple(msgspec.json.decode(file.read_bytes(), type=list[AccessKey]))
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as failure:
        raise AccessKeysUnreadable(file, str(failure)) from failure


def add_key(file: Path, name: str, scopes: Sequence[Scope], per_second: float | None = None) -> str:
    """Make a key, which nobody can read again afterwards; raises AccessKeyExists or AccessKeysUnreadable."""
    key = _PREFIX + secrets.token_urlsafe(32)
    with _changing(file) as keys:
        if any(one.name == name for one in keys):
            raise AccessKeyExists(name, file)
        keys.append(AccessKey(name, digest_of(key), tuple(scopes), datetime.now(UTC), per_second))
    return key


def revoke_key(file: Path, name: str) -> None:
    """Let a key open nothing any more; raises NoSuchAccessKey or AccessKeysUnreadable."""
    with _changing(file) as keys:
        known = [one.name for one in keys]
        if name not in known:
            raise NoSuchAccessKey(name, known, file)
        keys[:] = [one for one in keys if one.name != name]


def refuse_without(host: str, file: Path | None, *, is_named: bool) -> bool:
    """Whether requests to that address need a key: beyond loopback, or where the file was asked for.

    Raises AccessKeysMissing when they do and there is none, or AccessKeysUnreadable.
    """
    if not is_named and host.startswith(_LOOPBACK):
        return False
    if file is None or not read_keys(file):
        raise AccessKeysMissing(host, file)
    return True


@contextmanager
def _changing(file: Path) -> Iterator[list[AccessKey]]:
    """The keys, written back whole: a reader sees those before or those after."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read_keys(file))
        yield keys
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n")
            os.fsync(out.fileno())
        partial.replace(file)

"""Who may ask what: keys in requests against the file of keys, read again when it changes, and their rates.

On loopback nobody needs a key unless a file of keys is named; how keys are made is `ml.access_keys`'s.
"""

import logging
import time
from collections.abc import Callable, Iterable
from hmac import compare_digest
from pathlib import Path

from ml.access_keys import AccessKey, Scope, digest_of, read_keys, refuse_without
from ml.errors import AccessKeysUnreadable
from services.problems import Kind, RequestRefused

_LOG = logging.getLogger("bentoml.headwater")
_LOOK_EVERY_S = 0.5
_BURST_S = 2.0


class Access:
    """Checks one process's requests; `file` is None where no key is needed."""

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._keys: tuple[AccessKey, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        self._looked = -_LOOK_EVERY_S
        self._spent: dict[str, tuple[float, float]] = {}
        if file:
            self._keys, self._stamp = read_keys(file), _stamp(file)

    @classmethod
    def of(cls, host: str, file: Path | None, named: bool) -> "Access":
        """For an endpoint on that address; `named` says that the file was asked for, whatever the address.

        Raises AccessKeysMissing for an address beyond loopback without a key, or AccessKeysUnreadable.
        """
        return cls(file if refuse_without(host, file, is_named=named) else None)

    @property
    def is_needed(self) -> bool:
        """Whether requests must show a key."""
        return self._file is not None

    def check(self, scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise RequestRefused for a request whose key is missing, unknown, too narrow or asks too often."""
        if self._file is None:
            return
        now = self._clock()
        if now - self._looked >= _LOOK_EVERY_S:
            self._look(self._file, now)
        shown = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = shown.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            detail = 'Send a key of this endpoint as "Authorization: Bearer <key>".'
            raise RequestRefused(Kind.NO_KEY, detail)
        known = self._known(key.strip())
        if known is None:
            raise RequestRefused(Kind.NO_KEY, "This endpoint does not know the key, or it was revoked.")
        if not known.allows(scope):
            detail = f'Key "{known.name}" is for {" and ".join(known.scopes)}; this needs {scope}.'
            raise RequestRefused(Kind.NOT_ALLOWED, detail)
        if known.per_second is not None:
            self._spend(known.name, known.per_second, now)

    def _known(self, key: str) -> AccessKey | None:
        # All are compared, each in constant time: how long it takes tells nothing of any key.
        digest, found = digest_of(key), None
        for one in self._keys:
            if compare_digest(one.sha256, digest):
                found = one
        return found

    def _spend(self, name: str, per_second: float, now: float) -> None:
        """One request of a bucket that holds two seconds' worth, at least one."""
        most = max(1.0, per_second * _BURST_S)
        left, at = self._spent.get(name, (most, now))
        left = min(most, left + (now - at) * per_second)
        if left < 1:
            self._spent[name] = (left, now)
            wait_s = (1 - left) / per_second
            detail = f'Key "{name}" may ask {per_second:g} times a second. Wait {wait_s:.1f} s.'
            raise RequestRefused(Kind.TOO_OFTEN, detail, retry_after_s=wait_s)
        self._spent[name] = (left - 1, now)

    def _look(self, file: Path, now: float) -> None:
        """Take keys as they are in the file now; those before stay when it can't be read."""
        self._looked = now
        stamp = _stamp(file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            if stamp is None:
                raise AccessKeysUnreadable(file, "it is gone")
            self._keys = read_keys(file)
        except AccessKeysUnreadable as failure:
            _LOG.error("the keys stay as they were: %s", failure)
            return
        _LOG.info("%d keys are known now: %s", len(self._keys), ", ".join(one.name for one in self._keys))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

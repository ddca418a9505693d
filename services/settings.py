"""How one endpoint process is run, read once from the environment.

Nothing about a model: that is in the packed bundle.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ml.errors import SettingRefused
from ml.settings import Settings


@dataclass(frozen=True)
class ServingSettings:
    """Limits and places of an endpoint.

    `packed` holds `bundle/` and `online/`; `follow` says if the ledger is watched, each `poll_s` seconds.
    A new version of a model may have `max_model_bytes` and take `max_row_ms` for a row, or is not taken.
    Answers are logged in folder `log`, if there is one. Predictions are accepted until `ahead` after the
    newest thing the features know. `keys` is the file of keys that requests need where others than this
    machine can ask, or, if `keys_named`, everywhere; `tls` a certificate and its private key, as PEM files.
    """

    packed: Path
    host: str
    port: int
    workers: int
    threads: int
    max_instances: int
    max_body_bytes: int
    max_model_bytes: int
    max_row_ms: int
    ahead: timedelta
    follow: bool
    poll_s: float
    log: Path | None = None
    keys: Path | None = None
    keys_named: bool = False
    tls: tuple[Path, Path] | None = None

    @classmethod
    def from_env(cls) -> "ServingSettings":
        """Read HEADWATER_* variables; raises SettingRefused.

        In a container it listens on all addresses and BentoML's own port.
        """
        follow = "HEADWATER_HOME" in os.environ or "HEADWATER_LEDGER" in os.environ
        contained = "BENTOML_CONTAINERIZED" in os.environ
        return cls(
            packed=Path(os.environ.get("HEADWATER_PACKED", Path(__file__).parent.parent)),
            host=os.environ.get("HEADWATER_HOST", "0.0.0.0" if contained else "127.0.0.1"),  # noqa: S104
            port=_number("HEADWATER_PORT", 3000 if contained else 3030),
            workers=_number("HEADWATER_WORKERS", 1),
            threads=_number("HEADWATER_THREADS", 2),
            max_instances=_number("HEADWATER_MAX_INSTANCES", 1000),
            max_body_bytes=_number("HEADWATER_MAX_BODY_BYTES", 2 * 2**20),
            max_model_bytes=_number("HEADWATER_MAX_MODEL_MB", 1024) * 2**20,
            max_row_ms=_number("HEADWATER_MAX_ROW_MS", 100),
            ahead=timedelta(hours=_number("HEADWATER_AHEAD_HOURS", 7 * 24)),
            follow=follow,
            poll_s=_number("HEADWATER_POLL_MS", 500) / 1000,
            log=_log(follow),
            keys=_keys(follow),
            keys_named="HEADWATER_KEYS" in os.environ,
            tls=_tls(),
        )


def _log(follow: bool) -> Path | None:
    """Where it is said to be; else with the project that is followed, if one is."""
    told = os.environ.get("HEADWATER_PREDICTION_LOG", "")
    if told == "off" or not (told or follow):
        return None
    return Path(told).resolve() if told else Settings.from_env().prediction_log


def _keys(follow: bool) -> Path | None:
    told = os.environ.get("HEADWATER_KEYS")
    if told == "":
        raise SettingRefused("HEADWATER_KEYS", told, "the path of a file of keys")
    return Path(told).resolve() if told else Settings.from_env().keys if follow else None


def _tls() -> tuple[Path, Path] | None:
    names = "HEADWATER_TLS_CERT", "HEADWATER_TLS_KEY"
    told = [os.environ.get(name, "") for name in names]
    if not any(told):
        return None
    for name, path in zip(names, told, strict=True):
        if not path or not Path(path).is_file():
            raise SettingRefused(name, path, "the path of a PEM file; certificate and key go together")
    return Path(told[0]).resolve(), Path(told[1]).resolve()


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise SettingRefused(name, value, f"a whole number from 1, such as {default}")
    return int(value)

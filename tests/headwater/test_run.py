"""What the command line makes of errors and interrupts that Dagster wraps."""

import os
import signal

import pytest

from headwater.run import _plain_errors, heeding_interrupts
from ml.errors import HeadwaterError


def test_an_error_that_explains_itself_is_unwrapped() -> None:
    with pytest.raises(HeadwaterError, match="the field, and the way out"), _plain_errors():
        try:
            raise HeadwaterError("the field, and the way out")
        except HeadwaterError as cause:
            raise RuntimeError("a hundred lines") from cause


def test_any_other_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="a hundred lines"), _plain_errors():
        raise RuntimeError("a hundred lines")


def test_an_interrupt_that_somebody_else_handled_is_not_lost() -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(KeyboardInterrupt), heeding_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    with heeding_interrupts():
        pass

"""`headwater receipt`: what an answer of the endpoint rests on, each step verified.

What the steps are is `ml.answer_receipt`'s.
"""

from dataclasses import asdict

from headwater.console import Voice
from ml.answer_receipt import receipt_of
from ml.errors import AnswerNotVerified
from ml.settings import Settings

_MARKS = {"verified": "[green]✓[/]", "failed": "[red]✗[/]", "not checked": "[yellow]·[/]"}


def show_receipt(answer_id: str, *, as_json: bool) -> None:
    """Print the walk from an answer down to raw files.

    Raises:
        AnswerIdMalformed, AnswerNotLogged: there is no such answer.
        AnswerNotVerified: something is not what it was when the answer was given.
    """
    voice = Voice(as_json)
    receipt = receipt_of(Settings.from_env(), answer_id)
    voice.facts |= {"id": answer_id, **receipt.answer, "is_verified": receipt.is_verified}
    voice.facts["steps"] = [asdict(step) for step in receipt.steps]
    told = receipt.answer
    scores = ", ".join(f"{one:.4f}" if isinstance(one, float) else str(one) for one in told["scores"][:5])
    voice.say(f"answer {answer_id}, {told['answered_at']:%Y-%m-%d %H:%M:%S}Z: {scores}")
    for step in receipt.steps:
        reason = f"  [dim]{step.reason}[/]" if step.reason else ""
        voice.say(f"  {_MARKS[step.verdict]} {step.what:<26} {step.name}{reason}")
    voice.finish()
    if not receipt.is_verified:
        failed = [f"{one.what} {one.name}: {one.reason}" for one in receipt.steps if one.verdict == "failed"]
        raise AnswerNotVerified(answer_id, failed)

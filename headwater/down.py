"""`headwater down`: stop every process of the project.

It deletes nothing.
"""

from concurrent.futures import ThreadPoolExecutor

from headwater.console import Voice
from headwater.services import ALL
from headwater.stack import Stack
from ml.settings import Settings


def bring_down(*, as_json: bool) -> None:
    """Stop the processes that run, all at once: each finishes what it is doing."""
    voice, stack = Voice(as_json), Stack(Settings.from_env())
    running = [name for name in ALL if name in stack.running()]
    voice.facts["stopped"] = running
    if running:
        with voice.step("stop") as note, ThreadPoolExecutor() as pool:
            list(pool.map(stack.stop, running))
            note.text = ", ".join(running)
    else:
        voice.say("Nothing was running.")
    voice.finish()

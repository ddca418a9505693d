"""Where in a YAML file a declaration's field stands, and which declarations a project has.

What may stand there does not belong here.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def declarations(file: Path, component: str) -> Iterator[dict[str, Any]]:
    """The attributes of every `component` (by the last part of its type) that a `defs.yaml` declares."""
    for document in yaml.safe_load_all(file.read_text()):
        if document and str(document.get("type", "")).rpartition(".")[2] == component:
            yield document.get("attributes") or {}


def declaration_files(project: Path) -> list[Path]:
    """The files that declare something, in order."""
    return sorted((project / "assets" / "defs").glob("*/defs.yaml"))


def placed(where: str, name: str, field: str) -> str:
    """`<file>:<line>` of a field (`rules.its_hour.expression`, `columns.2.type`) of what is called `name`.

    A part may be a key, a number, or the `name` of an entry. The line is that of the deepest part that is
    there; `where` comes back as it is when it is no file or declares no such thing.
    """
    if not where or not Path(where).is_file():
        return where
    for document in yaml.compose_all(Path(where).read_text(), yaml.SafeLoader):
        attributes = _below(document, "attributes")
        if attributes and _text(_below(attributes[1], "name")) in {name, ""}:
            parts = re.findall(r"[^.\[\]]+", field)
            return f"{where}:{_line(attributes, parts)}"
    return where


_Step = tuple[yaml.Node, yaml.Node]  # where the entry starts (its key), and what it holds


def _line(step: _Step, parts: list[str]) -> int:
    for part in parts:
        below = _below(step[1], part)
        if below is None:
            break
        step = below
    return int(step[0].start_mark.line) + 1


def _below(node: yaml.Node | None, part: str) -> _Step | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode):
        for i, entry in enumerate(node.value):
            if part == str(i) or part == _text(_below(entry, "name")):
                return entry, entry
    return None


def _text(step: _Step | None) -> str:
    return str(step[1].value) if step and isinstance(step[1], yaml.ScalarNode) else ""

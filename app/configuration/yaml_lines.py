"""YAML as plain values that know their lines: mappings, lists, strings and None; nothing is constructed.

Scalars stay strings, the schema gives them their types. Aliases are refused: a few of them make a gigabyte.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_LARGEST = 20_000
_DEEPEST = 10


class BrokenYaml(ValueError):
    """The text is no YAML, or more than a configuration needs; `line` is where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Document:
    """The values, and the line of each by its place: `("rules", "ignore", 0)`."""

    values: Any
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def line(self, place: Sequence[str | int]) -> int:
        """The line of a value; of the nearest one around it where it is not there."""
        for length in range(len(place), -1, -1):
            if tuple(place[:length]) in self.lines:
                return self.lines[tuple(place[:length])]
        return 1


def load(text: str) -> Document:
    """The one document of a text; an empty one holds an empty mapping.

    Raises:
        BrokenYaml: what is wrong, and on which line.
    """
    if len(text) > _LARGEST:
        raise BrokenYaml(1, f"it is longer than {_LARGEST:,} characters")
    try:
        _refuse(YAML(typ="safe", pure=True).parse(text))
        root = YAML(typ="safe", pure=True).compose(text)
    except BrokenYaml:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BrokenYaml(mark.line + 1 if mark else 1, str(error.problem or error.context)) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise BrokenYaml(1, str(error).partition("\n")[0] or type(error).__name__) from None
    document = Document({})
    if root is not None:
        document.values = _plain(root, (), document)
    return document


def _refuse(events: Iterable[Event]) -> None:
    """Stops at the first thing too much, before the parser has read on: deep nesting costs it the square."""
    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            raise BrokenYaml(event.start_mark.line + 1, "it is nested too deeply")
        if isinstance(event, AliasEvent):
            raise BrokenYaml(event.end_mark.line + 1, "aliases are not read here")


def _plain(node: Node, place: tuple[str | int, ...], document: Document) -> Any:
    document.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        return _mapping(node, place, document)
    if isinstance(node, SequenceNode):
        return [_plain(each, (*place, number), document) for number, each in enumerate(node.value)]
    is_null = isinstance(node, ScalarNode) and node.style is None and node.value in ("", "~", "null")
    return None if is_null else node.value


def _mapping(node: MappingNode, place: tuple[str | int, ...], document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise BrokenYaml(line, "a name must be plain text")
        if key.value in values:
            raise BrokenYaml(line, f"{key.value} is given twice")
        document.lines[*place, key.value] = line
        values[key.value] = _plain(value, (*place, key.value), document)
    return values

"""Which changed files can hold an ML problem, and why: a cheap gate on text, before anything is parsed.

A file counts when it is machine-learning code at the head or at the merge base or in the lines of the diff:
deleting the last use of a library is a change of ML code too.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.ecosystem import AMBIGUOUS, FAMILIES, FEEDS_MODEL, IDIOMS, PACKAGES, SUBPACKAGES
from app.notebooks.notebook import plain
from app.pull_request import ChangedFile

_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(?P<origin>[\w.]+)[ \t]+import\b[ \t]*(?P<names>[^\n;]*)"
    r"|import[ \t]+(?P<modules>[^\n#;]+))",
    re.M,
)
_DYNAMIC_IMPORT = re.compile(r"\b(?:import_module|importorskip|__import__)\([ \t]*[\"']([\w.]+)[\"']")
_DESIGN_PATH = re.compile(r"(?:^|[/_\-. ])(?:designs?|rfcs?|adrs?|proposals?|architecture|decisions?)(?:[/_\-. ]|$)")
_DESIGN_HEADING = re.compile(
    r"^#{1,3}[^\n]*\b(?:design|rfc|proposal|goals|non-goals|alternatives considered|open questions)\b",
    re.M | re.I,
)
_FIELD_WORDS = re.compile(
    r"\b(?:machine[ -]learning|deep learning|neural net\w*|LLMs?|RAG|embeddings?|fine-?tun(?:e[ds]?|ing)"
    r"|(?:model|re)[ -]?training|training (?:data|set|run|loop)s?|inference|PyTorch|TensorFlow|transformers?"
    r"|GPUs?|ML (?:models?|systems?|pipelines?|platforms?))\b"
)
_CONFIG_KEY = re.compile(r"^[ \t{,]*[\"']?([\w./-]+)[\"']?[ \t]*[:=]|[{,][ \t]*\"([\w./-]+)\"[ \t]*:", re.M)
_STRONG_WORDS = """
    learning_rate per_device_train_batch_size train_batch_size train_micro_batch_size_per_gpu
    num_train_epochs gradient_accumulation_steps gradient_checkpointing zero_optimization
    mixed_precision model_name_or_path torch_dtype tensor_parallel_size pipeline_parallel_size
    gpu_memory_utilization max_model_len lora_r lora_alpha warmup_steps warmup_ratio weight_decay
    lr_scheduler lr_scheduler_type embedding_model num_attention_heads num_hidden_layers vocab_size
    chunk_overlap max_new_tokens nvidia.com/gpu
"""
_STRONG_KEYS = frozenset(_STRONG_WORDS.split())
_WEAK_WORDS = "lr epochs num_epochs max_epochs batch_size optimizer dropout momentum hidden_size"
_WEAK_KEYS = frozenset(_WEAK_WORDS.split())


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one file can hold an ML problem; `reason` completes "`path` …"."""

    path: str
    is_relevant: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Relevance:
    """Whether a pull request is worth a review; `reason` is one sentence for its check run."""

    is_relevant: bool
    reason: str
    files: tuple[Decision, ...]


def decide(files: Sequence[ChangedFile]) -> Relevance:
    """The decision for a pull request and for each of its files; works with and without their texts."""
    decisions = tuple(_decide_file(file) for file in files)
    relevant = [each for each in decisions if each.is_relevant]
    if relevant:
        more = f" and {len(relevant) - 1} more" if len(relevant) > 1 else ""
        return Relevance(True, f"{relevant[0].path} {relevant[0].reason}{more}.", decisions)
    return Relevance(False, _why_not(decisions), decisions)


def is_worth_reading(path: str) -> bool:
    """Whether the text of such a file could change the decision; asked before anything is downloaded."""
    return PurePosixPath(path).suffix.lower() in _GATES


def _why_not(decisions: Sequence[Decision]) -> str:
    if not decisions:
        return "No file is changed."
    if len(decisions) == 1:
        return f"Nothing to review: {decisions[0].path} {decisions[0].reason}."
    reasons = sorted({each.reason for each in decisions if PurePosixPath(each.path).suffix.lower() == ".py"})
    none = f"None of the {len(decisions)} changed files"
    if not reasons:
        return f"{none} is Python, a notebook, ML configuration or an ML design."
    return f"{none} can hold an ML problem: its Python {reasons[0]}."


def _decide_file(file: ChangedFile) -> Decision:
    gate = _GATES.get(PurePosixPath(file.path).suffix.lower())
    if gate is None:
        return Decision(file.path, False, "is no Python, notebook, configuration or document")
    if file.unread and not file.hunks:
        return Decision(file.path, False, f"was not read: {file.unread}")
    for text, when in _texts(file):
        reason = gate(text, file.path)
        if reason:
            return Decision(file.path, True, f"{reason}{when}")
    return Decision(file.path, False, _NOT_RELEVANT[gate])


def _texts(file: ChangedFile) -> Iterator[tuple[str, str]]:
    """Every text that may tell, with the words that say where it is from."""
    if file.head is not None:
        yield file.head, ""
    if file.base is not None:
        yield file.base, " before this change"
    yield "\n".join(line.text for hunk in file.hunks for line in hunk.lines), " in the lines of the diff"


def _python(text: str, _path: str) -> str:
    modules = dict.fromkeys(_imported(text))  # in their order: the first one is the reason
    for module in modules:
        if _is_of_the_field(module, text):
            return f"imports {module}"
    idiom = next((each for each in IDIOMS if each in text), "")
    if idiom:
        return f"uses `{idiom.strip('.()')}`"
    if {"pandas", "polars", "numpy"} & {module.partition(".")[0] for module in modules}:
        fed = FEEDS_MODEL.search(text)
        return f"prepares data for a model (`{fed[0]}`)" if fed else ""
    return ""


def _imported(text: str) -> Iterator[str]:
    for found in _IMPORT.finditer(text):
        if found["modules"]:
            yield from (part.split()[0] for part in found["modules"].split(",") if part.split())
            continue
        yield found["origin"]
        if found["origin"] in ("google", "google.cloud", "ray", "pyspark", "numba"):
            yield from (f"{found['origin']}.{name}" for name in re.findall(r"\w+", found["names"]))
    for dynamic in _DYNAMIC_IMPORT.finditer(text):
        yield dynamic[1]


def _is_of_the_field(module: str, text: str) -> bool:
    first = module.partition(".")[0]
    if first in AMBIGUOUS:
        return AMBIGUOUS[first].search(text) is not None
    if first in PACKAGES or first.startswith(FAMILIES):
        return True
    return f"{module}.".startswith(tuple(f"{name}." for name in SUBPACKAGES))


def _notebook(text: str, path: str) -> str:
    """The gate of Python on the code cells; what is no whole JSON (a diff) is read line by line."""
    try:
        cells = json.loads(text)["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (ValueError, TypeError, KeyError, RecursionError):
        code = "\n".join(plain(line) for line in text.split("\n"))
    return _python(code, path)


def _configuration(text: str, _path: str) -> str:
    keys = {first or second for first, second in _CONFIG_KEY.findall(text)}
    strong = sorted(keys & _STRONG_KEYS)
    weak = sorted(keys & _WEAK_KEYS)
    if strong:
        return f"configures a model or its training (`{strong[0]}`)"
    if len(weak) > 1:
        return f"configures a model or its training (`{weak[0]}`, `{weak[1]}`)"
    return ""


def _document(text: str, path: str) -> str:
    if not _DESIGN_PATH.search(path.lower()) and len(_DESIGN_HEADING.findall(text)) < 2:
        return ""
    words = sorted(set(_FIELD_WORDS.findall(text)), key=str.lower)
    return f"is a design document about {words[0]} and {words[1]}" if len(words) > 1 else ""


_Gate = Callable[[str, str], str]
_GATES: dict[str, _Gate] = {
    ".py": _python,
    ".pyw": _python,
    ".ipynb": _notebook,
    **dict.fromkeys((".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ".gin"), _configuration),
    **dict.fromkeys((".md", ".rst", ".txt", ".adoc"), _document),
}
_NOT_RELEVANT: dict[_Gate, str] = {
    _python: "has no ML context",
    _notebook: "has no ML context",
    _configuration: "configures no model or training",
    _document: "is no design document about ML",
}

"""Inference: where weights are loaded, and where a model is run, whichever library it is of."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

from detectors._engine.names.libraries import Kind, kind_suggested_by
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.services.llm_calls import LlmCalls
from detectors._engine.source.tree import Tree
from detectors._engine.values.value import Value
from detectors._engine.values.values import Values

_LOADS = re.compile(
    r"("
    r"transformers\.(\w+\.)*(Auto(Model|BertForP)\w*|TFAuto\w+|\w+(Model|For[A-Z]\w*|LMHeadModel))\.from_pretrained"
    r"|transformers\.(pipelines\.)?pipeline|diffusers\.(\w+\.)*\w*(Pipeline|Model)\w*\.from_(pretrained|single_file)"
    r"|sentence_transformers\.(SentenceTransformer|CrossEncoder|SparseEncoder)|peft\.\w+\.from_pretrained"
    r"|torch\.(load|jit\.load|hub\.load)|safetensors\.torch\.(load_file|load_model)|timm\.create_model"
    r"|joblib\.load|pickle\.load|cloudpickle\.load|dill\.load|skops\.io\.load"
    r"|onnxruntime\.InferenceSession|openvino\.(\w+\.)*compile_model|(tensorflow\.)?keras\.(saving\.|models\.)?load_model"
    r"|tensorflow\.saved_model\.load|spacy\.load|whisper\.load_model|faster_whisper\.WhisperModel|ultralytics\.(YOLO|RTDETR|SAM)"
    r"|fasttext\.load_model|gensim\.models\.(\w+\.)*load|gensim\.downloader\.load|flair\.models\.\w+\.load|easyocr\.Reader"
    r"|paddleocr\.PaddleOCR|vllm\.LLM|llama_cpp\.Llama(\.from_pretrained)?|ctransformers\.AutoModel\w*\.from_pretrained"
    r"|mlflow\.(\w+\.)+load_model|optimum\.(\w+\.)+from_pretrained|open_clip\.create_model\w*|clip\.load|insightface\.app\.FaceAnalysis"
    r"|fastai\.(\w+\.)*load_learner|TTS\.api\.TTS|unsloth\.\w+\.from_pretrained|langchain\w*\.(\w+\.)*HuggingFace(Pipeline|Embeddings)(\.from_model_id)?"
    r")$"
)
_OF_DATA = re.compile(r"^(pickle|joblib|torch|dill|cloudpickle)\.")
_RUNS = frozenset(
    [
        "predict",
        "predict_proba",
        "generate",
        "encode",
        "forward",
        "transcribe",
        "infer",
        "inference",
        "decision_function",
    ]
)
_RUN = frozenset(
    {
        "run",
        "chat",
        "stream_chat",
        "readtext",
        "detect",
        "tts",
        "get",
        "create_completion",
        "create_chat_completion",
        "create_embedding",
    }
)
_SUGGESTED = re.compile(
    r"(^|_)(model|pipe|pipeline|classifier|clf|session|predictor|embedder|generator|llm|net)(_|\d|$)", re.I
)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run of a model: the call, the expression of the model, and whether that is one by its origin."""

    node: ast.Call
    model: ast.expr
    is_certain: bool
    is_remote: bool


class Inference:
    """Loads and runs of one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, llm_calls: LlmCalls) -> None:
        self._tree, self._names, self._values, self._llm_calls = tree, names, values, llm_calls

    @cached_property
    def loads(self) -> list[ast.Call]:
        """The calls that read a model's weights into memory, in source order.

        Of `pickle.load` and its like only those whose result is called a model or used as one.
        """
        return [each for each in self._tree.all(ast.Call) if self._loads(each)]

    def _loads(self, call: ast.Call) -> bool:
        origin = self._names.origin(call.func)
        if origin is None or not _LOADS.match(origin):
            return False
        return (
            not _OF_DATA.match(origin) or origin.startswith(("torch.jit", "torch.hub")) or self._is_kept_as_model(call)
        )

    def _is_kept_as_model(self, call: ast.Call) -> bool:
        above = self._tree.parents.get(call)
        while isinstance(
            above, (ast.Attribute, ast.Call, ast.Await)
        ):  # `torch.load(path).to(device)`, `load_state_dict(…)`
            if isinstance(above, ast.Call) and last_name(above.func) == "load_state_dict":
                return True
            above = self._tree.parents.get(above)
        targets: list[ast.expr] = []
        if isinstance(above, ast.Assign):
            targets = above.targets
        elif isinstance(above, (ast.AnnAssign, ast.NamedExpr)):
            targets = [above.target]
        return any(_SUGGESTED.search(last_name(each)) for each in targets)

    @cached_property
    def runs(self) -> list[Run]:
        """The calls that run a model, in source order."""
        return [run for call in self._tree.all(ast.Call) for run in self._run(call)]

    def _run(self, call: ast.Call) -> Iterator[Run]:
        llm = self._llm_calls.by_node.get(call)
        if llm is not None:
            yield Run(call, llm.node.func, True, llm.is_remote)
            return
        func = call.func
        if not isinstance(func, (ast.Name, ast.Attribute)) or self._names.origin(func) is not None:
            return
        if isinstance(func, ast.Attribute) and func.attr in (*_RUNS, *_RUN):
            certain = self._is_model(func.value)
            if certain or (func.attr in _RUNS and self._may_be_model(func.value)):
                yield Run(call, func.value, certain, False)
        elif (call.args or call.keywords) and self._is_model(func) and self._values.calls.callee(call) is None:
            yield Run(call, func, True, False)

    def _is_model(self, node: ast.expr) -> bool:
        """Whether the expression is a model by where it comes from."""
        for value in (*self._values.of(node), *self._kept_on_state(node)):
            if value.kind is Kind.MODEL:
                return True
            if value.origin is not None and _LOADS.match(value.origin):
                return not _OF_DATA.match(value.origin) or bool(_SUGGESTED.search(last_name(node)))
        return False

    def _kept_on_state(self, node: ast.expr) -> Iterator[Value]:
        """What `app.state.model = …` gave to `request.app.state.model`."""
        if not _is_state(node) or not isinstance(node.value, ast.Attribute):  # a plain `state` may be anything
            return
        for assign in self._tree.all(ast.Assign):
            target = assign.targets[0]
            if _is_state(target) and target.attr == node.attr:
                yield from self._values.of(assign.value)

    def _may_be_model(self, node: ast.expr) -> bool:
        known = [each.origin for each in self._values.of(node) if each.origin is not None]
        if any(not each.startswith(".") for each in known):
            return False
        return bool(_SUGGESTED.search(last_name(node))) or kind_suggested_by(last_name(node)) is Kind.MODEL


def _is_state(node: ast.expr) -> TypeGuard[ast.Attribute]:
    """`app.state.model`, and whatever else is kept on something of that name."""
    return isinstance(node, ast.Attribute) and last_name(node.value) == "state"

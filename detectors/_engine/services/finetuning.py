"""Fine-tuning with transformers: tokenizers and models by their checkpoint, what is tokenised how, Trainers with their
arguments, adapters and quantisation.

Only what is made by a constructor in sight; a checkpoint named by a variable of unknown value has the name "".
"""

import ast
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.names.bindings import Bound
from detectors._engine.names.libraries import Kind
from detectors._engine.names.names import Names
from detectors._engine.names.versions import Versions
from detectors._engine.source.tree import Tree
from detectors._engine.values.definitions import Definitions
from detectors._engine.values.values import Values

_TOKENIZERS = re.compile(r"transformers\.(\w+\.)*\w*Tokenizer(Fast)?\.from_pretrained$")
_MODELS = re.compile(
    r"(transformers\.(\w+\.)*(?!TF|Flax)\w+(Model|For[A-Z]\w*)|peft\.(\w+\.)*AutoPeftModel\w*)\.from_pretrained$"
)
_DECODERS = re.compile(r"(ForCausalLM|GPT\w*LMHeadModel)\.from_pretrained$")
_ADAPTED = re.compile(r"peft\.(\w+\.)*PeftModel\w*\.from_pretrained$")
_TRAINERS = re.compile(r"(transformers\.(\w+\.)*(Seq2Seq)?Trainer|trl\.(\w+\.)*SFTTrainer)$")
_ARGUMENTS = re.compile(r"(transformers\.(\w+\.)*(Seq2Seq)?TrainingArguments|trl\.(\w+\.)*SFTConfig)$")
_MOVES = frozenset(["to", "cuda", "cpu", "copy", "clone", "detach", "contiguous", "tolist", "convert_to_tensors"])
_ALWAYS_PADS = ("max_length",)
_MAY_PAD = ("longest", True)


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One call of a tokenizer: `made` is the call that loaded it."""

    node: ast.Call
    tokenizer: ast.expr
    made: ast.Call

    def setting(self, name: str) -> ast.expr | None:
        """The argument of this name."""
        return next((each.value for each in self.node.keywords if each.arg == name), None)

    def may_set(self, *names: str) -> bool:
        """Whether one of these arguments is given, or may be."""
        return any(each.arg is None or each.arg in names for each in self.node.keywords)

    @property
    def text(self) -> ast.expr | None:
        """What is tokenised."""
        return self.node.args[0] if self.node.args else self.setting("text")

    @property
    def always_pads(self) -> bool:
        """Whether even a single short text is padded."""
        given = self.setting("padding")
        return isinstance(given, ast.Constant) and given.value in _ALWAYS_PADS

    @property
    def pads_batches(self) -> bool:
        """Whether the shorter texts of a batch are padded."""
        given = self.setting("padding")
        return isinstance(given, ast.Constant) and given.value in (*_ALWAYS_PADS, *_MAY_PAD)


@dataclass(frozen=True, slots=True, eq=False)
class Trainer:
    """One Trainer that is made: the call, its class's origin, and the call that made its arguments, if in sight."""

    node: ast.Call
    origin: str
    arguments: ast.Call | None

    @property
    def is_open(self) -> bool:
        """Whether arguments may be given out of sight."""
        return any(each.arg is None for each in self.node.keywords) or any(
            isinstance(each, ast.Starred) for each in self.node.args
        )

    def given(self, *names: str) -> ast.expr | None:
        """The keyword argument of the Trainer itself."""
        return next((each.value for each in self.node.keywords if each.arg in names), None)


class Finetuning:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, definitions: Definitions, versions: Versions) -> None:
        self._tree, self._names, self._values, self._definitions = tree, names, values, definitions
        self._versions = versions

    # -- tokenizers and models ----------------------------------------------------------------------------

    def tokenizer(self, node: ast.AST | None) -> ast.Call | None:
        """The `from_pretrained` call that made the tokenizer an expression holds, None where it is no such."""
        return self._only(node, _TOKENIZERS)

    def model(self, node: ast.AST | None) -> ast.Call | None:
        """The `from_pretrained` call that made the model an expression holds, below its adapters."""
        adapters = set[ast.Call]()
        while adapter := self._adapter(node, adapters):
            adapters.add(adapter)  # in a loop, an adapter's base may be what the same call gave before
            base = next((each.value for each in adapter.keywords if each.arg == "model"), None)
            node = adapter.args[0] if adapter.args else base
        return self._only(node, _MODELS, but=adapters)

    def _adapter(self, node: ast.AST | None, but: Set[ast.Call]) -> ast.Call | None:
        """A call among the values that puts an adapter on a model."""
        made = ((value.call, value.origin or "") for value in self._values.known(node))
        return next((call for call, origin in made if call and call not in but and _ADAPTED.match(origin)), None)

    def _only(
        self, node: ast.AST | None, pattern: re.Pattern[str], but: Set[ast.Call] = frozenset()
    ) -> ast.Call | None:
        """The one call of this origin among the values; others may be there only if they are unknown."""
        found = {
            each.call: each.origin
            for each in self._values.known(node)
            if each.call is not None and each.call not in but and not each.index
        }
        made = [call for call, origin in found.items() if origin and pattern.match(origin)]
        return made[0] if len(made) == 1 and len(found) == 1 else None

    @staticmethod
    def is_model(origin: str | None) -> bool:
        """Whether a call of this origin loads a PyTorch model of transformers."""
        return bool(_MODELS.match(origin or ""))

    def is_decoder(self, made: ast.Call) -> bool:
        """Whether the loaded model is decoder-only: it continues its own input."""
        return bool(_DECODERS.search(self._names.origin(made.func) or ""))

    def checkpoint(self, made: ast.Call) -> str:
        """The name a tokenizer or model is loaded by, "" where it is not known."""
        given = made.args[0] if made.args else None
        for keyword in made.keywords:
            if keyword.arg == "pretrained_model_name_or_path":
                given = keyword.value
        value = self._values.only(given).constant if given is not None else None
        return value if isinstance(value, str) else ""

    def same_checkpoint(self, one: ast.Call, other: ast.Call) -> bool:
        """Whether two loads are evidently of one checkpoint."""
        if not one.args or not other.args:
            return False
        names = {self.checkpoint(one), self.checkpoint(other)}
        return len(names) == 1 and ("" not in names or ast.dump(one.args[0]) == ast.dump(other.args[0]))

    # -- what is tokenised --------------------------------------------------------------------------------

    @cached_property
    def encodings(self) -> dict[ast.Call, Encoding]:
        """Every call of a tokenizer whose loading is in sight."""
        found: dict[ast.Call, Encoding] = {}
        if not any(_TOKENIZERS.match(self._names.origin(each.func) or "") for each in self._tree.all(ast.Call)):
            return found
        for call in self._tree.all(ast.Call):
            func = call.func
            if isinstance(func, ast.Attribute) and func.attr in ("batch_encode_plus", "encode_plus", "__call__"):
                func = func.value
            elif isinstance(func, ast.Name) and self._names.origin(func) is not None:
                continue
            if isinstance(func, (ast.Name, ast.Attribute)):
                made = self.tokenizer(func)
                if made is not None:
                    found[call] = Encoding(call, func, made)
        return found

    def encoding_of(self, node: ast.expr | None, depth: int = 0) -> Encoding | None:
        """The tokenizer call an expression comes from: the encoding itself, moved, or one of its tensors."""
        if node is None or depth > 8:
            return None
        match node:
            case ast.Call() if node in self.encodings:
                return self.encodings[node]
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _MOVES:
                return self.encoding_of(value, depth + 1)
            case ast.Call(func=ast.Name(id="list" | "dict"), args=[value]):
                return self.encoding_of(value, depth + 1)
            case ast.Attribute(attr="input_ids" | "attention_mask", value=value):
                return self.encoding_of(value, depth + 1)
            case ast.Subscript(value=value, slice=ast.Constant(value="input_ids" | "attention_mask")):
                return self.encoding_of(value, depth + 1)
            case ast.DictComp(
                generators=[ast.comprehension(iter=ast.Call(func=ast.Attribute(attr="items", value=value)))]
            ):
                return self.encoding_of(value, depth + 1)
            case ast.Name():
                bindings = self._names.reaching(node)
                found = {self.encoding_of(each.value, depth + 1) for each in bindings if not each.index}
                return found.pop() if len(found) == 1 and not any(each.index for each in bindings) else None
        return None

    # -- training -----------------------------------------------------------------------------------------

    @cached_property
    def trainers(self) -> list[Trainer]:
        """Every `Trainer`, `Seq2SeqTrainer` and `SFTTrainer`, and those of this file's subclasses."""
        return [each for call in self._tree.all(ast.Call) for each in self._trainer(call)]

    def _trainer(self, call: ast.Call) -> Iterator[Trainer]:
        origin = self._names.origin(call.func) or ""
        if origin.startswith("<local>."):
            owner = self._values.classes.named(origin.removeprefix("<local>."))
            bases = self._values.classes.bases(owner) if owner is not None and owner.bases else []
            origin = next((each for each in bases if _TRAINERS.match(each)), "")
        if _TRAINERS.match(origin):
            given = next((each.value for each in call.keywords if each.arg == "args"), None)
            if given is None and len(call.args) > 1:
                given = call.args[1]
            yield Trainer(call, origin, self._arguments_of(given))

    def _arguments_of(self, node: ast.expr | None) -> ast.Call | None:
        values = self._values.of(node) if node is not None else ()
        made = [each.call for each in values if each.call is not None and _ARGUMENTS.match(each.origin or "")]
        return made[0] if len(made) == 1 and len(values) == 1 else None

    @cached_property
    def arguments(self) -> list[ast.Call]:
        """Every `TrainingArguments`, `Seq2SeqTrainingArguments` and `SFTConfig`."""
        return [each for each in self._tree.all(ast.Call) if _ARGUMENTS.match(self._names.origin(each.func) or "")]

    @cached_property
    def adapters(self) -> list[ast.Call]:
        """The calls that put trainable adapters on a model."""
        return [each for each in self._tree.all(ast.Call) if self._names.origin(each.func) == "peft.get_peft_model"]

    def bits(self, made: ast.Call) -> int:
        """4 or 8 where the model is loaded quantised by bitsandbytes, 0 where it is not or may not be."""
        given = {each.arg: each.value for each in made.keywords}
        config = given.get("quantization_config")
        if config is not None:
            value = self._values.only(config)
            if value.call is None or not (value.origin or "").endswith("BitsAndBytesConfig"):
                return 0
            given = {each.arg: each.value for each in value.call.keywords}
        for bits, name in ((4, "load_in_4bit"), (8, "load_in_8bit")):
            if name in given and self._values.only(given[name]).constant is True:
                return bits
        return 0

    @cached_property
    def is_before_5(self) -> bool:
        """Whether transformers is older than version 5: it is pinned so, or given arguments that 5 does not take."""
        if self._versions.is_below("transformers", "5"):
            return True
        if self._versions.is_from("transformers", "5"):
            return False
        for call in self._tree.all(ast.Call):
            origin = self._names.origin(call.func) or ""
            given = {each.arg for each in call.keywords}
            if (
                (_ARGUMENTS.match(origin) and given & {"evaluation_strategy", "no_cuda", "per_gpu_train_batch_size"})
                or (_MODELS.match(origin) and given & {"load_in_8bit", "load_in_4bit", "use_auth_token"})
                or (origin.startswith("transformers.") and _TRAINERS.match(origin) and "tokenizer" in given)
                or origin.endswith("prepare_model_for_int8_training")
            ):
                return True
        return False

    def number(self, node: ast.expr | None) -> float | None:
        """The literal number an expression holds."""
        value = self._values.only(node) if node is not None else None
        constant = value.constant if value is not None else None
        return float(constant) if isinstance(constant, (int, float)) and not isinstance(constant, bool) else None

    def is_batch(self, node: ast.expr | None, depth: int = 0) -> bool:
        """Whether what is tokenised is evidently several texts: a list, a slice, `batch["text"]` under `map`."""
        match node:
            case ast.List(elts=elements):
                return len(elements) > 1
            case ast.ListComp():
                return True
            case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper)):
                return _is_window(lower, upper) or self._is_list(node.value)
            case ast.Subscript(value=ast.Name() as batch):
                return self._is_mapped_batch(batch) or self._is_loaded_batch(batch)
            case ast.Name():
                bindings = self._names.reaching(node)
                if len(bindings) == 1 and bindings[0].how is Bound.ASSIGNMENT and depth < 3:
                    return self.is_batch(bindings[0].value, depth + 1)
        return self._is_list(node)

    def _is_list(self, node: ast.expr | None) -> bool:
        values = self._values.of(node)
        if values and all(isinstance(each.node, (ast.List, ast.ListComp)) for each in values):
            return not any(isinstance(each.node, ast.List) and len(each.node.elts) == 1 for each in values)
        if not isinstance(node, ast.Name):
            return False
        annotations = [
            ast.unparse(each.node.annotation)
            for each in self._names.reaching(node)
            if isinstance(each.node, ast.arg) and each.node.annotation is not None
        ]
        return bool(annotations) and all(re.match(r"(typing\.)?(list|List|Sequence)\[str\]$", a) for a in annotations)

    def _is_loaded_batch(self, node: ast.Name) -> bool:
        """Whether the name is what a loop gets from a data loader."""
        bindings = self._names.reaching(node)
        return bool(bindings) and all(
            each.how is Bound.ITEM and any(value.kind is Kind.LOADER for value in self._values.of(each.value))
            for each in bindings
        )

    def _is_mapped_batch(self, node: ast.Name) -> bool:
        """Whether the name is the parameter of a function that `map(…, batched=True)` calls."""
        function = self._tree.function(node)
        binding = self._names.reaching(node)
        if function is None or len(binding) != 1 or binding[0].node not in function.args.args:
            return False
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "map" and call.args:
                batched = next((each.value for each in call.keywords if each.arg == "batched"), None)
                is_batched = isinstance(batched, ast.Constant) and batched.value is True
                if is_batched and self._values.calls.target(call.args[0]) is function:
                    return True
        return False


def _is_window(lower: ast.expr | None, upper: ast.expr | None) -> bool:
    """`[i : i + size]`: the next few of many."""
    return isinstance(lower, ast.Name) and any(
        isinstance(each, ast.Name) and each.id == lower.id for each in ast.walk(upper or ast.Constant(None))
    )

"""The prompt is not in the form the chat model was trained on

An instruct model was trained on one exact form of roles and markers, which its tokenizer's chat template writes. With
another family's markers, or with two beginnings of the text, it still answers, only worse. Let
`apply_chat_template` write the prompt, and tokenise in the same call.

❌
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME = "meta-llama/Llama-3.1-8B-Instruct"
tokenizer = AutoTokenizer.from_pretrained(NAME)
model = AutoModelForCausalLM.from_pretrained(NAME)


def answer(question):
    inputs = tokenizer(f"[INST] {question} [/INST]", return_tensors="pt")  # ❌
    return tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0])
```

✅
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME = "meta-llama/Llama-3.1-8B-Instruct"
tokenizer = AutoTokenizer.from_pretrained(NAME)
model = AutoModelForCausalLM.from_pretrained(NAME)


def answer(question):
    messages = [{"role": "user", "content": question}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    return tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0])
```

https://huggingface.co/docs/transformers/main/en/chat_templating
"""

import ast
import re
from collections.abc import Iterator

from detectors import FUNCTIONS, Code, Encoding, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "from_pretrained",
    "apply_chat_template|[INST]|im_start|start_header_id|start_of_turn|<s>|begin_of_text|<bos>",
    "okenizer",
)

_MARKERS = {"[INST]": "inst", "<|im_start|>": "chatml", "<|start_header_id|>": "llama3", "<start_of_turn>": "gemma"}
_FAMILIES = (
    ("llama3", re.compile(r"llama-?3[^/]*instruct", re.I)),
    ("inst", re.compile(r"llama-?2[^/]*chat|codellama[^/]*instruct|mi[sx]tral[^/]*instruct", re.I)),
    ("chatml", re.compile(r"qwen[^/]*(chat|instruct)|qwen3|smollm[^/]*instruct", re.I)),
    ("gemma", re.compile(r"gemma[^/]*-it", re.I)),
)
_TEMPLATE_BEGINS_TEXT = re.compile(
    r"^(meta-llama/[^/]*(instruct|chat)|mistralai/mi[sx]tral[^/]*instruct|google/gemma[^/]*-it)", re.I
)

_BEGINNINGS = (
    ("<s>", re.compile(r"llama-?2|mi[sx]tral|codellama|zephyr|vicuna", re.I)),
    ("<|begin_of_text|>", re.compile(r"llama-?3", re.I)),
    ("<bos>", re.compile(r"gemma", re.I)),
)


def detect(code: Code) -> Iterator[Problem]:
    """Markers of another family than the model's; a templated text that is given a second beginning."""
    if code.is_test:
        return
    for encoding in code.finetuning.encodings.values():
        name = code.finetuning.checkpoint(encoding.made)
        template = _template(code, encoding.text)
        if template is not None:
            if _TEMPLATE_BEGINS_TEXT.match(name) and not encoding.may_set("add_special_tokens"):
                yield _twice(code, encoding, template)
            continue
        begins = _beginning(code, encoding.text)
        if begins and _adds_beginning(name, begins) and not encoding.may_set("add_special_tokens"):
            yield _begun(code, encoding, begins)
            continue
        family = next((each for each, pattern in _FAMILIES if pattern.search(name)), "")
        found = set(_marks(code, encoding.text)) if family and encoding.text is not None else set()
        if found and family not in {_MARKERS[each] for each in found}:
            yield _foreign(code, encoding, name, min(found))


def _adds_beginning(name: str, begins: str) -> bool:
    """Whether the tokenizer of this checkpoint writes the same beginning by itself."""
    return any(mark == begins and pattern.search(name) for mark, pattern in _BEGINNINGS)


def _beginning(code: Code, node: ast.expr | None, depth: int = 0) -> str:
    """The mark of a text's beginning that stands at the start of its literal."""
    match node:
        case ast.Constant(value=str() as text):
            return next((mark for mark, _ in _BEGINNINGS if text.lstrip().startswith(mark)), "")
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first):
            return _beginning(code, first, depth + 1)
        case ast.Call(func=ast.Attribute(value=first, attr="format")):
            return _beginning(code, first, depth + 1)
        case ast.Name() if depth < 4:
            bindings = code.names.reaching(node)
            return _beginning(code, bindings[0].value, depth + 1) if len(bindings) == 1 else ""
    return ""


def _begun(code: Code, encoding: Encoding, begins: str) -> Problem:
    return code.problem(
        encoding.node,
        f"The prompt begins with `{begins}`, and `{code.name(encoding.tokenizer)}` puts another before it: the model "
        "was trained on one. Pass `add_special_tokens=False`, or leave the prompt to the chat template.",
        mend=[code.source.set_keyword(encoding.node, "add_special_tokens", "False")],
    )


def _twice(code: Code, encoding: Encoding, template: ast.Call) -> Problem:
    return code.problem(
        encoding.node,
        f"`{code.name(encoding.text)}` comes from the chat template, which begins the text already: "
        f"`{code.name(encoding.tokenizer)}` puts a second beginning before it.",
        mend=[code.source.set_keyword(encoding.node, "add_special_tokens", "False")],
        related=[(template, "writes the beginning of the text")],
    )


def _foreign(code: Code, encoding: Encoding, name: str, marker: str) -> Problem:
    return code.problem(
        encoding.node,
        f"The prompt is written with `{marker}`, which is no marker of `{name}`: its own chat template writes others.",
        related=[(encoding.made, "the model's own template comes with its tokenizer")],
    )


def _template(code: Code, node: ast.expr | None, depth: int = 0) -> ast.Call | None:
    """The `apply_chat_template(…, tokenize=False)` that wrote the text, None where something was added to it."""
    match node:
        case ast.Call(func=ast.Attribute(attr="apply_chat_template")):
            given = code.argument(node, "tokenize")
            return node if isinstance(given, ast.Constant) and given.value is False else None
        case ast.List(elts=[only]):
            return _template(code, only, depth + 1)
        case ast.ListComp(elt=element):
            return _template(code, element, depth + 1)
        case ast.Name() if depth < 4:
            bindings = code.names.reaching(node)
            return (
                _template(code, bindings[0].value, depth + 1) if len(bindings) == 1 and not bindings[0].index else None
            )
    return None


def _marks(code: Code, node: ast.expr | None, depth: int = 0) -> Iterator[str]:
    """The role markers in the literals a text is made of."""
    if node is None or depth > 4:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield from (marker for marker in _MARKERS if marker in each.value)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            for binding in code.names.reaching(each):
                yield from _marks(code, binding.value, depth + 1)
        elif isinstance(each, ast.Call):
            function = code.values.calls.callee(each)
            for statement in code.values.calls.returns(function) if isinstance(function, FUNCTIONS) else ():
                yield from _marks(code, statement.value, depth + 1)

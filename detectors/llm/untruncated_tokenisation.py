"""A text of any length goes to a model of fixed length

An encoder such as BERT has positions for 512 tokens. Tokenised without `truncation=True`, the first longer text fails
with an index error, on a GPU with a device-side assert that names another line.

❌
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("distilbert/distilbert-base-uncased-finetuned-sst-2-english")
model = AutoModelForSequenceClassification.from_pretrained("distilbert/distilbert-base-uncased-finetuned-sst-2-english")


def classify(review):
    inputs = tokenizer(review, return_tensors="pt")  # ❌
    return model(**inputs).logits.argmax(dim=-1).item()
```

✅
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("distilbert/distilbert-base-uncased-finetuned-sst-2-english")
model = AutoModelForSequenceClassification.from_pretrained("distilbert/distilbert-base-uncased-finetuned-sst-2-english")


def classify(review):
    inputs = tokenizer(review, return_tensors="pt", truncation=True)
    return model(**inputs).logits.argmax(dim=-1).item()
```

https://huggingface.co/docs/transformers/main/en/pad_truncation
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Encoding, Problem, Tier, last_name

TIER = Tier.RISK
WORDS = ("from_pretrained", "okenizer", "transformers")

_ENCODERS = re.compile(
    r"transformers\.(\w+\.)*(AutoModelFor(SequenceClassification|TokenClassification|QuestionAnswering|MaskedLM|MultipleChoice)"
    r"|AutoModel|(Bert|Roberta|DistilBert|Albert|Electra|Camembert|XLMRoberta|MPNet|RobertaPreLayerNorm)(Model|For\w+))"
    r"\.from_pretrained$"
)
_LONG = re.compile(
    r"t5|long|big-?bird|xlnet|modern|deberta|reformer|nomic|jina|gte-|bge-m3|qwen|llama|mistral|gpt|gemma|esm|clip|flan",
    re.I,
)
_SHORT = re.compile(
    r"chunk|window|sentence|sent$|word|label|quer|question|title|name|class|token|phrase|prompt|segment|span|caption|slice",
    re.I,
)
_LIMITED = re.compile(
    r"enable_truncation|model_max_length|max_position_embeddings|max_(seq_?)?len|MAX_LEN|stride", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """Free text, tokenised with neither truncation nor a length, that goes straight into an encoder."""
    if code.is_test or _LIMITED.search(code.text) or not code.finetuning.encodings:
        return
    done = set()
    for call in code.tree.all(ast.Call):
        given = [each.value for each in call.keywords if each.arg in (None, "input_ids")] or call.args[:1]
        encoding = code.finetuning.encoding_of(given[0]) if given else None
        if encoding is None or encoding in done or encoding.may_set("truncation", "max_length", "pad_to_max_length"):
            continue
        model = code.finetuning.model(call.func)
        if model is None or not _ENCODERS.match(code.origin(model) or ""):
            continue
        if _LONG.search(code.finetuning.checkpoint(model)) or not _is_free(code, encoding):
            continue
        done.add(encoding)
        yield code.problem(
            encoding.node,
            f"`{code.name(encoding.text)}` is tokenised whole, however long it is: a text beyond the positions of "
            f"`{code.name(call.func)}` fails.",
            fix=[code.source.set_keyword(encoding.node, "truncation", "True")],
            related=[(call, "takes a fixed number of tokens")],
        )


def _is_free(code: Code, encoding: Encoding) -> bool:
    """Whether the text comes in from outside: a parameter, as it is; not called by a name that says it is short."""
    text = encoding.text
    if not isinstance(text, ast.Name) or _SHORT.search(last_name(text)) or len(encoding.node.args) > 1:
        return False
    bindings = code.names.reaching(text)
    if not bindings or any(each.how is not Bound.PARAMETER for each in bindings):
        return False
    given = [
        value
        for each in bindings
        if isinstance(each.scope, (ast.FunctionDef, ast.AsyncFunctionDef))
        for value in code.values.calls.given_for(each.scope, text.id)
    ]
    names = [last_name(each) for each in given if each is not None]
    literal = given and all(isinstance(code.values.only(each).node, (ast.Constant, ast.List)) for each in given)
    return not literal and not any(_SHORT.search(each) for each in names)

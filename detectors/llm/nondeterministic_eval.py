"""An evaluation draws its answers at random, once

With a temperature above zero and no seed, the same model scores differently at every run, and a difference between
two versions may be luck. Evaluate at temperature 0, or sample each case several times and report the spread.

❌
```python
from openai import OpenAI

client = OpenAI(timeout=20)


def evaluate(cases):
    right = 0
    for case in cases:
        reply = client.responses.create(model="gpt-4.1", input=case.question, temperature=0.7)  # ❌
        right += case.answer in reply.output_text
    return right / len(cases)
```

✅
```python
from openai import OpenAI

client = OpenAI(timeout=20)


def evaluate(cases):
    right = 0
    for case in cases:
        reply = client.responses.create(model="gpt-4.1", input=case.question, temperature=0)
        right += case.answer in reply.output_text
    return right / len(cases)
```

https://platform.openai.com/docs/guides/evals
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, LlmCall, Problem, Tier

TIER = Tier.RISK
WORDS = ("temperature", "eval|judge|benchmark|grade")

_EVALUATES = re.compile(r"(^|_)(eval\w*|judge\w*|benchmark\w*|grade\w*|grader)(_|$)", re.I)
_REPEATS = re.compile(
    r"repeat|n_samples|num_samples|n_runs|num_runs|trial|pass_?at|pass@|self_consisten|majority|vot(e|ing)|bootstrap|\bstd",
    re.I,
)
_TAKES_TEMPERATURE = 0.05


def detect(code: Code) -> Iterator[Problem]:
    """Calls in a function named after evaluation whose literal temperature is above zero, without seed or repeats."""
    if code.is_test or _REPEATS.search(code.text):
        return
    for call in code.llm_calls.all:
        function = code.tree.function(call.node)
        if function is None or not _EVALUATES.search(function.name):
            continue
        temperature = call.setting("temperature") or _sampling(code, call)
        value = code.values.only(temperature).constant if temperature is not None else None
        if (
            not isinstance(value, (int, float))
            or value < _TAKES_TEMPERATURE
            or call.may_set("seed", "n", "num_return_sequences")
            or _sampling(code, call, "seed", "n", "best_of") is not None
        ):
            continue
        in_call = temperature is not None and code.tree.inside(temperature, call.node)
        yield code.problem(
            call.node,
            f"`{function.name}` scores answers drawn at temperature {value}, once and without a seed: another run "
            "gives another score.",
            mend=[code.source.replace(temperature, "0")] if in_call and temperature is not None else [],
        )


def _sampling(code: Code, call: LlmCall, *names: str) -> ast.expr | None:
    """What the `SamplingParams` of vLLM or the `options` of ollama set for the first of these, by default the
    temperature."""
    options = call.setting("options") if call.library == "ollama" else None
    if isinstance(options, ast.Dict):
        pairs = zip(options.keys, options.values, strict=True)
        wanted = names or ("temperature",)
        return next((value for key, value in pairs if isinstance(key, ast.Constant) and key.value in wanted), None)
    given = code.argument(call.node, "sampling_params", 1) if call.library == "vllm" else None
    made = code.values.only(given).call if given is not None else None
    keywords = made.keywords if made is not None else []
    return next((each.value for each in keywords if each.arg in (names or ("temperature",))), None)

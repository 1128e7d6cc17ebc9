"""The model is loaded again for every request

Reading weights takes seconds and memory. Inside a request handler every request pays for it, concurrent requests
hold several copies, and the first burst of traffic runs the process out of memory. Load once when the process
starts.

❌
```python
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()


@app.post("/classify")
def classify(text: str):
    classifier = pipeline("sentiment-analysis", model="distilbert-base-uncased-finetuned-sst-2-english")  # ❌
    return classifier(text)
```

✅
```python
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
classifier = pipeline("sentiment-analysis", model="distilbert-base-uncased-finetuned-sst-2-english")


@app.post("/classify")
def classify(text: str):
    return classifier(text)
```

https://fastapi.tiangolo.com/advanced/events/
https://docs.streamlit.io/develop/concepts/architecture/caching#stcache_resource
"""

import ast
from collections.abc import Iterator

from detectors import SERVERS, Code, Problem, Tier

TIER = Tier.BUG
WORDS = (
    "from_pretrained|pipeline|load|Transformer|CrossEncoder|create_model|InferenceSession|WhisperModel|YOLO|LLM|Llama|Reader",
    SERVERS,
)  # fmt: skip

_DEPTH = 3


def detect(code: Code) -> Iterator[Problem]:
    """Weights that are read in a request and thrown away with it."""
    if code.is_test:
        return
    endpoints = code.endpoints
    is_script = "streamlit" in code.packages
    if not endpoints.all and not is_script:
        return
    for load in code.inference.loads:
        endpoint = endpoints.around(load)
        function = code.tree.function(load)
        if (
            endpoints.is_guarded(load)
            or (function is not None and endpoints.runs_once(function))
            or _is_kept(code, load)
            or _is_sent(code, load)
        ):
            continue
        if endpoint is not None and endpoint.framework != "Cog":
            yield code.problem(
                load,
                f"`{code.name(load.func)}` reads the weights again for every request that "
                f"`{endpoint.function.name}` answers.",
                related=[(endpoint.function, "runs for each request")],
            )
        elif endpoint is None and is_script and _runs_with_script(code, load):
            yield code.problem(
                load,
                f"Streamlit runs this script from the top at each interaction, so `{code.name(load.func)}` reads the "
                "weights each time. Put it into a function under `@st.cache_resource`.",
            )


def _is_kept(code: Code, load: ast.Call, depth: int = 0) -> bool:
    """Whether the model outlives the request: on an object, in a container, under a global name.

    Where a function of this file returns it, every call of that function in a request must keep it.
    """
    statement = code.tree.statement(load)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]:
        if isinstance(target, (ast.Attribute, ast.Subscript)):
            return True
        if isinstance(target, ast.Name) and code.endpoints.is_global(target):
            return True
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and _is_stored(code, statement):
        return True
    function = code.tree.function(load)
    sites = code.values.calls.sites(function) if function is not None and depth < _DEPTH else []
    asked = [each for each in sites if code.endpoints.around(each) is not None]
    return bool(asked) and all(_is_kept(code, each, depth + 1) for each in asked)


def _is_sent(code: Code, load: ast.Call) -> bool:
    """Whether the request brings the file itself, which nobody can read before."""
    is_file = (code.origin(load) or "").partition(".")[0] in ("pickle", "joblib", "torch", "dill", "cloudpickle")
    return is_file and bool(load.args) and code.endpoints.from_request(load.args[0])


def _is_stored(code: Code, statement: ast.Assign | ast.AnnAssign) -> bool:
    """`model = load(); cache[key] = model`."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    if not isinstance(target, ast.Name):
        return False
    return any(
        isinstance(each.value, ast.Name) and each.value.id == target.id and not isinstance(each.targets[0], ast.Name)
        for each in code.tree.all(ast.Assign)
        if code.tree.function(each) is code.tree.function(statement)
    )


def _runs_with_script(code: Code, load: ast.Call) -> bool:
    """Whether the load runs when the script does: at its top, or in a function that is called there."""
    function = code.tree.function(load)
    if function is None:
        return any(each.startswith("streamlit.") for each in map(str, map(code.origin, code.tree.all(ast.Call))))
    sites = code.values.calls.sites(function)
    return code.tree.class_of(function) is None and any(code.tree.function(each) is None for each in sites)

"""Request data reaches the model unchecked

Whatever JSON a client sends goes into the model: a missing key, a string for a number, ten thousand rows or a
megabyte of text become a crash, a wrong prediction or an empty GPU. Declare what the endpoint takes, with its
types and limits.

❌
```python
import joblib
from flask import Flask, request

app = Flask(__name__)
model = joblib.load("model.joblib")


@app.post("/predict")
def predict():
    return {"price": model.predict([request.json["features"]])[0]}  # ❌
```

✅
```python
import joblib
from flask import Flask, request
from pydantic import BaseModel, conlist

app = Flask(__name__)
model = joblib.load("model.joblib")


class House(BaseModel):
    features: conlist(float, min_length=8, max_length=8)


@app.post("/predict")
def predict():
    house = House.model_validate(request.json)
    return {"price": model.predict([house.features])[0]}
```

https://docs.pydantic.dev/latest/concepts/models/
https://fastapi.tiangolo.com/tutorial/body/
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Endpoint, Problem, Tier

TIER = Tier.RISK
WORDS = (
    "json|event|dict|Dict|form",
    "from flask|import flask|from fastapi|import fastapi|starlette|from quart|import quart|from sanic|import sanic"
    "|from aiohttp|import aiohttp|event, context|event: ",
)

_RAW = re.compile(
    r"(flask|quart)\.request\.(json|get_json|form|args|values|get_data|data)(\.get|\.to_dict)?$|json\.loads$"
)
_RAW_METHODS = frozenset({"json", "form", "body", "get_json"})
_LOOKS = re.compile(
    r"valid|schema|isinstance|raise |abort\(|HTTPException|assert |try:|BaseModel|\bnot in\b|\bif not\b|len\(|"
    r"\b400\b|\b422\b|float\(|int\("
)


def detect(code: Code) -> Iterator[Problem]:
    """Runs of a model in an endpoint's own body on raw JSON or form data that nothing looked at."""
    if code.is_test or not code.endpoints.all:
        return
    for run in code.inference.runs:
        endpoint = code.endpoints.directly_in(run.node)
        if endpoint is None or not run.is_certain or _LOOKS.search(_before(code, endpoint, run.node)):
            continue
        given = [*run.node.args, *(each.value for each in run.node.keywords)]
        raw = next((found for each in given for found in _raw(code, each, endpoint)), None)
        if raw is not None:
            yield code.problem(
                run.node,
                f"`{code.name(run.model)}` gets `{code.name(raw)}` as the client sent it: no schema says which keys, "
                f"types and sizes `{endpoint.function.name}` takes.",
                related=[(endpoint.function, "the endpoint")],
            )


def _before(code: Code, endpoint: Endpoint, run: ast.Call) -> str:
    """The endpoint's text down to the run: what becomes of the answer says nothing of what was asked."""
    statements = [each for each in endpoint.function.body if each.lineno <= run.lineno]
    last = run.end_lineno or run.lineno
    texts = [code.source.of(each).split("\n")[: last - each.lineno + 1] for each in statements]
    return "\n".join(line for each in texts for line in each)


def _raw(code: Code, node: ast.AST, endpoint: Endpoint, depth: int = 0) -> Iterator[ast.expr]:
    """The expressions in it that are a request's raw data, through names of the same function."""
    if depth > 5:
        return
    for each in ast.walk(node):
        if isinstance(each, (ast.Attribute, ast.Call)) and _is_raw(code, each, endpoint):
            yield each
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            for binding in code.names.reaching(each):
                if binding.scope is not endpoint.function:
                    continue
                if binding.how is Bound.PARAMETER and _is_untyped_body(binding.node, endpoint):
                    yield each
                elif binding.how in (Bound.ASSIGNMENT, Bound.PART) and binding.value is not None:
                    yield from _raw(code, binding.value, endpoint, depth + 1)


def _is_raw(code: Code, node: ast.Attribute | ast.Call, endpoint: Endpoint) -> bool:
    origin = code.origin(node)
    if origin is not None:
        is_body = origin != "json.loads" or code.endpoints.from_request(node)
        return bool(_RAW.match(origin)) and is_body
    func = node.func if isinstance(node, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr not in _RAW_METHODS or not isinstance(func.value, ast.Name):
        return False
    parameters = {each.arg for each in endpoint.function.args.args}
    return func.value.id in parameters and func.value.id in ("request", "req")


def _is_untyped_body(node: ast.AST, endpoint: Endpoint) -> bool:
    """`data: dict` of a FastAPI endpoint, the `event` of a Lambda."""
    if not isinstance(node, ast.arg):
        return False
    if endpoint.framework == "AWS Lambda":
        return node.arg == "event"
    annotation = ast.unparse(node.annotation) if node.annotation is not None else ""
    return endpoint.framework == "fastapi" and bool(re.match(r"([Dd]ict|[Ll]ist|Any)\b(\[(str, )?Any\])?$", annotation))

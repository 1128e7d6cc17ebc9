"""A model is served, and nothing measures it

Without latency, error and prediction metrics nobody sees that the model became slow, that its inputs drifted or
that it answers the same to everyone. Count requests, time them, and record what was predicted.

❌
```python
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")  # ❌
def predict(x: float):
    return {"y": model.predict([[x]])[0]}
```

✅
```python
import joblib
from fastapi import FastAPI
from prometheus_client import Histogram
from prometheus_fastapi_instrumentator import Instrumentator

app = FastAPI()
Instrumentator().instrument(app).expose(app)
predictions = Histogram("prediction", "Predicted price")
model = joblib.load("model.joblib")


@app.post("/predict")
def predict(x: float):
    y = model.predict([[x]])[0]
    predictions.observe(y)
    return {"y": y}
```

https://prometheus.github.io/client_python/
https://opentelemetry.io/docs/languages/python/
"""

import re
from collections.abc import Iterator

from detectors import SERVERS, Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = (SERVERS,)

_MEASURES = re.compile(
    r"prometheus|opentelemetry|otel|statsd|datadog|ddtrace|newrelic|sentry|logfire|langfuse|langsmith|phoenix|arize|evidently"
    r"|whylogs|wandb|mlflow|metric|monitor|histogram|counter|telemetry|instrument|trace|middleware|perf_counter|time\.time\("
    r"|monotonic|latency|elapsed|\blog(ger|ging)?\.(info|debug|exception|error|warning)|powertools|callback",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """The first endpoint that runs a model, in a file where nothing is timed, counted or logged. One a file."""
    if code.is_test or not code.endpoints.all or _MEASURES.search(code.text):
        return
    for run in code.inference.runs:
        endpoint = code.endpoints.around(run.node)
        if endpoint is not None and run.is_certain:
            yield code.problem(
                endpoint.place,
                f"`{endpoint.function.name}` answers with `{code.name(run.model)}`, and nothing in this file times, "
                "counts or logs what it answers.",
                related=[(run.node, "runs the model")],
            )
            return

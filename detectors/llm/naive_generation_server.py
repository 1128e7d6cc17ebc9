"""A web handler generates with the model itself

`model.generate` answers one request at a time: while it writes, every other request waits, and a GPU that could serve
dozens at once is mostly idle. Servers made for it (vLLM, TGI, SGLang) put waiting requests into the running batch
token by token, and hand the cache's memory out in pages.

❌
```python
from fastapi import FastAPI
from transformers import AutoModelForCausalLM, AutoTokenizer

app = FastAPI()
tokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen2.5-7B-Instruct")
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-7B-Instruct").to("cuda")


@app.post("/complete")
def complete(text: str):
    inputs = tokenizer(text, return_tensors="pt").to("cuda")
    return tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0])  # ❌
```

✅
```python
from fastapi import FastAPI
from openai import AsyncOpenAI

app = FastAPI()
client = AsyncOpenAI(base_url="http://localhost:8000/v1", api_key="unused", timeout=30)


@app.post("/complete")
async def complete(text: str):
    reply = await client.completions.create(model="Qwen/Qwen2.5-7B-Instruct", prompt=text, max_tokens=200)
    return reply.choices[0].text
```

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
https://huggingface.co/docs/text-generation-inference/index
"""

import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = (
    ".generate(",
    "from_pretrained",
    "fastapi|flask|quart|sanic|starlette|litestar|aiohttp|litserve|ray|bentoml|kserve",
)

_BATCHES = re.compile(
    r"vllm|sglang|continuous_batching|batcher|max_batch_size|serve\.batch|batch_size|dynamic_batch", re.I
)


def detect(code: Code) -> Iterator[Problem]:
    """The first `generate` of a decoder-only model that a request runs, in a file that batches nothing."""
    if code.is_test or _BATCHES.search(code.text) or not code.endpoints.all:
        return
    for call in code.method_calls("generate"):
        endpoint = code.endpoints.around(call)
        model = code.finetuning.model(call.func.value) if endpoint is not None else None  # type: ignore[attr-defined]
        if endpoint is None or model is None or not code.finetuning.is_decoder(model):
            continue
        yield code.problem(
            call,
            f"`{code.name(call.func)}` answers one request of `{endpoint.function.name}` at a time; an inference "
            "server with continuous batching serves the same GPU to many.",
            related=[(endpoint.function, "runs for each request")],
        )
        return

"""Which files are machine-learning code, and the words that say why."""

import json

import pytest

from app.pull_request import ChangedFile, Status
from app.relevance import decide, is_worth_reading
from tests.changes import changed


def reason(text: str, path: str = "x.py") -> tuple[bool, str]:
    """The decision about a file with this text at its head."""
    (decision,) = decide([ChangedFile(path, None, Status.MODIFIED, (), head=text, base="")]).files
    return decision.is_relevant, decision.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import torch\n", "imports torch"),
        ("    import torch.nn as nn\n", "imports torch.nn"),
        ("import os, torch\n", "imports torch"),
        ("import os; import torch\n", "imports torch"),
        ("from transformers import AutoModel\n", "imports transformers"),
        ("from langchain_community.llms import X\n", "imports langchain_community.llms"),
        ("from llama_index.core import X\n", "imports llama_index.core"),
        ("from vllm import LLM\n", "imports vllm"),
        ("import deepspeed\n", "imports deepspeed"),
        ("from accelerate import Accelerator\n", "imports accelerate"),
        ("from sklearn.svm import SVC\n", "imports sklearn.svm"),
        ("import lightning as L\n", "imports lightning"),
        ("import mlflow\n", "imports mlflow"),
        ("import wandb\n", "imports wandb"),
        ("from google import genai\n", "imports google.genai"),
        ("from google.cloud import aiplatform\n", "imports google.cloud.aiplatform"),
        ("from ray import tune\n", "imports ray.tune"),
        ("from datasets import load_dataset\n", "imports datasets"),
        ("import evaluate\nevaluate.load('f1')\n", "imports evaluate"),
        ("torch = importlib.import_module('torch')\n", "imports torch"),
        ("pytest.importorskip('torch')\n", "imports torch"),
        ("from common import *\nloss.backward()\n", "uses `backward`"),
        ("import pandas as pd\nX_train = pd.read_csv('a')\n", "prepares data for a model (`X_train`)"),
    ],
)
def test_code_of_the_field(text: str, words: str) -> None:
    assert reason(text) == (True, words)


@pytest.mark.parametrize(
    "text",
    [
        "import torchlight\n",
        "from torchwood import jack\n",
        "important = 'torch'\n",
        "name = 'from torch import nn'\n",
        "# import torch\n",
        "from .torch import x\n",
        "from django.views import View\nfrom haystack.query import SearchQuerySet\n",
        "import argparse\nimport click\n",
        "import pandas as pd\nimport matplotlib.pyplot as plt\npd.read_csv('sales.csv').plot()\n",
        "import numpy as np\nnp.mean([1])\n",
        "from datasets import models\n",
        "import evaluate\nevaluate.run()\n",
        "import pytest\n\n@pytest.fixture\ndef client(): ...\n",
        "from google.cloud import storage\n",
        "",
    ],
)
def test_code_of_other_fields(text: str) -> None:
    assert reason(text) == (False, "has no ML context")


def test_a_library_that_is_only_imported_before_the_change_counts() -> None:
    file = changed("import torch\nx = 1\n", "x = 1\n")

    assert decide([file]).reason == "train.py imports torch before this change."


def test_without_texts_the_lines_of_the_diff_decide() -> None:
    file = ChangedFile("x.py", None, Status.MODIFIED, changed("x = 1\n", "import torch\nx = 1\n").hunks)

    assert decide([file]).reason == "x.py imports torch in the lines of the diff."


def notebook(*sources: str) -> str:
    cells = [{"cell_type": "code", "source": [source]} for source in sources]
    return json.dumps({"cells": cells, "nbformat": 4}, indent=1)


def test_notebooks_by_their_code_cells() -> None:
    assert reason(notebook("x = 1\n", "import torch\n"), "a.ipynb") == (True, "imports torch")
    assert reason(notebook("import pandas\n"), "a.ipynb") == (False, "has no ML context")
    assert reason("not JSON", "a.ipynb") == (False, "has no ML context")
    assert reason('   "import torch\\n",\n', "a.ipynb") == (True, "imports torch")


@pytest.mark.parametrize(
    ("path", "text", "is_relevant"),
    [
        ("conf/train.yaml", "model:\n  learning_rate: 1e-4\n", True),
        ("conf/train.yaml", "lr: 1e-4\nbatch_size: 8\n", True),
        ("ds.json", '{"zero_optimization": {"stage": 2}}', True),
        ("serve.toml", "tensor_parallel_size = 4\n", True),
        ("kafka.yaml", "batch_size: 8\nbroker: x\n", False),
        ("docker-compose.yml", "services:\n  db:\n    image: postgres\n", False),
        ("package.json", '{"name": "site", "dependencies": {}}', False),
    ],
)
def test_configuration(path: str, text: str, is_relevant: bool) -> None:
    assert reason(text, path)[0] is is_relevant


@pytest.mark.parametrize(
    ("path", "text", "is_relevant"),
    [
        ("docs/rfcs/0001-search.md", "We embed queries with an LLM and search by embeddings.", True),
        ("notes.md", "# Design\n## Goals\nServe LLMs on GPUs.\n", True),
        ("docs/design/login.md", "We move sessions to Redis.", False),
        ("README.md", "A library for LLM inference on GPUs.", False),
    ],
)
def test_design_documents(path: str, text: str, is_relevant: bool) -> None:
    assert reason(text, path)[0] is is_relevant


def test_every_reason_not_to_review_is_a_sentence() -> None:
    python = ChangedFile("a.py", None, Status.MODIFIED, (), head="x = 1\n", base="")
    image = ChangedFile("a.png", None, Status.ADDED, (), unread="a binary file")
    broken = ChangedFile("b.py", None, Status.MODIFIED, (), unread="its diff is broken: line 3")

    assert decide([]).reason == "No file is changed."
    assert decide([python]).reason == "Nothing to review: a.py has no ML context."
    assert decide([broken]).reason == "Nothing to review: b.py was not read: its diff is broken: line 3."
    assert decide([image, image]).reason == (
        "None of the 2 changed files is Python, a notebook, ML configuration or an ML design."
    )
    assert decide([python, image]).reason == (
        "None of the 2 changed files can hold an ML problem: its Python has no ML context."
    )


def test_the_reason_to_review_names_the_first_file_and_counts_the_others() -> None:
    files = [ChangedFile(f"{name}.py", None, Status.ADDED, (), head="import jax\n") for name in "abc"]

    assert decide(files).reason == "a.py imports jax and 2 more."


@pytest.mark.parametrize(("path", "answer"), [("a.py", True), ("A.YAML", True), ("a.png", False), ("a", False)])
def test_only_texts_that_can_matter_are_worth_reading(path: str, answer: bool) -> None:
    assert is_worth_reading(path) is answer


def test_a_line_of_a_megabyte_is_decided_at_once() -> None:
    assert reason("import " * 200_000)[0] is False
    assert reason(" " * 1_000_000 + "x")[0] is False

"""A path of one machine is written in the code

The code runs where that folder is, and nowhere else: not in CI, not in the container, not for the colleague. Take
the path from an argument, a setting or the environment, or make it relative to the project.

❌
```python
import pandas as pd

frame = pd.read_csv("/home/ada/projects/churn/train.csv")  # ❌
```

✅
```python
import os
from pathlib import Path

import pandas as pd

DATA = Path(os.environ.get("DATA_DIR", "data"))
frame = pd.read_csv(DATA / "train.csv")
```

https://12factor.net/config
"""

import ast
import re
from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.RISK
WORDS = ("/home/|/Users/|:\\\\|:/Users|/scratch/|/gpfs|/lustre/",)

_PATH = re.compile(
    r"(?:/home/(?P<a>[\w.-]+)/|/Users/(?P<b>[\w.-]+)/|[A-Za-z]:[\\/]+Users[\\/]+(?P<c>[\w. -]+)[\\/]"
    r"|[D-Z]:[\\/]+(?P<d>[\w.-]+)[\\/]|/(?:gpfs\w*|lustre|scratch)/(?P<e>[\w.-]+)/)[^\s<>{}*$%]+$"
)
_NOBODY = re.compile(
    r"(user\w*|agent\w*|sandbox\w*|service\w*|you\w*|me|name|username|someone|foo|bar|john|jane|alice|bob|test\w*|example\w*|runner\w*|ubuntu|ec2-user|app\w*"
    r"|jovyan|vscode|node|docker|root|admin|work\w*|model-server|dev\w*|shared|linuxbrew|path|xxx+|my\w*|sagemaker\w*|vagrant)$",
    re.I,
)


def detect(code: Code) -> Iterator[Problem]:
    """Absolute paths below somebody's folder, given to a call or kept in a name."""
    if code.is_test:
        return
    for constant in code.tree.all(ast.Constant):
        text = constant.value
        if not isinstance(text, str) or not 9 < len(text) < 250 or not _PATH.match(text):
            continue
        match = _PATH.match(text)
        who = next((each for each in match.groups() if each), "") if match else ""
        if _NOBODY.match(who) or not _is_used(code, constant):
            continue
        shown = code.shown(text)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
        yield code.problem(
            constant,
            f"`{shown}` is a folder of one machine: the code runs nowhere else.",
            tier=Tier.ADVICE if code.is_notebook else None,
        )


def _is_used(code: Code, node: ast.Constant) -> bool:
    """Whether the path is opened or kept: no docstring, help text, comparison or example."""
    below: ast.AST = node
    for above in code.tree.ancestors(node):
        if isinstance(above, (ast.Compare, ast.JoinedStr, ast.Expr, ast.Raise, ast.Assert)) and not _is_call(above):
            return False
        if isinstance(above, ast.keyword) and above.arg in (
            "help",
            "description",
            "example",
            "examples",
            "doc",
            "epilog",
        ):
            return False
        if isinstance(above, ast.Call) and below is not above.func:
            name = ast.unparse(above.func).rpartition(".")[2]
            if name in (
                "startswith",
                "endswith",
                "print",
                "sub",
                "compile",
                "match",
                "replace",
                "warn",
                "info",
                "debug",
            ):
                return False
        if isinstance(above, ast.stmt):
            break
        below = above
    return True


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)

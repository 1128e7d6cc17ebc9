"""A secret key is written in the source

Everyone who can read the repository, its history, its images or its logs can use the key. Deleting the line later
does not help: the key stays in the history and must be revoked. Read it from the environment or a secret store.

❌
```python
import wandb

wandb.login(key="3f9a1c7e5b2d8046a1f3e9c07b5d2684fa1c9e37")  # ❌
```

✅
```python
import os

import wandb

wandb.login(key=os.environ["WANDB_API_KEY"])
```

https://docs.github.com/en/code-security/secret-scanning/working-with-secret-scanning-and-push-protection
https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import SECRET_PREFIXES, Code, Problem, Tier

TIER = Tier.BUG
WORDS = (
    "|".join(
        (
            *("wandb", "WANDB", "Wandb", "aws", "AWS", "Aws", "secret_access_key", "cohere", "COHERE", "CO_API_KEY"),
            *("mistral", "MISTRAL", "azure", "Azure", "AZURE", "comet", "COMET", "kaggle", "KAGGLE", "pinecone"),
            *("PINECONE", "together", "TOGETHER", "elevenlabs", "ELEVENLABS", "xi-api-key", "PRIVATE KEY-----"),
            *SECRET_PREFIXES,
        )
    ),
)

_OPENS_LITTLE = re.compile(r"\bnot (critical|a secret|secret|sensitive)\b|\bsandbox", re.I)
"""The author has thought of it: a key that opens nothing of worth."""
_FIXTURES = re.compile(r"(^|[/\\])(unit|integration|fixtures?|testdata|test_?data|testcerts?)[/\\]")


def detect(code: Code) -> Iterator[Problem]:
    """Keys of known formats, and values of a key's form under a key's name.

    Tests make key pairs of their own, which open nothing; a provider's key in a test is a provider's key.
    """
    is_test = code.is_test or bool(_FIXTURES.search(code.path))
    for secret, line, literal in code.secrets:
        if is_test and secret.provider == "private key":
            continue
        whole = isinstance(literal, ast.Constant) and literal.value == secret.value
        is_plain = whole and not isinstance(code.tree.parents.get(literal), ast.JoinedStr) if literal else False
        shown = f" (`{secret.shown}`)" if secret.shown != "…" else ""
        kind = f"{secret.provider} key" if secret.provider != "private key" else "private key"
        article = "An" if kind[0] in "AEIO" else "A"
        yield code.problem(
            literal if literal is not None and whole else _at(line),
            f"{article} {kind}{shown} stands in the source, and stays in the history when the line is gone. "
            f"Revoke it, and read the new one from `{secret.variable}`.",
            tier=Tier.ADVICE if _OPENS_LITTLE.search(_comments(code, line)) else None,
            mend=[code.source.replace(literal, f'os.environ["{secret.variable}"]')] if is_plain and literal else [],
        )


def _comments(code: Code, line: int) -> str:
    """The comment above the line, and the one at its end."""
    above, own = (code.source.lines[each] if each >= 0 else "" for each in (line - 2, line - 1))
    return " ".join(
        each.rpartition("#")[2] for each in (above if above.lstrip().startswith("#") else "", own) if "#" in each
    )


def _at(line: int) -> ast.stmt:
    """A place in a comment or inside a longer text."""
    return ast.Pass(lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)

"""An index from elsewhere is unpickled

`load_local` reads the documents of an index with `pickle`, which runs whatever code the file names.
`allow_dangerous_deserialization=True` says that the file is your own. For one that is downloaded, uploaded or named by
a client that is not so: build the index where it is used, or load a format that holds only data.

❌
```python
from huggingface_hub import snapshot_download
from langchain_community.vectorstores import FAISS

folder = snapshot_download("someone/wiki-index", repo_type="dataset")
store = FAISS.load_local(folder, embeddings, allow_dangerous_deserialization=True)  # ❌
```

✅
```python
from huggingface_hub import snapshot_download
from langchain_community.document_loaders import DirectoryLoader
from langchain_community.vectorstores import FAISS

folder = snapshot_download("someone/wiki-texts", repo_type="dataset", revision="4a1d2f")
store = FAISS.from_documents(DirectoryLoader(folder).load(), embeddings)
```

https://python.langchain.com/api_reference/community/vectorstores/langchain_community.vectorstores.faiss.FAISS.html
https://docs.python.org/3/library/pickle.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Problem, Tier

TIER = Tier.BUG
WORDS = ("allow_dangerous_deserialization=True",)

_DOWNLOADS = re.compile(
    r"(huggingface_hub\.(hf_hub_download|snapshot_download)|urllib\.request\.(urlopen|urlretrieve)"
    r"|(requests|httpx)\.(get|post|request|stream)|gdown\.download\w*|wget\.download|pooch\.retrieve"
    r"|streamlit\.(sidebar\.)?file_uploader|kagglehub\.\w+_download|wandb\.restore)$"
)
_KEYS = ("folder_path", "serialized", "pkl", "persist_path", "path")


def detect(code: Code) -> Iterator[Problem]:
    """Index loads that allow pickles, of files that came from a client or over the network in sight."""
    if code.is_test:
        return
    for call in code.tree.all(ast.Call):
        given = code.argument(call, "allow_dangerous_deserialization")
        if not (isinstance(given, ast.Constant) and given.value is True):
            continue
        path = next((each.value for each in call.keywords if each.arg in _KEYS), call.args[0] if call.args else None)
        where = _source(code, path, call) if path is not None else ""
        if where and path is not None:
            yield code.problem(
                call,
                f"`{code.name(call.func)}` unpickles `{code.name(path)}`, which {where}: it can run any code here.",
            )


def _source(code: Code, path: ast.expr, call: ast.Call) -> str:
    """Where the file comes from, "" where it may be the author's own."""
    if code.endpoints.all and code.endpoints.from_request(path):
        return "the request names"
    return "is downloaded" if _is_downloaded(code, path, call) else ""


def _is_downloaded(code: Code, node: ast.expr, call: ast.Call, depth: int = 0) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and _DOWNLOADS.match(code.origin(each) or ""):
            return True
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and depth < 5:
            if _is_filled_by_download(code, each.id, call):
                return True
            for binding in code.names.reaching(each):
                follows = binding.how in (Bound.ASSIGNMENT, Bound.CONTEXT) and binding.value is not None
                if follows and binding.value is not None and _is_downloaded(code, binding.value, call, depth + 1):
                    return True
    return False


def _is_filled_by_download(code: Code, name: str, call: ast.Call) -> bool:
    """`snapshot_download(repo, local_dir=folder)` and `urlretrieve(url, path)` above, in the same function."""
    for each in code.tree.all(ast.Call):
        if each.lineno < call.lineno and code.tree.function(each) is code.tree.function(call):
            targets = [
                *each.args[1:],
                *(k.value for k in each.keywords if k.arg in ("local_dir", "output", "filename")),
            ]
            is_target = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            if is_target and _DOWNLOADS.match(code.origin(each) or ""):
                return True
    return False

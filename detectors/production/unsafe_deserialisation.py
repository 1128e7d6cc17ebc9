"""A file from elsewhere is unpickled

Unpickling runs whatever code the file names. A checkpoint, array or estimator that was downloaded, uploaded or
named by a client can so run commands with the rights of this process. Load tensors with `weights_only=True`,
arrays without `allow_pickle`, YAML with `safe_load`, or use safetensors, JSON or skops.

❌
```python
import torch
from huggingface_hub import hf_hub_download

path = hf_hub_download("acme/encoder", "model.pt")
weights = torch.load(path, weights_only=False)  # ❌
```

✅
```python
import torch
from huggingface_hub import hf_hub_download

path = hf_hub_download("acme/encoder", "model.pt")
weights = torch.load(path, weights_only=True)
```

https://docs.pytorch.org/docs/stable/generated/torch.load.html
https://docs.python.org/3/library/pickle.html
https://numpy.org/doc/stable/reference/generated/numpy.load.html
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Problem, Tier, last_name

TIER = Tier.BUG
WORDS = ("load|read_pickle", "torch|numpy|pickle|dill|joblib|shelve|marshal|yaml")
_YAML = ("yaml.Loader", "yaml.UnsafeLoader", "yaml.CLoader", "yaml.loader.Loader", "yaml.loader.UnsafeLoader")

_ALWAYS = (
    "pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads", "dill.load", "dill.loads", "joblib.load",
    "pandas.read_pickle", "shelve.open", "marshal.loads",
)  # fmt: skip
_DOWNLOADS = re.compile(
    r"(huggingface_hub\.(hf_hub_download|snapshot_download|cached_download)|urllib\.request\.(urlopen|urlretrieve)"
    r"|(requests|httpx)\.(get|post|request|stream)|gdown\.(download|cached_download)|wget\.download"
    r"|torch\.hub\.download_url_to_file|torchvision\.datasets\.utils\.download\w*|pooch\.retrieve|tensorflow\.keras\.utils\.get_file"
    r"|keras\.utils\.get_file|transformers\.utils\.(hub\.)?cached_file|wandb\.restore)$"
)


def detect(code: Code) -> Iterator[Problem]:
    """Calls that unpickle what was downloaded, what a client sent, or what the command line names."""
    if code.is_test:
        return
    yield from _yaml(code)
    for call in code.calls("torch.load", "numpy.load", *_ALWAYS):
        origin = code.origin(call) or ""
        given = call.args[0] if call.args else next((each.value for each in call.keywords if each.arg in _FIRST), None)
        if given is None or not _unpickles(code, call, origin):
            continue
        source = _source(code, given, call)
        is_unset = origin == "torch.load" and not code.may_have(call, "weights_only")
        if is_unset:
            yield from _unset(code, call, source)
        elif source:
            where, tier = source
            yield code.problem(
                call,
                f"`{code.name(call.func)}` runs the code that the file names, and `{code.name(given)}` {where}.",
                mend=[_mended(code, call, origin)],
                tier=tier,
            )


def _yaml(code: Code) -> Iterator[Problem]:
    """`yaml.load` with a loader that builds any object, or with none: PyYAML before 6 then took such a one."""
    for call in code.calls("yaml.load", "yaml.unsafe_load", "yaml.load_all"):
        loader, name = code.argument(call, "Loader", 1), code.name(call.func)
        is_unset = loader is None and not code.may_have(call, "Loader", 1) and not name.endswith("unsafe_load")
        if not (is_unset or name.endswith("unsafe_load") or (loader is not None and code.origin(loader) in _YAML)):
            continue
        if not call.args:
            continue
        source = _source(code, call.args[0], call)
        where = f", and the file {source[0]}" if source else ""
        what = "takes no loader: PyYAML 6 refuses that, and older ones build" if is_unset else "builds"
        safe = f"{name.rpartition('.')[0] or 'yaml'}.safe_load{'_all' if name.endswith('_all') else ''}"
        yield code.problem(
            call,
            f"`{name}` {what} any Python object that the text names{where}. Settings need only `{safe}`.",
            mend=[code.source.replace(call, f"{safe}({code.source.of(call.args[0])})")],
            tier=Tier.BUG if source and source[1] is Tier.BUG else Tier.ADVICE,
        )


_FIRST = ("f", "file", "filename", "filepath_or_buffer")


def _unset(code: Code, call: ast.Call, source: tuple[str, Tier] | None) -> Iterator[Problem]:
    """torch 2.6 made `weights_only=True` the default: before it, the call unpickles anything."""
    if code.versions.is_from("torch", "2.6"):
        return
    where, tier = source or ("", Tier.ADVICE)
    yield code.problem(
        call,
        f"`{code.name(call.func)}` unpickles any object on torch before 2.6 (`weights_only` is off there; "
        f"{code.versions.assumed('torch')}){f', and the file {where}' if where else ''}. Say `weights_only=True`.",
        mend=[code.source.set_keyword(call, "weights_only", "True")],
        tier=tier if code.versions.is_below("torch", "2.6") else Tier.ADVICE,
    )


def _unpickles(code: Code, call: ast.Call, origin: str) -> bool:
    if origin in _ALWAYS:
        return True
    name, dangerous = ("weights_only", False) if origin == "torch.load" else ("allow_pickle", True)
    given = code.argument(call, name)
    if given is None:
        return origin == "torch.load" and not code.may_have(call, name)
    return isinstance(given, ast.Constant) and given.value is dangerous


def _mended(code: Code, call: ast.Call, origin: str):  # type: ignore[no-untyped-def]
    if origin == "torch.load":
        return code.source.set_keyword(call, "weights_only", "True")
    return code.source.set_keyword(call, "allow_pickle", "False") if origin == "numpy.load" else None


def _source(code: Code, node: ast.expr, call: ast.Call) -> tuple[str, Tier] | None:
    """Where the file comes from, and how much that matters; None where it may be the author's own."""
    if code.endpoints.all and code.endpoints.from_request(node):
        return "comes from the request", Tier.BUG
    if _is_downloaded(code, node, call):
        return "is downloaded", Tier.BUG
    if any(each.origin == "builtins.input" for each in code.values.of(node)):
        return "is typed in by the user", Tier.BUG
    return ("is named on the command line", Tier.ADVICE) if _is_command_line(code, node) else None


def _is_downloaded(code: Code, node: ast.expr, call: ast.Call, depth: int = 0) -> bool:
    """Whether the value, or the file at this path, was fetched in the same function."""
    if depth > 5:
        return False
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and _DOWNLOADS.match(code.origin(each) or ""):
            return True
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _is_fetched_to(code, each, call):
            return True
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            for binding in code.names.reaching(each):
                is_value = binding.how in (Bound.ASSIGNMENT, Bound.CONTEXT) and binding.value is not None
                if is_value and binding.value is not None and _is_downloaded(code, binding.value, call, depth + 1):
                    return True
            if _is_fetched_to(code, each, call):
                return True
    return False


def _is_fetched_to(code: Code, path: ast.Name | ast.Constant, call: ast.Call) -> bool:
    """`urlretrieve(url, path)` above, in the same function."""
    function = code.tree.function(call)
    for download in code.tree.all(ast.Call):
        if download.lineno >= call.lineno or last_name(download.func) not in _TO_FILE:
            continue
        if code.tree.function(download) is function and _DOWNLOADS.match(code.origin(download) or ""):
            targets = [*download.args[1:], *(each.value for each in download.keywords if each.arg != "url")]
            if any(ast.dump(each) == ast.dump(path) for each in targets):
                return True
    return False


_TO_FILE = ("urlretrieve", "download", "download_url_to_file", "download_url", "cached_download")


def _is_command_line(code: Code, node: ast.expr) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            if any(
                (value.origin or "").endswith("ArgumentParser().parse_args") for value in code.values.of(each.value)
            ):
                return True
            if code.origin(each) == "sys.argv":
                return True
    return False

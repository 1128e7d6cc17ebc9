"""Documents of several kinds go through one splitter

A paragraph, a table row, a heading with its section and a function end in different places. One splitter by length
cuts tables from their header and code in the middle of a block. Split each kind at its own borders.

❌
```python
from langchain_community.document_loaders import CSVLoader, PyPDFLoader
from langchain_text_splitters import RecursiveCharacterTextSplitter

documents = PyPDFLoader("handbook.pdf").load() + CSVLoader("prices.csv").load()
splitter = RecursiveCharacterTextSplitter(chunk_size=2000, chunk_overlap=300)
chunks = splitter.split_documents(documents)  # ❌
```

✅
```python
from langchain_community.document_loaders import CSVLoader, PyPDFLoader
from langchain_text_splitters import RecursiveCharacterTextSplitter

splitter = RecursiveCharacterTextSplitter(chunk_size=2000, chunk_overlap=300)
prose = splitter.split_documents(PyPDFLoader("handbook.pdf").load())
chunks = prose + CSVLoader("prices.csv").load()
```

https://python.langchain.com/docs/concepts/text_splitters/
"""

import ast
import re
from collections.abc import Iterator

from detectors import Bound, Code, Problem, Tier, last_name

TIER = Tier.ADVICE
WORDS = ("Loader", "split_documents")

_KINDS = (
    ("tables", re.compile(r"(CSV|Excel|UnstructuredExcel|DataFrame|PandasDataFrame|UnstructuredCSV)Loader$")),
    ("code", re.compile(r"(Python|Notebook|Git)Loader$")),
    ("JSON", re.compile(r"JSONLoader$")),
    ("Markdown", re.compile(r"\w*MarkdownLoader$")),
    (
        "web pages",
        re.compile(r"(WebBase|BSHTML|UnstructuredHTML|AsyncHtml|RecursiveUrl|Sitemap|UnstructuredURL)Loader$"),
    ),
    (
        "prose",
        re.compile(r"(\w*PDF\w*|\w*Pdf\w*|Docx2txt|UnstructuredWordDocument|Text|UnstructuredPowerPoint)Loader$"),
    ),
)


def detect(code: Code) -> Iterator[Problem]:
    """`split_documents` of documents that come from loaders of two or more kinds, one of them no prose."""
    if code.is_test:
        return
    for call in code.method_calls("split_documents"):
        given = code.argument(call, "documents", 0)
        kinds = sorted(set(_kinds(code, given, 0))) if given is not None else []
        if len(kinds) > 1 and {"tables", "code", "JSON"} & set(kinds):
            yield code.problem(
                call,
                f"{' and '.join([', '.join(kinds[:-1]), kinds[-1]])} are split alike by `{code.name(call.func)}`: "
                "each kind ends at other borders.",
            )


def _kinds(code: Code, node: ast.AST, depth: int) -> Iterator[str]:
    """The kinds of documents an expression holds, through names, `+`, `extend` and `+=` of the same scope."""
    if depth > 4:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield from (kind for kind, pattern in _KINDS if pattern.match(last_name(each.func)))
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            for binding in code.names.reaching(each):
                if binding.how in (Bound.ASSIGNMENT, Bound.UPDATE) and binding.value is not None:
                    yield from _kinds(code, binding.value, depth + 1)
            for added in code.method_calls("extend"):
                owner = added.func.value  # type: ignore[attr-defined]
                same = isinstance(owner, ast.Name) and owner.id == each.id and depth == 0
                if same and added.args and code.tree.scope(added) is code.tree.scope(each):
                    yield from _kinds(code, added.args[0], depth + 1)

"""Messages: text that is put together at run time, and the lazy form a logger formats only when it writes.

`f"{n} rows"`, `"%d rows" % n`, `"{} rows".format(n)` and `"rows: " + str(n)` become `("%s rows", [n])`.
Where the lazy form would not write the same characters there is none.
"""

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

from detectors._engine.names.subjects import last_name
from detectors._engine.source.mend import Source

_SAME_SPEC = re.compile(r"[+ ]?#?0?\d*(\.\d+)?[feEgGdxXo]$|0?\d*d$|\.\d+s$")
"""Format specifications that mean the same after a `%`."""
_PLACEHOLDER = re.compile(
    r"%(?:\((?P<name>[^)]*)\))?[#0\- +]*(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d+))?[hlL]?(?P<kind>.)", re.S
)
_MAY_BE_TENSOR = re.compile(
    r"loss|acc|grad|norm|logit|score|metric|prob|pred|output|tensor|reward|perplexity|ppl|mean|std|mae|mse|entropy",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Lazy:
    """A `%` template, with the arguments as source text in order."""

    literal: str
    arguments: tuple[str, ...]

    @property
    def text(self) -> str:
        """What stands between the logger call's parentheses."""
        return ", ".join([self.literal, *self.arguments])


def is_built(node: ast.expr) -> bool:
    """Whether the expression puts a text together from a literal and something else."""
    match node:
        case ast.JoinedStr():
            return any(isinstance(each, ast.FormattedValue) for each in node.values)
        case ast.BinOp(op=ast.Mod(), left=left):
            return _is_text(left)
        case ast.BinOp(op=ast.Add()):
            leaves = list(_leaves(node))
            return any(_is_text(each) for each in leaves) and not all(isinstance(each, ast.Constant) for each in leaves)
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str()))):
            return bool(node.args or node.keywords)
    return False


def lazy_form(node: ast.expr, source: Source) -> Lazy | None:
    """The same message as template and arguments; None where it would not be the same in every case."""
    match node:
        case ast.JoinedStr():
            return _of_f_string(node, source)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as template), right=right):
            return _of_percent(template, node, right, source)
        case ast.BinOp(op=ast.Add()):
            return _of_sum(node, source)
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str() as template))):
            return _of_format(template, node, source)
    return None


def placeholders(template: str) -> int | None:
    """How many positional arguments a `%` template takes; None where it takes a mapping, a `*` or is no template."""
    count = 0
    for each in _PLACEHOLDER.finditer(template):
        if each["kind"] == "%":
            continue
        if (
            each["name"] is not None
            or "*" in (each["width"], each["precision"])
            or each["kind"] not in "diouxXeEfFgGcrsa"
        ):
            return None
        count += 1
    return (
        count
        if template.count("%") == sum(1 + (each[0].endswith("%")) for each in _PLACEHOLDER.finditer(template))
        else None
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _leaves(node.left)
        yield from _leaves(node.right)
    else:
        yield node


# -- f-strings ------------------------------------------------------------------------------------------------


def _of_f_string(node: ast.JoinedStr, source: Source) -> Lazy | None:
    text = source.of(node)
    pieces = _pieces(text)
    if len(pieces) == 1:
        return _of_pieces([node], [text], source)
    parsed = [_parsed(each) for each in pieces]
    whole = [each for each in parsed if each is not None and _is_text(each)]
    if len(whole) != len(parsed):
        return None
    lazy = _of_pieces(whole, pieces, source)
    if lazy is None:
        return None
    indent = source.indent(node.lineno + 1)
    return Lazy(lazy.literal.replace("\n", f"\n{indent}"), lazy.arguments)


def _pieces(text: str) -> list[str]:
    """The literals of an implicit concatenation, where each has its own line."""
    if text.lstrip("rRfFbBuU").startswith(('"""', "'''")):
        return [text]
    return [each.strip() for each in text.split("\n")]


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _of_pieces(nodes: list[ast.expr], texts: list[str], source: Source) -> Lazy | None:
    literals: list[str] = []
    arguments: list[str] = []
    for node, text in zip(nodes, texts, strict=True):
        template = ""
        for part in node.values if isinstance(node, ast.JoinedStr) else [node]:
            if isinstance(part, ast.Constant):
                template += str(part.value).replace("%", "%%")
                continue
            assert isinstance(part, ast.FormattedValue)
            placeholder = _of_field(part)
            if placeholder is None:
                return None
            template += placeholder
            arguments.append(_argument(part.value, text))
        literal = _quoted(template, text)
        if literal is None:
            return None
        literals.append(literal)
    return Lazy("\n".join(literals), tuple(arguments))


def _of_field(field: ast.FormattedValue) -> str | None:
    spec = ""
    if field.format_spec is not None:
        parts = field.format_spec.values if isinstance(field.format_spec, ast.JoinedStr) else []
        if len(parts) > 1 or any(not isinstance(each, ast.Constant) for each in parts):
            return None
        spec = str(parts[0].value) if parts else ""  # type: ignore[attr-defined]
    conversion = chr(field.conversion) if field.conversion > 0 else ""
    return _placeholder(spec, conversion, field.value)


def _placeholder(spec: str, conversion: str, value: ast.expr) -> str | None:
    if conversion:
        return f"%{conversion}" if not spec else None
    if not spec:  # `format(tensor)` writes the number, `str(tensor)` the tensor
        return None if _may_be_tensor(value) else "%s"
    if spec.endswith("s"):
        return f"%{spec}" if spec.startswith(".") else None
    return f"%{spec}" if _SAME_SPEC.match(spec) else None


def _may_be_tensor(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        name = last_name(value.func)
        return name not in (
            "len",
            "str",
            "repr",
            "int",
            "float",
            "round",
            "type",
            "join",
            "item",
            "sorted",
            "list",
            "getpid",
            "tolist",
        )
    return bool(_MAY_BE_TENSOR.search(last_name(value))) or isinstance(value, (ast.BinOp, ast.Subscript))


def _argument(value: ast.expr, text: str) -> str:
    """The expression as the author wrote it, where that is found in the literal; else written anew."""
    written = ast.unparse(value)
    double = written.replace("'", '"')
    for candidate in (written, double):
        if f"{{{candidate}" in text and _same(candidate, value):
            return _wrapped(value, candidate)
    return _wrapped(value, double if "\\" not in written and '"' not in written and _same(double, value) else written)


def _same(text: str, value: ast.expr) -> bool:
    parsed = _parsed(text)
    return parsed is not None and ast.dump(parsed) == ast.dump(value)


def _wrapped(value: ast.expr, text: str) -> str:
    bare = isinstance(value, (ast.Tuple, ast.GeneratorExp, ast.NamedExpr, ast.Yield, ast.YieldFrom))
    return f"({text})" if bare and not text.startswith("(") else text


def _quoted(template: str, like: str) -> str | None:
    """The template as a literal with the quotes of another; None where that does not read back the same."""
    opening = re.match(r"[a-zA-Z]*(\"\"\"|'''|\"|')", like)
    quote = opening[1][0] if opening else '"'
    body = (
        template.replace("\\", "\\\\")
        .replace(quote, f"\\{quote}")
        .replace("\n", "\\n")
        .replace("\t", "\\t")
        .replace("\r", "\\r")
    )
    literal = f"{quote}{body}{quote}"
    parsed = _parsed(literal)
    return literal if isinstance(parsed, ast.Constant) and parsed.value == template and body.isprintable() else None


# -- the other spellings --------------------------------------------------------------------------------------


def _of_percent(template: str, node: ast.BinOp, right: ast.expr, source: Source) -> Lazy | None:
    literal = source.of(node.left)
    if isinstance(right, ast.Tuple):
        if placeholders(template) != len(right.elts) or any(isinstance(each, ast.Starred) for each in right.elts):
            return None
        return Lazy(literal, tuple(source.of(each) for each in right.elts)) if right.elts else None
    if isinstance(right, ast.Dict):
        return Lazy(literal, (source.of(right),)) if right.keys and placeholders(template) is None else None
    never_a_tuple = isinstance(
        right, (ast.Constant, ast.JoinedStr, ast.BinOp, ast.Compare, ast.List, ast.ListComp)
    ) or (
        isinstance(right, ast.Call)
        and last_name(right.func) in ("len", "str", "repr", "int", "float", "round", "join", "item")
    )
    if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Add):
        never_a_tuple = False  # tuples can be added
    if not never_a_tuple or placeholders(template) != 1:
        return None
    return Lazy(literal, (source.of(right),))


def _of_sum(node: ast.expr, source: Source) -> Lazy | None:
    template, arguments, like = "", [], ""
    for leaf in _leaves(node):
        match leaf:
            case ast.Constant(value=str() as text):
                template += text.replace("%", "%%")
                like = like or source.of(leaf)
            case ast.Call(func=ast.Name(id="str"), args=[inner], keywords=[]):
                template += "%s"
                arguments.append(source.of(inner))
            case ast.Name() | ast.Attribute() | ast.Call():
                template += "%s"
                arguments.append(source.of(leaf))
            case _:
                return None
    literal = _quoted(template, like)
    if literal is None or any("\n" in each for each in arguments) or node.lineno != node.end_lineno:
        return None
    return Lazy(literal, tuple(arguments))


def _of_format(template: str, node: ast.Call, source: Source) -> Lazy | None:
    if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
        return None
    given = {each.arg: each.value for each in node.keywords}
    out, arguments, automatic, used = "", [], 0, set()
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError:
        return None
    for text, field, spec, conversion in fields:
        out += text.replace("%", "%%")
        if field is None:
            continue
        if field == "":
            field, automatic = str(automatic), automatic + 1
        value = given.get(field) or (node.args[int(field)] if field.isdigit() and int(field) < len(node.args) else None)
        placeholder = _placeholder(spec or "", conversion or "", value) if value is not None else None
        if value is None or placeholder is None:
            return None
        out += placeholder
        used.add(field)
        arguments.append(_wrapped(value, source.of(value)))
    if len(used) != len(node.args) + len(node.keywords) or node.lineno != node.end_lineno:
        return None
    assert isinstance(node.func, ast.Attribute)
    literal = _quoted(out, source.of(node.func.value))
    return Lazy(literal, tuple(arguments)) if literal is not None else None

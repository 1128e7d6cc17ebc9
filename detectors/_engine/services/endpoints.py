"""Endpoints: functions a server runs for each request, whichever framework serves them, and the data of a request.

Known are FastAPI, Starlette, Flask, Quart, Sanic, Litestar, aiohttp, BentoML, Ray Serve, LitServe, TorchServe, KServe,
MLServer, Triton, Cog, SageMaker, RunPod, Gradio, Streamlit and AWS Lambda.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.names import Names
from detectors._engine.names.subjects import last_name
from detectors._engine.source.tree import FUNCTIONS, Function, Tree, named_parameters
from detectors._engine.values.values import Values

_APPS = re.compile(
    r"(fastapi\.(\w+\.)*(FastAPI|APIRouter)|flask\.(\w+\.)*(Flask|Blueprint)|quart\.(Quart|Blueprint)|sanic\.(Sanic|Blueprint)"
    r"|starlette\.(applications\.Starlette|routing\.Router)|aiohttp\.web\.RouteTableDef|bottle\.(Bottle|app|default_app)"
    r"|falcon\.\w*App|robyn\.Robyn|flask_restx?\.\w+|ninja\.(NinjaAPI|Router))$"
)
_WEB = frozenset(
    ["fastapi", "flask", "quart", "sanic", "starlette", "litestar", "aiohttp", "bottle", "falcon", "robyn", "ninja"]
)
_VERBS = frozenset(["get", "post", "put", "patch", "delete", "route", "api_route", "websocket", "websocket_route"])
_ROUTES = re.compile(r"(litestar\.(\w+\.)*(get|post|put|patch|delete|route|websocket)|bottle\.(get|post|put|route))$")
_SERVE = re.compile(r"bentoml\.(api|task)$|modal\.(web_endpoint|fastapi_endpoint|asgi_app)$|runpod\.serverless\.\w+$")
_CLASSES: tuple[tuple[re.Pattern[str], str, frozenset[str]], ...] = tuple(
    (re.compile(pattern), framework, frozenset(methods.split()))
    for pattern, framework, methods in (
        (r"litserve\.LitAPI$", "LitServe", "predict decode_request encode_response batch unbatch"),
        (r"ts\.torch_handler\..*", "TorchServe", "handle preprocess inference postprocess"),
        (r"kserve\.Model$", "KServe", "predict preprocess postprocess"),
        (r"mlserver\.MLModel$", "MLServer", "predict"),
        (r"cog\.(BasePredictor|BaseRunner)$", "Cog", "predict run"),
        (r"flask_rest\w*\.Resource$", "Flask", "get post put delete patch"),
        (r"flask\.views\.MethodView$", "Flask", "get post put delete patch"),
        (r"starlette\.endpoints\.\w+$", "Starlette", "get post put delete patch on_receive"),
        (
            r"rest_framework\.(views\.APIView|generics\.\w+|viewsets\.\w+)$",
            "Django",
            "get post put delete patch create",
        ),
        (r"mlflow\.pyfunc\.PythonModel$", "MLflow", "predict"),
    )
)
_ONCE = re.compile(
    r"(functools\.(lru_cache|cache|cached_property)|streamlit\.(cache_\w+|experimental_\w+|cache)|cachetools\.\w+)$"
)
_KEEPS = re.compile(r"cache|memoi|singleton|multiplexed")
_CALLBACKS = frozenset(["click", "submit", "change", "upload", "release", "select", "input", "blur", "like", "then"])
_NOT_DATA = re.compile(r"^(self|cls|request|req|_|background_tasks|response|db|session|context|ctx|progress)$")


SERVERS = "|".join(
    (
        *("event, context", "event: ", "TritonPythonModel", "predict_fn", "torch_handler", "rest_framework"),
        *(
            f"{imports} {package}"
            for package in (
                *("fastapi", "flask", "quart", "sanic", "starlette", "litestar", "aiohttp", "bottle", "falcon"),
                *("robyn", "ninja", "bentoml", "ray", "litserve", "kserve", "mlserver", "cog", "gradio", "runpod"),
                *("modal", "mlflow", "streamlit"),
            )
            for imports in ("from", "import")
        ),
    )
)
"""Words without one of which a file has no endpoint."""


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A function that runs once a request; `place` is what makes it one: a decorator, a registration, its name."""

    function: Function
    framework: str
    place: ast.AST

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop, which it can block."""
        return isinstance(self.function, ast.AsyncFunctionDef)


class Endpoints:
    """The endpoints of one file."""

    def __init__(self, tree: Tree, names: Names, values: Values, packages: frozenset[str]) -> None:
        self._tree, self._names, self._values, self._packages = tree, names, values, packages

    @cached_property
    def all(self) -> list[Endpoint]:
        """Every endpoint, in source order."""
        found: dict[Function, Endpoint] = {}
        for each in (*self._decorated(), *self._methods(), *self._handed_over(), *self._named()):
            found.setdefault(each.function, each)
        return sorted(found.values(), key=lambda each: each.function.lineno)

    @cached_property
    def _reached(self) -> dict[ast.AST, Endpoint]:
        """Functions that run in a request: the endpoints, what they call, and what is defined in them."""
        found: dict[ast.AST, Endpoint] = {}
        rest = [(each.function, each) for each in reversed(self.all)]
        calls = self._calls_by_function if rest else {}
        while rest:
            function, endpoint = rest.pop()
            if function in found or self.runs_once(function):
                continue
            found[function] = endpoint
            for call in calls.get(function, ()):
                target = self._values.calls.callee(call)
                if isinstance(target, ast.ClassDef):
                    target = self._values.classes.method(target, "__init__")
                if isinstance(target, FUNCTIONS) and target not in found:
                    rest.append((target, endpoint))
        return found

    @cached_property
    def _calls_by_function(self) -> dict[ast.AST, list[ast.Call]]:
        found: dict[ast.AST, list[ast.Call]] = {}
        for call in self._tree.all(ast.Call):
            function = self._tree.function(call)
            if function is not None:
                found.setdefault(function, []).append(call)
        return found

    def around(self, node: ast.AST) -> Endpoint | None:
        """The endpoint whose requests run this node, in its own body or through calls of this file's functions."""
        if not self.all:
            return None
        function = self._tree.function(node)
        while function is not None:
            if function in self._reached:
                return self._reached[function]
            function = self._tree.function(function)
        return None

    def directly_in(self, node: ast.AST) -> Endpoint | None:
        """The endpoint whose own body holds the node."""
        function = self._tree.function(node)
        return next((each for each in self.all if each.function is function), None) if function is not None else None

    def runs_once(self, function: Function) -> bool:
        """Whether a decorator keeps the result, so that later calls do not run the body."""
        for each in function.decorator_list:
            origin = self._names.origin(each.func if isinstance(each, ast.Call) else each) or ""
            if _ONCE.match(origin) or _KEEPS.search(last_name(each.func if isinstance(each, ast.Call) else each)):
                return True
        return False

    def is_guarded(self, node: ast.AST) -> bool:
        """Whether the node runs only where something is not there yet: `if model is None`, `if key not in cache`.

        Here, or around every call of the function it is in, as long as that is no endpoint itself.
        """
        if self._is_guarded_here(node):
            return True
        function = self._tree.function(node)
        if function is None or any(each.function is function for each in self.all):
            return False
        sites = [each for each in self._values.calls.sites(function) if self.around(each) is not None]
        return bool(sites) and all(self._is_guarded_here(each) for each in sites)

    def _is_guarded_here(self, node: ast.AST) -> bool:
        for above in self._tree.ancestors(node):
            if isinstance(above, FUNCTIONS):
                return self._leaves_early(above, node)
            if isinstance(above, (ast.If, ast.IfExp)) and _asks_for_absence(above.test):
                return True
            if isinstance(above, ast.ExceptHandler):
                return True
            if isinstance(above, ast.BoolOp) and isinstance(above.op, ast.Or):
                return True
        return False

    @staticmethod
    def _leaves_early(function: Function, node: ast.AST) -> bool:
        """`if model is not None: return model` above the node."""
        for statement in function.body:
            if statement.lineno >= node.lineno:  # type: ignore[attr-defined]
                return False
            if isinstance(statement, ast.If) and any(isinstance(each, ast.Return) for each in statement.body):
                return True
        return False

    def is_global(self, target: ast.Name) -> bool:
        """Whether a name assigned in a function is one of the module."""
        scope = self._tree.scope(target)
        return any(
            target.id in each.names and self._tree.scope(each) is scope
            for each in self._tree.all(ast.Global, ast.Nonlocal)
        )

    # -- the data of a request --------------------------------------------------------------------------------

    def data_parameters(self, endpoint: Endpoint) -> list[ast.arg]:
        """The parameters that carry what the client sent; injected ones and the framework's own are left out."""
        found = []
        for each in named_parameters(endpoint.function.args):
            default = self._default(endpoint.function, each)
            injected = isinstance(default, ast.Call) and last_name(default.func) in ("Depends", "Security", "Provide")
            kind = last_name(each.annotation) if each.annotation is not None else ""
            if (
                not injected
                and not _NOT_DATA.match(each.arg)
                and kind not in ("Request", "BackgroundTasks", "WebSocket")
            ):
                found.append(each)
        return found

    @staticmethod
    def _default(function: Function, argument: ast.arg) -> ast.expr | None:
        positional = [*function.args.posonlyargs, *function.args.args]
        if argument in positional:
            at = positional.index(argument) - len(positional) + len(function.args.defaults)
            return function.args.defaults[at] if at >= 0 else None
        return function.args.kw_defaults[function.args.kwonlyargs.index(argument)]

    def from_request(self, node: ast.AST, depth: int = 0) -> bool:
        """Whether the expression holds what a client sent: a data parameter, `request.json`, what is made of them."""
        endpoint = self.around(node)
        return endpoint is not None and self._carries(node, endpoint, depth)

    def _carries(self, node: ast.AST, endpoint: Endpoint, depth: int) -> bool:
        if depth > 8:
            return False
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and (self._names.origin(each) or "").startswith(
                ("flask.request.", "quart.request.", "bottle.request.")
            ):
                return True
            if not isinstance(each, ast.Name) or not isinstance(each.ctx, ast.Load):
                continue
            if any(self._is_carrier(binding, each, endpoint, depth) for binding in self._names.reaching(each)):
                return True
        return False

    def _is_carrier(self, binding: Binding, use: ast.Name, endpoint: Endpoint, depth: int) -> bool:
        if binding.how is Bound.PARAMETER and binding.scope is endpoint.function:
            return binding.node in self.data_parameters(endpoint) or use.id in ("request", "req", "event")
        if binding.value is None or binding.scope is not self._tree.function(use):
            return False
        return self._carries(binding.value, endpoint, depth + 1)

    # -- finding them -----------------------------------------------------------------------------------------

    def _decorated(self) -> Iterator[Endpoint]:
        for function in self._tree.all(*FUNCTIONS):
            for decorator in function.decorator_list:
                framework = self._framework_of(decorator)
                if framework:
                    yield Endpoint(function, framework, decorator)

    def _framework_of(self, decorator: ast.expr) -> str:
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        origin = self._names.origin(func) or ""
        if _ROUTES.match(origin) or _SERVE.match(origin):
            return origin.partition(".")[0]
        if not isinstance(func, ast.Attribute) or not isinstance(decorator, ast.Call):
            return ""
        if func.attr == "api" and "bentoml" in self._packages:
            return "bentoml"
        if func.attr not in _VERBS:
            return ""
        made = [each.origin or "" for each in self._values.of(func.value)]
        if any(_APPS.match(each) for each in made):
            return next(each for each in made if _APPS.match(each)).partition(".")[0]
        path = decorator.args[0] if decorator.args else None
        is_path = isinstance(path, ast.Constant) and isinstance(path.value, str) and path.value.startswith("/")
        web = self._packages & _WEB
        unknown = all(not each or each.startswith(".") for each in made)
        return next(iter(sorted(web))) if web and is_path and unknown else ""

    def _methods(self) -> Iterator[Endpoint]:
        for owner in self._tree.all(ast.ClassDef):
            framework, methods, place = self._serving_class(owner)
            for statement in owner.body if framework else ():
                if isinstance(statement, FUNCTIONS) and statement.name in methods:
                    yield Endpoint(statement, framework, place)

    def _serving_class(self, owner: ast.ClassDef) -> tuple[str, frozenset[str], ast.AST]:
        for decorator in owner.decorator_list:
            origin = self._names.origin(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if origin == "ray.serve.deployment":
                return "Ray Serve", frozenset({"__call__"}), decorator
        for base in self._values.classes.bases(owner) if owner.bases else ():
            for pattern, framework, methods in _CLASSES:
                if pattern.match(base):
                    return framework, methods, owner
        if owner.name == "TritonPythonModel":
            return "Triton", frozenset({"execute"}), owner
        return "", frozenset(), owner

    def _handed_over(self) -> Iterator[Endpoint]:
        """Callbacks: `gr.Interface(fn=answer)`, `button.click(answer, …)`, `app.add_api_route("/", answer)`."""
        if not self._packages & (_WEB | {"gradio", "runpod"}):
            return
        for call in self._tree.all(ast.Call):
            callback = self._callback(call)
            target = self._values.calls.target(callback) if isinstance(callback, (ast.Name, ast.Attribute)) else None
            if isinstance(target, FUNCTIONS):
                yield Endpoint(target, "gradio" if "gradio" in self._packages else "web", call)

    def _callback(self, call: ast.Call) -> ast.expr | None:
        func = call.func
        if not isinstance(func, (ast.Attribute, ast.Name)):
            return None
        keywords = {each.arg: each.value for each in call.keywords}
        last = last_name(func)
        if "gradio" in self._packages:
            if last in ("Interface", "ChatInterface") and (self._names.origin(func) or "").startswith("gradio."):
                return keywords.get("fn") or (call.args[0] if call.args else None)
            if last in _CALLBACKS and isinstance(func, ast.Attribute):
                return keywords.get("fn") or (call.args[0] if call.args else None)
        if self._packages & _WEB:
            if last in ("add_api_route", "add_route", "Route", "APIRoute", "WebSocketRoute") and len(call.args) > 1:
                return call.args[1]
            if last == "add_url_rule":
                return keywords.get("view_func") or (call.args[2] if len(call.args) > 2 else None)
        if self._names.origin(func) == "runpod.serverless.start" and call.args and isinstance(call.args[0], ast.Dict):
            return call.args[0].values[0]
        return None

    def _named(self) -> Iterator[Endpoint]:
        """Functions a platform finds by name: Lambda's `handler(event, context)`, SageMaker's `predict_fn`."""
        defined = self._names.bindings.all_in(self._tree.module)
        for function in self._tree.module.body:
            if not isinstance(function, FUNCTIONS):
                continue
            names = [each.arg for each in function.args.args]
            if names == ["event", "context"] and "handler" in function.name:
                yield Endpoint(function, "AWS Lambda", function)
            elif function.name in ("predict_fn", "transform_fn", "input_fn") and "model_fn" in defined:
                yield Endpoint(function, "SageMaker", function)


def _asks_for_absence(test: ast.expr) -> bool:
    """`x is None`, `not x`, `key not in cache`, `not hasattr(…)`, also inside `and`/`or`."""
    match test:
        case ast.BoolOp():
            return any(_asks_for_absence(each) for each in test.values)
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Compare(ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Compare(ops=[ast.NotIn() | ast.NotEq() | ast.IsNot()]):
            return True
    return False

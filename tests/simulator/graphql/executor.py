"""Validates a GraphQL document against GitHub's types and answers it"""

import functools
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.simulator.errors import Refusal
from tests.simulator.graphql import views
from tests.simulator.graphql.connections import failure
from tests.simulator.graphql.context import Context
from tests.simulator.graphql.conversation_views import pull_request
from tests.simulator.graphql.mutations import mutations, node
from tests.simulator.http import Answer, Call, Router
from tests.simulator.limits import Meter
from tests.simulator.model import Json, iso

SDL = Path(__file__).with_name("schema.graphql")


@functools.cache
def schema() -> GraphQLSchema:
    """The part of GitHub's schema that is answered here."""
    return build_schema(SDL.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=512)
def _document(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document))


def routes(meter: Meter) -> Router:
    """`POST /graphql`: https://docs.github.com/graphql/guides/forming-calls-with-graphql"""
    router = Router()

    @router.add("POST", "/graphql")
    def graphql(call: Call) -> Answer:
        if call.caller.account is None:
            raise Refusal(401, "This endpoint requires you to be authenticated.")
        body = call.json()
        if not isinstance(body.get("query"), str) or not body["query"].strip():
            return Answer(body={"errors": [{"message": "A query attribute must be specified and must be a string."}]})
        document, errors = _document(body["query"])
        if document is None or errors:
            return Answer(body={"errors": [_shown(error) for error in errors]})
        context = Context(call.world, call.caller, meter)
        return Answer(body=_answer(_execute(document, context, body)))

    return router


def _execute(document: DocumentNode, context: Context, body: Json) -> ExecutionResult:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    is_mutation = operations[0].operation is OperationType.MUTATION
    root = mutations(context) if is_mutation else _query(context)
    return execute_sync(
        schema(),
        document,
        root_value=root,
        variable_values=body.get("variables") or {},
        operation_name=body.get("operationName"),
    )


def _query(context: Context) -> Json:
    def repository(info: Any, owner: str, name: str, **_: Any) -> Json:
        return views.repository(context, context.repository(owner, name), pull_request)

    def find_node(info: Any, id: str) -> Json:
        found = node(context, context.world.nodes.get(id))
        if found is None:
            raise failure("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'")
        return found

    def rate_limit(info: Any, **_: Any) -> Json:
        rate = context.meter.rate(context.caller.bucket)
        return {**rate, "resetAt": iso(rate["reset"]), "cost": 1, "nodeCount": 0}

    viewer = {**views.actor(context, context.viewer), "__typename": "User", "login": context.viewer.login}
    return {
        "id": "Q_root",
        "viewer": viewer,
        "repository": repository,
        "node": find_node,
        "nodes": lambda info, ids: [node(context, context.world.nodes.get(each)) for each in ids],
        "rateLimit": rate_limit,
    }


def _answer(result: ExecutionResult) -> Json:
    answer: Json = {"data": result.data}
    if result.errors:
        answer["errors"] = [_shown(error) for error in result.errors]
    return answer


def _shown(error: GraphQLError) -> Json:
    """An error as GitHub writes it: with `type` beside `message`."""
    formatted: Json = dict(error.formatted)
    extensions = formatted.pop("extensions", None) or {}
    return {**({"type": extensions["type"]} if "type" in extensions else {}), **formatted}

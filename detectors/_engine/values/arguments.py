"""Arguments: what a call gives for a parameter, as far as it is in sight."""

import ast


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """The expression given for an argument; None where it is not given in sight (see `may_have`)."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    before = call.args[: position + 1] if position is not None else []
    if position is None or position >= len(call.args) or any(isinstance(each, ast.Starred) for each in before):
        return None
    return call.args[position]


def may_have(call: ast.Call, name: str, position: int | None = None) -> bool:
    """Whether the argument is given or may be, through `*args` or `**kwargs`."""
    if argument(call, name, position) is not None:
        return True
    if any(keyword.arg is None for keyword in call.keywords):
        return True
    return position is not None and any(isinstance(each, ast.Starred) for each in call.args)

"""The whole examination, from what is at hand to what is far away"""

from pydantic import ValidationError

from app.doctor.app_side import app_side
from app.doctor.at_home import at_home
from app.doctor.installed import installed
from app.doctor.line import Line, Mark, fail
from app.doctor.shelf import shelf
from app.github.connection import GitHub
from app.settings import Settings


async def examined(settings: Settings) -> list[Line]:
    """Every line."""
    return [*at_home(settings), *await shelf(settings), *await far_away(settings)]


async def far_away(settings: Settings, *, with_installations: bool = True) -> list[Line]:
    """The lines for which GitHub is asked; none where there is nothing to ask with, which other lines say."""
    try:
        github = GitHub(settings)
    except ValueError:
        return []
    try:
        lines = [line async for line in app_side(github, settings)]
        if with_installations and any(line.name == "App" and line.mark is Mark.OK for line in lines):
            lines += [line async for line in installed(github)]
        return lines
    finally:
        await github.close()


def unusable(error: ValidationError) -> list[Line]:
    """Settings that are none: by their names, never by their values, which may be secrets."""
    return [
        fail(f"MLSTAFF_{str(each['loc'][0]).upper()}", f"{each['msg']}.", "The README's table says what it takes.")
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]

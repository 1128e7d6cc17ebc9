"""What was posted to the playground, read into memory up to a limit, and nowhere else."""

from collections.abc import AsyncGenerator, AsyncIterator

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.local.sources import UnreadableSource, decoded
from app.playground import Kind, Submission, Unusable

MOST_BYTES = 2 * 1024 * 1024
_MOST_DISCARDED = 16 * MOST_BYTES
"""A browser shows no answer before it has sent everything: so much is read and thrown away for its sake."""
_MOST_HEADS = 50


class TooLarge(Exception):
    """The body has more than `MOST_BYTES`."""


class _InMemory(MultiPartParser):
    spool_max_size = 2 * MOST_BYTES  # never reached: no file is written to disk


async def submission(request: Request) -> Submission:
    """The input.

    Raises:
        TooLarge: it has too many bytes.
        Unusable: it is no form of ours, or a file in it is no text.
    """
    form = await _form(request)
    try:
        return await _submission(form)
    finally:
        await form.close()


async def _form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Unusable("Nothing was sent that the playground can read.")
    body = await _body(request)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, stream(), max_files=100, max_fields=100, max_part_size=MOST_BYTES)
    try:
        return await parser.parse()
    except (MultiPartException, ValueError, KeyError):
        raise Unusable("What was sent is no whole form; please try again.") from None


async def _body(request: Request) -> bytes:
    body, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MOST_BYTES:
            body += chunk
        elif length > _MOST_DISCARDED:
            break
    if length > MOST_BYTES:
        raise TooLarge
    return bytes(body)


async def _submission(form: FormData) -> Submission:
    kind = Kind(_text(form, "kind")) if _text(form, "kind") in list(Kind) else Kind.DIFF
    match kind:
        case Kind.DIFF:
            heads = {name: text async for name, text in _uploads(form, "heads")}
            _, diff = await _either(form, "diff")
            return Submission(kind, diff=diff, heads=heads)
        case Kind.FILE | Kind.NOTEBOOK:
            _, before = await _either(form, f"{kind}_before")
            name, after = await _either(form, f"{kind}_after")
            return Submission(kind, name=_name(form, name), before=before, after=after)


def _name(form: FormData, uploaded: str) -> str:
    """A path for the file: what was typed, else what the uploaded file is called."""
    typed = " ".join(_text(form, "name").split())
    return (uploaded or typed)[:200]


async def _either(form: FormData, field: str) -> tuple[str, str]:
    """The name and text of the file in a field, else no name and the text that was pasted."""
    async for name, text in _uploads(form, f"{field}_upload"):
        return name, text
    # A form sends every line end of a text area as CRLF: https://html.spec.whatwg.org/#constructing-the-form-data-set
    return "", _text(form, field).replace("\r\n", "\n")


def _text(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""


async def _uploads(form: FormData, field: str) -> AsyncIterator[tuple[str, str]]:
    for value in form.getlist(field)[:_MOST_HEADS]:
        if isinstance(value, UploadFile) and value.filename:
            name = value.filename.replace("\\", "/").rpartition("/")[2]
            try:
                yield name, decoded(await value.read())
            except UnreadableSource as reason:
                raise Unusable(f"The file `{name}` cannot be read: {reason}.") from None

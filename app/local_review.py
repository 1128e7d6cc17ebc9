"""A change without GitHub: the reports of a diff's files, in order of path."""

from collections.abc import Sequence

from app.pipeline import to_analyse
from app.pull_request import ChangedFile
from app.review.find import FileReport, introduced_in


def local_reports(files: Sequence[ChangedFile], *, whole_file: bool) -> tuple[FileReport, ...]:
    """What the change brings; with `whole_file` everything in the files that it touches."""
    texts = {file.path: file.head for file in files if file.head is not None}
    reports = (introduced_in(file, texts, whole_file) for file in to_analyse(files))
    return tuple(sorted(reports, key=lambda report: report.path))

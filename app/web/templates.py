"""The pages' templates: HTML in which every value is escaped unless it was made as HTML."""

import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parents[2] / "templates"
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
MARK = (FOLDER / "mark.svg").read_text(encoding="utf-8")

TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals["style"] = f"/style.css?{hashlib.sha256(STYLE.encode()).hexdigest()[:12]}"

"""Secrets: provider keys by their format, told from placeholders by checksum where the format has one, else by entropy.

A secret's value leaves this module only as `redacted` text: its provider's prefix and an ellipsis. Formats are those
the providers document or their own scanners use.
https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
"""

import base64
import binascii
import hashlib
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Format:
    """How one provider's keys look: a prefix, a body, and the environment variable such a key is usually read from."""

    provider: str
    prefix: str
    body: str
    variable: str
    entropy: float = 3.3


@dataclass(frozen=True, slots=True)
class Secret:
    """A key in a text, at `start..end`. `shown` is all that may ever be written of it."""

    provider: str
    variable: str
    start: int
    end: int
    shown: str
    value: str = field(repr=False)
    pieces: tuple[str, ...] = field(default=(), repr=False)
    """The literals it is put together from, where it stands in no single one."""

    @property
    def forms(self) -> Iterator[str]:
        """The texts that are the secret or give a part of it away, the longest first."""
        yield self.value
        yield self.value.replace("\n", "\\n")
        yield from self.pieces
        yield from (each for each in self._lines if len(each) > _SHORT_LINE)

    @property
    def short_lines(self) -> frozenset[str]:
        """Lines of a key block that are too short to be looked for inside of other lines."""
        return frozenset(each for each in self._lines if len(each) <= _SHORT_LINE)

    @property
    def _lines(self) -> list[str]:
        lines = [each.strip() for each in self.value.split("\n")] if "\n" in self.value else []
        return [each for each in lines if each and "-----" not in each]


_SHORT_LINE = 20
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_AZURE = r"[0-9a-f]{32}|[A-Za-z0-9]{84}"

FORMATS: tuple[Format, ...] = (
    Format("Hugging Face", "hf_", r"[A-Za-z0-9]{34,40}", "HF_TOKEN"),
    Format("Hugging Face", "api_org_", r"[A-Za-z0-9]{34}", "HF_TOKEN"),
    Format("Anthropic", "sk-ant-", r"[a-z]+\d\d-[\w-]{60,}", "ANTHROPIC_API_KEY"),
    Format("OpenRouter", "sk-or-v1-", r"[0-9a-f]{64}", "OPENROUTER_API_KEY", 3.0),
    Format("Langfuse", "sk-lf-", _UUID, "LANGFUSE_SECRET_KEY", 3.0),
    Format("OpenAI", "sk-proj-", r"[\w-]{40,}", "OPENAI_API_KEY"),
    Format("OpenAI", "sk-svcacct-", r"[\w-]{40,}", "OPENAI_API_KEY"),
    Format("OpenAI", "sk-admin-", r"[\w-]{40,}", "OPENAI_ADMIN_KEY"),
    Format("OpenAI", "sk-", r"[A-Za-z0-9]{48}", "OPENAI_API_KEY"),
    Format("OpenAI-compatible", "sk-", r"[0-9a-f]{32}", "OPENAI_API_KEY", 3.0),
    Format("Groq", "gsk_", r"[A-Za-z0-9]{52}", "GROQ_API_KEY"),
    Format("xAI", "xai-", r"[A-Za-z0-9]{70,90}", "XAI_API_KEY"),
    Format("Perplexity", "pplx-", r"[A-Za-z0-9]{40,60}", "PERPLEXITY_API_KEY"),
    Format("Replicate", "r8_", r"[A-Za-z0-9]{37}", "REPLICATE_API_TOKEN"),
    Format("NVIDIA", "nvapi-", r"[\w-]{60,70}", "NVIDIA_API_KEY"),
    Format("Google", "AIza", r"[\w-]{35}", "GOOGLE_API_KEY"),
    Format("AWS", "AKIA", r"[A-Z2-7]{16}", "AWS_ACCESS_KEY_ID", 2.8),
    Format("AWS", "ASIA", r"[A-Z2-7]{16}", "AWS_ACCESS_KEY_ID", 2.8),
    Format("GitHub", "ghp_", r"[A-Za-z0-9]{36}", "GITHUB_TOKEN"),
    Format("GitHub", "gho_", r"[A-Za-z0-9]{36}", "GITHUB_TOKEN"),
    Format("GitHub", "ghu_", r"[A-Za-z0-9]{36}", "GITHUB_TOKEN"),
    Format("GitHub", "ghs_", r"[A-Za-z0-9]{36}", "GITHUB_TOKEN"),
    Format("GitHub", "ghr_", r"[A-Za-z0-9]{36}", "GITHUB_TOKEN"),
    Format("GitHub", "github_pat_", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", "GITHUB_TOKEN"),
    Format("GitLab", "glpat-", r"[\w-]{20,}", "GITLAB_TOKEN"),
    Format("npm", "npm_", r"[A-Za-z0-9]{36}", "NPM_TOKEN"),
    Format("PyPI", "pypi-", r"AgEIcHlwaS5vcmc[\w-]{50,}", "PYPI_TOKEN"),
    Format("Slack", "xoxb-", r"\d{9,14}-\d{9,14}-[A-Za-z0-9]{20,}", "SLACK_BOT_TOKEN"),
    Format("Slack", "xoxp-", r"(?:\d{9,14}-){3}[A-Za-z0-9]{28,}", "SLACK_TOKEN"),
    Format("Slack", "https://hooks.slack.com/services/", r"T\w{8,}/B\w{8,}/\w{20,}", "SLACK_WEBHOOK_URL"),
    Format("Stripe", "sk_live_", r"[A-Za-z0-9]{24,}", "STRIPE_API_KEY"),
    Format("Stripe", "rk_live_", r"[A-Za-z0-9]{24,}", "STRIPE_API_KEY"),
    Format("SendGrid", "SG.", r"[\w-]{22}\.[\w-]{43}", "SENDGRID_API_KEY"),
    Format("Databricks", "dapi", r"[0-9a-f]{32}", "DATABRICKS_TOKEN", 3.0),
    Format("Pinecone", "pcsk_", r"[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60,65}", "PINECONE_API_KEY"),
    Format("LangSmith", "lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", "LANGSMITH_API_KEY", 3.0),
    Format("Tavily", "tvly-", r"(?:dev-|prod-)?[A-Za-z0-9]{32}", "TAVILY_API_KEY"),
    Format("Fireworks", "fw_", r"[A-Za-z0-9]{22,24}", "FIREWORKS_API_KEY"),
    Format("DigitalOcean", "dop_v1_", r"[0-9a-f]{64}", "DIGITALOCEAN_TOKEN", 3.0),
    Format("Weights & Biases", "wandb_v1_", r"[\w-]{60,}", "WANDB_API_KEY"),
    Format("Neptune", "eyJhcGlfYWRkcmVzcyI6", r"[A-Za-z0-9+/]{60,}={0,2}", "NEPTUNE_API_TOKEN"),
    Format("Azure storage", "AccountKey=", r"[A-Za-z0-9+/]{86}==", "AZURE_STORAGE_CONNECTION_STRING"),
)
PREFIXES = tuple(sorted({each.prefix for each in FORMATS}))
_PATTERNS = tuple((each, re.compile(rf"{re.escape(each.prefix)}(?:{each.body})(?![A-Za-z0-9_])")) for each in FORMATS)
_PRIVATE_KEY = re.compile(
    r"(?P<shown>-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----)(?P<body>[\sA-Za-z0-9+/=\\]{120,}?)"
    r"-----END (?:[A-Z]+ )?PRIVATE KEY-----"
)
_PLACEHOLDER = re.compile(
    r"example|your|placeholder|dummy|fake|sample|insert|replace|changeme|redacted|xxxx|\*\*\*|0000|1234567|abcdef[gh]|test_?key|(.)\1{5}",
    re.I,
)
_KEY = re.compile(r"(?=.*[0-9])[A-Za-z0-9+/_-]+")
_NEPTUNE_ANONYMOUS = "b706bc8f"

NAMED: tuple[tuple[re.Pattern[str], re.Pattern[str], str, str], ...] = tuple(
    (re.compile(name, re.I), re.compile(value), provider, variable)
    for name, value, provider, variable in (
        (r"wandb_?(api_?)?key|^wandb\.login$", r"[0-9a-f]{40}", "Weights & Biases", "WANDB_API_KEY"),
        (r"aws_?secret(_?access)?(_?key)?|^secret_access_key$", r"[A-Za-z0-9+/]{40}", "AWS", "AWS_SECRET_ACCESS_KEY"),
        (r"cohere(_?api)?_?key|^co_api_key$|^cohere\.", r"[A-Za-z0-9]{40}", "Cohere", "COHERE_API_KEY"),
        (r"mistral(_?api)?_?key|^mistralai\.", r"[A-Za-z0-9]{32}", "Mistral", "MISTRAL_API_KEY"),
        (r"azure_?openai(_?api)?_?key|^openai\.(Async)?AzureOpenAI$", _AZURE, "Azure OpenAI", "AZURE_OPENAI_API_KEY"),
        (r"comet(_?ml)?_?(api_?)?key|^comet_ml\.", r"[A-Za-z0-9]{25}", "Comet", "COMET_API_KEY"),
        (r"^kaggle_?key$", r"[0-9a-f]{32}", "Kaggle", "KAGGLE_KEY"),
        (r"pinecone(_?api)?_?key|^pinecone\.", _UUID, "Pinecone", "PINECONE_API_KEY"),
        (r"together(_?api)?_?key|^together\.", r"[0-9a-f]{64}", "Together", "TOGETHER_API_KEY"),
        (r"elevenlabs(_?api)?_?key|^xi-api-key$", r"(?:sk_)?[0-9a-f]{32,48}", "ElevenLabs", "ELEVENLABS_API_KEY"),
    )
)  # fmt: skip


def secrets_in(text: str) -> Iterator[Secret]:
    """The keys that are known by their format alone, in any text."""
    for form, pattern in _PATTERNS:
        if form.prefix not in text:
            continue
        for match in pattern.finditer(text):
            before = text[
                match.start() - 1 : match.start()
            ]  # not in the pattern: it starts with a literal, which is fast
            if not (before.isalnum() or before == "_") and _is_real(form, match[0][len(form.prefix) :]):
                yield Secret(form.provider, form.variable, match.start(), match.end(), f"{form.prefix}…", match[0])
    if "PRIVATE KEY-----" not in text:
        return
    for match in _PRIVATE_KEY.finditer(text):
        if entropy(re.sub(r"[\s\\]", "", match["body"])) > 4.5 and not _PLACEHOLDER.search(match["body"]):
            shown = f"{match['shown']}…"
            yield Secret("private key", "PRIVATE_KEY", match.start(), match.end(), shown, match[0])


def may_be_key(value: str) -> bool:
    """Whether a text has the length and the characters of a key without a format of its own."""
    return 25 <= len(value) <= 90 and bool(_KEY.fullmatch(value))


def secret_named(name: str, value: str) -> Secret | None:
    """The key a value is because of the name it is given under: a variable, a keyword, the origin of a call."""
    for names, values, provider, variable in NAMED:
        if names.search(name) and values.fullmatch(value):
            is_random = entropy(value) >= 2.9 and not _PLACEHOLDER.search(value)
            return Secret(provider, variable, 0, len(value), "…", value) if is_random else None
    return None


def secrets_across(value: str, literals: Iterable[str]) -> Iterator[Secret]:
    """The keys in the value of a text that is written as several literals, one after another."""
    pieces = tuple(each for each in literals if len(each) > 3)
    for each in secrets_in(value):
        if not any(each.value in piece for piece in pieces):
            yield replace(each, pieces=tuple(piece for piece in pieces if _overlap(piece, each.value)))


def _overlap(piece: str, value: str) -> bool:
    """Whether the secret goes on in the piece, or begins or ends in it."""
    ends = (value[:4] in piece, value[-4:] in piece)
    return piece in value or any(ends)


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """The text with every one of the secrets replaced by what may be shown of it."""
    for each in secrets:
        for form in each.forms:
            text = text.replace(form, each.shown)
        if each.short_lines:
            lines = text.split("\n")
            text = "\n".join(each.shown if _content(line) & each.short_lines else line for line in lines)
    return text


def _content(line: str) -> set[str]:
    """What a line holds, also as a line of a diff and as one of a notebook's JSON."""
    quoted = line.strip(" \t\",'").removesuffix("\\n")
    return {line.strip(), line[1:].strip(), quoted, line[1:].strip(" \t\",'").removesuffix("\\n")}


def without_keys(text: str) -> str:
    """Any text without the keys that are known by their format alone."""
    return redacted(text, list(secrets_in(text)))


def digested(text: str, secrets: Iterable[Secret]) -> str:
    """As `redacted`, but two secrets stay different texts: with a digest no one can turn round."""
    for each in secrets:
        digest = hashlib.sha256(each.value.encode()).hexdigest()[:8]
        text = redacted(text, [replace(each, shown=f"{each.shown}{digest}")])
    return text


def _is_real(form: Format, body: str) -> bool:
    if _PLACEHOLDER.search(body) or entropy(body) < form.entropy:
        return False
    if form.provider in ("GitHub", "npm") and "_" not in body:
        return checksum(body[:-6]) == body[-6:]
    if form.prefix in ("sk-", "hf_", "fw_", "r8_", "gsk_") and not form.body.startswith("[0-9a-f]"):
        return bool(re.search(r"[A-Z]", body) and re.search(r"[a-z]", body))
    if form.provider == "Neptune":
        return _NEPTUNE_ANONYMOUS not in _decoded(form.prefix + body)
    return True


def checksum(body: str) -> str:
    """CRC-32 in base 62, as GitHub's tokens end with.
    https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
    """
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, text = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        text = digits[digit] + text
    return text.rjust(6, "0")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0

"""Settings, frozen: the only reader of the environment."""

import base64
import binascii
from functools import cached_property
from pathlib import Path

from pydantic import AliasChoices, Field, FilePath, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.pull_request import ConfigFile


class Settings(BaseSettings):
    """What the operator decides. Every field is an environment variable `MLSTAFF_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MLSTAFF_", env_ignore_empty=True, frozen=True, extra="ignore")

    app_id: int | None = Field(None, description="The GitHub App's id")
    private_key: SecretStr | None = Field(
        None, description="The App's private key: a path, PEM (real or escaped newlines) or base64 of the PEM"
    )
    webhook_secret: SecretStr | None = Field(None, description="The App's webhook secret")
    github_url: str = Field(
        "https://api.github.com", description="REST base URL; for Enterprise Server https://HOST/api/v3"
    )
    ca_bundle: Path | None = Field(None, description="PEM file of certificate authorities to trust for GitHub")
    seconds_between_writes: float = Field(
        1.0, ge=0, description="Average pause between writes to GitHub for one installation; GitHub asks for 1"
    )
    recovery_seconds: float = Field(
        300.0, ge=1, description="Pause between two looks for deliveries that GitHub could not make"
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("MLSTAFF_REDIS_URL", "REDIS_URL"),
        description="Shared Redis ≥ 6.2 or Valkey; unset: `mlstaff serve` starts its own",
    )
    data_dir: Path = Field(Path("data"), description="Where the embedded store keeps its files")
    defaults_file: FilePath | None = Field(
        None, description="A `.mlstaff.yml` that holds where no repository and no organisation decides otherwise"
    )
    public_url: str = Field("", description="Where people reach this server; rule names in comments link there")
    host: str = Field("127.0.0.1", description="Address the server listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on; 0 takes a free one")
    worker_jobs: int = Field(24, ge=1, description="Jobs that a worker does at once; most of a job is waiting")
    installation_jobs: int = Field(
        6, ge=1, description="Jobs of one installation at once, over all workers: nobody takes all places"
    )
    analysis_processes: int = Field(1, ge=1, description="Processes that analyse files, per worker")
    analysis_seconds: float = Field(20, gt=0, description="Time limit for the analysis of one file")
    analysis_megabytes: int = Field(1024, gt=0, description="Memory limit of one analysis process")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @cached_property
    def defaults(self) -> tuple[ConfigFile, ...]:
        """The lowest layer of every configuration, as it was when it was first asked for."""
        if self.defaults_file is None:
            return ()
        # Its mistakes are shown in pull requests, where its path is nobody's business.
        return (ConfigFile("the server's defaults", self.defaults_file.read_text("utf-8", "replace")),)

    @cached_property
    def private_key_pem(self) -> str:
        """The private key as PEM.

        Raises:
            ValueError: what is wrong with it, in words for the operator; never holds the key itself.
        """
        if self.private_key is None:
            raise ValueError("MLSTAFF_PRIVATE_KEY is not set")
        value = self.private_key.get_secret_value().strip()
        if "-----BEGIN" in value:
            return value.replace("\\n", "\n")
        try:
            decoded = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            decoded = ""
        if "-----BEGIN" in decoded:
            return decoded
        try:
            text = Path(value).expanduser().read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise ValueError(_unusable(value, error)) from None
        if "-----BEGIN" not in text:
            raise ValueError("the file that MLSTAFF_PRIVATE_KEY names holds no PEM private key")
        return text

    @property
    def private_key_file(self) -> Path | None:
        """The file that holds the private key; None when it was given as it is."""
        value = self.private_key.get_secret_value().strip() if self.private_key else ""
        if not value or "-----BEGIN" in value:
            return None
        try:
            file = Path(value).expanduser()
            return file if file.is_file() else None
        except (OSError, ValueError):  # too long for a name, as base64 is
            return None


def _unusable(value: str, error: Exception) -> str:
    """Why a key is none. Only what is clearly a path is shown: anything else may be a key in a form nobody foresaw."""
    is_path = len(value) < 250 and " " not in value and (value.startswith(("/", "./", "~")) or value.endswith(".pem"))
    if is_path and isinstance(error, OSError):
        return f"MLSTAFF_PRIVATE_KEY names {value}, which cannot be read: {error.strerror}"
    return "MLSTAFF_PRIVATE_KEY is neither a PEM, nor base64 of one, nor the path of a readable file"

"""The shape of the environment: every variable Acervo reads, its kind, its default and what it is for."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

STORAGE_SCHEMES = ("file", "s3", "gs", "az")


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/acervo`, or its usual place."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "acervo"


class WrongSetting(Exception):
    """A variable of the environment has a value we cannot use. The message is for the operator."""


class Environment(BaseSettings):
    """Read once at the start. Names carry the prefix `ACERVO_`, besides `DATABASE_URL`."""

    model_config = SettingsConfigDict(env_prefix="ACERVO_", extra="ignore", hide_input_in_errors=True)

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="`postgresql://…` of a PostgreSQL 15 to 18. Unset: an embedded PostgreSQL 18 runs in the data folder.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the embedded database, local files and generated keys. Default: `acervo` under the XDG data home.",
    )
    secret_key: str | None = Field(
        default=None,
        min_length=32,
        description="Signs sessions and links. Unset: made once in the data folder. Must be the same on every machine.",
    )
    master_key: str | None = Field(
        default=None,
        description="32 bytes in base64 that wrap every other key. Unset: made once in the data folder. Lose it and every sealed file is lost.",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Address under which people and providers reach Acervo; webhook URLs and CRM links are built from it.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="More host names to answer to, separated by commas. The host of the base URL and loopback always count.",
    )
    storage_url: str | None = Field(
        default=None,
        description="`file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Unset: `files` in the data folder. Credentials come from the store's own variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`).",
    )
    sealing: Literal["acervo", "storage"] = Field(
        default="acervo",
        description="`acervo` encrypts every file before it leaves the process; `storage` leaves that to the store. Default of new workspaces.",
    )
    allow_private_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Private or loopback hosts (`host` or `host:port`, separated by commas) that an `--api-base` may name. For the sandbox and for gateways inside your network.",
    )
    probe: bool | None = Field(
        default=None,
        description="Try the way in every 15 minutes: a signed test webhook goes to each number's public address and must arrive in the journal. Unset: on where the base URL is a public https:// address.",
    )
    max_file_mb: int = Field(
        default=100,
        ge=1,
        le=2048,
        description="Larger files are announced but not fetched. WhatsApp's own ceiling is 100.",
    )
    ffmpeg: str = Field(default="ffmpeg", description="The ffmpeg to run.")
    ffprobe: str = Field(default="ffprobe", description="The ffprobe to run.")
    isolation: Literal["auto", "required"] = Field(
        default="auto",
        description="`required` refuses to start where the kernel offers no Landlock for media tools.",
    )
    clamd: str | None = Field(
        default=None,
        description="Malware scanner, a clamd: `unix:/run/clamav/clamd.ctl` or `tcp:host:3310`. Set: nobody has a file before it was scanned. Unset: files are not scanned.",
    )
    language: Literal["pt-br", "en", "es"] = Field(
        default="pt-br", description="Language of pages before sign-in and of new members."
    )
    time_zone: str = Field(default="America/Sao_Paulo", description="Time zone of new workspaces.")
    capture_concurrency: int = Field(
        default=32, ge=1, le=512, description="Files downloaded side by side by one capture worker."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log line that is written."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines for people or for machines."
    )
    debug: bool = Field(
        default=False, description="Show tracebacks in the browser. Never on a machine others reach."
    )

    @field_validator("allowed_hosts", "allow_private_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"^postgres(ql)?://", value):
            raise ValueError("must begin with postgresql://")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http:// or https:// address, such as https://acervo.example.com")
        if parts.path.strip("/") or parts.username:
            raise ValueError(
                "must name a host of Acervo's own, without a path, such as https://acervo.example.com"
            )
        return value.rstrip("/")

    @field_validator("storage_url")
    @classmethod
    def _is_storage(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in STORAGE_SCHEMES:
            raise ValueError("must begin with file://, s3://, gs:// or az://")
        return value

    @field_validator("clamd")
    @classmethod
    def _is_a_scanner(cls, value: str | None) -> str | None:
        if not value:
            return None
        port = re.fullmatch(r"tcp:(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", value)
        if not re.fullmatch(r"unix:/[^\0]+", value) and not (port and 0 < int(port[1]) < 65536):
            raise ValueError("must be unix:/path/of/the/socket or tcp:host:port")
        return value

    @field_validator("master_key")
    @classmethod
    def _is_a_key(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError("must be base64") from error
        if len(raw) != 32:
            raise ValueError("must be 32 bytes in base64 (`openssl rand -base64 32` makes one)")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be a time zone such as America/Sao_Paulo") from error
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


def read() -> Environment:
    """The environment as it is now. Raises WrongSetting with one sentence per wrong variable."""
    try:
        return Environment()
    except ValidationError as error:
        raise WrongSetting(" ".join(_sentence(item["loc"], item["msg"]) for item in error.errors())) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "a setting"
    variable = name if name.isupper() else f"ACERVO_{name.upper()}"
    reason = message.removeprefix("Value error, ").rstrip(".")
    return f"{variable} cannot be used: {reason[0].lower()}{reason[1:]}."

"""What the service is told by environment variables, checked once at the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(Exception):
    """An environment variable that the service cannot start with. The message names it and says what to do."""


@dataclass(frozen=True)
class Settings:
    """scorer, generator, translator: paths of exported models; "" for none. max_rows: of one request. max_body: bytes
    of one request, max_picture: of one with a picture. max_pixels: of a picture. max_batch: rows of one run of a
    session. max_wait_ms: for how long a run waits for more requests than are there; 0 does not wait. batching: False
    runs every request by itself. threads: of one run. queue: rows that may wait, or pictures. timeout_s: for a request,
    its body included. grace_s: for open requests at shutdown."""

    scorer: str = ""
    generator: str = ""
    translator: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    max_rows: int = 1000
    max_body: int = 1_000_000
    max_batch: int = 64
    max_wait_ms: float = 0.0
    batching: bool = True
    threads: int = 1
    queue: int = 5000
    max_picture: int = 20_000_000
    max_pixels: int = 2_000_000
    timeout_s: float = 10.0
    grace_s: int = 10

    def __post_init__(self) -> None:
        if not self.scorer and not self.generator and not self.translator:
            remedy = "set SCORER or GENERATOR or TRANSLATOR to the path of an exported model"
            raise SettingsError(f"there is no model: {remedy}")
        for name in (
            "max_rows",
            "max_body",
            "max_picture",
            "max_pixels",
            "max_batch",
            "threads",
            "queue",
            "timeout_s",
            "grace_s",
        ):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name.upper()} is {getattr(self, name)}: set it above 0")
        if not 0 <= self.max_wait_ms < 1000 * self.timeout_s:
            raise SettingsError(f"MAX_WAIT_MS is {self.max_wait_ms:g}: set it between 0 and TIMEOUT_S")
        if self.queue < self.max_rows:
            raise SettingsError(f"QUEUE is {self.queue}: set it to at least MAX_ROWS, which is {self.max_rows}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings of the variables that bear their names in capitals. Raises SettingsError."""
        given: dict[str, object] = {}
        for name, default in cls.__dataclass_fields__.items():
            text = environment.get(name.upper(), "").strip()
            if not text:
                continue
            if name == "batching":
                if text not in ("0", "1"):
                    raise SettingsError(f"BATCHING is {text!r}: set it to 0 or 1")
                given[name] = text == "1"
                continue
            try:
                given[name] = type(default.default)(text)
            except ValueError:
                raise SettingsError(f"{name.upper()} is {text!r}: set it to a number") from None
        return cls(**given)  # type: ignore[arg-type]

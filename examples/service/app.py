"""A service around exported models: POST /score, /generate, /transform, GET /health, /schema, /metrics.

    SCORER=scorer.onnx GENERATOR=generator.onnx TRANSLATOR=translator.onnx python app.py

It needs FastAPI and onnxruntime, and neither gantools nor PyTorch. `settings.py` says what can be configured.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from batching import Batcher, Closed, Full
from endpoint import Post, PostFile, Refused, to_json
from fastapi import FastAPI, Request, Response
from metrics import Measured, Metrics
from models import BadRow, Generator, ModelError, Scorer, Translator
from pictures import BadPicture, read
from settings import Settings, SettingsError
from starlette.routing import Route

EXPLAINED_SHARE = 8  # an explained row takes about so many times as long as a scored one
MOST_SEED = 2**63 - 1
KEEP_ALIVE_S = 60
RETRY = {"retry-after": "1"}  # seconds
DESCRIPTION = """
`POST /score` takes `{"rows": {...} or [{...}, ...], "threshold": number, "explain": boolean}`, and
`POST /generate` takes `{"label": ..., "n": rows, "seed": number}`. `POST /transform` takes the bytes of a picture, and
answers with a picture in the same format. `GET /schema` lists columns and labels.
"""


class Service:
    """The models, and a batcher for each thing that is asked of them. One worker runs them all."""

    def __init__(self, settings: Settings) -> None:
        """Raises ModelError for a file that cannot be used."""
        self.settings = settings
        self.scorer = Scorer(settings.scorer, settings.threads) if settings.scorer else None
        self.generator = Generator(settings.generator, settings.threads) if settings.generator else None
        self.translator = Translator(settings.translator, settings.threads) if settings.translator else None
        self.models = {"scorer": self.scorer, "generator": self.generator, "translator": self.translator}
        self.batchers: dict[str, Batcher] = {}
        self.metrics = Metrics(lambda: sum(batcher.n_waiting for batcher in self.batchers.values()))

    async def start(self) -> None:
        """Begin to take requests. Call it in the event loop that serves."""
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="models")
        if self.scorer is not None:
            self.batchers["score"] = self._batcher(self.scorer.score)
            self.batchers["explain"] = self._batcher(self.scorer.explain, share=EXPLAINED_SHARE)
        if self.generator is not None:
            self.batchers["generate"] = self._batcher(self.generator.make)
        if self.translator is not None:
            self.batchers["transform"] = self._batcher(self.translator.translate, share=self.settings.max_batch)
        for batcher in self.batchers.values():
            batcher.start()

    def _batcher(self, run: Any, share: int = 1) -> Batcher:
        settings = self.settings
        return Batcher(
            run, self.worker, max_batch=max(1, settings.max_batch // share), queue=settings.queue,
            max_wait_s=settings.max_wait_ms / 1000, alone=not settings.batching,
            on_batch=self.metrics.batch_rows.observe,
        )  # fmt: skip

    async def stop(self) -> None:
        """Let a run in progress end and refuse what waits."""
        for batcher in self.batchers.values():
            await batcher.close()
        self.worker.shutdown()

    # --- requests ---

    async def score(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body of /score. Raises Refused."""
        scorer = self.scorer
        if scorer is None:
            raise Refused(404, "no scorer is loaded: set SCORER to the path of one and start again")
        _only(asked, ("rows", "threshold", "explain"))
        given, threshold, explain = asked.get("rows"), asked.get("threshold"), asked.get("explain", False)
        is_one = isinstance(given, dict)
        objects = [given] if is_one else given
        if not isinstance(objects, list):
            raise Refused(422, "'rows' is to be an object with a value per column, or a list of such objects")
        self._check_number(len(objects))
        if threshold is not None and not _is_finite(threshold):
            raise Refused(422, "'threshold' is to be a number, or left out for the model's own")
        if not isinstance(explain, bool):
            raise Refused(422, "'explain' is to be true or false")
        try:
            rows = scorer.rows(objects)
        except BadRow as error:
            raise Refused(422, str(error)) from None
        found = await self._submit("explain" if explain else "score", rows)
        self.metrics.rows["/score"].inc(len(rows))
        answers = [scorer.answer(row, threshold) for row in found]
        used = scorer.threshold if threshold is None else threshold
        return {"rows": answers[0] if is_one else answers, "threshold": used}

    async def generate(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body of /generate. Raises Refused."""
        if self.generator is None:
            raise Refused(404, "no generator is loaded: set GENERATOR to the path of one and start again")
        _only(asked, ("label", "n", "seed"))
        n, seed = asked.get("n", 1), asked.get("seed")
        if not _is_whole(n) or n < 0:
            raise Refused(422, "'n' is to be a whole number of rows")
        self._check_number(n)
        if seed is None:
            seed = secrets.randbelow(2**32)
        if not _is_whole(seed) or not 0 <= seed <= MOST_SEED:
            raise Refused(422, f"'seed' is to be a whole number from 0 to {MOST_SEED}")
        try:
            rows = self.generator.rows(asked.get("label"), n, seed)
        except BadRow as error:
            raise Refused(422, str(error)) from None
        made = await self._submit("generate", rows)
        self.metrics.rows["/generate"].inc(n)
        return {"rows": made, "seed": seed}

    async def transform(self, body: bytes) -> tuple[bytes, str]:
        """The answer to a picture that is sent to /transform, and its media type. Raises Refused."""
        translator = self.translator
        if translator is None:
            raise Refused(404, "no translator is loaded: set TRANSLATOR to the path of one and start again")
        try:
            picture, form = await asyncio.to_thread(read, body, translator.channels, self.settings.max_pixels)
            translator.check(picture)
        except BadPicture as error:
            raise Refused(422, str(error)) from None
        [made] = await self._submit("transform", [(picture, form)])
        self.metrics.rows["/transform"].inc(1)
        return made

    def _check_number(self, n: int) -> None:
        most = self.settings.max_rows
        if n > most:
            raise Refused(422, f"{n} rows are asked for, and {most} are the most: send several requests")

    async def _submit(self, name: str, rows: list[Any]) -> list[Any]:
        try:
            return await self.batchers[name].submit(rows)
        except Full:
            raise Refused(503, "too many rows wait already: try again a little later", RETRY) from None
        except Closed:
            raise Refused(503, "the service is stopping: try again", RETRY) from None

    # --- what it says of itself ---

    def health(self) -> tuple[int, dict[str, Any]]:
        """A status, and which models are loaded."""
        is_alive = all(batcher.is_alive for batcher in self.batchers.values())
        loaded = {name: model and model.loaded() for name, model in self.models.items()}
        return (200, {"status": "ok", "models": loaded}) if is_alive else (503, {"status": "failed", "models": loaded})

    def schema(self) -> dict[str, Any]:
        """The models' columns, and the limits of a request."""
        limits = {"max_rows": self.settings.max_rows, "max_body_bytes": self.settings.max_body}
        return {**{name: model and model.described() for name, model in self.models.items()}, "limits": limits}


def _only(asked: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in asked:
        if name not in known:
            raise Refused(422, f"'{name[:40]}' is unknown: a request has {', '.join(known)}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def create_app(settings: Settings) -> FastAPI:
    """The application. Raises ModelError for a file that cannot be used."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        gc.collect()
        gc.freeze()  # what is loaded stays; going through it again and again would halt requests for 40 ms
        yield
        await service.stop()

    limits: dict[str, Any] = {"max_body": settings.max_body, "timeout_s": settings.timeout_s}
    of_pictures = {**limits, "max_body": settings.max_picture}
    posts = [
        Route("/score", Post(service.score, **limits), methods=["POST"]),
        Route("/generate", Post(service.generate, **limits), methods=["POST"]),
        Route("/transform", PostFile(service.transform, **of_pictures), methods=["POST"]),
    ]
    app = FastAPI(title="Models of gantools", description=DESCRIPTION, lifespan=lifespan, routes=posts)
    app.add_middleware(Measured, metrics=service.metrics)

    @app.get("/health")
    async def health() -> Response:
        status, found = service.health()
        return _json(found, status)

    @app.get("/schema")
    async def schema() -> Response:
        return _json(service.schema())

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return _json({"detail": "the service failed, and its log says how"}, 500)

    return app


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(answer), status, media_type="application/json")


def main() -> None:
    """Serve until told to stop. Open requests are answered first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = Settings.from_environment()
        app = create_app(settings)
    except (SettingsError, ModelError) as error:
        raise SystemExit(f"error: {error}") from None
    uvicorn.run(
        app, host=settings.host, port=settings.port, access_log=False, log_config=None, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=settings.grace_s, timeout_keep_alive=KEEP_ALIVE_S,
    )  # fmt: skip


if __name__ == "__main__":
    main()

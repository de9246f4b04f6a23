"""The example service as its clients see it: it runs in a process of its own, around models exported for the test."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

FOLDER = Path(__file__).parents[2] / "examples" / "service"
GOLDEN = FOLDER.parents[1] / "exports" / "golden"
MAX_ROWS, MAX_BODY = 20, 4000
ROW = {"amount": 10.5, "items": 3, "colour": "red", "paid": True, "sold": "2024-01-05T00:00:00", "label": "yes"}


class Service:
    """The service in a process of its own, and calls of it."""

    def __init__(self, **settings: Any) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.port = held.getsockname()[1]
        environment = {**os.environ, "PORT": str(self.port), **{name: str(value) for name, value in settings.items()}}
        self.process = subprocess.Popen([sys.executable, FOLDER / "app.py"], env=environment)
        until = time.monotonic() + 30
        while True:
            try:
                assert self.call("GET", "/health")[0] == 200
                break
            except OSError:
                assert self.process.poll() is None, "the service did not start"
                assert time.monotonic() < until, "the service does not answer"
                time.sleep(0.05)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer. body: an object, or bytes as they are."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if answer.headers["content-type"] == "application/json" else text

    def score(self, rows: Any, **options: Any) -> Any:
        status, answer = self.call("POST", "/score", {"rows": rows, **options})
        assert status == 200, answer
        return answer["rows"]

    def refusal(self, path: str, body: Any, status: int = 422) -> str:
        found, answer = self.call("POST", path, body)
        assert found == status, answer
        return str(answer["detail"])


def table(n: int = 90) -> pd.DataFrame:
    """A label, a number, a whole number, text with missing cells, a truth and a date."""
    rng = np.random.default_rng(0)
    rare = np.arange(n) % 3 == 0
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.normal(10 + 3 * rare, 2, n)),
            "items": rng.integers(1, 9, n),
            "colour": pd.Series(rng.choice(["red", "blue", "green", None], n, p=[0.4, 0.3, 0.2, 0.1]), dtype=object),
            "paid": rng.random(n) < 0.5,
            "sold": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 60, n), unit="D"),
            "label": np.where(rare, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A scorer and a generator of one table."""
    from gantools.augment.synthesizer import Synthesizer
    from gantools.config import TrainConfig
    from gantools.export.file import export_model
    from gantools.score.table_scorer import AnomalyScorer

    folder = tmp_path_factory.mktemp("models")
    frame = table()
    export_model(AnomalyScorer(steps=20, random_state=0).fit(frame), folder / "scorer.onnx")
    export_model(Synthesizer(train=TrainConfig(steps=20)).fit(frame, "label"), folder / "generator.onnx")
    return {"SCORER": folder / "scorer.onnx", "GENERATOR": folder / "generator.onnx"}


@pytest.fixture(scope="session")
def service(exported: dict[str, Path]) -> Iterator[Service]:
    running = Service(**exported, MAX_ROWS=MAX_ROWS, MAX_BODY=MAX_BODY, TIMEOUT_S=1.5)
    yield running
    running.process.terminate()
    running.process.wait(10)


# --- scoring ---


def test_score_is_that_of_the_library(service: Service, exported: dict[str, Path]) -> None:
    from gantools.export.kinds.table_scorer import ExportedScorer
    from gantools.export.runtime import load_exported

    scorer = load_exported(exported["SCORER"], "cpu")
    assert isinstance(scorer, ExportedScorer)
    frame = table()[:MAX_ROWS]
    expected = scorer.assess(frame)
    rows = json.loads(frame.to_json(orient="records", date_format="iso"))
    found = pd.DataFrame(service.score(rows))
    np.testing.assert_allclose(found["anomaly_score"], expected["anomaly_score"], rtol=1e-4)
    assert found["is_anomaly"].tolist() == expected["is_anomaly"].tolist()


def test_one_row_is_answered_by_one_object(service: Service) -> None:
    one = service.score(ROW)
    assert set(one) == {"anomaly_score", "p_value", "is_anomaly"}
    assert service.score([ROW])[0]["anomaly_score"] == pytest.approx(one["anomaly_score"], rel=1e-4)
    assert service.score([]) == []


def test_missing_cells_and_unseen_levels_are_scored(service: Service) -> None:
    rows = [dict.fromkeys(ROW), {**ROW, "colour": "ultraviolet ☂"}, {**ROW, "colour": "red\0"}, ROW]
    found = service.score(rows)
    assert all(row["anomaly_score"] is not None for row in found)
    assert found[1]["anomaly_score"] == pytest.approx(found[2]["anomaly_score"], rel=1e-5)
    assert found[1]["anomaly_score"] > found[3]["anomaly_score"]


def test_a_time_is_text_or_microseconds(service: Service) -> None:
    moment = int(pd.Timestamp(ROW["sold"]).timestamp() * 1e6)
    text, zoned, number = service.score([ROW, {**ROW, "sold": "2024-01-05T02:00:00+02:00"}, {**ROW, "sold": moment}])
    assert text["anomaly_score"] == pytest.approx(zoned["anomaly_score"], rel=1e-5)
    assert text["anomaly_score"] == pytest.approx(number["anomaly_score"], rel=1e-5)
    assert service.score({**ROW, "sold": "1970-01-01"})["anomaly_score"] != text["anomaly_score"]


def test_threshold_changes_the_verdict_alone(service: Service) -> None:
    plain = service.score(ROW)
    low, high = service.score(ROW, threshold=-1e9), service.score(ROW, threshold=1e9)
    assert (low["is_anomaly"], high["is_anomaly"]) == (True, False)
    assert low["p_value"] == high["p_value"] == plain["p_value"]


def test_contributions_add_up_to_the_score(service: Service) -> None:
    rows = [ROW, {**ROW, "amount": 1000.0}]
    for row, plain in zip(service.score(rows, explain=True), service.score(rows), strict=True):
        assert set(row["contributions"]) == set(ROW)
        assert sum(row["contributions"].values()) == pytest.approx(row["anomaly_score"], rel=1e-3)
        assert row["anomaly_score"] == pytest.approx(plain["anomaly_score"], rel=1e-4)


def test_concurrent_requests_get_the_answers_of_single_ones(service: Service) -> None:
    rows = [{**ROW, "amount": float(k), "items": k % 9} for k in range(60)]
    alone = [service.score(row)["anomaly_score"] for row in rows]
    with ThreadPoolExecutor(20) as clients:
        together = [row["anomaly_score"] for row in clients.map(service.score, rows)]
    assert len(set(alone)) > 30
    np.testing.assert_allclose(together, alone, rtol=1e-4)


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount": "much"}, "column 'amount' is a number, but the cell is 'much'"),
        ({"amount": True}, "column 'amount' is a number, but the cell is true"),
        ({"amount": 10**400}, "column 'amount' cannot hold a very large number"),
        ({"amount": float("inf")}, "column 'amount' cannot hold inf"),
        ({"amount": float("nan")}, "column 'amount' cannot hold nan"),
        ({"items": 2.5}, "column 'items' is a whole number, but the cell is 2.5"),
        ({"items": 2**70}, "column 'items' cannot hold"),
        ({"items": []}, "column 'items' is a number, but the cell is a list"),
        ({"colour": 4}, "column 'colour' is text, but the cell is 4"),
        ({"colour": "\ud800"}, "column 'colour' holds half of a surrogate pair"),
        ({"paid": "yes"}, "column 'paid' is a number"),
        ({"sold": "yesterday"}, "column 'sold' is a time"),
        ({"weight": 3}, "column 'weight' is unknown to the model: leave out"),
    ],
)
def test_a_bad_cell_is_named(service: Service, change: dict[str, Any], said: str) -> None:
    assert f"row 1: {said}" in service.refusal("/score", {"rows": [ROW, {**ROW, **change}]})


def test_a_column_left_out_is_named(service: Service) -> None:
    row = {name: value for name, value in ROW.items() if name != "amount"}
    assert "column 'amount' is left out: give a value, or null" in service.refusal("/score", {"rows": row})
    assert "columns 'amount', 'items', " in service.refusal("/score", {"rows": {}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"", "no JSON"),
        (b"[" * 3000, "no JSON"),
        (b"[]", "no JSON object"),
        ({}, "'rows' is to be"),
        ({"rows": 3}, "'rows' is to be"),
        ({"rows": [3]}, "row 0: it is no object"),
        ({"rows": ROW, "treshold": 1}, "'treshold' is unknown"),
        ({"rows": ROW, "threshold": "high"}, "'threshold' is to be a number"),
        ({"rows": ROW, "explain": 1}, "'explain' is to be true or false"),
        ({"rows": [ROW] * (MAX_ROWS + 1)}, f"{MAX_ROWS + 1} rows are asked for, and {MAX_ROWS} are the most"),
    ],
)
def test_a_bad_body_is_refused(service: Service, body: Any, said: str) -> None:
    assert said in service.refusal("/score", body)


@pytest.mark.parametrize("size", [MAX_BODY + 1, 100 * MAX_BODY])
def test_a_body_too_large_is_refused(service: Service, size: int) -> None:
    # The larger one is refused by its announced length alone.
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(f"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: {size}\r\n\r\n".encode())
        if size < 2 * MAX_BODY:
            client.sendall(b" " * size)
        assert client.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_too_large_is_refused(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("POST", "/score", iter([b" " * 1000] * 6), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_does_not_arrive_is_given_up(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(b"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
        assert client.recv(1000).startswith(b"HTTP/1.1 408")


# --- generating ---


def test_generated_rows_repeat_by_their_seed(service: Service) -> None:
    asked = {"label": "yes", "n": 5, "seed": 7}
    status, first = service.call("POST", "/generate", asked)
    assert status == 200 and len(first["rows"]) == 5
    assert {row["label"] for row in first["rows"]} == {"yes"}
    assert service.call("POST", "/generate", asked)[1] == first
    assert service.call("POST", "/generate", {**asked, "seed": 8})[1]["rows"] != first["rows"]
    assert service.call("POST", "/generate", {"label": "no"})[1]["seed"] >= 0


def test_generated_rows_can_be_scored(service: Service) -> None:
    made = service.call("POST", "/generate", {"label": "no", "n": 10, "seed": 0})[1]["rows"]
    assert len(service.score(made)) == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "maybe"}, "there is no label 'maybe': give one of 'no', 'yes'"),
        ({"label": None}, "'label' is left out: give one of 'no', 'yes'"),
        ({"n": MAX_ROWS + 1}, "are the most"),
        ({"n": -1}, "'n' is to be"),
        ({"n": "3"}, "'n' is to be"),
        ({"seed": -1}, "'seed' is to be"),
        ({"seed": 1.5}, "'seed' is to be"),
        ({"colour": "red"}, "'colour' is unknown"),
    ],
)
def test_a_bad_wish_for_rows_is_refused(service: Service, change: dict[str, Any], said: str) -> None:
    assert said in service.refusal("/generate", {"label": "no", "n": 1, "seed": 0, **change})


# --- pictures ---


@pytest.fixture(scope="module")
def translator_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gantools.config import TrainConfig
    from gantools.export.file import export_model
    from gantools.registry import discover
    from gantools.transform.translator import ImageTranslator
    from tests.contract.examples import translations

    cls: Any = discover("image")["srgan"]
    data, degrade = translations(cls)
    train = TrainConfig(steps=4, batch_size=4, device="cpu")
    translator = ImageTranslator("srgan", asdict(cls.tiny()), degrade, 16, train).fit(data)
    return export_model(translator, tmp_path_factory.mktemp("exported") / "translator.onnx").path


@pytest.fixture(scope="module")
def translating(translator_file: Path) -> Iterator[Service]:
    service = Service(TRANSLATOR=translator_file, MAX_PICTURE=50_000, MAX_PIXELS=10_000)
    yield service
    service.process.terminate()
    service.process.wait(10)


def file_of(picture: np.ndarray, form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form)
    return file.getvalue()


def sent(service: Service, body: bytes) -> tuple[str, bytes]:
    """The media type and the body of what is made of a picture."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("POST", "/transform", body)
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    assert answer.status == 200, found
    return answer.headers["content-type"], found


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_comes_back_in_the_same_format(translating: Service, translator_file: Path, form: str) -> None:
    from gantools.export.runtime import load_exported

    picture = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    media, body = sent(translating, file_of(picture, form))
    made = Image.open(io.BytesIO(body))
    assert (media, made.format, made.size) == (f"image/{form.lower()}", form, (60, 42))
    if form == "PNG":
        file: Any = load_exported(translator_file, "cpu", threads=1)
        assert np.array_equal(np.asarray(made), file.transform(picture))


def test_a_grey_picture_is_taken_for_a_coloured_one(translating: Service) -> None:
    _, body = sent(translating, file_of(np.zeros((9, 7), np.uint8), "PNG"))
    assert Image.open(io.BytesIO(body)).size == (14, 18)


def test_a_bad_picture_is_refused(translating: Service, service: Service) -> None:
    assert "no picture that can be read" in translating.refusal("/transform", b"nothing")
    cut = file_of(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8), "PNG")[:2000]
    assert "no picture that can be read" in translating.refusal("/transform", cut)
    large = file_of(np.zeros((101, 100, 3), np.uint8), "PNG")
    assert "100 x 101 pixels are more than 10000" in translating.refusal("/transform", large)
    assert "send a smaller one" in translating.refusal("/transform", b" " * 60_000, 413)
    assert "no translator is loaded" in service.refusal("/transform", b"", 404)


def test_what_is_said_of_a_translator(translating: Service, translator_file: Path) -> None:
    assert translating.call("GET", "/health")[1]["models"]["translator"]["file"] == translator_file.name
    found = translating.call("GET", "/schema")[1]["translator"]
    assert found == {"channels": 3, "made_channels": 3, "scale": 2, "shape": None}
    sent(translating, file_of(np.zeros((9, 7, 3), np.uint8), "PNG"))
    assert 'service_rows_total{path="/transform"}' in translating.call("GET", "/metrics")[1]


# --- what it says of itself ---


def test_health_says_which_models_are_loaded(service: Service) -> None:
    status, found = service.call("GET", "/health")
    assert status == 200 and found["status"] == "ok"
    assert found["models"]["scorer"]["file"] == "scorer.onnx"
    assert found["models"]["generator"]["file"] == "generator.onnx"


def test_schema_describes_columns_and_labels(service: Service) -> None:
    found = service.call("GET", "/schema")[1]
    columns = {column["name"]: column for column in found["scorer"]["columns"]}
    assert set(columns) == set(ROW)
    assert {name: columns[name]["kind"] for name in ("amount", "items", "colour", "paid", "sold")} == {
        "amount": "number", "items": "whole number", "colour": "text", "paid": "truth", "sold": "time",
    }  # fmt: skip
    assert sorted(columns["colour"]["levels"]) == ["blue", "green", "red"]
    assert sorted(found["generator"]["labels"]) == ["no", "yes"]
    assert found["limits"] == {"max_rows": MAX_ROWS, "max_body_bytes": MAX_BODY}


def test_metrics_count_requests_rows_batches_and_errors(service: Service) -> None:
    def counted() -> dict[str, float]:
        lines = service.call("GET", "/metrics")[1].splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}

    service.refusal("/score", {})
    service.score(ROW)
    before = counted()
    service.score([ROW] * 3)
    service.refusal("/score", {})
    after = counted()
    for name, more in {
        'service_requests_total{path="/score",status="200"}': 1,
        'service_requests_total{path="/score",status="422"}': 1,
        'service_errors_total{path="/score",status="422"}': 1,
        'service_rows_total{path="/score"}': 3,
        'service_request_seconds_count{path="/score"}': 2,
        "service_batch_rows_count": 1,
        "service_batch_rows_sum": 3,
    }.items():
        assert after[name] - before[name] == more, name
    assert after["service_queue_rows"] == 0


def test_unknown_paths_and_methods_are_refused(service: Service) -> None:
    assert service.call("GET", "/nothing")[0] == 404
    assert service.call("GET", "/score")[0] == 405


# --- the process ---


def test_a_signal_ends_the_service_after_its_open_requests(exported: dict[str, Path]) -> None:
    running = Service(SCORER=exported["SCORER"], MAX_WAIT_MS=500)
    assert running.refusal("/generate", {"label": "no"}, 404) == (
        "no generator is loaded: set GENERATOR to the path of one and start again"
    )
    with ThreadPoolExecutor(1) as client:
        open_request = client.submit(running.score, ROW)  # it waits for company
        while "service_queue_rows 1.0" not in running.call("GET", "/metrics")[1]:
            assert not open_request.done()
        running.process.send_signal(signal.SIGTERM)
        assert open_request.result(10)["anomaly_score"] is not None
    assert running.process.wait(10) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "set SCORER or GENERATOR"),
        ({"SCORER": "nowhere.onnx"}, "nowhere.onnx: there is no such file"),
        (
            {"SCORER": "GENERATOR"},
            "a model of the kind 'table-generator', and one of the kind 'table-scorer' is needed",
        ),
        ({"SCORER": str(GOLDEN / "image-scorer.onnx")}, "it is a model of the kind 'image-scorer'"),
        ({"GENERATOR": str(GOLDEN / "image-generator.onnx")}, "it is a model of the kind 'image-generator'"),
        ({"GENERATOR": __file__}, "onnxruntime cannot open it"),
        ({"SCORER": "SCORER", "MAX_ROWS": "many"}, "MAX_ROWS is 'many': set it to a number"),
        ({"SCORER": "SCORER", "QUEUE": "3"}, "QUEUE is 3: set it to at least MAX_ROWS"),
    ],
)
def test_bad_settings_stop_the_start(exported: dict[str, Path], settings: dict[str, str], said: str) -> None:
    given = {name: str(exported.get(value, value)) for name, value in settings.items()}
    ended = subprocess.run(
        [sys.executable, FOLDER / "app.py"], env={**os.environ, **given}, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert said in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("names", ["{}", "[]", "7", "{"])
def test_damaged_metadata_stop_the_start(names: str, tmp_path: Path) -> None:
    proto = onnx.load(GOLDEN / "table-scorer.onnx")
    said = {entry.key: entry.value for entry in proto.metadata_props}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {**said, "gantools.names": names})
    onnx.save(proto, tmp_path / "damaged.onnx")
    environment = {**os.environ, "SCORER": str(tmp_path / "damaged.onnx")}
    done = subprocess.run([sys.executable, FOLDER / "app.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "its metadata cannot be read; export it again" in done.stderr


def test_the_service_imports_neither_torch_nor_gantools() -> None:
    code = "import sys, app, load_test; print([n for n in ('torch', 'gantools', 'pandas', 'onnx') if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


# --- the batcher by itself ---


@pytest.fixture
def batching(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as the service imports it."""
    monkeypatch.syspath_prepend(FOLDER)
    import batching

    yield batching
    sys.modules.pop("batching")


class Model:
    """Doubles numbers, fails for negative ones, and holds its first run until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.begun = threading.Event()

    def __call__(self, rows: Any) -> list[int]:
        self.batches.append(list(rows))
        self.begun.set()
        assert self.go.wait(10)
        if min(rows) < 0:
            raise ValueError("negative")
        return [2 * row for row in rows]


async def gathered(batcher: Any, model: Model, requests: list[list[int]]) -> list[Any]:
    """What becomes of requests of which the first runs while the others come."""
    batcher.start()
    first = asyncio.create_task(batcher.submit(requests[0]))
    while not model.begun.is_set():
        await asyncio.sleep(0)
    others = [asyncio.create_task(batcher.submit(rows)) for rows in requests[1:]]
    await asyncio.sleep(0)
    model.go.set()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    await batcher.close()
    return found


def test_what_arrives_during_a_run_is_the_next_batch(batching: Any) -> None:
    async def trial(**options: Any) -> tuple[list[Any], list[list[int]]]:
        model = Model()
        with ThreadPoolExecutor(1) as worker:
            batcher = batching.Batcher(model, worker, max_batch=4, queue=100, **options)
            return await gathered(batcher, model, [[1], [2], [3, 4], [5], [6], [7, 8, 9, 10, 11]]), model.batches

    doubled = [[2], [4], [6, 8], [10], [12], [14, 16, 18, 20, 22]]
    assert asyncio.run(trial()) == (doubled, [[1], [2, 3, 4, 5], [6], [7, 8, 9, 10], [11]])
    assert asyncio.run(trial(alone=True)) == (doubled, [[1], [2], [3, 4], [5], [6], [7, 8, 9, 10], [11]])


def test_one_failing_request_leaves_the_others_of_its_batch_alone(batching: Any) -> None:
    async def trial() -> list[Any]:
        model = Model()
        with ThreadPoolExecutor(1) as worker:
            return await gathered(batching.Batcher(model, worker, max_batch=9, queue=9), model, [[1], [2], [-3], [4]])

    one, two, failed, four = asyncio.run(trial())
    assert (one, two, four) == ([2], [4], [8])
    assert isinstance(failed, ValueError)


def test_a_full_queue_refuses_and_a_closed_one_too(batching: Any) -> None:
    async def trial() -> tuple[list[Any], Any]:
        model = Model()
        with ThreadPoolExecutor(1) as worker:
            batcher = batching.Batcher(model, worker, max_batch=2, queue=3)
            found = await gathered(batcher, model, [[1], [2, 3], [4, 5], [6]])
            return found, await asyncio.gather(batcher.submit([1]), return_exceptions=True)

    (one, two, refused, last), (closed,) = asyncio.run(trial())
    assert (one, two, last) == ([2], [4, 6], [12])
    assert isinstance(refused, batching.Full)
    assert isinstance(closed, batching.Closed)


def test_a_request_given_up_is_not_run(batching: Any) -> None:
    async def trial() -> list[list[int]]:
        model = Model()
        with ThreadPoolExecutor(1) as worker:
            batcher = batching.Batcher(model, worker, max_batch=9, queue=9)
            batcher.start()
            first = asyncio.create_task(batcher.submit([1]))
            while not model.begun.is_set():
                await asyncio.sleep(0)
            second, third = (asyncio.create_task(batcher.submit([k])) for k in (2, 3))
            await asyncio.sleep(0)
            second.cancel()
            model.go.set()
            assert await asyncio.gather(first, third) == [[2], [6]]
            await batcher.close()
        return model.batches

    assert asyncio.run(trial()) == [[1], [3]]

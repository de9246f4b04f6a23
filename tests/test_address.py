"""Tables in object stores: read, scored and written as files are, by a store that fails as real ones do."""

from __future__ import annotations

import pickle
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from gantools import AnomalyScorer, address
from gantools.address import Address, fetched, is_address, place_of
from gantools.data.parts import is_parts, part_files
from gantools.data.tables import read_table, write_table
from gantools.errors import ConfigError, DataError
from gantools_cli.main import main

pytest.importorskip("moto")
BUCKET = "s3://bucket"
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def at(text: str) -> Any:
    """An address: what stands for a path."""
    return place_of(text)


class Store:
    """An S3 server. fails: of which requests, by method and path, it says that it is out of order."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self.fails: Callable[[str, str], bool] = lambda method, path: False
        self.n_failed = 0
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if self.fails(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            self.n_failed += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("werkzeug.serving.WSGIRequestHandler.log", lambda *_: None)
    store = Store()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.server.server_port}")
    for name, value in (("ACCESS_KEY_ID", "me"), ("SECRET_ACCESS_KEY", "secret"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(address, "PAUSE_S", 0.01)
    monkeypatch.setattr(address, "STORE_TRIES", 1)
    address._system.cache_clear()
    import boto3

    boto3.client("s3").create_bucket(Bucket="bucket")
    yield store
    store.close()
    address._system.cache_clear()


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"n": range(60), "text": [f"row {k}" for k in range(60)]})


def test_names() -> None:
    place = at("s3://me:key@bucket/in/part-1.csv.gz?region=eu-west-1")
    assert str(place) == "s3://bucket/in/part-1.csv.gz" and "key" not in str(place)
    assert (place.name, place.suffixes, str(place.parent)) == ("part-1.csv.gz", [".csv", ".gz"], "s3://bucket/in")
    assert place.with_name("x.csv") == place.parent / "x.csv" and str(at("s3://bucket/in/")) == "s3://bucket/in"
    assert str(at("s3://bucket/part-?.csv")) == "s3://bucket/part-?.csv"  # a pattern, and no query
    assert pickle.loads(pickle.dumps(place)) == place and place_of(place) is place
    assert is_address("gs://a/b") and not is_address("a/b") and place_of("a/b") == Path("a/b")
    for text in ("s3://", "s3:///folder"):
        with pytest.raises(ConfigError, match="names no file or folder"):
            Address.of(text)


def test_a_local_file_system_by_its_address(frame: pd.DataFrame, tmp_path: Path) -> None:
    folder = at(tmp_path.as_uri())
    write_table(frame, folder / "t.csv.gz")
    assert read_table(tmp_path / "t.csv.gz")[0].equals(read_table(folder / "t.csv.gz")[0])
    assert [one.name for one in part_files(folder)] == ["t.csv.gz"]


def test_what_is_no_file_system() -> None:
    with pytest.raises(ConfigError, match="no file system is known for nothing://"):
        at("nothing://a/b").exists()
    with pytest.raises(ConfigError, match="has an option that is not known"):
        at("s3://a/b?colour=red").exists()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.parquet"])
def test_tables_go_there_and_back(store: Store, frame: pd.DataFrame, name: str) -> None:
    place = at(f"{BUCKET}/folder/{name}")
    assert not place.exists() and not is_parts(place.parent)
    write_table(frame, place)
    assert place.is_file() and place.parent.is_dir() and is_parts(place.parent)
    assert is_parts(at(f"{BUCKET}/fold*/t*"))
    pd.testing.assert_frame_equal(read_table(place)[0], frame, check_dtype=False)
    write_table(frame.head(5), place)
    assert len(read_table(place)[0]) == 5  # no copy of what was there before
    place.unlink()
    with pytest.raises(DataError, match=f"{BUCKET}/folder/{name}: does not exist"):
        read_table(place)


def test_one_request_in_ten_fails(store: Store, frame: pd.DataFrame) -> None:
    rng = random.Random(0)
    store.fails = lambda method, path: rng.random() < 0.1
    for k in range(8):
        write_table(frame, at(f"{BUCKET}/parts/{k}.parquet"))
    assert len(read_table(at(f"{BUCKET}/parts"))[0]) == 480 and store.n_failed >= 3


def test_a_store_that_takes_nothing_keeps_nothing(store: Store, frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame.head(5), at(f"{BUCKET}/old.csv"))
    large = tmp_path / "large"
    large.write_bytes(random.Random(0).randbytes(12 * 2**20))  # goes in several pieces
    for put, n in (
        (lambda: write_table(frame, at(f"{BUCKET}/old.csv")), 0),
        (lambda: at(f"{BUCKET}/large").put(large), 1),
    ):
        taken = iter([*[False] * n, *[True] * 1000])  # the request of this number fails, and all behind it
        store.fails = lambda method, path, taken=taken: method == "PUT" and next(taken)  # type: ignore[misc]
        with pytest.raises(DataError, match=rf"{BUCKET}/\w+(\.csv)?: cannot be reached .*; check the address"):
            put()
    store.fails = lambda method, path: False
    assert len(read_table(at(f"{BUCKET}/old.csv"))[0]) == 5 and not at(f"{BUCKET}/large").exists()


def test_a_store_that_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "TRIES", 2)
    store.close()
    with pytest.raises(DataError, match=f"{BUCKET}/t.csv: cannot be reached"):
        read_table(at(f"{BUCKET}/t.csv"))


def test_a_model_is_fetched_and_errors_name_where_it_is(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    at(f"{BUCKET}/model/a").put(tmp_path / "a")
    with fetched(at(f"{BUCKET}/model")) as folder:
        assert (folder / "a").read_text() == "1"

    def damaged() -> None:
        with fetched(at(f"{BUCKET}/model")) as folder:
            raise DataError("is damaged", where=str(folder / "a"))

    with pytest.raises(DataError, match=f"^{BUCKET}/model/a: is damaged"):
        damaged()
    with pytest.raises(DataError, match="does not exist"), fetched(at(f"{BUCKET}/no")):
        pass
    with fetched(tmp_path) as same:
        assert same == tmp_path


def test_a_table_is_scored_from_one_store_to_another(store: Store, tmp_path: Path) -> None:
    """By a model that lies there, with one request in twenty failing; and what is missing is made anew."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    rows.to_csv(tmp_path / "normal.csv", index=False)
    AnomalyScorer(steps=20, random_state=0).fit(rows).save(tmp_path / "scorer")
    for one in (tmp_path / "scorer").iterdir():
        at(f"{BUCKET}/models/scorer/{one.name}").put(one)
    (tmp_path / "in").mkdir()
    for k in range(3):
        for folder in (tmp_path / "in", at(f"{BUCKET}/in")):
            write_table(rows.iloc[100 * k : 100 * k + 100], folder / f"{k}.csv")

    def scored(*arguments: object) -> Any:
        return CliRunner().invoke(main, ["score", *map(str, arguments)], prog_name="gantools")

    assert scored(tmp_path / "in", "--from", tmp_path / "scorer", "-o", tmp_path / "out").exit_code == 0
    random_ = random.Random(0)
    store.fails = lambda method, path: random_.random() < 0.05
    asked = (f"{BUCKET}/in/*.csv", "--from", f"{BUCKET}/models/scorer", "-o", f"{BUCKET}/out")
    result = scored(*asked)
    assert result.exit_code == 0, result.output
    store.fails = lambda method, path: False
    names = [f"{k}.csv" for k in range(3)]
    assert sorted(one.name for one in at(f"{BUCKET}/out").iterdir()) == [*names, "_SUCCESS", "_asked.json"]
    for name in names:
        assert at(f"{BUCKET}/out/{name}").open().read() == (tmp_path / "out" / name).read_bytes()

    assert "s3://bucket/out is not empty" in scored(*asked).output
    at(f"{BUCKET}/out/1.csv").unlink()
    assert scored(*asked, "--resume").exit_code == 0 and at(f"{BUCKET}/out/1.csv").is_file()
    changed = scored(*asked, "--resume", "--explain")
    assert changed.exit_code == 2 and "was not begun with the same" in changed.output

    store.fails = lambda method, path: method == "PUT" and path.endswith("2.csv")
    failed = scored(*asked[:-1], f"{BUCKET}/other")
    assert (
        failed.exit_code == 2 and failed.output.count("\n") == 1 and "other/2.csv: cannot be reached" in failed.output
    )
    assert not list(at(f"{BUCKET}/other").iterdir())
    report = scored(*asked, "--report", f"{BUCKET}/r.html")
    assert report.exit_code == 2 and "must be on this machine" in report.output

"""The whole life of the fifth kind, in a process that knows nothing else of it. Argument: an empty folder."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from brightening.estimator import Brightener
from click.testing import CliRunner

import gantools
from gantools.config import TrainConfig
from gantools_cli.main import main


def gantools_command(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="gantools")
    assert result.exit_code == 0, result.output
    return result.output


folder, file = Path(sys.argv[1]) / "saved", Path(sys.argv[1]) / "model.onnx"
dark = torch.randint(0, 120, (24, 1, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
train = TrainConfig(steps=60, batch_size=8, eval_every=30, log_every=30, device="cpu")
trained = Brightener({"width": 8}, train).fit(dark, dark * 2)
images = dark[:5].movedim(1, 3).numpy()
made = trained.transform(images)
assert made.mean() > 1.3 * images.mean()

trained.save(folder)
loaded = gantools.load(folder)
assert type(loaded) is Brightener and np.array_equal(loaded.transform(images), made)
said = gantools_command("info", folder)
assert "image-to-image model" in said and "convolutions" in said and "24 images" in said, said
assert json.loads(gantools_command("info", folder, "--json"))["model"] == "convolutions"

beside = {option: Path(sys.argv[1]) / option for option in ("triton", "mlflow", "card")}
written = [part for option, path in beside.items() for part in (f"--{option}", path)]
assert "Compared with the library on 8 images" in gantools_command("export", folder, "-o", file, *written)
exported = gantools.load_exported(file, "cpu")
assert exported.kind == "image-brightener"
assert np.abs(exported.transform(images).astype(int) - made).max() <= 1
assert "convolutions" in gantools_command("info", file)
assert json.loads(gantools_command("info", file, "--json"))["kind"] == "image-brightener"
assert "Brightens images." in beside["card"].read_text("utf-8")

sys.path.insert(0, str(beside["mlflow"] / "code"))
from gantools_served import Served  # noqa: E402

assert np.array_equal(Served(str(file)).predict(images), exported.transform(images))

"""Errors say where, what and what to do, on one line."""

import pickle

import pytest

from gantools.errors import CheckpointError, ConfigError, DataError, GantoolsError, TrainingError


def test_message_is_one_line_of_where_problem_and_remedy():
    error = DataError("has two\nproblems", where="a.csv", remedy="mend\n  them")
    assert str(error) == "a.csv: has two problems; mend them"
    assert str(DataError("is empty")) == "is empty"
    assert str(DataError("is empty", where="a.csv")) == "a.csv: is empty"


@pytest.mark.parametrize("kind", [DataError, ConfigError, CheckpointError, TrainingError])
def test_every_kind_is_caught_as_one_and_leaves_with_code_2(kind):
    with pytest.raises(GantoolsError) as caught:
        raise kind("is wrong")
    assert caught.value.exit_code == 2


def test_survives_the_way_back_from_another_process():
    error = pickle.loads(pickle.dumps(ConfigError("is bad", where="--strategy", remedy="leave it out")))
    assert str(error) == "--strategy: is bad; leave it out"

"""Dates that came as text are recognised, read and written as they were."""

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.dates import FORMATS, find_formats, parse, write

MOMENTS = np.array(
    ["2021-12-31T23:59:58.123456", "2020-01-05T07:08:09.000001", "1999-11-30T00:00:00"], "datetime64[us]"
)


@pytest.mark.parametrize("known", FORMATS)
def test_every_format_reads_what_it_writes(known):
    texts = write(MOMENTS, known).to_pylist()
    assert known.replace("%-", "%") in {found.replace("%-", "%") for found in find_formats(texts)}
    again = write(parse(pd.Series(texts, dtype=object), known), known).to_pylist()
    assert again == texts


@pytest.mark.parametrize(
    ("texts", "known"),
    [
        (["2020-02-29", "2021-03-01"], "%Y-%m-%d"),
        (["1/31/2020", "12/1/2020"], "%-m/%-d/%Y"),
        (["31.12.2020 08:05", "01.01.2021 23:59"], "%d.%m.%Y %H:%M"),
        (["2020-01-01T10:00:00Z", "2020-01-02T11:30:00Z"], "%Y-%m-%dT%H:%M:%SZ"),
        (["2020-01-01 10:00:00.125", "2020-01-02 11:30:00.000"], "%Y-%m-%d %H:%M:%S.%f"),
        (["5-Feb-2020"], None),
        (["05-Feb-2020", "12-Mar-2021"], "%d-%b-%Y"),
        (["08:30", "17:45"], "%H:%M"),
        (["2020-02-30", "2021-03-01"], None),
        (["2020-01-01", "soon"], None),
        (["2020-01-01", "2020-1-2"], None),
        (["2020-01-01 10:00:00", "2020-01-02 11:30:00.5"], None),
        (["12345", "67890"], None),
        (["3-2-1", "4-5-6"], None),
    ],
)
def test_one_format_or_none(texts, known):
    assert find_formats(texts) == ([] if known is None else [known])


def test_day_first_and_month_first_is_ambiguous_until_a_day_tells():
    assert find_formats(["01/02/2020", "11/12/2021"]) == ["%d/%m/%Y", "%m/%d/%Y"]
    assert find_formats(["01/02/2020", "13/12/2021"]) == ["%d/%m/%Y"]
    assert find_formats(["01/02/2020", "11/30/2021"]) == ["%m/%d/%Y"]


def test_missing_stays_missing():
    moments = parse(pd.Series(["2020-01-01", None], dtype=object), "%Y-%m-%d")
    assert np.isnat(moments).tolist() == [False, True]
    assert write(moments, "%Y-%m-%d").to_pylist() == ["2020-01-01", None]

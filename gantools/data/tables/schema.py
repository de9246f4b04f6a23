"""What the columns of a table are: inferred from its cells, shown, overridden, and kept as JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pandas as pd

from gantools.data.tables.column import CATEGORICAL_KINDS as CATEGORICAL_KINDS
from gantools.data.tables.column import NUMERIC_KINDS as NUMERIC_KINDS
from gantools.data.tables.column import Column as Column
from gantools.data.tables.column import Kind as Kind
from gantools.data.tables.dialect import Dialect
from gantools.data.tables.inference import feature_column, target_column
from gantools.data.tables.rules import Rule
from gantools.data.tables.spelling import Spelling
from gantools.errors import ConfigError, DataError
from gantools.words import listed

_MOST_LISTED = 8


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in order.

    target: the name of the label's column. n_rows: rows it was inferred from. dialect: how the file spelled them, None
    where they came from elsewhere. rules: what holds in every row; only a generator looks for them.
    """

    columns: tuple[Column, ...]
    target: str | None
    n_rows: int
    dialect: Dialect | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns other than the target, in order."""
        return tuple(column for column in self.columns if column.name != self.target)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the features that are numbers or datetimes: the order of `Raw.numbers`."""
        return tuple(column.name for column in self.features if column.kind in NUMERIC_KINDS)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the features that are categories or booleans: the order of `Raw.codes`."""
        return tuple(column.name for column in self.features if column.kind in CATEGORICAL_KINDS)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(
            f"there is no column '{name}'", where="schema", remedy=f"the columns are {listed(self.names, _MOST_LISTED)}"
        )

    def notes(self) -> list[str]:
        """What the user should know: one sentence per column that is not taken as it is, and one for each rule."""
        kept = [f"{rule.sentence}; synthetic rows keep to it" for rule in self.rules]
        return [column.note for column in self.columns if column.note] + kept

    def to_json(self) -> dict[str, Any]:
        """The schema as plain JSON values; `from_json` reads it again."""
        columns = [
            {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(column).items()}
            for column in self.columns
        ]
        found: dict[str, Any] = {"version": 1, "target": self.target, "n_rows": self.n_rows, "columns": columns}
        if self.rules:
            found["rules"] = [rule.to_json() for rule in self.rules]
        if self.dialect is not None:
            kept = asdict(replace(self.dialect, columns={}, source=None))
            found["dialect"] = {name: kept[name] for name in kept if name not in ("columns", "source", "notes")}
        return found

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote. Raises DataError when the document is not one."""
        known = {field.name for field in fields(Column)}
        try:
            columns = tuple(
                Column(**{name: _from_json(name, value) for name, value in entry.items() if name in known})
                for entry in document["columns"]
            )
            dialect = _dialect_from_json(document.get("dialect"), columns)
            rules = tuple(Rule.from_json(rule) for rule in document.get("rules", ()))
            return cls(columns, document["target"], int(document["n_rows"]), dialect, rules)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("is not a schema", where="schema", remedy="infer it again from the table") from error


def _from_json(name: str, value: Any) -> Any:
    if name == "kind":
        return Kind(value)
    if name == "spelling" and value is not None:
        known = {field.name for field in fields(Spelling)}
        return Spelling(**{key: _plain(item) for key, item in value.items() if key in known})
    return _plain(value)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _dialect_from_json(document: Mapping[str, Any] | None, columns: Sequence[Column]) -> Dialect | None:
    if document is None:
        return None
    known = {field.name for field in fields(Dialect)}
    spellings = {column.name: column.spelling for column in columns if column.spelling is not None}
    kept = {name: _plain(value) for name, value in document.items() if name in known}
    return Dialect(**kept | {"columns": spellings, "source": None})


def infer_schema(
    frame: pd.DataFrame,
    target: str | int | None = None,
    kinds: Mapping[str, Kind | str] | None = None,
    max_levels: int = 100,
    dialect: Dialect | None = None,
) -> Schema:
    """What each column of `frame` is, by the rules of `gantools.data.tables.inference`.

    target: the label's column. kinds: kinds that the caller knows better, by column. max_levels: a feature keeps so
    many levels, the rest are pooled (at least 1). dialect: how the file that the frame came from is spelled, see
    `read_table`. A column whose name is no text is named by what it is as text.

    Raises DataError naming the column when the frame is empty, names a column twice, lacks the target, misses a label,
    or holds cells that no kind can; ConfigError when `max_levels` is below 1.

    >>> frame = pd.DataFrame({"age": [31, 46, 28], "plan": ["a", "b", "a"], "left": ["no", "yes", "no"]})
    >>> [str(column.kind) for column in infer_schema(frame, target="left").columns]
    ['integer', 'categorical', 'categorical']
    """
    if max_levels < 1:
        raise ConfigError(f"must be at least 1, not {max_levels}", where="max_levels")
    frame = as_frame(frame)
    names = _checked_names(frame)
    target = None if target is None else str(target)
    wanted = {name: _kind(name, kind) for name, kind in (kinds or {}).items()}
    check_there((*wanted, *([] if target is None else [target])), names)
    columns = []
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        if name == target:
            if wanted.get(name, Kind.CATEGORICAL) not in CATEGORICAL_KINDS:
                raise DataError(f"the target is a category, it cannot be {wanted[name]}", where=f"column '{name}'")
            column = target_column(series, name)
        else:
            column = feature_column(series, name, max_levels, wanted.get(name))
        label = frame.columns[position]
        columns.append(
            replace(
                column,
                spelling=None if dialect is None else dialect.columns.get(name),
                label=None if isinstance(label, str) else getattr(label, "item", lambda label=label: label)(),
            )
        )
    kept = None if dialect is None else replace(dialect, source=None, notes=())
    return Schema(columns=tuple(columns), target=target, n_rows=len(frame), dialect=kept)


def check_there(wanted: Iterable[str], names: Sequence[str]) -> None:
    """Refuse columns that are not among those of a table. Raises DataError with the nearest name."""
    for name in wanted:
        if name not in names:
            remedy = f"{_meant(name, names)}the columns are {listed(names, _MOST_LISTED)}"
            raise DataError(f"there is no column '{name}'", remedy=remedy)


def as_pandas(table: Any) -> Any:
    """A data frame of another library (polars, Arrow) as one of pandas; anything else as it is."""
    return table.to_pandas() if hasattr(table, "to_pandas") else table


def as_frame(table: Any) -> pd.DataFrame:
    """A data frame of any library as one of pandas. Raises DataError for what is none."""
    frame = as_pandas(table)
    if not isinstance(frame, pd.DataFrame):
        problem = f"a table must be a data frame, not of the type {type(table).__name__}"
        raise DataError(problem, remedy="make one with pandas.DataFrame(...)")
    return frame


def text_names(table: Any) -> pd.DataFrame:
    """A data frame with the names of its columns as text, as a schema has them. Raises DataError for what is none."""
    frame = as_frame(table)
    if all(isinstance(name, str) for name in frame.columns):
        return frame
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def own_names(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """`frame` with the names that the columns had before a schema named them."""
    labels = {column.name: column.label for column in schema.columns if column.label is not None}
    if not labels:
        return frame
    return frame.set_axis(pd.Index([labels.get(name, name) for name in frame.columns]), axis=1)


def _checked_names(frame: pd.DataFrame) -> list[str]:
    if frame.columns.nlevels > 1:
        raise DataError("the table has several header rows", remedy="join them to one name per column")
    names = [str(name) for name in frame.columns]
    if not names:
        raise DataError("the table has no columns")
    if not len(frame):
        raise DataError("the table has no rows")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"more than one column is called {listed(twice, _MOST_LISTED)}", remedy="give every column its own name"
        )
    return names


def _kind(name: str, kind: Kind | str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        where, remedy = f"column '{name}'", f"the kinds are {', '.join(Kind)}"
        raise DataError(f"there is no kind '{kind}'", where=where, remedy=remedy) from None


def _meant(name: str, names: Sequence[str]) -> str:
    """A question for the name that is most like `name`, empty where none is like it."""
    as_given = {other.casefold(): other for other in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), as_given, n=1)
    return f"did you mean '{as_given[close[0]]}'? " if close else ""

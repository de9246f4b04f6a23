"""Files that hold tables, or something else, in a way that is not read here: what they are and how to convert them.

They are told by their content. A suffix counts only where the content is binary and says nothing itself, for many a
file that is called .xls holds plain text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gantools.errors import DataError

_READ = "tables are read from CSV, TSV and Parquet files"


@dataclass(frozen=True)
class _Format:
    """A format that is not read here.

    what: its name in a sentence. remedy: how to convert it. start: a pattern of its first bytes. suffixes: of its
    names.
    """

    what: str
    remedy: str
    start: bytes = b""
    suffixes: tuple[str, ...] = ()


def _in_python(reader: str, to: str = 'to_parquet("FILE.parquet")') -> str:
    return f"convert it, in Python: {reader}.{to}"


_SHEET = "save the sheet as CSV, or " + _in_python('pandas.read_excel("FILE")')
_EXPORT = "export it as CSV or Parquet from the program that wrote it"
_EXCEL = _Format("an Excel workbook", _SHEET, rb"\xd0\xcf\x11\xe0", (".xlsx", ".xls", ".xlsm", ".xlsb"))
_OFFICE = _Format("an Office document", _EXPORT)
_OPEN_DOCUMENT = _Format("an OpenDocument file", _SHEET, suffixes=(".ods",))
_JSON = _Format("JSON", _in_python('pandas.read_json("FILE")'))
_JSON_LINES = _Format("JSON, one object a line", _in_python('pandas.read_json("FILE", lines=True)'))
_HTML = _Format("an HTML page", _in_python('pandas.read_html("FILE")[0]'))
_XML = _Format("XML", _in_python('pandas.read_xml("FILE")'))
_PDF = _Format("a PDF", "copy its table into a spreadsheet and save that as CSV", rb"%PDF-", (".pdf",))
_FEATHER = _in_python('pandas.read_feather("FILE")')
_NUMPY = _in_python('pandas.DataFrame(numpy.load("FILE"))', 'to_csv("FILE.csv", index=False)')
_SQLITE = _in_python('pandas.read_sql("SELECT * FROM the_table", sqlite3.connect("FILE"))')
_PICKLE = _in_python('pandas.read_pickle("FILE")') + ", if you trust it: reading a pickle runs what is in it"
_R = 'write it from R: write.csv(table, "FILE.csv", row.names = FALSE)'
_BINARY = (
    _EXCEL,
    _OPEN_DOCUMENT,
    _PDF,
    _Format("an Arrow or Feather file", _FEATHER, rb"ARROW1|FEA1", (".feather", ".arrow", ".ipc")),
    _Format("an ORC file", _in_python('pandas.read_orc("FILE")'), rb"ORC", (".orc",)),
    _Format("an Avro file", _EXPORT, rb"Obj\x01", (".avro",)),
    _Format("an SQLite database", _SQLITE, rb"SQLite format 3\x00", (".sqlite", ".sqlite3", ".db")),
    _Format("an HDF5 file", _in_python('pandas.read_hdf("FILE")'), rb"\x89HDF\r\n", (".h5", ".hdf5", ".hdf")),
    _Format("a NumPy array", _NUMPY, rb"\x93NUMPY", (".npy",)),
    _Format("compressed Parquet", "uncompress it", rb"PAR1"),
    _Format("a picture", "put images into a folder and give that", rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\x00|MM\x00\*"),
    _Format("a Stata file", _in_python('pandas.read_stata("FILE")'), suffixes=(".dta",)),
    _Format("an SPSS file", _in_python('pandas.read_spss("FILE")'), rb"\$FL[23]", (".sav",)),
    _Format("a SAS file", _in_python('pandas.read_sas("FILE")'), suffixes=(".sas7bdat", ".xpt")),
    _Format("an R data file", _R, rb"RD[AX][23]\n|X\n\x00", (".rds", ".rdata", ".rda")),
    _Format("a pickle", _PICKLE, rb"\x80[\x02-\x05]", (".pkl", ".pickle")),
)


def refuse_text(text: str, path: Path) -> None:
    """Refuse text that is no table: JSON, HTML, XML, PDF. text: the beginning of the file. Raises DataError."""
    text = text.lstrip("\ufeff \t\r\n")
    says_json = _suffix(path) in (".json", ".jsonl", ".ndjson") and text[:1] in ("{", "[")
    if says_json or re.match(r"\{\s*[\"}]|\[\s*[\[{]", text):
        has_lines = re.match(r"\{.*\}[ \t]*\r?\n[ \t]*\{", text) is not None
        raise _refused(_JSON_LINES if has_lines else _JSON, path)
    if re.match(r"<!doctype html|<(html|head|body|table)[\s>]", text, re.IGNORECASE):
        raise _refused(_HTML, path)
    if text.startswith("<?xml"):
        raise _refused(_XML, path)
    if text.startswith("%PDF-"):
        raise _refused(_PDF, path)


def refuse_binary(start: bytes, path: Path) -> None:
    """Refuse what is not text. start: the beginning of the file, any compression undone. Raises DataError."""
    suffix = _suffix(path)
    known = next((one for one in _BINARY if one.start and re.match(one.start, start)), None)
    known = known or next((one for one in _BINARY if suffix in one.suffixes), None)
    if known is not None:
        raise _refused(known, path)
    raise DataError("is not a table but a binary file", where=str(path), remedy=_READ)


def refuse_archive(members: Collection[str], path: Path) -> None:
    """Refuse a zip file that is a document of an office program. members: the names in it. Raises DataError."""
    if "[Content_Types].xml" in members:
        raise _refused(_EXCEL if any(name.startswith("xl/") for name in members) else _OFFICE, path)
    if "mimetype" in members:
        raise _refused(_OPEN_DOCUMENT, path)


def _refused(one: _Format, path: Path) -> DataError:
    return DataError(f"is {one.what}; {_READ}", where=str(path), remedy=one.remedy)


def _suffix(path: Path) -> str:
    """The suffix that says what the file holds when it is uncompressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in (".gz", ".bz2", ".xz", ".zip"):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""

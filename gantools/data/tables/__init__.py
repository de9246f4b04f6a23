"""Tables: what their columns are, and how files hold them."""

from gantools.data.tables.reader import TableReader, read_table
from gantools.data.tables.writer import TableWriter, write_table

__all__ = ["TableReader", "TableWriter", "read_table", "write_table"]

"""What the tests of tables share."""

import pytest


@pytest.fixture
def put(tmp_path):
    """A function that writes bytes or text to a file and gives its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write

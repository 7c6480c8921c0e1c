"""Files that cannot be read: what is wrong, where, and the fix."""

from pathlib import Path

import numpy as np
import pytest

from whichloss.data import read
from whichloss.data.files import connect
from whichloss.errors import DataUnfit, UserError

GOOD = "x,y\n" + "".join(f"{i},{i / 4}\n" for i in range(30))


def fails(path: Path, content: bytes | str, message: str, kind: type = UserError) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(kind, match=message):
        read(path)


def test_missing_files_suggest_the_nearest(tmp_path):
    (tmp_path / "penguins.csv").write_text(GOOD)
    with pytest.raises(UserError, match=r"did you mean 'penguins.csv'"):
        read(tmp_path / "penguin.csv")
    with pytest.raises(UserError, match=r"folder .* does not exist"):
        read(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(UserError, match=r"is a folder.*In it: penguins.csv"):
        read(tmp_path)


def test_unknown_extensions_and_empty_files(tmp_path):
    fails(tmp_path / "a.xlsx", GOOD, r"'.xlsx' is not known; supported: .csv")
    fails(tmp_path / "a.csv", "", "empty .0 bytes.", DataUnfit)
    fails(tmp_path / "a.csv", "\n1,2\n", "first line is empty")
    fails(tmp_path / "a.csv", "x,y\n", "no rows", DataUnfit)
    fails(tmp_path / "a.csv", "x,y\n1,2\n", "1 row;", DataUnfit)


def test_bytes_that_are_no_text_are_located(tmp_path):
    path = tmp_path / "a.csv"
    fails(path, GOOD.encode() + b"caf\xe9,1\n", f"byte 0xE9 at offset {len(GOOD) + 3}")
    fails(path, GOOD.encode("utf-16"), "UTF-16")
    fails(path, GOOD.encode() + b"\0\1", f"zero byte at offset {len(GOOD)}")
    fails(path, b"x" * (1 << 20) + b"\xff", f"byte 0xFF at offset {1 << 20}")
    split = b"a" * ((1 << 20) - 1) + "é".encode()  # a letter across two chunks is no error
    fails(path, split + b"\xff", f"offset {(1 << 20) + 1}")
    fails(path, GOOD.encode() + b"\xc3", f"byte 0xC3 at offset {len(GOOD)}")


def test_ragged_rows_and_open_quotes_name_the_line(tmp_path):
    path = tmp_path / "a.csv"
    fails(path, GOOD + "1,2,3\n", r"Line: 32; the line is: 1,2,3; Expected .* 2 Found: 3")
    fails(path, GOOD + "1\n", "Found: 1")
    fails(path, GOOD + '1,"2\n', "never closed")


def test_duplicate_and_empty_column_names(tmp_path):
    fails(tmp_path / "a.csv", "x,y,x\n", "columns 1 and 3 are both named 'x'")
    fails(tmp_path / "a.csv", ",y\n", "column 1 has no name.*index=False")
    duckdb_names = tmp_path / "a.parquet"
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table([[1] * 30, [2] * 30], names=["a", "a"]), duckdb_names)
    with pytest.raises(UserError, match=r"both named 'a'"):
        read(duckdb_names)


def test_parquet_columns_that_cannot_be_modelled_can_be_dropped(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": list(range(30)), "nest": [[1, 2]] * 30}), path)
    with pytest.raises(DataUnfit, match=r"'nest' has type .*\[\].*--drop 'nest'"):
        read(path)
    assert read(path, drop="nest").schema.names == ("x",)


def test_damaged_binary_files(tmp_path):
    table = read(_write(tmp_path / "g.csv", GOOD))
    table.to_parquet(tmp_path / "g.parquet")
    np.save(tmp_path / "g.npy", table.values)
    np.savez_compressed(tmp_path / "g.npz", table.values)
    for suffix in ("parquet", "npy", "npz"):
        content = (tmp_path / f"g.{suffix}").read_bytes()
        middle = len(content) // 2
        for damaged in (content[:middle], b"no such thing at all" * 9, content[:4] + b"?" * 300):
            fails(tmp_path / f"d.{suffix}", damaged, f"d.{suffix}' (cannot be read|is damaged)")
    flipped = content[:60] + bytes(b ^ 255 for b in content[60:90]) + content[90:]
    fails(tmp_path / "d.npz", flipped, "is damaged")


def test_pickle_is_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}] * 30), allow_pickle=True)
    with pytest.raises(UserError, match=r"pickle.*never loaded"):
        read(tmp_path / "a.npy")


def test_several_arrays_of_different_shapes_are_listed(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((30, 8, 8)), labels=np.zeros(30))
    with pytest.raises(UserError, match=r"images \(30, 8, 8\), labels \(30,\)"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"no arrays"):
        read(tmp_path / "a.npz")


def test_the_database_loads_nothing_by_itself():
    with connect() as connection:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert connection.execute(f"SELECT current_setting('{name}')").fetchall() == [(False,)]


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path

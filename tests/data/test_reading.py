from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omniforge.data import data_version, read_table
from omniforge.errors import DataError, InputError


def refused(*args: Any, **kwargs: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read_table(*args, **kwargs)
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == 2
    return caught.value


class TestFormats:
    def test_csv_plain_and_gzip_are_the_same(self, mixed: pd.DataFrame, mixed_csv: Path, tmp_path: Path) -> None:
        plain = tmp_path / "mixed.csv"
        plain.write_bytes(gzip.decompress(mixed_csv.read_bytes()))
        pd.testing.assert_frame_equal(read_table(plain), read_table(mixed_csv))

    def test_the_content_tells_the_format_not_the_name(self, mixed: pd.DataFrame, tmp_path: Path) -> None:
        path = tmp_path / "mixed.csv"
        mixed.to_parquet(path)
        assert list(read_table(path).columns) == list(mixed.columns)

    @pytest.mark.parametrize("stream", [False, True])
    def test_arrow(self, mixed: pd.DataFrame, tmp_path: Path, stream: bool) -> None:
        path, table = tmp_path / "mixed.arrow", pa.Table.from_pandas(mixed)
        with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, table.schema) as writer:
            writer.write_table(table)
        frame = read_table(path, target="bought")
        assert len(frame) == len(mixed)
        assert frame["member"].dtype == bool
        assert frame["joined"].dtype.kind == "M"
        assert frame["city"].isna().sum() == mixed["city"].isna().sum()

    def test_feather_and_parquet_agree(self, mixed: pd.DataFrame, tmp_path: Path) -> None:
        mixed.to_feather(tmp_path / "mixed.feather")
        mixed.to_parquet(tmp_path / "mixed.parquet")
        pd.testing.assert_frame_equal(
            read_table(tmp_path / "mixed.feather"), read_table(tmp_path / "mixed.parquet"), check_like=True
        )

    def test_an_unnamed_index_in_parquet_is_no_column(self, mixed: pd.DataFrame, tmp_path: Path) -> None:
        mixed.iloc[::2].to_parquet(tmp_path / "part.parquet", index=True)
        assert list(read_table(tmp_path / "part.parquet").columns) == list(mixed.columns)

    def test_integers_with_missing_values_in_arrow(self, tmp_path: Path) -> None:
        table = pa.table({"a": pa.array([1, None, 3], pa.int32()), "b": pa.array([True, None, False])})
        pq.write_table(table, tmp_path / "t.parquet")
        frame = read_table(tmp_path / "t.parquet")
        assert frame["a"].dtype == float
        assert frame["b"].tolist() == [True, None, False]

    def test_tab_separated(self, write: Callable[..., Path]) -> None:
        frame = read_table(write("a\tb\n1\t2\n", "t.tsv"))
        assert list(frame.columns) == ["a", "b"]

    def test_a_given_delimiter(self, write: Callable[..., Path]) -> None:
        assert read_table(write("a;b\n1;2,5\n"), delimiter=";", target="b")["b"].tolist() == ["2,5"]

    def test_byte_order_mark_quotes_and_line_breaks(self, write: Callable[..., Path]) -> None:
        frame = read_table(write('\ufeffa,"b\nc"\r\n1,"x, ""y"""\r\n'))
        assert list(frame.columns) == ["a", "b\nc"]
        assert frame["b\nc"].tolist() == ['x, "y"']

    def test_blank_lines_before_the_header(self, write: Callable[..., Path]) -> None:
        assert read_table(write("\n\na,b\n1,2\n\n3,4\n")).to_dict("list") == {"a": [1, 3], "b": [2, 4]}

    def test_numbers_are_read_to_the_last_bit(self, write: Callable[..., Path]) -> None:
        values = np.random.default_rng(0).random(200)
        frame = read_table(write("x\n" + "\n".join(repr(float(v)) for v in values)))
        assert (frame["x"].to_numpy() == values).all()


class TestMissing:
    def test_question_marks_and_blanks_are_missing(self, write: Callable[..., Path]) -> None:
        frame = read_table(write('a,b,c\n1, ? ,x\n?,"  ",y\n3,7,NA\n'))
        assert frame["a"].isna().tolist() == [False, True, False]
        assert frame["b"].isna().tolist() == [True, True, False]
        assert frame["c"].tolist() == ["x", "y", None]

    def test_a_trailing_delimiter_is_no_column(self, write: Callable[..., Path]) -> None:
        assert list(read_table(write("a,b,\n1,2,\n3,4,\n")).columns) == ["a", "b"]

    def test_a_nameless_column_with_values_stays(self, write: Callable[..., Path]) -> None:
        assert list(read_table(write(",a\n0,5\n1,6\n")).columns) == ["Unnamed: 0", "a"]


class TestDrop:
    def test_dropped_columns_are_not_read(self, write: Callable[..., Path]) -> None:
        frame = read_table(write("a,b,c\n1,2,3\n"), drop=["b"])
        assert list(frame.columns) == ["a", "c"]
        assert frame.attrs["dropped"] == ["b"]

    def test_doubled_names_can_be_dropped(self, write: Callable[..., Path]) -> None:
        assert list(read_table(write("a,b,a\n1,2,3\n"), drop=["a"]).columns) == ["b"]

    def test_parquet(self, mixed: pd.DataFrame, tmp_path: Path) -> None:
        mixed.to_parquet(tmp_path / "m.parquet")
        assert "ref" not in read_table(tmp_path / "m.parquet", drop=["ref"]).columns

    def test_an_unknown_column(self, write: Callable[..., Path]) -> None:
        error = refused(write("alpha,beta\n1,2\n"), drop=["alhpa"])
        assert "'alhpa'" in error.message
        assert "'alpha'" in str(error.hint)

    def test_the_target_cannot_be_dropped(self, write: Callable[..., Path]) -> None:
        assert "target" in refused(write("a,b\n1,2\n"), target="b", drop=["b"]).message


class TestRefusals:
    def test_missing_file_names_near_ones(self, write: Callable[..., Path], tmp_path: Path) -> None:
        write("a\n1\n", "titanic.csv")
        error = refused(tmp_path / "titanik.csv")
        assert "titanik.csv" in error.message
        assert "titanic.csv" in str(error.hint)

    def test_missing_folder(self, tmp_path: Path) -> None:
        assert "folder" in str(refused(tmp_path / "nowhere" / "a.csv").hint)

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "is a folder" in refused(tmp_path).message

    @pytest.mark.parametrize("text", ["", "\n\n  \n", "\n" * 2000])
    def test_empty_file(self, write: Callable[..., Path], text: Any) -> None:
        assert "is empty" in refused(write(text)).message

    def test_header_only(self, write: Callable[..., Path]) -> None:
        assert "no rows" in refused(write("a,b\n")).message

    def test_empty_gzip(self, tmp_path: Path) -> None:
        (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b""))
        assert "is empty" in refused(tmp_path / "e.csv.gz").message

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_wrong_delimiter(self, write: Callable[..., Path], delimiter: str) -> None:
        error = refused(write(f"age{delimiter}job\n1{delimiter}2\n"), target="job")
        assert "read with the delimiter ','" in error.message
        assert f"looks like {delimiter!r}" in error.message
        assert "--delimiter" in str(error.hint)

    def test_wrong_delimiter_given(self, write: Callable[..., Path]) -> None:
        assert "looks like ','" in refused(write("age,job\n1,2\n"), target="job", delimiter=";").message

    def test_wrong_delimiter_with_commas_in_names(self, write: Callable[..., Path]) -> None:
        error = refused(write("size, cm;weight, kg;job\n1;2;3\n"), target="job")
        assert "looks like ';'" in error.message

    def test_a_delimiter_of_two_characters(self, write: Callable[..., Path]) -> None:
        assert "'::'" in refused(write("a::b\n1::2\n"), delimiter="::").message

    def test_no_such_target_has_near_names(self, write: Callable[..., Path]) -> None:
        error = refused(write("age,income,job\n1,2,3\n"), target="Incme")
        assert "no column 'Incme' (the target)" in error.message
        assert "age, income, job" in error.message
        assert error.hint == "Did you mean 'income'?"

    def test_a_file_without_a_header(self, write: Callable[..., Path]) -> None:
        error = refused(write("5.1,3.5,1.4\n4.9,3.0,1.4\n"), target="class")
        assert "first line looks like data" in str(error.hint)

    def test_duplicate_names(self, write: Callable[..., Path]) -> None:
        error = refused(write("a,b,a\n1,2,3\n"))
        assert "'a' is column 1 and 3" in error.message
        assert "--drop a" in str(error.hint)

    def test_duplicate_names_in_arrow(self, tmp_path: Path) -> None:
        table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
        pq.write_table(table, tmp_path / "t.parquet")
        assert "'a' is column 1 and 2" in refused(tmp_path / "t.parquet").message

    def test_a_line_with_too_many_cells(self, write: Callable[..., Path]) -> None:
        error = refused(write("a,b\n1,2\n3,4\n5,6,7\n"))
        assert "line 4 has 3 cells; expected 2" in error.message

    def test_rows_longer_than_the_header(self, write: Callable[..., Path]) -> None:
        assert "cells" in refused(write("a,b\n1,2,3\n4,5,6\n")).message

    def test_latin_1(self, write: Callable[..., Path]) -> None:
        error = refused(write("stadt\nZürich\n", encoding="latin-1"))
        assert "not UTF-8" in error.message
        assert "iconv" in str(error.hint)

    def test_utf_16(self, write: Callable[..., Path]) -> None:
        assert "UTF-16" in refused(write("a,b\n1,2\n", encoding="utf-16")).message

    def test_cut_gzip(self, mixed_csv: Path) -> None:
        mixed_csv.write_bytes(mixed_csv.read_bytes()[:-200])
        assert "damaged or incomplete" in refused(mixed_csv).message

    def test_cut_parquet(self, mixed: pd.DataFrame, tmp_path: Path) -> None:
        mixed.to_parquet(tmp_path / "m.parquet")
        (tmp_path / "m.parquet").write_bytes((tmp_path / "m.parquet").read_bytes()[:-200])
        assert "damaged or incomplete" in refused(tmp_path / "m.parquet").message

    @pytest.mark.parametrize(("head", "what"), [(b"PK\x03\x04", "Excel"), (b"\x89HDF", "HDF5"), (b"a\0b", "binary")])
    def test_foreign_formats(self, tmp_path: Path, head: bytes, what: str) -> None:
        (tmp_path / "t.csv").write_bytes(head + b" some more bytes")
        assert what in refused(tmp_path / "t.csv").message

    def test_nested_columns(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [[1, 2], [3]]}), tmp_path / "t.parquet")
        error = refused(tmp_path / "t.parquet")
        assert "'a'" in error.message


def test_data_version_is_of_the_bytes(write: Callable[..., Path]) -> None:
    one, other = write("a\n1\n", "one.csv"), write("a\n1\n", "other.csv")
    assert data_version(one) == data_version(other)
    assert len(data_version(one)) == 64
    assert data_version(write("a\n2\n", "third.csv")) != data_version(one)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, omniforge.data; print(any(m in sys.modules for m in ('pandas', 'pyarrow', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

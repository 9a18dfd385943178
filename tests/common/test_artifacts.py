import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common import artifacts


def fill(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "a.bin").write_bytes(b"abc")


def test_a_folder_is_written_atomically_with_its_meta_and_hash(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "thing"
    digest = artifacts.write_folder(target, fill, {"dim": 3})
    assert artifacts.read_meta(target) == {"dim": 3}
    artifacts.verify(target, digest)
    assert [path.name for path in target.parent.iterdir()] == ["thing"]


def test_the_hash_depends_on_names_and_bytes(tmp_path: Path) -> None:
    one = artifacts.write_folder(tmp_path / "one", fill, {})
    assert artifacts.write_folder(tmp_path / "two", fill, {}) == one
    assert artifacts.write_folder(tmp_path / "three", fill, {"x": 1}) != one
    (tmp_path / "two" / "inner" / "a.bin").rename(tmp_path / "two" / "inner" / "b.bin")
    with pytest.raises(artifacts.Damaged):
        artifacts.verify(tmp_path / "two", one)


def test_a_failed_fill_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        fill(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        artifacts.write_folder(tmp_path / "thing", broken, {})
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_is_never_overwritten(tmp_path: Path) -> None:
    digest = artifacts.write_folder(tmp_path / "thing", fill, {})
    with pytest.raises(FileExistsError):
        artifacts.write_folder(tmp_path / "thing", fill, {"newer": True})

    def overtaken(folder: Path) -> None:
        fill(folder)
        artifacts.write_folder(tmp_path / "other", fill, {})

    with pytest.raises(FileExistsError):
        artifacts.write_folder(tmp_path / "other", overtaken, {"slower": True})
    artifacts.verify(tmp_path / "thing", digest)
    artifacts.verify(tmp_path / "other", digest)


def test_concurrent_writers_write_a_folder_once(tmp_path: Path) -> None:
    calls = []

    def slowly(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.1)
        fill(folder)

    target = tmp_path / "cache" / "thing"
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(artifacts.write_once, target, slowly, {"dim": 3}) for _ in range(4)]
        assert [future.result() for future in futures] == [target] * 4
    assert len(calls) == 1 and artifacts.read_meta(target) == {"dim": 3}


def test_a_missing_or_unreadable_folder_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{")
    for call in (
        lambda: artifacts.read_meta(tmp_path),
        lambda: artifacts.read_meta(tmp_path / "none"),
        lambda: artifacts.folder_hash(tmp_path / "none"),
    ):
        with pytest.raises(artifacts.Damaged):
            call()


def test_a_file_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("old", "new"):
        artifacts.write_file(path, lambda part, text=text: part.write_text(text))
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_removing_and_clearing_leave_other_folders(tmp_path: Path) -> None:
    artifacts.write_folder(tmp_path / "thing", fill, {})
    artifacts.remove_folder(tmp_path / "thing")
    artifacts.remove_folder(tmp_path / "thing")
    young, old = tmp_path / "a.part-1-x", tmp_path / "b.part-2-x"
    young.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 100, time.time() - 100))
    assert artifacts.clear_parts(tmp_path, 50) == 1
    assert list(tmp_path.iterdir()) == [young]

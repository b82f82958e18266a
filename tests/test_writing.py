"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR

import pytest

from flowgraph.errors import FlowError
from flowgraph.writing import temporary_of, write_bytes, write_text


def test_parts_are_written_one_after_the_other(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"one", memoryview(b"two"), b"")
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "ξ\r\n\n")
    assert (tmp_path / "a").read_bytes() == b"\xce\xbe\r\n\n"


def test_what_is_written_reaches_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        done.append("sync folder" if S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def noted_replace(old: Path, new: Path) -> None:
        done.append(f"rename to {Path(new).name}")
        assert Path(old).read_bytes() == b"new" and Path(old).parent == Path(new).parent
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_bytes(tmp_path / "a", b"new")
    assert done == ["sync file", "rename to a", "sync folder"]


@pytest.mark.parametrize("function", ["fsync", "replace", "fchmod"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(FlowError, match="No space left on device") as caught:
            write_bytes(path, b"new")
    assert caught.value.diagnostics[0].code == "E0701"
    assert "make room" in caught.value.diagnostics[0].help
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_where_it_is_not_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"kept")
    link.symlink_to(real)
    write_bytes(link, b"new", follow=False)
    assert not link.is_symlink() and link.read_bytes() == b"new" and real.read_bytes() == b"kept"


def test_a_temporary_file_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def look(*_: object) -> None:
        seen.extend(p.name for p in tmp_path.iterdir())

    monkeypatch.setattr(os, "fsync", look)
    write_bytes(tmp_path / "model.safetensors", b"new")
    assert temporary_of(seen[0]) == "model.safetensors"
    for other in ("model.safetensors", ".a.tmp", ".flowgraph-tmp", "a.b.flowgraph-tmp"):
        assert temporary_of(other) is None

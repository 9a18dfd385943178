"""The record of a run, and the download of its weights."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from common import code_version, tar_stream
from common.jobs import JobState
from common.messages import message
from curation.models import Generator, Project
from tests.tiny_models import tiny_generator
from tuning import tasks
from tuning.models import Component, Cycle, Dataset, Run
from tuning.training import merged_weights, run_record, training_runs


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny base and an adapter that changes its output."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = tiny_generator(tmp_path_factory.mktemp("base"))
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return base, folder


@pytest.fixture
def run(project: Project, adapter: tuple[Path, Path]) -> Run:
    base, folder = adapter
    dataset = Dataset.objects.create(project=project, number=1, sha256="0")
    cycle = Cycle.objects.create(project=project, dataset=dataset, state=JobState.DONE)
    row = Run.objects.create(
        cycle=cycle, dataset=dataset, component=Component.GENERATOR, state=JobState.DONE, path="runs/tiny"
    )
    checkpoint = training_runs.run_folder(row) / "checkpoint"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if not checkpoint.exists():
        checkpoint.symlink_to(folder)
    row.generator = Generator.objects.create(
        name="tiny", base_path=str(base), adapter_path="runs/tiny/checkpoint", sha256="t" * 64
    )
    row.save()
    return row


def unpacked(response: Any) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(response.streaming_content))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_tar_holds_every_file_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights.bin").write_bytes(b"x" * 700_001)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / ("long " * 30)).write_bytes(b"name")
    first = b"".join(tar_stream.stream(tmp_path, "run"))
    assert first == b"".join(tar_stream.stream(tmp_path, "run"))
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert files["run/deep/weights.bin"] == b"x" * 700_001
    assert (files["run/empty"], files["run/" + "long " * 30]) == (b"", b"name")


def test_an_engineer_downloads_the_adapter(client: Client, erin: User, bob: User, run: Run) -> None:
    address = f"/p/zoo/runs/{run.pk}/trained.tar"
    client.force_login(bob)
    assert client.get(address).status_code == 403
    client.force_login(erin)
    files = unpacked(client.get(address))
    folder = training_runs.run_folder(run) / "checkpoint"
    name = f"zoo-run-{run.pk}-trained/adapter_model.safetensors"
    assert files[name] == (folder / "adapter_model.safetensors").read_bytes()
    assert client.get(f"/p/zoo/runs/{run.pk}/merged.tar").status_code == 404
    assert client.get(f"/p/zoo/runs/{run.pk}/spec.json.tar").status_code == 404


def test_the_merged_weights_give_the_scores_of_base_and_adapter(
    client: Client, erin: User, run: Run, adapter: tuple[Path, Path], tmp_path: Path, broker: None
) -> None:
    from curation.engine.generation.generator import TextGenerator

    client.force_login(erin)
    assert "being merged" in client.post(f"/p/zoo/runs/{run.pk}/merge/", follow=True).text
    tasks.merge(run.pk)
    files = unpacked(client.get(f"/p/zoo/runs/{run.pk}/merged.tar"))
    for name, data in files.items():
        (tmp_path / Path(name).name).write_bytes(data)
    pairs = [("Who sleeps?", "The lion."), ("Who swims?", "A tiger.")]
    merged, with_adapter = TextGenerator(tmp_path), TextGenerator(*adapter)
    assert merged.score(pairs) == pytest.approx(with_adapter.score(pairs), abs=1e-4)
    base = TextGenerator(adapter[0])
    assert abs(with_adapter.score(pairs) - base.score(pairs)).max() > 1e-3  # the adapter changes the scores
    run.refresh_from_db()
    before = run.record["merged"]["sha256"]
    assert merged_weights.merge(run).record["merged"]["sha256"] == before  # a second message changes nothing


def test_a_failed_merge_is_recorded_with_its_reason(run: Run) -> None:
    assert run.generator is not None
    run.generator.base_path = "/nowhere"
    run.record = {}
    import shutil

    shutil.rmtree(training_runs.run_folder(run) / "merged", ignore_errors=True)
    assert merged_weights.merge(run).record["merged"]["state"] == "failed"
    assert merged_weights.merged_folder(run) is None
    run.generator = None
    with pytest.raises(merged_weights.NoWeights):
        merged_weights.request_merge(run)


def test_the_code_version_has_the_commit_and_a_hash_of_the_code(tmp_path: Path) -> None:
    for part in code_version.PACKAGES:
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.py").write_text("pass\n")
    before = code_version.version(tmp_path)
    assert before["commit"] == ""
    (tmp_path / ".git" / "refs").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/main\n")
    (tmp_path / ".git" / "packed-refs").write_text("# pack-refs\nabc123 refs/main\n")
    assert code_version.commit(tmp_path) == "abc123"
    (tmp_path / ".git" / "refs" / "main").write_text("def456\n")
    assert code_version.commit(tmp_path) == "def456"
    code_version.version.cache_clear()
    (tmp_path / "tuning" / "a.py").write_text("pass  # changed\n")
    assert code_version.version(tmp_path)["sha256"] != before["sha256"]


def test_the_record_of_an_earlier_version_is_read_under_the_keys_of_today(run: Run) -> None:
    supervision = message("taught_by_grades", why=message("settings_ask"))
    run.record = {"taught_by": supervision.to_json(), "answering": {"together": 0.4}, "looked_at": 9}
    record = run_record.rendered_record(run)
    assert record == {"supervision": supervision, "answer_mode": {"together": 0.4}, "candidate_passages": 9}
    rows = dict(run_record.record_groups(run)[0][1])
    assert rows == {"Supervision": supervision, "Answer mode · together": 0.4, "Candidate passages": 9}


def test_the_page_shows_the_whole_record(client: Client, erin: User, run: Run) -> None:
    run.record = {
        "code": {"commit": "abc123", "sha256": "f" * 64},
        "versions": {"torch": "2.0"},
        "python": "3.11.7",
        "processor": "a small one",
        "memory_bytes": 2**31,
        "accelerator": "",
        "settings": {"lr": 0.001},
        "training_queries": 12,
        "left_out": {"without_grades": 3},
        "instances": {"train": {"gold": 8, "refusal": [1, 2]}},
        "cut_short": False,
        "choice": "both",
    }
    run.seconds = 75
    run.save()
    titles = {title: dict(rows) for title, rows in run_record.record_groups(run)}
    assert titles["Hardware"] == {"processor": "a small one", "memory_bytes": "2.0 GiB"}
    assert titles["Versions"] == {"python": "3.11.7", "torch": "2.0"}
    assert titles["Training data"] == {
        "Stopped by the time budget": "no",
        "Instances · train · gold": 8,
        "Instances · train · refusal": "1, 2",
        "Left out · without grades": 3,
        "Training queries": 12,
    }
    client.force_login(erin)
    page = client.get(f"/p/zoo/runs/{run.pk}/").text
    for text in ("abc123", "a small one", "2.0 GiB", "Training queries", "1 min 15 s", "Download the adapter"):
        assert text in page

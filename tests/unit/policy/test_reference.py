"""docs/policy.md says what the model says."""

from pathlib import Path

from services.policy.reference import filled


def test_the_tables_in_the_docs_are_in_step_with_the_model() -> None:
    page = Path(__file__).parents[3] / "docs" / "policy.md"
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run: python -m services.policy.reference docs/policy.md"


def test_the_tables_name_keys_ranges_and_defaults() -> None:
    names = ("policy", "kinds", "profiles", "presets", "site")
    page = filled("".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in names))
    assert "| `strength` | number, 0.5 to 4 | `1.0` |" in page
    assert "| `kinds.KIND.threshold` | number, 0.01 to 0.99 | `0.2` |" in page
    assert "| `hospital` | face, person, text | solid, 1 |" in page

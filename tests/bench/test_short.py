"""The short form of the bench runs through, and its ratios are not far off."""

from pathlib import Path

import pytest

from tests.bench.run import main


@pytest.mark.models
@pytest.mark.timeout(900)
def test_the_short_bench(tmp_path: Path) -> None:
    report = main(["--short", "--out", str(tmp_path)])
    assert (tmp_path / "bench.json").is_file()
    # One round on a busy machine scatters widely: this notices a broken product, the whole bench a slow one.
    assert float(str(report["deface_over_veil"])) > 3
    assert float(str(report["veil_over_floor"])) < 2.5
    assert float(str(report["rss_growth_mb_per_min"])) < 40

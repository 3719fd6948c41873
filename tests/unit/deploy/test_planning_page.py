"""docs/planning.md says what the planner says."""

from deploy import planning_page


def test_the_page_is_in_step_with_the_planner() -> None:
    text = planning_page.PAGE.read_text(encoding="utf-8")
    assert planning_page.filled(text) == text, "run: python -m deploy.planning_page"


def test_every_plan_on_the_page_is_for_the_city() -> None:
    assert all("--cameras 22000" in command for command in planning_page.PLANS.values())

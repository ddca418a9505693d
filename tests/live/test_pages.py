"""What a user sees in a browser: Dagster's UI and the endpoint's page, on a machine with no way out."""

from playwright.sync_api import Page, expect

from tests.live.project import Project

GROUPS = ("raw", "staging", "intermediate", "features", "labels", "late_arrival")


def test_the_lineage_shows_every_group(project: Project, page: Page) -> None:
    page.goto(f"{project.ui}/asset-groups")
    for group in GROUPS:
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_feature_table_shows_its_columns_checks_and_owner(project: Project, page: Page) -> None:
    page.goto(f"{project.ui}/assets/features/flight_features")
    page.get_by_text("data", exact=True).first.wait_for()
    page.get_by_placeholder("Filter columns").fill("origin_n_overdue")
    page.get_by_text("origin_n_overdue", exact=True).first.wait_for()
    page.goto(f"{project.ui}/assets/features/flight_features?view=checks&checkDetail=leakage")
    page.get_by_text("blocking", exact=True).first.wait_for()
    page.get_by_text("Passed", exact=True).first.wait_for()


def test_an_evaluation_shows_its_metrics_pictures_and_gate(project: Project, page: Page) -> None:
    page.goto(f"{project.ui}/assets/late_arrival/evaluation")
    page.get_by_text("roc_auc").first.wait_for()
    page.goto(f"{project.ui}/assets/late_arrival/evaluation?view=checks")
    page.get_by_text("gate").first.wait_for()


def test_the_endpoint_page_asks_about_a_flight_to_come_and_tells_why(project: Project, page: Page) -> None:
    page.goto(project.endpoint)
    page.get_by_role("searchbox").fill("jfk b6")
    page.get_by_label("Those to come").select_option(index=0)
    assert page.locator("#field-origin_id").input_value() == "JFK"
    page.locator(".score").wait_for()
    told = page.locator("#answer").inner_text()
    assert project.champion()[:12] in told and "Odds of is_late" in told
    page.get_by_role("button", name="What does it rest on?").click()
    page.get_by_text("Everything is as it was.").wait_for(timeout=120_000)
    assert page.locator(".lineage g").count() == 1 + page.locator(".steps tbody tr").count() > 10
    page.get_by_text("Intervals are by drawing").wait_for()
    page.get_by_text("promoted", exact=True).first.wait_for()


def test_the_endpoint_page_is_used_by_keyboard_and_names_a_wrong_field(project: Project, page: Page) -> None:
    page.goto(project.endpoint)
    expect(page.locator("#field-carrier_id")).not_to_have_value("")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#field-scheduled_dep_at").fill("tomorrow")
    page.keyboard.press("Enter")
    wrong = page.locator(".field.wrong")
    wrong.locator(".why").wait_for()
    assert "scheduled dep at" in wrong.inner_text()
    names = page.evaluate(
        "[...document.querySelectorAll('main input, main select, main button')]"
        ".map((one) => one.labels?.[0]?.textContent || one.textContent)"
    )
    assert all(name.strip() for name in names)


def test_the_endpoint_page_fits_a_phone(project: Project, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(project.endpoint)
    page.get_by_role("button", name="Predict").click()
    page.locator(".score").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_endpoint_s_routes_can_be_tried(project: Project, page: Page) -> None:
    page.goto(f"{project.endpoint}/docs")
    page.get_by_text("/predict", exact=True).first.click()
    page.get_by_role("button", name="Execute").first.click()
    answer = page.locator(".live-responses-table").first
    answer.wait_for()
    answer.get_by_text("200", exact=True).first.wait_for()
    assert project.champion() in answer.inner_text()

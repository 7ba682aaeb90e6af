"""The admin's Content-Security-Policy in a browser: it stops what it should, and nothing else.

That no page breaks it is part of every other test here: a violation is an error in the console, and
`Desk` fails on those.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse

from tests.browser.desk import Desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
INSERT = """() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    const image = document.createElement("div");
    image.innerHTML = "<img src=x onerror='window.ran = true'>";
    document.body.append(image);
}"""


def test_a_script_in_a_page_does_not_run(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("viewer")
    page = desk.open(reverse("admin:index"))
    assert desk.errors == []

    page.evaluate(INSERT)
    page.wait_for_function("() => document.images.length && document.images[0].complete")

    assert page.evaluate("window.ran === undefined")
    assert [said for said in desk.errors if "Content Security Policy" in said] != []

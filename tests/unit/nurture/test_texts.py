"""Texts: a closed list of variables, nothing else in reach, and safe with any name (P21)."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture import markup, texts

ROSA: dict[str, object] = {
    "first_name": "Rosa", "last_name": "Maro", "course_title": "Spanish", "session_title": "A2",
    "session_date": "Tuesday 2 June", "session_time": "19:00", "minutes_present": 42, "streak": 2,
    "next_session_title": "A2", "next_session_date": "Tuesday 9 June", "next_session_time": "19:00",
    "next_session_url": "https://meet.google.com/abc", "bot_username": "telbot",
}  # fmt: skip
HELLO = "Hi <b>{{ first_name }}</b>, we missed you."
GREETING = "Hi {{ first_name | default: 'there' }}!"
PIECES = (
    "<b>", "</a>", "<a href='x'>", "&lt;", "&", "\"", "'", "<", ">", "<!--", "-->", "<?",
    "<![CDATA[",
    "\u202e", "\u200b", "\u2066", "\ud800", "\0", "\n", "\r\n", "\u2028", "\t", "{{7*7}}",
    "{{ 7 | times: 7 }}", "{% if x %}", "%}", "{{", "}}", "&nbsp;", "&#0;", "&#x3c;b&#x3e;",
    "é", "Ω",
    "🙂", "👩‍👧", "א", "ا", "Rosa", " ",
)  # fmt: skip
MADE = random.Random(2026)
HOSTILE = [
    "<b>", "</a>", "\u202eRosa", "{{7*7}}", "x" * 10_000, "<b>" * 3_000, "&" * 10_000,
    "Rosa</b><a href='https://evil.example'>", "{% raw %}", "O'Hara & <Sons>", "\u200d",
    *("".join(MADE.choices(PIECES, k=MADE.randint(1, 12))) for _ in range(200)),
]  # fmt: skip


# --- variables ------------------------------------------------------------------------------------


def test_the_variables_are_a_closed_list() -> None:
    """P21: the closed list that docs/sequences.md tells."""
    assert list(texts.VARIABLES) == list(ROSA)
    assert all(texts.VARIABLES.values())


@pytest.mark.parametrize("name", texts.VARIABLES)
def test_every_variable_is_shown_and_checked(name: str) -> None:
    text = f"It is {{{{ {name} }}}}."
    assert texts.render(text, ROSA) == f"It is {ROSA[name]}."
    assert texts.check(text) == []


@pytest.mark.parametrize("name", texts.VARIABLES)
@pytest.mark.parametrize("value", [None, "", " \n\u200b "], ids=["none", "empty", "blank"])
def test_a_variable_without_a_value_is_missing_by_name(name: str, value: str | None) -> None:
    """P21: a send with a missing one is blocked, never "Hi ,"."""
    with pytest.raises(texts.MissingVariable) as caught:
        texts.render(f"Hi {{{{ {name} }}}},", {**ROSA, name: value})
    assert str(caught.value) == name


def test_a_variable_that_is_not_even_named_is_missing() -> None:
    with pytest.raises(texts.MissingVariable, match=r"\Asession_title\Z"):
        texts.render("{{ first_name }} {{ session_title }}", {"first_name": "Rosa"})


@pytest.mark.parametrize("variables", [{}, {"first_name": None}, {"first_name": ""}])
def test_a_default_stands_in(variables: dict[str, object]) -> None:
    """P21."""
    assert texts.render(GREETING, variables) == "Hi there!"


@pytest.mark.parametrize("value", [0, False])
def test_nought_is_a_value(value: object) -> None:
    assert texts.render("{{ minutes_present }} minutes", {"minutes_present": value}) == (
        f"{value} minutes".lower()
    )


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        pytest.param("Hi{% if first_name %}, {{ first_name }}{% endif %}!", {}, "Hi!", id="if not"),
        pytest.param(
            "Hi{% if first_name %}, {{ first_name }}{% endif %}!", ROSA, "Hi, Rosa!", id="if"
        ),
        pytest.param("Hi{% unless streak %}!{% endunless %}", {}, "Hi!", id="unless"),
        pytest.param(
            "{% case streak %}{% when 2 %}Twice{% else %}Once{% endcase %}",
            ROSA,
            "Twice",
            id="case",
        ),
        pytest.param("{% assign n = streak | plus: 1 %}{{ n }}", ROSA, "3", id="assign"),
        pytest.param("{% comment %}not shown{% endcomment %}Hi", {}, "Hi", id="comment"),
        pytest.param("{% # not shown %}Hi", {}, "Hi", id="inline comment"),
        pytest.param("{{ first_name | upcase }}", ROSA, "ROSA", id="upcase"),
        pytest.param("{{ first_name | truncate: 3, '' }}", ROSA, "Ros", id="truncate"),
        pytest.param("1 &lt; 2", {}, "1 &lt; 2", id="entity"),
    ],
)
def test_what_a_text_may_do(text: str, variables: dict[str, object], expected: str) -> None:
    assert texts.check(text) == []
    assert texts.render(text, variables) == expected


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    [
        "{% for i in (1..9) %}x{% endfor %}", "{% tablerow i in (1..9) %}x{% endtablerow %}",
        "{% include 'x' %}", "{% render 'x' %}", "{% capture x %}y{% endcapture %}",
        "{% cycle 'a', 'b' %}", "{% increment x %}", "{% decrement x %}", "{% echo first_name %}",
        "{% liquid assign x = 1 %}", "{% raw %}{{ x }}{% endraw %}",
        "{%- raw -%}{{ x }}{%- endraw -%}", "{% ifchanged %}{% endifchanged %}",
        "{% extends 'x' %}", "{% block x %}{% endblock %}", "{% macro x %}{% endmacro %}",
        "{% load static %}", "{% debug %}", "{% include settings.SECRET_KEY %}",
    ],
)  # fmt: skip
def test_other_tags_are_refused(tag: str) -> None:
    """P21: no loops, no files, nothing that is not on the list."""
    assert len(texts.check(f"Hi {tag}")) == 1
    with pytest.raises(texts.TextError):
        texts.render(f"Hi {tag}", ROSA)


@pytest.mark.parametrize(
    "name",
    ["safe", "split", "join", "map", "where", "sort", "concat", "date", "url_encode",
     "newline_to_br", "strip_html", "escape_once", "slice", "size", "base64_decode", "attr",
     "no_such_filter"],
)  # fmt: skip
def test_other_filters_are_refused(name: str) -> None:
    """P21."""
    text = f"Hi {{{{ first_name | {name}: '1' }}}}"
    assert texts.check(text) == [f"unknown filter {name!r}"]
    with pytest.raises(texts.TextError):
        texts.render(text, ROSA)


@pytest.mark.parametrize("name", ["settings", "user", "request", "email", "first_nam", "forloop"])
def test_other_variables_are_refused(name: str) -> None:
    """P21: at save, also where a branch hides it or a default would cover it."""
    for text in (
        f"Hi {{{{ {name} }}}}",
        f"Hi {{{{ {name} | default: 'x' }}}}",
        f"Hi {{% if streak == 99 %}}{{{{ {name} }}}}{{% endif %}}",
        f"Hi {{% if {name} %}}x{{% endif %}}",
    ):
        (problem,) = texts.check(text)
        assert problem.startswith(f"unknown variable {name!r}; known are first_name, ")


def test_what_is_passed_but_not_listed_is_out_of_reach() -> None:
    with pytest.raises(texts.MissingVariable, match="secret"):
        texts.render("{{ secret }}", {"secret": "s3cret"})


@pytest.mark.parametrize(
    "path", ["__class__", "__class__.__mro__", "__init__.__globals__", "format", "upper", "size"]
)
def test_nothing_hangs_on_a_value(path: str) -> None:
    """P21: no method, no attribute."""
    text = f"Hi {{{{ first_name.{path} }}}}"
    try:
        shown = texts.render(text, ROSA)
    except texts.TextError:
        return
    assert path == "size"
    assert shown == "Hi 4"


@pytest.mark.parametrize(
    "text",
    ["{{", "{% if first_name %}", "{% endif %}", "{{ first_name | }}", "{% case %}", "{{ 'a }}"],
)
def test_what_is_no_template_is_refused_in_one_line(text: str) -> None:
    problems = texts.check(text)
    assert len(problems) == 1
    assert problems[0]
    assert "\n" not in problems[0]


@pytest.mark.parametrize(
    "text",
    ["<b>Hi", "Hi</b>", "<h1>Hi</h1>", "Hi<br>", "1 < 2", "Hi&nbsp;you", "", " ", "x" * 4097,
     "<a href='javascript:x'>Hi</a>", "<b onclick='x'>Hi</b>", "<!-- Hi -->"],
)  # fmt: skip
def test_what_telegram_would_refuse_is_refused(text: str) -> None:
    assert texts.check(text) == markup.problems(text) != []
    with pytest.raises(texts.TextError):
        texts.render(text, ROSA)


# --- hostile names --------------------------------------------------------------------------------


def fine(name: str, text: str = HELLO) -> str | None:
    """What is shown to somebody of this name; None if nothing is left of it."""
    try:
        shown = texts.render(text, {**ROSA, "first_name": name, "session_title": name[:900]})
    except texts.MissingVariable:
        return None
    assert markup.problems(shown) == []
    return shown


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    """P21: markup stays whole, nothing is computed, nothing turns the line round."""
    shown = fine(name)
    if shown is None:
        return
    inner = shown.removeprefix("Hi <b>").removesuffix("</b>, we missed you.")
    assert "<" not in inner
    assert not set("\u202e\u200b\u2066\n\r\0\ud800") & set(shown)
    assert len(shown) < 500
    shown.encode()


@given(name=st.text())
def test_any_name_is_only_a_name(name: str) -> None:
    """P21: in a name and in a title, which is not cut to a name's length."""
    fine(name)
    fine(name, "<b>{{ session_title }}</b> for {{ first_name | upcase }}")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>", "Hi &lt;b&gt;!"),
        ("{{7*7}}", "Hi {{7*7}}!"),
        ("O'Hara & Sons", "Hi O&#39;Hara &amp; Sons!"),
        ("\u202eRosa\n\nMaro", "Hi Rosa Maro!"),
        ("x" * 10_000, f"Hi {'x' * 64}!"),
        ("\u202e\u200b", "Hi there!"),
    ],
    ids=["tag", "liquid", "entities", "direction", "endless", "nothing left"],
)
def test_how_a_hostile_name_is_shown(name: str, shown: str) -> None:
    assert texts.render(GREETING, {"first_name": name}) == shown


def test_a_name_is_shown_as_it_is_written() -> None:
    family = "👩\u200d👧 Ana María Ω"
    assert texts.render(GREETING, {"first_name": family}) == f"Hi {family}!"


# --- bombs ----------------------------------------------------------------------------------------


def doubled(times: int) -> str:
    """A text that doubles a word so many times."""
    step = "{% assign x = x | append: x %}"
    return "{% assign x = 'laughter' %}" + step * times + "{{ x }}"


@pytest.mark.parametrize("times", [10, 12, 60])
def test_a_text_cannot_grow_without_bound(times: int) -> None:
    with pytest.raises(texts.TextError):
        texts.render(doubled(times), ROSA)
    assert texts.check(doubled(times))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(doubled(60).removesuffix("{{ x }}"), id="nothing of it shown"),
        pytest.param(
            "{{ 'x'" + " | replace: '', 'xxxxxxxxxx'" * 40 + " | truncate: 5 }}", id="one"
        ),
        pytest.param("{{ 'x' | replace: '', '" + "y" * 20_001 + "' }}", id="one literal"),
        pytest.param("{{ 'x' | append: '" + "y" * 20_001 + "' }}", id="append"),
        pytest.param(
            "{% assign x = 9 %}" + "{% assign x = x | times: x %}" * 60 + "ok", id="squares"
        ),
        pytest.param("{{ streak | times: 99999999999 | times: 99999999999 }}", id="a number"),
        pytest.param("{{ '1e308' | times: 10 | round }}", id="beyond numbers"),
        pytest.param("{{ streak | divided_by: 0 }}", id="by nought"),
        pytest.param("{{ '1e999' | round }}", id="infinite"),
        pytest.param("{{ 'nan' | round }}", id="no number"),
        pytest.param("{{ 9" + "9" * 5000 + " | plus: 1 }}", id="a long number"),
        pytest.param("{% if true %}" * 300 + "x" + "{% endif %}" * 300, id="deep"),
        pytest.param("{% if streak " + "and streak " * 3000 + "%}x{% endif %}", id="a long if"),
        pytest.param(
            "".join(f"{{% assign x{n} = '{'y' * 999}' %}}" for n in range(999)), id="many names"
        ),
    ],
)
def test_no_bomb_goes_off(text: str) -> None:
    """P21: refused at save and at rendering, long before the memory is full."""
    assert texts.check("Hi " + text)
    with pytest.raises(texts.TextError):
        texts.render("Hi " + text, ROSA)


# --- dates ----------------------------------------------------------------------------------------

MOMENTS: list[Any] = [
    ("2026-06-02 19:05", "en", "Tuesday 2 June", "19:05"),
    ("2026-12-06 09:00", "en-GB", "Sunday 6 December", "09:00"),
    ("2026-01-07 00:00", "es", "miércoles 7 de enero", "00:00"),
    ("2026-09-05 23:59", "ES-mx", "sábado 5 de septiembre", "23:59"),
    ("2026-06-02 19:05", "de", "Tuesday 2 June", "19:05"),
    ("2026-06-02 19:05", "", "Tuesday 2 June", "19:05"),
]


@pytest.mark.parametrize(("at", "language", "day", "hour"), MOMENTS)
def test_dates_and_times_in_words(at: str, language: str, day: str, hour: str) -> None:
    """English and Spanish; any other language reads English."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert texts.date_words(moment, language) == day
    assert texts.time_words(moment, language) == hour

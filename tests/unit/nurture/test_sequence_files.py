"""Sequences as files: read with every problem and its line, written in one canonical form."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nurture
from nurture.domain.sequence import (
    Again,
    Condition,
    Entry,
    EntryKey,
    Fact,
    Mode,
    SequenceSpec,
    Step,
    StepKind,
    Trigger,
    Wait,
    WaitKind,
    Window,
)
from nurture.sequence_files import SequenceFileError, read, write

OURS = sorted((Path(nurture.__file__).parent / "sequences").glob("*.yaml"))

EXAMPLE = """\
sequence: missed-class            # stable slug
name: We missed you
category: attendance              # consent category
entry: {key: session, again: after 7d, open: 1}
window: {opens: "09:00", closes: "20:00", days: [mon, tue, wed, thu, fri]}
triggers:
  - {fact: missed, course: any, times: 1}
exit_when: [attended, opted_out]
steps:
  - key: hello
    wait: {after: 0m}
    text: "Hi {{ first_name | default: 'there' }}, we missed you in {{ session_title }}."
    buttons: [[{text: I was there, action: dispute}, {text: See you, action: pledge_next}]]
    expires: 24h
  - key: reminder
    wait: {before_next_session: 2h, if_past: skip}
    when: {not: pledged_next}
    text: "<b>{{ next_session_title }}</b> starts at {{ next_session_time }}."
"""

HELLO = "Hi {{ first_name | default: 'there' }}, we missed you in {{ session_title }}."

EVERY_KIND = """\
sequence: all-kinds
name: no
entry: {key: learner, again: never, open: 2}
window: {opens: 22:00, closes: 06:00}
triggers:
  - {fact: missed_pledged, course: spanish@example.org, times: 3}
priority: 5
cap: {per_day: 2}
holdout: 10
mode: dry_run
steps:
  - {key: pause, kind: wait, wait: {until_event: pledged, or_after: 2d}}
  - {key: fork, kind: branch, when: {any: ["tag:vip", {all: [replied, "language:no"]}]},
     then: drawn, else: marked}
  - {key: drawn, kind: split, arms: {marked: 30, asked: 70}}
  - {key: marked, kind: tag, add: quiet}
  - {key: cleared, kind: tag, remove: vip}
  - {key: asked, kind: handover, to: teacher, note: Please call}
  - {key: late, wait: {at: "09:00", plus_days: 1}, enabled: false, text: "Hello"}
  - {key: done, kind: exit, wait: {after: 30m}, reason: told}
languages:
  no: {late: Hei}
  es: {late: Hola}
"""


def test_the_example_of_the_manual_reads_as_it_says() -> None:
    """P28: durations, local times, days, buttons and conditions come out as values."""
    assert read(EXAMPLE) == SequenceSpec(
        slug="missed-class",
        name="We missed you",
        category="attendance",
        entry=Entry(again=Again.AFTER, again_after=timedelta(days=7)),
        window=Window(opens=time(9), closes=time(20), days=0b0011111),
        triggers=(Trigger(fact=Fact.MISSED),),
        exit_when=("attended", "opted_out"),
        steps=(
            Step(
                key="hello",
                text=HELLO,
                buttons=((("I was there", "dispute"), ("See you", "pledge_next")),),
                expires=timedelta(hours=24),
            ),
            Step(
                key="reminder",
                wait=Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=timedelta(hours=2)),
                when=Condition(op="not", parts=(Condition(op="is", name="pledged_next"),)),
                text="<b>{{ next_session_title }}</b> starts at {{ next_session_time }}.",
            ),
        ),
    )


def test_every_kind_and_every_key_is_read() -> None:
    """All kinds of steps; `no` is Norwegian (or a name) and 22:00 a time, as in YAML 1.2."""
    spec = read(EVERY_KIND)

    assert [step.kind for step in spec.steps] == [
        StepKind.WAIT, StepKind.BRANCH, StepKind.SPLIT, StepKind.TAG, StepKind.TAG,
        StepKind.HANDOVER, StepKind.MESSAGE, StepKind.EXIT,
    ]  # fmt: skip
    assert spec.name == "no"
    assert spec.entry == Entry(key=EntryKey.LEARNER, again=Again.NEVER, open=2)
    assert spec.window == Window(opens=time(22), closes=time(6))
    assert (spec.priority, spec.cap_per_day, spec.holdout) == (5, 2, 10)
    assert spec.mode is Mode.DRY_RUN
    assert spec.steps[6].texts == {"no": "Hei", "es": "Hola"}
    assert not spec.steps[6].enabled
    assert spec.steps[2].options["arms"] == {"marked": 30, "asked": 70}


def test_what_may_be_left_out_has_its_default() -> None:
    """Always open, keyed by session and every key, the default category, due at once."""
    spec = read("sequence: short\nsteps: [{key: only, text: Hello}]\n")

    assert spec == SequenceSpec(slug="short", name="short", steps=(Step(key="only", text="Hello"),))


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        pytest.param("name: We", "nmae: We", 2, "unknown key 'nmae'", id="unknown key"),
        pytest.param("after 7d", "after 7w", 4, "'7w' is no duration", id="duration in again"),
        pytest.param("open: 1}", "open: 0}", 4, "whole number from 1", id="open"),
        pytest.param('"20:00"', '"25:00"', 5, "'25:00' is no time", id="time"),
        pytest.param("thu, fri]", "thu, frd]", 5, "'frd' is not one of", id="weekday"),
        pytest.param("fact: missed", "fact: mised", 7, "'mised' is not one of", id="fact"),
        pytest.param("times: 1}", "times: one}", 7, "whole number", id="wrong type"),
        pytest.param("[attended,", "[atended,", 8, "'atended' is not one of", id="event"),
        pytest.param("key: hello", "key: reminder", 15, "second step", id="two of one key"),
        pytest.param("{after: 0m}", "{after: 0}", 11, "is no duration", id="number as duration"),
        pytest.param("{after: 0m}", "{after: 0m, at: x}", 11, "say one of", id="two waits"),
        pytest.param("first_name |", "frist_name |", 12, "'frist_name'", id="variable"),
        pytest.param("session_title }}", "session_title", 12, "", id="liquid syntax"),
        pytest.param("action: dispute", f"action: {'x' * 41}", 13, "is no action", id="action"),
        pytest.param("expires: 24h", "expires: soon", 14, "is no duration", id="expires"),
        pytest.param("if_past: skip", "if_past: no", 16, "'no' is not one of", id="if_past"),
        pytest.param("not: pledged_next", "not: pleged", 17, "'pleged'", id="condition"),
        pytest.param("</b>", "</i>", 18, "</i>", id="markup"),
    ],
)
def test_each_problem_has_its_line(old: str, new: str, line: int, words: str) -> None:
    """P28: the line counts from 1, as editors count."""
    assert old in EXAMPLE
    with pytest.raises(SequenceFileError) as caught:
        read(EXAMPLE.replace(old, new))

    found = [problem for problem in caught.value.problems if problem.line == line]
    assert found, str(caught.value)
    assert any(words in problem.message for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("then: drawn", "then: nowhere", "no step 'nowhere'", id="no such target"),
        pytest.param("else: marked", "else: pause", "a circle", id="back"),
        pytest.param("else: marked", "else: fork", "a circle", id="to itself"),
        pytest.param("asked: 70", "asked: 0", "from 1", id="no weight"),
        pytest.param("arms: {marked: 30, asked: 70}", "arms: {}", "weights", id="no arms"),
        pytest.param("or_after: 2d", "or_aftr: 2d", "or_after", id="no time-out"),
        pytest.param("add: quiet", "note: quiet", "add", id="tag without a tag"),
        pytest.param('"tag:vip"', '"tag:"', "tag:", id="tag without a name"),
        pytest.param("es: {late", "ES: {late", "'ES'", id="language"),
        pytest.param("es: {late", "es: {lat", "no step 'lat'", id="text of no step"),
        pytest.param('text: "Hello"', 'text: "{% for x in y %}{% endfor %}"', "for", id="a loop"),
    ],
)
def test_structure_is_checked(old: str, new: str, words: str) -> None:
    """P28: jumps lead forward to steps that exist; nothing is silently ignored."""
    assert old in EVERY_KIND
    with pytest.raises(SequenceFileError, match=r"line \d+: ") as caught:
        read(EVERY_KIND.replace(old, new))

    assert words in str(caught.value)


def test_all_problems_come_at_once_in_order() -> None:
    """One look at the list is enough to mend the file."""
    broken = EXAMPLE.replace("after 7d", "often").replace("missed,", "mist,").replace("24h", "1w")

    with pytest.raises(SequenceFileError) as caught:
        read(broken)

    assert [problem.line for problem in caught.value.problems] == [4, 7, 14]


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b\n", "just words", "a: [", "a: 1\na: 2\n", "sequence: x\nsteps: 3\n", "%\x01"],
    ids=["empty", "a list", "words", "no YAML", "a key twice", "steps: a number", "control"],
)
def test_what_is_no_sequence_is_refused_with_a_line(text: str) -> None:
    """P28: never a traceback, whatever the file holds."""
    with pytest.raises(SequenceFileError, match=r"^line \d+: "):
        read(text)


@pytest.mark.parametrize(
    "text", [EXAMPLE, EVERY_KIND, *(path.read_text() for path in OURS)],
    ids=["example", "every kind", *(path.stem for path in OURS)],
)  # fmt: skip
def test_the_canonical_form_is_a_fixed_point(text: str) -> None:
    """P28: reading and writing again changes no value and no byte."""
    spec = read(text)
    written = write(spec)

    assert read(written) == spec
    assert write(read(written)) == written


_TEXT = st.text(
    alphabet=st.sampled_from("ab \n\t#:-'\"!*?|%@`ñ1é😀\x85\u2028[],~\\"), min_size=1, max_size=20
)
_LINE = _TEXT.map(str.strip).filter(bool)
_MESSAGE = _TEXT.map(lambda text: text.rstrip("\n")).filter(lambda text: bool(text.strip()))


@given(text=_MESSAGE, other=_MESSAGE, name=_LINE, label=_LINE)
def test_no_text_is_changed_on_the_way(text: str, other: str, name: str, label: str) -> None:
    """P28: quotes, edges, line breaks of all kinds and YAML's own signs survive."""
    step = Step(key="k", text=text, texts={"es": other}, buttons=(((label, "dispute"),),))
    spec = SequenceSpec(slug="s", name=name, steps=(step,))

    assert read(write(spec)) == spec


PLAIN = "sequence: s\nsteps:\n  - {key: a, text: x}\n"
BRANCH = "sequence: s\nsteps:\n  - {key: a, kind: branch, when: nonsense, then: b, else: b}\n"
BRANCH += "  - {key: b, text: x}\n"


@pytest.mark.parametrize(
    ("source", "lines", "said"),
    [
        pytest.param(BRANCH, [3], "unknown condition", id="a wrong condition is told once"),
        pytest.param(
            "sequence: s\nentry: {again: [x]}\nsteps: [{key: a, text: x}]", [2], "never, every key",
            id="a list where a word belongs",
        ),
        pytest.param(
            "sequence: s\npriority: 2026-02-31\nsteps: [{key: a, text: x}]", [2], "whole number",
            id="a day that does not exist",
        ),
        pytest.param("a: " + "[" * 700, [1], "nested", id="hundreds of brackets"),
    ],
)  # fmt: skip
def test_odd_files_are_refused_in_our_words(source: str, lines: list[int], said: str) -> None:
    with pytest.raises(SequenceFileError) as refused:
        read(source)

    assert [problem.line for problem in refused.value.problems] == lines
    assert said in str(refused.value)


UNFOLDS = "sequence: s\nsteps:\n  - {key: k, text: x, when: {all: [*a, *a]}}\n"


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        pytest.param(
            UNFOLDS.replace("k,", "k, b: &a {not: replied},"), 3, "no aliases", id="alias"
        ),
        pytest.param(PLAIN + "#" * 300_000, 1, "longer than", id="length"),
    ],
)
def test_a_file_that_unfolds_is_refused(source: str, line: int, said: str) -> None:
    """Some lines of aliases of aliases would be millions of conditions."""
    with pytest.raises(SequenceFileError) as refused:
        read(source)

    (problem,) = refused.value.problems
    assert problem.line == line
    assert said in problem.message


def test_stars_in_words_are_no_aliases() -> None:
    assert read(PLAIN.replace("text: x", 'text: "a *b* c"')).steps[0].text == "a *b* c"


@pytest.mark.parametrize(
    "action", ["http://x.org", "javascript:alert(1)", "tg://user?id=1", "https://", "https://a b"]
)
def test_a_button_leads_to_the_web_or_to_an_action(action: str) -> None:
    """Only over TLS, and to no other scheme."""
    button = PLAIN.replace("text: x", f"text: x, buttons: [[{{text: Go, action: {action!r}}}]]")
    good = button.replace(repr(action), "'https://meet.google.com/a'")

    assert read(good).steps[0].buttons[0][0][1] == "https://meet.google.com/a"
    with pytest.raises(SequenceFileError, match="is no action"):
        read(button)

"""The sandbox reads Telegram's HTML as TDLib does (S05: texts are refused here, not in production).

The oracle is TDLib's own parser, called in this process; it needs no network.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import tdjson

from delivery.sandbox import markup

KINDS = {
    "Bold": "bold", "Italic": "italic", "Underline": "underline",
    "Strikethrough": "strikethrough",
    "Spoiler": "spoiler", "Code": "code", "Pre": "pre", "PreCode": "pre", "TextUrl": "text_link",
    "MentionName": "text_mention", "BlockQuote": "blockquote", "CustomEmoji": "custom_emoji",
    "ExpandableBlockQuote": "expandable_blockquote", "DateTime": "date_time",
}  # fmt: skip

ARGUMENTS = ("url", "language", "custom_emoji_id", "user_id", "unix_time")

CORPUS = [
    "", "  ", "plain", " <b> x </b> ", "<b>x</b>", "<B>x</b>", "<b>x</B>", "<b >x</ >", "<b>x</>",
    "<b>x</b\n>", "<b></b>", "<b>a<i>b</i></b>", "<b>x</b><b>y</b>", "<b><b>x</b></b>",
    "<b>😀</b>x<i>y</i>", "<u>a</u><s>b</s><ins>c</ins><del>d</del><strike>e</strike>",
    "<em>f</em><strong>g</strong><tg-spoiler>h</tg-spoiler>", "<span class='tg-spoiler'>x</span>",
    "<span>x</span>", "<span class='x'>x</span>", "<a href='https://meet.google.com'>m</a>",
    "<a href='https://meet.google.com/abc-defg-hij?x=1&amp;y=2#z'>m</a>", "<a href='foo'>m</a>",
    "<a href='javascript:alert(1)'>m</a>", "<a>example.com</a>", "<a>none</a>",
    "<a href='tg://user?id=123456'>m</a>", "<a href=foo.com>x</a>",
    "<a href='HTTPS://A.com/B'>m</a>",
    "<a href='http://localhost:8000/x'>m</a>", "<a href='http://127.0.0.1:8000'>m</a>",
    "<a href=' https://a.com '>m</a>", "<a href='https://a'>m</a>",
    "<a href='https://a.com'><b>x</b></a>",
    "<pre><code class='language-python'>x</code></pre>", "<code class='language-python'>x</code>",
    "<code class='language-py'><pre>x</pre></code>", "<pre>a<b>b</b></pre>",
    "<code><b>x</b></code>",
    "<b><code>x</code></b>", "<blockquote>q</blockquote>",
    "<blockquote expandable>q</blockquote>",
    "<blockquote expandable=''>q</blockquote>", "<blockquote x>q</blockquote>",
    "<i><blockquote>x</blockquote></i>", "<blockquote><blockquote>x</blockquote></blockquote>",
    "<tg-emoji emoji-id='5368324170671202286'>👍</tg-emoji>", "<tg-emoji>👍</tg-emoji>",
    "<tg-time unix='1'>x</tg-time>", "<b>a", "a</b>", "<b>a</i>", "<p>x", "a < b", "a<", "a<b",
    "<b",
    "</", "<b>x</", "<b>x</b", "<b x", "<b x>y</b>", "<b x=", "<b x= ", "<b x=y", "<b x='y",
    "<b x='y'",
    "<b a=b c='d'>x</b>", "<b =x>y</b>", "<b a=_>y</b>", "<b a='&lt;'>y</b>", "<b/>", "<br/>",
    "<br>",
    "<!-- x -->", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "<a href=\"x\"y>z</a>",
    "&lt;&#x27;&nbsp;&amp&#65 &#0;&#x110000;", "&#x1F600;<b>x</b>", "&", "&&amp;&", "&#;", "&#x;",
    "&#00000065;", "&#000000065;", "&lt", "&LT;", "Hi &lt;b&gt;Rosa&lt;/b&gt;", "é<b>ñ</b>",
    "<ü>",
    "<b>\u202eabc</b>", "<b>a\u200bb</b>", "<b>{{7*7}}</b>", "<b>line\n\nline</b>\n",
    "<i><b>x</i></b>",
]  # fmt: skip


def oracle(text: str) -> tuple[str, Any]:
    """("error", message) or (plain text, entities as tuples) from TDLib."""
    mode = {"@type": "textParseModeHTML"}
    request = {"@type": "parseTextEntities", "text": text, "parse_mode": mode}
    answer = tdjson.td_execute(json.dumps(request).encode())
    assert answer is not None
    found = json.loads(answer)
    if found["@type"] == "error":
        return "error", found["message"].removeprefix("Can't parse entities: ")
    return found["text"], sorted(_from_tdlib(e) for e in found["entities"])


def _from_tdlib(entity: dict[str, Any]) -> tuple[int, int, str, str]:
    kind = entity["type"]
    argument = next(
        (
            str(kind[k])
            for k in ("url", "language", "custom_emoji_id", "user_id", "unix_time")
            if k in kind
        ),
        "",
    )
    return (
        entity["offset"],
        entity["length"],
        KINDS[kind["@type"].removeprefix("textEntityType")],
        argument,
    )


def ours(text: str) -> tuple[str, Any]:
    """The same from the sandbox's parser."""
    try:
        plain, entities = markup.parse_html(text)
    except markup.MarkupError as error:
        return "error", str(error)
    return plain, sorted((e.offset, e.length, e.type, e.argument) for e in entities)


@pytest.fixture(scope="module", autouse=True)
def _quiet_tdlib() -> None:
    tdjson.td_execute(b'{"@type":"setLogVerbosityLevel","new_verbosity_level":0}')


@pytest.mark.parametrize("text", CORPUS)
def test_reads_as_tdlib_does(text: str) -> None:
    assert ours(text) == oracle(text)


def test_reads_random_markup_as_tdlib_does() -> None:
    pieces = [
        "<b>", "</b>", "<i>", "</i>", "<a href='https://a.com'>", "</a>", "<code>", "</code>",
        "<pre>",
        "</pre>", "x", " ", "😀", "&lt;", "&amp;", "&", "<", ">", "</>", "<u", "</u >", "é", "\n",
        "<blockquote expandable>", "</blockquote>", "<code class='language-c'>", "'", '"', "=",
        "/",
    ]  # fmt: skip
    dice = random.Random(20261)
    different = []
    for _ in range(4000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 9)))
        if ours(text) != oracle(text):
            different.append((text, ours(text), oracle(text)))
    assert different == []


def test_tidy_trims_and_moves_entities() -> None:
    text, entities = markup.tidy(*markup.parse_html("  <b> x</b> see https://a.com/x. \n"))
    assert text == "x see https://a.com/x."
    assert [(e.type, e.offset, e.length) for e in entities] == [("bold", 0, 1), ("url", 6, 15)]


def test_commands_and_addresses_are_found_but_not_inside_code() -> None:
    _, entities = markup.tidy(*markup.parse_html("/start a@b.co <code>/stop</code>"))
    assert [e.type for e in entities] == ["bot_command", "email", "code"]

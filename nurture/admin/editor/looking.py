"""Beside the form: one message as somebody would read it, and a test of it to staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from attendance.models import Learner
from delivery.models import Delivery
from nurture.admin.editor.page import Page, StepRow
from nurture.admin.editor.preview import PERSONAS, Preview, preview
from nurture.admin.editor.state import said
from nurture.domain.sequence import Step, StepKind
from nurture.models import StaffChat
from nurture.services import trying


@dataclass
class Look:
    """What the side of the page shows; `asked` is what was chosen there."""

    page: Page
    asked: Mapping[str, Any]
    now: datetime
    may_see_learners: bool

    @property
    def step_path(self) -> str:
        """Which step is looked at: the chosen one, or the first message."""
        here = {row.path for row in self._messages()}
        wanted = said(self.asked, "step")
        return wanted if wanted in here else next((row.path for row in self._messages()), "")

    def _messages(self) -> list[StepRow]:
        return [row for row in self.page.steps if row.kind == StepKind.MESSAGE and not row.removed]

    @property
    def step(self) -> StepRow | None:
        """The step that is looked at."""
        return next((row for row in self._messages() if row.path == self.step_path), None)

    @property
    def language(self) -> str:
        """In which language, "" for the first text."""
        code = said(self.asked, "language")
        return code if code in self.page.languages else ""

    @property
    def personas(self) -> list[tuple[str, str]]:
        """As whom one may look."""
        return [(key, words) for key, (words, _) in PERSONAS.items()]

    @property
    def persona(self) -> str:
        """As whom one looks, where no learner is named."""
        key = said(self.asked, "persona")
        return key if key in PERSONAS else next(iter(PERSONAS))

    @property
    def named(self) -> str:
        """What was typed to find a learner."""
        return said(self.asked, "learner")

    def _learner(self) -> Learner | None:
        if not self.named or not self.may_see_learners:
            return None
        known = Learner.objects.filter(erased_at=None)
        found = known.filter(email_key=self.named.lower()).first()
        named = Q(name__words=self.named) | Q(email_key__startswith=self.named.lower())
        return found or known.filter(named).order_by("email_key").first()

    def preview(self) -> Preview | None:
        """The message as that person would read it; None where there is none to look at."""
        row = self.step
        if row is None or row.step is None:
            return None
        learner = self._learner()
        if self.named and learner is None:
            return Preview(who=self.named, problem="No learner has this name or address.")
        words, variables = PERSONAS[self.persona]
        if "bot_username" in self._text(row.step):  # a test must not lead to a stranger's bot
            variables = {**variables, "bot_username": trying.our_bot()}
        if learner is not None:
            words = learner.name or learner.email
            variables = trying.variables_of(learner=learner, now=self.now, language=self.language)
        return preview(row.step, text=self._text(row.step), who=words, variables=variables)

    def _text(self, step: Step) -> str:
        return step.texts.get(self.language, step.text)

    @property
    def chats(self) -> list[StaffChat]:
        """The chats of staff that a test may go to."""
        return list(trying.staff_chats())

    @property
    def test(self) -> Delivery | None:
        """The test that was sent from this page last."""
        key = said(self.asked, "test")
        if not key.isascii() or not key.isdigit() or len(key) > 18:
            return None
        return Delivery.objects.filter(pk=int(key), is_test=True).first()

    def send(self, to: str) -> str:
        """Send what is looked at to a chat of staff; return the number of the delivery.

        Raises ValueError with what stands in the way; nothing is sent then.
        """
        seen = self.preview()
        row = self.step
        if seen is None or row is None or row.step is None:
            raise ValueError("There is no message to send.")
        if seen.problem:
            raise ValueError(f"Nothing was sent. {seen.problem}")
        chat = next((one for one in self.chats if str(one.pk) == to), None)
        if chat is None:
            raise ValueError("Nothing was sent. Choose a chat of staff, or link yours.")
        owed = trying.send_test(to=chat, text=seen.source, buttons=row.step.buttons, now=self.now)
        return str(owed.pk)
